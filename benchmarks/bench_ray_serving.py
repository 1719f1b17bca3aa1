"""Measure Ray Serve behind HAProxy, as models are set up, and behind its own proxy, as it is by itself.

    PYTHONPATH=constructs python benchmarks/bench_ray_serving.py

Both serve one model with the handlers and are asked by turns, the best round is printed: with one and with
two replicas and with four threads in one, asked directly and through the container's adapter (`ray_adapter`),
by up to 128 clients that each wait for their answer. With slow requests, one in a hundred takes 50 ms of
waiting, and the times are those of the others. Beyond 64 requests at once the container answers 503: they are
counted, and no part of the figures. The adapter is asked too with a server behind it that computes nothing
(`empty_backend`): more than that nobody can reach through it. Results go to
benchmarks/results/ray_serving.json, with the load of the machine before.
"""

import io
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import ray
from http_load import Figures, load
from ray_servers import COLUMNS, HAPROXY, OWN_PROXY, adapter, empty_backend, ray_serve, write_model
from recording import record

RESULTS = Path(__file__).parent / "results" / "ray_serving.json"
SECONDS, ROUNDS = 1.2, 3
# Factors are medians over so many rounds, in each of which all are asked one after the other.
ROUNDS_OF_FACTORS = 11
SCRIPT = """
import time
from cdk_sagemaker_pytorch_serving.handlers import predict_fn as default

def predict_fn(data, model):
    if data[0, 0] < 0:
        time.sleep(0.05)
    return default(data, model)
"""
SERVERS = {"own proxy": OWN_PROXY, "HAProxy": HAPROXY}
NOTHING = "nothing"
COMPARED_LABELS, COMPARED_CASES = {"replicas": 1, "threads": 1}, [("NPY", 1), ("NPY", 8)]
# What is compared with Ray Serve's own proxy: a server, what is in front of it, and the least factors that
# are wanted, at 8 clients and of p50 at one client.
COMPARED = {
    "direct": ("HAProxy", "direct", (6.0, 6.0)),
    "adapter": ("HAProxy", "adapter", (3.5, 4.0)),
    "adapter, nothing behind it": (NOTHING, "adapter", (0.0, 0.0)),
}

Request = Callable[[int], tuple[bytes, dict[str, str], bool]]


def requests() -> dict[str, Request]:
    """Return what is sent in each case, by name."""
    row = np.random.default_rng(0).random((1, COLUMNS), dtype=np.float32)
    slow_row = row.copy()
    slow_row[0, 0] = -1

    def npy(array: np.ndarray) -> bytes:
        stream = io.BytesIO()
        np.save(stream, array)
        return stream.getvalue()

    def always(body: bytes, content_type: str) -> Request:
        headers = {"Content-Type": content_type, "Accept": content_type}
        return lambda number: (body, headers, True)

    one, other = npy(row), npy(slow_row)
    headers = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}
    return {
        "NPY": always(one, "application/x-npy"),
        "JSON": always(json.dumps(row.tolist()).encode(), "application/json"),
        "CSV": always(",".join(map(repr, row[0].astype(float).tolist())).encode(), "text/csv"),
        "NPY, 1 % slow": lambda number: (
            (other, headers, False) if number % 100 == 0 else (one, headers, True)
        ),
    }


SLOW = [("NPY", 8), ("NPY, 1 % slow", 8)]
CASES = [("NPY", 1), ("NPY", 8), ("NPY", 32), ("NPY", 128), ("JSON", 8), ("CSV", 8), SLOW[1]]


def best(figures: list[Figures]) -> Figures:
    """Return the best of several rounds, with the statuses of all."""
    statuses: Counter[int] = Counter()
    for each in figures:
        statuses.update(each.statuses)
    return max(figures, key=lambda each: each.per_second)._replace(statuses=dict(statuses))


def measure(urls: dict[tuple[str, str], str], labels: dict[str, int]) -> list[dict[str, object]]:
    """Ask the servers in each case, by turns; returns the best round of each."""
    results = []
    for name, clients in CASES if labels["threads"] == 1 else SLOW:
        request = requests()[name]
        rounds: dict[tuple[str, str], list[Figures]] = {where: [] for where in urls}
        is_compared = labels == COMPARED_LABELS and (name, clients) in COMPARED_CASES
        for _ in range(ROUNDS_OF_FACTORS if is_compared else ROUNDS):
            for where, url in urls.items():
                rounds[where].append(load(url, clients, SECONDS, request))
        for (server, through), found in rounds.items():
            figures = best(found)
            where_ = {"server": server, "through": through}
            row = {**labels, **where_, "case": name, "clients": clients, **figures._asdict()}
            if is_compared:
                row["rounds"] = [{"per_second": each.per_second, "p50_ms": each.p50_ms} for each in found]
            results.append(row)
            columns = "".join(f"{value:<10}" for value in (*labels.values(), server, through))
            print(
                f"{columns}{name:15}{clients:4}{figures.per_second:9.1f}{figures.p50_ms:9.2f}"
                f"{figures.p99_ms:9.2f}  {figures.statuses}",
                flush=True,
            )
    return results


@contextmanager
def serving(folder: Path, replicas: int, threads: int) -> Iterator[dict[tuple[str, str], str]]:
    """Start both servers and an adapter for each, and once one for no server; returns the URLs."""
    settings = {
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(replicas),
        "CDK_SAGEMAKER_PYTORCH_THREADS": str(threads),
    }
    urls = {}
    with ExitStack() as stack:

        def behind(one: AbstractContextManager[str]) -> str:
            return stack.enter_context(one) + "/invocations"

        for name, variables in SERVERS.items():
            own = folder / name.replace(" ", "-")
            server = ray_serve(write_model(own / "model", SCRIPT), own / "log", {**variables, **settings})
            running = stack.enter_context(server)
            urls[name, "direct"] = running.url_invocations
            urls[name, "adapter"] = behind(adapter(running.url_invocations, own / "adapter"))
        if {"replicas": replicas, "threads": threads} == COMPARED_LABELS:
            nothing = stack.enter_context(empty_backend(folder / "nothing"))
            urls[NOTHING, "adapter"] = behind(adapter(nothing, folder / "adapter"))
        yield urls


def factors(results: list[dict]) -> tuple[dict[str, float], list[str]]:
    """Compare with Ray Serve's own proxy, round by round; returns the factors, and what is missed."""
    rounds: dict[tuple[object, ...], list[dict[str, float]]] = {
        (row["server"], row["through"], row["clients"]): row["rounds"] for row in results if "rounds" in row
    }

    def factor(server: str, through: str, clients: int, figure: str) -> float:
        pairs = zip(rounds["own proxy", through, clients], rounds[server, through, clients], strict=True)
        return median(after[figure] / before[figure] for before, after in pairs)

    ratios, missed = {}, []
    for name, (server, through, least) in COMPARED.items():
        found = {
            f"{name}: throughput at 8 clients": factor(server, through, 8, "per_second"),
            f"{name}: 1 / p50 at 1 client": 1 / factor(server, through, 1, "p50_ms"),
        }
        for (what, ratio), wanted in zip(found.items(), least, strict=True):
            ratios[what] = round(ratio, 1)
            missed += [what] if ratio < wanted else []
    return ratios, missed


def main() -> int:
    """Print the table; return 1 where a target is missed."""
    results: list[dict] = []
    busy = round(os.getloadavg()[0], 1)
    print(f"{'replicas':10}{'threads':39}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for replicas, threads in ((1, 1), (2, 1), (1, 4)):
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(Path(folder), replicas, threads) as urls,
        ):
            results += measure(urls, {"replicas": replicas, "threads": threads})
    ratios, missed = factors(results)
    for name, ratio in ratios.items():
        print(f"{name:55}{ratio:9.1f}")
    print(f"\nmissed: {', '.join(missed) or 'none'}")
    record(
        RESULTS,
        reference=f"ray {ray.__version__}, its own proxy",
        factors=ratios,
        load_average=busy,
        results=results,
    )
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())

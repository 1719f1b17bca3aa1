"""Ask Ray Serve for minutes what an hour of bad days brings, and account for each answer.

    PYTHONPATH=constructs python benchmarks/load_ray_serving.py [--seconds 120]

Two replicas, as models are set up, behind the container's adapter, and clients that send a mixture: good
requests, whose answers are known; bad ones of each kind; slow, late and huge ones; some that are cut off,
some that raise, some that exit, and now and then one that ends a process or never comes back. Then the same
for as long without those that cost a replica, so that two processes answer all of them. It fails when an
answer is wrong, a status is none of those that its request may get, a client waits longer than the limit, a
health check fails, or memory grows. Results go to benchmarks/results/ray_load.json.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
from http_load import Connection
from ray_servers import HAPROXY, adapter, ray_serve, write_model
from recording import record

RESULTS = Path(__file__).parent / "results" / "ray_load.json"
CLIENTS = 12
LIMIT = 5
# How long the adapter may take besides: it waits for a replica that is being replaced.
PATIENCE = 60.0
SCRIPT = """
import os, sys, time
from cdk_sagemaker_pytorch_serving.errors import RequestError

def model_fn(model_dir): return 7

def predict_fn(data, model):
    kind, number = int(data[0]), float(data[1])
    if kind == 1: time.sleep(0.2)
    if kind == 2: time.sleep(7)
    if kind == 3: raise RequestError("no")
    if kind == 4: return [][3]
    if kind == 5: sys.exit()
    if kind == 6: os._exit(1)
    while kind == 7: pass
    return data[1:] * model
"""
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# By kind: how often, and what it may get. Who shares a replica with one that ends may get 500 with it, and
# 503 is what a container says that has enough to do.
KINDS: dict[str, tuple[float, set[int]]] = {
    "good": (60, {200}),
    "slow": (6, {200}),
    "bad JSON": (5, {400}),
    "bad type": (5, {415}),
    "bad accept": (5, {406}),
    "refused": (4, {400}),
    "raises": (4, {500}),
    "exits": (3, {500}),
    "huge": (0.3, {413}),
    "cut off": (4, set()),
    "late": (0.1, {504}),
    "ends": (0.1, {500}),
    "hangs": (0.1, {504}),
}
NUMBERS = {"slow": 1, "late": 2, "refused": 3, "raises": 4, "exits": 5, "ends": 6, "hangs": 7}
COSTS_A_REPLICA = frozenset({"late", "ends", "hangs"})
#: What any request may get while a replica is replaced, or where all have enough to do.
ALWAYS = {503}
REPLACED = {500, 503, 504}


class Account:
    """What was asked, what came, and what should not have."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.longest: dict[str, float] = {}
        self.disturbed_until = 0.0

    def disturb(self, seconds: float) -> None:
        """Expect answers of 500 and the like for a while."""
        self.disturbed_until = max(self.disturbed_until, time.monotonic() + seconds)

    def wait(self) -> None:
        """Wait until all replicas should be there again."""
        time.sleep(max(0.0, self.disturbed_until - time.monotonic()))

    def add(self, kind: str, began: float, status: int, body: bytes, expected: float | None) -> None:
        """Enter an answer."""
        took = time.monotonic() - began
        self.answers[kind, status] += 1
        self.longest[kind] = max(self.longest.get(kind, 0.0), took)
        allowed = KINDS[kind][1] | ALWAYS | (REPLACED if began < self.disturbed_until else set())
        if status not in allowed:
            self.wrong.append(f"{kind}: {status} {body[:80]!r}")
        elif status == 200 and json.loads(body) != [expected]:
            self.wrong.append(f"{kind}: got {body!r}, not {expected}")
        if took > PATIENCE:
            self.wrong.append(f"{kind}: took {took:.0f} s")


async def _client(url: str, end: float, account: Account, seed: int, kinds: list[str]) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    connection = Connection(url)
    weights = [KINDS[kind][0] for kind in kinds]
    while time.monotonic() < end:
        [kind] = dice.choices(kinds, weights)
        secret = dice.randrange(10**6)
        body, headers = json.dumps([NUMBERS.get(kind, 0), float(secret)]).encode(), JSON
        if kind == "huge":
            body = b" " * (25 * 1024 * 1024) + body
        elif kind == "bad JSON":
            body = body[:-1]
        elif kind == "bad type":
            headers = JSON | {"Content-Type": "image/png"}
        elif kind == "bad accept":
            headers = JSON | {"Accept": "image/png"}
        if kind in COSTS_A_REPLICA:
            account.disturb(60)
        began = time.monotonic()
        if kind == "cut off":
            await connection.cut_off(body, headers)
            account.answers[kind, 0] += 1
            continue
        try:
            answer = await asyncio.wait_for(connection.post(body, headers), 2 * PATIENCE)
        except TimeoutError:
            account.wrong.append(f"{kind}: no answer within {2 * PATIENCE:g} s")
            connection.close()
            continue
        account.add(kind, began, answer.status, answer.body, secret * 7.0)
    connection.close()


def _ping(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=10) as response:  # noqa: S310 - our own
            return bool(response.status == 200)
    except OSError:
        return False


async def _pings(url: str, end: float, account: Account) -> int:
    count = 0
    while time.monotonic() < end:
        if not await asyncio.to_thread(_ping, url):
            account.wrong.append("a health check failed")
        count += 1
        await asyncio.sleep(0.5)
    return count


def _memory() -> int:
    """Return the megabytes that Ray's long-lived processes have for themselves, replicas aside."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "ServeReplica" not in " ".join(process.cmdline()):
                memory = process.memory_full_info()
                total += memory.uss
        except psutil.Error:
            continue
    return total // 2**20


def _replicas() -> dict[int, int]:
    """Return the megabytes that each replica has for itself."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if "ServeReplica" in " ".join(process.cmdline()):
                found[process.pid] = process.memory_full_info().uss // 2**20
        except psutil.Error:
            continue
    return found


async def _phase(url: str, seconds: float, account: Account, seed: int, kinds: list[str]) -> int:
    end = time.monotonic() + seconds
    clients = (_client(f"{url}/invocations", end, account, seed + number, kinds) for number in range(CLIENTS))
    pings, *_ = await asyncio.gather(_pings(url, end, account), *clients)
    return pings


def _table(account: Account) -> list[dict]:
    rows = []
    for kind in KINDS:
        statuses = {
            status: count for (name, status), count in sorted(account.answers.items()) if name == kind
        }
        longest = round(account.longest.get(kind, 0.0), 2)
        rows.append({"kind": kind, "statuses": statuses, "longest_s": longest})
        print(f"{kind:12}{longest:8.2f} s   {statuses}")
    return rows


def main() -> int:
    """Print what came of it; return 1 where anything did that should not have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each part lasts")
    seconds = parser.parse_args().seconds
    everything, harmless = list(KINDS), [kind for kind in KINDS if kind not in COSTS_A_REPLICA]
    account = Account()
    settings = HAPROXY | {
        "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
        "CDK_SAGEMAKER_PYTORCH_THREADS": "2",
        "RAYSERVE_BACKEND_TIMEOUT": str(LIMIT),
    }
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "model", SCRIPT)
        with (
            ray_serve(model, Path(folder) / "log", settings) as running,
            adapter(running.url_invocations, Path(folder) / "adapter.log", PATIENCE) as url,
        ):
            asyncio.run(_phase(url, seconds / 4, account, 0, everything))
            before = _memory()
            pings = asyncio.run(_phase(url, 3 * seconds / 4, account, 1000, everything))
            account.wait()
            pings += asyncio.run(_phase(url, seconds / 4, account, 2000, harmless))
            replicas_before, answers_before = _replicas(), account.answers.total()
            pings += asyncio.run(_phase(url, 3 * seconds / 4, account, 3000, harmless))
            after, replicas_after = _memory(), _replicas()
    rows = _table(account)
    answered = account.answers.total() - answers_before
    print(f"{pings} health checks; memory without replicas {before} MB, then {after} MB")
    print(f"replicas, MB by process: {replicas_before}, {answered} requests later {replicas_after}")
    if after > before * 1.25 + 50:
        account.wrong.append(f"memory grew from {before} MB to {after} MB")
    if replicas_before.keys() != replicas_after.keys():
        account.wrong.append("a replica was replaced that no request had cost")
    for process, megabytes in replicas_after.items():
        if megabytes > replicas_before.get(process, megabytes) * 1.1 + 5:
            account.wrong.append(f"a replica grew from {replicas_before[process]} MB to {megabytes} MB")
    print(f"\nwrong: {Counter(account.wrong).most_common(20) or 'none'}")
    figures = {"seconds": seconds, "clients": CLIENTS, "health_checks": pings, "wrong": len(account.wrong)}
    memory = {
        "memory_mb": [before, after],
        "replicas_mb": [list(replicas_before.values()), list(replicas_after.values())],
        "requests_between": answered,
    }
    record(RESULTS, reference="what each kind of request may get", results=rows, **figures, **memory)
    return bool(account.wrong)


if __name__ == "__main__":
    sys.exit(main())

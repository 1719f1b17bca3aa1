"""Packaging a model, beside the SageMaker Python SDK's `repack_model`, on the same server in one run.

    python benchmarks/bench_packaging.py --cases random:16 random:500 random:2000 compressible:500 rewrite:500

A case is a kind of model and its size in MB: `random` float32 weights, `compressible` ones of which three
rows in four are pruned, or `rewrite`: random weights in an archive that has code already, which a splice
cannot take. Each contender runs in a process of its own. CPU, wall time, uploads and disk are those of the
packaging call, imports excluded; peak memory is that of the process. The outcomes are compared. Then the cold
start of the function: how long fresh processes take to import it and to make its client, and which packages
take the time of the imports. Results go to benchmarks/results/packaging.json.
"""

import argparse
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import venv
from pathlib import Path

from recording import record

ROOT = Path(__file__).resolve().parents[1]
FUNCTION = ROOT / "lambda_assets" / "model_packager"
CACHE = ROOT / ".cache" / "benchmarks"
RESULTS = ROOT / "benchmarks" / "results" / "packaging.json"
SDK = "sagemaker==2.257.7"
ISAL = "isal==1.9.1"
BUCKET = "bench"
CODE = b"def model_fn(model_dir):\n    return None\n"
MB = 10**6
LONG_MB = 1000
COLD_START_S = 0.6
COLD_STARTS = 7
# By strategy: how many times less CPU and wall time is expected than the SDK takes, and at most how many MB
# of memory and of uploads beside the code. Below 100 MB requests take most of the time: nothing is expected.
TARGETS = {
    "splice": {"cpu_s": 12, "wall_s": 6, "peak_mb": 130, "uploaded_mb": 12 * 1.048576},
    "rewrite": {"cpu_s": 5, "peak_mb": 200},
}


# ---- What runs in the contenders' own processes: the standard library and the contender only. ----


def run_ours(case: str) -> dict:
    sys.path.insert(0, str(FUNCTION))
    from index import handler
    from packager import handling

    handling._clients["s3"] = handling.default_client()
    event = {
        "model_data": f"s3://{BUCKET}/{case}/model.tar.gz",
        "source_code": f"s3://{BUCKET}/code.gz",
        "output": f"s3://{BUCKET}/{case}/ours/model.tar.gz",
        "framework_version": "2.6.0",
        "entry_point": "inference.py",
        "max_ratio": 1000,
    }
    return measure(lambda: handler(event, None))


def run_sdk(case: str) -> dict:
    import boto3
    import sagemaker
    from sagemaker.utils import repack_model

    session = sagemaker.Session(boto3.Session(region_name="us-east-1"), default_bucket=BUCKET)
    source = Path(tempfile.mkdtemp(dir=os.environ["SOURCE_DIR"]))
    (source / "inference.py").write_bytes(CODE)
    return measure(
        lambda: repack_model(
            "inference.py",
            str(source),
            [],
            f"s3://{BUCKET}/{case}/model.tar.gz",
            f"s3://{BUCKET}/{case}/sdk/model.tar.gz",
            session,
        )
    )


def measure(call) -> dict:
    """Return what one call took of this process, and its answer."""
    uploaded = count_uploads()
    cpu, wall = time.process_time(), time.perf_counter()
    answer = call()
    return {
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": round(peak_memory() / MB, 1),
        "uploaded_mb": round(uploaded[0] / MB, 3),
        "answer": answer,
    }


def count_uploads() -> list[int]:
    """Return a list whose only number grows with the bodies that any client of this process sends."""
    from botocore.httpsession import URLLib3Session

    total = [0]
    lock = threading.Lock()
    send = URLLib3Session.send

    def counting(self, request):
        with lock:
            total[0] += int(request.headers.get("Content-Length") or 0)
        return send(self, request)

    URLLib3Session.send = counting
    return total


def peak_memory() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


# ---- The run that drives them. ----


def prepare_environments() -> tuple[Path, Path]:
    """Return the Python that has the SDK, and the folder that has isal; both are made once."""
    sdk = CACHE / "sdk"
    if not (sdk / "ready").exists():
        venv.create(sdk, with_pip=True)
        subprocess.run([sdk / "bin" / "python", "-m", "pip", "install", "--quiet", SDK], check=True)
        (sdk / "ready").touch()
    isal = CACHE / "isal"
    if not (isal / "isal").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", isal, ISAL]
        subprocess.run(pip, check=True)
    return sdk / "bin" / "python", isal


def start_server() -> tuple[subprocess.Popen, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    server.terminate()
    raise SystemExit("the server did not start within 60 seconds")


def weights(kind: str, count: int, seed: int) -> bytes:
    import numpy as np

    chance = np.random.default_rng(seed)
    values = chance.standard_normal(count, dtype=np.float32)
    if kind == "compressible":
        values[np.arange(count) // 1024 % 4 > 0] = 0
    return values.tobytes()


class Weights:
    """A file of weights that need not fit into memory."""

    def __init__(self, kind: str, size: int) -> None:
        self._kind, self._left, self._seed, self._buffer = kind, size, 0, b""

    def read(self, count: int) -> bytes:
        while len(self._buffer) < min(count, self._left):
            self._buffer += weights(self._kind, 4 * MB, self._seed)
            self._seed += 1
        count = min(count, self._left)
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        self._left -= count
        return data


def store_model(client, case: str, folder: Path) -> None:
    kind, megabytes = case.split(":")
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        if kind == "rewrite":
            old = tarfile.TarInfo("code/inference.py")
            old.size = 3
            tar.addfile(old, io.BytesIO(b"old"))
        info = tarfile.TarInfo("model.pth")
        info.size = int(megabytes) * MB
        tar.addfile(info, Weights(kind, info.size))
    client.upload_file(str(path), BUCKET, f"{case}/model.tar.gz")
    path.unlink()


def source_code() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("inference.py")
        info.size = len(CODE)
        tar.addfile(info, io.BytesIO(CODE))
    return buffer.getvalue()


def run_contender(python: Path, contender: str, case: str, environment: dict, folder: Path) -> dict:
    """Run one contender in a process of its own, and watch the disk that it takes."""
    temporary = Path(tempfile.mkdtemp(dir=folder))
    output = folder / "result.json"
    command = [python, __file__, "--contender", contender, "--case", case, "--output", output]
    process = subprocess.Popen(command, env=environment | {"TMPDIR": str(temporary)})
    disk = 0
    while process.poll() is None:
        disk = max(disk, sum(size_of(path) for path in temporary.rglob("*")))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{contender} failed on {case}")
    return json.loads(output.read_text()) | {"disk_mb": round(disk / MB, 1)}


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def contents(client, key: str) -> dict[str, str]:
    """Return a digest of every file of an archive on the server."""
    digests = {}
    with tarfile.open(fileobj=client.get_object(Bucket=BUCKET, Key=key)["Body"], mode="r|gz") as tar:
        for info in tar:
            if info.isfile():
                digest = hashlib.sha256()
                file = tar.extractfile(info)
                while block := file.read(MB):
                    digest.update(block)
                digests[info.name.removeprefix("./")] = digest.hexdigest()
    return digests


def best_of(runs: list[dict]) -> dict:
    """Return the shortest times of several runs, and the most of everything else."""
    times = {key: min(run[key] for run in runs) for key in ("cpu_s", "wall_s")}
    amounts = {key: max(run[key] for run in runs) for key in ("peak_mb", "uploaded_mb", "disk_mb")}
    return runs[0] | times | amounts


def compare(case: str, client, pythons: dict, environments: dict, folder: Path, repeats: int) -> dict:
    store_model(client, case, folder)
    runs: dict[str, list[dict]] = {"sdk": [], "ours": []}
    count = repeats if int(case.partition(":")[2]) < LONG_MB else 1
    for _ in range(count):
        for contender, found in runs.items():
            found.append(run_contender(pythons[contender], contender, case, environments[contender], folder))
    ours, sdk = (contents(client, f"{case}/{contender}/model.tar.gz") for contender in ("ours", "sdk"))
    if ours != sdk:
        raise SystemExit(f"the outcomes of {case} differ: {ours} and {sdk}")
    best = {name: best_of(found) for name, found in runs.items()}
    ratios = {key: round(best["sdk"][key] / best["ours"][key], 2) for key in ("cpu_s", "wall_s", "peak_mb")}
    for key in client.list_objects_v2(Bucket=BUCKET, Prefix=f"{case}/").get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=key["Key"])
    return {"case": case, "repeats": count, **best, "sdk_over_ours": ratios}


def report(result: dict) -> None:
    ours, sdk, ratios = result["ours"], result["sdk"], result["sdk_over_ours"]
    megabytes = result["case"].partition(":")[2]
    print(f"\n{result['case']} MB, strategy {ours['answer']['strategy']}")
    for label, key in (("CPU s", "cpu_s"), ("wall s", "wall_s"), ("peak MB", "peak_mb")):
        print(f"  {label:9} sdk {sdk[key]:10.2f}   ours {ours[key]:10.2f}   sdk/ours {ratios[key]:6.1f}")
    for label, key in (("upload MB", "uploaded_mb"), ("disk MB", "disk_mb")):
        print(f"  {label:9} sdk {sdk[key]:10.2f}   ours {ours[key]:10.2f}")
    targets = TARGETS.get(ours["answer"]["strategy"], {}) if int(megabytes) >= 100 else {}
    for key, target in targets.items():
        more = key in ratios and key != "peak_mb"
        met = ratios[key] >= target if more else ours[key] <= target
        print(f"  {key} {'sdk/ours ≥' if more else '≤'} {target:g}: {'met' if met else 'MISSED'}")


COLD_START = """
import sys, time
begun = time.perf_counter()
from index import handler
from packager import handling
imported = time.perf_counter()
handling._clients["s3"] = handling.default_client()
print(imported - begun, time.perf_counter() - imported)
"""


def cold_start(environment: dict) -> dict:
    """Measure the function's start in fresh processes, and what it is made of."""
    environment = environment | {"PYTHONPATH": f"{FUNCTION}{os.pathsep}{environment['PYTHONPATH']}"}

    def run_python(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

    starts = [tuple(map(float, run_python("-c", COLD_START).stdout.split())) for _ in range(COLD_STARTS)]
    import_s, client_s = sorted(starts, key=sum)[len(starts) // 2]
    return {
        "import_s": round(import_s, 3),
        "client_s": round(client_s, 3),
        "import_ms_by_package": self_times(run_python("-X", "importtime", "-c", "import index").stderr),
    }


def self_times(report: str) -> dict[str, int]:
    """Return what importing took by top-level package in milliseconds; small ones together."""
    by_package: dict[str, float] = {}
    for line in report.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            package = name.strip().partition(".")[0]
            package = "standard library" if package in sys.stdlib_module_names else package
            by_package[package] = by_package.get(package, 0) + int(own) / 1000
    large = {name: round(spent) for name, spent in by_package.items() if spent >= 1}
    return dict(sorted(large.items(), key=lambda item: -item[1]))


def drive(cases: list[str], repeats: int, output: Path) -> None:
    import boto3

    sdk_python, isal = prepare_environments()
    server, endpoint = start_server()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            environment = {
                **os.environ,
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "SOURCE_DIR": name,
            }
            environments = {"sdk": environment, "ours": environment | {"PYTHONPATH": str(isal)}}
            pythons = {"sdk": sdk_python, "ours": Path(sys.executable)}
            os.environ.update(environment)
            client = boto3.client("s3")
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="code.gz", Body=source_code())
            results = []
            for case in cases:
                results.append(compare(case, client, pythons, environments, folder, repeats))
                report(results[-1])
            start = cold_start(environments["ours"])
    finally:
        server.terminate()
        server.wait()
    parts = ", ".join(f"{name} {spent} ms" for name, spent in start["import_ms_by_package"].items())
    print(f"\ncold start: import {start['import_s']} s ({parts}), client {start['client_s']} s")
    met = start["import_s"] + start["client_s"] <= COLD_START_S
    print(f"  in all ≤ {COLD_START_S}: {'met' if met else 'MISSED'}")
    record(output, reference=SDK, results=results, cold_start=start)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        default=["random:16", "random:500", "random:2000", "compressible:500", "rewrite:500"],
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        help=f"runs of each contender, of which the shortest times count; from {LONG_MB} MB on one",
    )
    parser.add_argument("--contender", choices=["ours", "sdk"], help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)
    if chosen.contender:
        run = {"ours": run_ours, "sdk": run_sdk}[chosen.contender]
        chosen.output.write_text(json.dumps(run(chosen.case)))
    else:
        drive(chosen.cases, chosen.repeats, chosen.output)


if __name__ == "__main__":
    main()

"""Compare the codecs that ship into containers with those of AWS's inference toolkit, in one run.

    PYTHONPATH=inference_assets python benchmarks/bench_codecs.py

Needs numpy, sagemaker-inference and orjson in the Python that runs it. Each line tells the best of several
runs of the toolkit and of this library in milliseconds of CPU time, their ratio, and the ratio aimed at.
Results go to benchmarks/results/codecs.json.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import orjson
from recording import record
from sagemaker_inference import decoder, encoder
from serving import codecs
from serving.codecs import CSV, JSON, NPY

RESULTS = Path(__file__).parent / "results" / "codecs.json"
COLUMNS = 784
# What is aimed at for 1,000 rows; a single row must never be slower.
TARGETS = {
    "decode CSV": 15.0,
    "decode CSV of 17 digits": 6.0,
    "decode CSV of 17 digits, orjson": 11.0,
    "decode JSON": 1.0,
    "decode JSON, orjson": 4.0,
    "decode NPY": 4.0,
    "encode CSV": 1.5,
    "encode JSON": 3.0,
    "encode JSON, orjson": 15.0,
    "encode NPY": 40.0,
}


def milliseconds(*functions: Callable[[], object], budget: float = 4.0) -> list[float]:
    """Best CPU time of one call of each function; they take turns, so that all see the same machine."""
    best = [float("inf")] * len(functions)
    repeats = [1] * len(functions)
    spent = 0.0
    while spent < budget:
        for index, function in enumerate(functions):
            start = time.process_time()
            for _ in range(repeats[index]):
                function()
            elapsed = time.process_time() - start
            best[index] = min(best[index], elapsed / repeats[index])
            repeats[index] = min(1000, max(1, int(0.01 / max(best[index], 1e-6))))
            spent += elapsed
    return [seconds * 1e3 for seconds in best]


def cases(rows: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """The toolkit's way and this library's, by name, as each server hands over bodies and tensors."""
    array = np.random.default_rng(0).random((rows, COLUMNS), dtype=np.float32)
    stream = io.BytesIO()
    np.save(stream, array)
    # TorchServe hands over a bytearray, and so do the other hosts of this library.
    npy = bytearray(stream.getvalue())
    csv = "\n".join(",".join(row) for row in array.astype(str).tolist())
    text = json.dumps(array.tolist())
    # As numpy and pandas write float64.
    full = "\n".join(
        ",".join(map(repr, row)) for row in np.random.default_rng(0).random((rows, COLUMNS)).tolist()
    )
    full_body = bytearray(full.encode())
    # The toolkit has made text of these before, which is not counted.
    csv_body, json_body = bytearray(csv.encode()), bytearray(text.encode())
    return {
        "decode CSV": (lambda: decoder.decode(csv, CSV), lambda: codecs.decode(csv_body, CSV)),
        "decode CSV of 17 digits": (
            lambda: decoder.decode(full, CSV),
            lambda: codecs.decode(full_body, CSV),
        ),
        "decode JSON": (lambda: decoder.decode(text, JSON), lambda: codecs.decode(json_body, JSON)),
        "decode NPY": (lambda: decoder.decode(npy, NPY), lambda: codecs.decode(npy, NPY)),
        # The toolkit's output_fn makes lists of the tensor first.
        "encode CSV": (lambda: encoder.encode(array.tolist(), CSV), lambda: codecs.encode(array, CSV)),
        "encode JSON": (lambda: encoder.encode(array.tolist(), JSON), lambda: codecs.encode(array, JSON)),
        "encode NPY": (lambda: encoder.encode(array.tolist(), NPY), lambda: codecs.encode(array, NPY)),
    }


def main() -> int:
    """Print the table; return 1 where a target is missed."""
    results, missed = [], []
    for rows in (1, 1000):
        print(f"\n{rows} x {COLUMNS} float32              toolkit ms    ours ms   ratio   target")
        for name, (toolkit, ours) in cases(rows).items():
            for suffix, module in (("", None), (", orjson", orjson)):
                if suffix and "JSON" not in name and "17 digits" not in name:
                    continue
                codecs.orjson = module
                reference, own = milliseconds(toolkit, ours)
                ratio = reference / own
                target = TARGETS[name + suffix] if rows > 1 else 1.0
                # What both spend in the same function of the standard library differs by chance.
                missed += [f"{name}{suffix} at {rows} rows"] if round(ratio, 1) < target else []
                figures = {"toolkit_ms": round(reference, 4), "ours_ms": round(own, 4), "target": target}
                case = {"case": name + suffix, "rows": rows}
                results.append(case | figures | {"toolkit_over_ours": round(ratio, 2)})
                print(f"{name + suffix:33} {reference:12.3f} {own:10.3f} {ratio:7.1f} {target:8.1f}")
    print(f"\nmissed: {', '.join(missed) or 'none'}")
    reference = f"sagemaker-inference=={version('sagemaker-inference')}"
    record(RESULTS, reference=reference, results=results, numpy=np.__version__)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())

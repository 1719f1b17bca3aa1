"""Run the benchmarks: every `bench_*.py` beside this file, or those that are named.

    python -m benchmarks [source_code import ...]

A benchmark runs in the first Python that has what it imports: this one, or one of the environments that
`make conformance` builds. Where none has, it says what is missing.
"""

import argparse
import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {
    path.stem.removeprefix("bench_"): path for path in sorted(Path(__file__).parent.glob("bench_*.py"))
}
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(
        str(ROOT / folder) for folder in ("constructs", "inference_assets", "benchmarks")
    )
}
FIND_MISSING = """
import importlib.util, sys
print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])
"""


def imported_by(script: Path) -> list[str]:
    """Top-level modules that a script imports when it starts, without the standard library's."""
    names: set[str] = set()
    for statement in ast.parse(script.read_bytes()).body:
        if isinstance(statement, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            names.add(statement.module.partition(".")[0])
    return sorted(names - sys.stdlib_module_names)


def missing_in(python: Path, modules: list[str]) -> list[str]:
    """Those of the modules that a Python does not have."""
    command = [python, "-c", FIND_MISSING, *modules]
    found = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return found.stdout.split()


def run(name: str) -> str:
    """Run one benchmark; returns what came of it."""
    modules = imported_by(SCRIPTS[name])
    pythons = [Path(sys.executable), *sorted(ROOT.glob(".cache/conformance/*/bin/python"))]
    missing = {python: missing_in(python, modules) for python in pythons}
    python = min(pythons, key=lambda candidate: len(missing[candidate]))
    if missing[python]:
        return f"not run: {python} lacks {', '.join(missing[python])}; make conformance builds environments"
    ended = subprocess.run([python, SCRIPTS[name]], env=ENVIRONMENT, cwd=ROOT, check=False)
    return "done" if ended.returncode == 0 else f"failed with exit code {ended.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", help=f"one of {', '.join(SCRIPTS)}; defaults to all of them")
    names = parser.parse_args().name or list(SCRIPTS)
    if unknown := set(names) - set(SCRIPTS):
        parser.error(f"name must be one of {', '.join(SCRIPTS)}, got {', '.join(sorted(unknown))}")
    outcomes = {}
    for name in names:
        print(f"\n==== {name}", flush=True)
        outcomes[name] = run(name)
    print("\n====")
    for name, outcome in outcomes.items():
        print(f"{name:12} {outcome}")
    return int(any("failed" in outcome for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())

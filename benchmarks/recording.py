"""Keeps what a benchmark found in `benchmarks/results/`, with the machine and the date."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def record(file: Path, *, reference: str, results: list[dict], **further: Any) -> None:
    """Write the results of a run, and say where they are."""
    written = {
        "reference": reference,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        **further,
        "results": results,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(written, indent=1) + "\n")
    print(f"\nwritten to {file}")

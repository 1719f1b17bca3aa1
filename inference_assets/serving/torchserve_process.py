"""The TorchServe that started this worker process.

TorchServe answers its health check before a model is loaded, and goes on doing so when the model cannot be:
an endpoint would come into service and answer nothing. Without TorchServe the health check fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_MAIN_CLASS = b"org.pytorch.serve.ModelServer"
#: Time for TorchServe to log the traceback of a worker that ends, in seconds.
_LOGGING_SECONDS = 2
_END = (
    "import os, signal, sys, time; time.sleep(float(sys.argv[2])); os.kill(int(sys.argv[1]), signal.SIGTERM)"
)


def end_torchserve() -> None:
    """End TorchServe a moment from now; nothing happens where this process is none of its workers."""
    server = _find_server(os.getpid())
    if server is not None:
        # A process of its own session, for the worker ends before, and TorchServe ends its group.
        subprocess.Popen(  # noqa: S603 - this interpreter, and numbers
            [sys.executable, "-c", _END, str(server), str(_LOGGING_SECONDS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _find_server(process: int) -> int | None:
    """Return the nearest ancestor of a process that is TorchServe, as Linux's /proc tells."""
    try:
        while process > 1:
            # The name of a program, in parentheses, may hold anything.
            fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
            process = int(fields[1])
            if _MAIN_CLASS in Path(f"/proc/{process}/cmdline").read_bytes():
                return process
    except (OSError, ValueError, IndexError):
        pass
    return None

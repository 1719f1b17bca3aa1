"""Load a model as a replica will, and exit with 1 if it does not: ``python -m ...check_model MODEL_DIR``."""

from __future__ import annotations

import os
import subprocess
import sys

from .entry_point import HandlerError
from .handler_chain import HandlerChain


def checks_model() -> bool:
    """Tell whether a model that does not load is to fail the endpoint: unless the environment says no."""
    return os.environ.get("CDK_SAGEMAKER_PYTORCH_CHECK_MODEL", "true").lower() not in ("0", "false")


def check_model(model_dir: str) -> None:
    """Load the model in a process of its own, which leaves no memory in use.

    Raises
    ------
    HandlerError
        The model does not load; the error names the last line of what the process printed.
    """
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", __name__, model_dir], stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(result.stderr)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
        raise HandlerError(f"the model in {model_dir} does not load: {reason}")


if __name__ == "__main__":
    HandlerChain.load(sys.argv[1])

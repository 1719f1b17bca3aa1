"""Which program runs the functions of a Lambda runtime on this machine."""

import os
import shutil
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def runtime_program(runtime: str) -> tuple[str, ...] | None:
    """Return the command that runs the functions of a runtime, or None where there is none.

    Parameters
    ----------
    runtime
        Lambda's name of it, for example "python3.13" or "nodejs22.x". All Pythons are this one, and all
        Node.js the one that is found beside it, else on the PATH.
    """
    if runtime.startswith("python"):
        return sys.executable, str(_HERE / "lambda_runtime.py")
    if runtime.startswith("nodejs"):
        places = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
        if node := shutil.which("node", path=places):
            return node, str(_HERE / "lambda_runtime.cjs")
    return None


def runtime_variables() -> dict[str, str]:
    """Return the variables by which Node.js finds what Lambda's runtime has of its own, the AWS SDK.

    It is looked for where npm puts it with `--prefix` and this Python's environment.
    """
    return {"NODE_PATH": str(Path(sys.prefix) / "node_modules")}

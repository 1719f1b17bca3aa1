"""Which program runs the functions of a Lambda runtime on this machine."""

import sys
from pathlib import Path

from cdk_sagemaker_pytorch.local.base.node_program import find_node

_HERE = Path(__file__).parent


def runtime_program(runtime: str) -> tuple[str, ...] | None:
    """Return the command that runs the functions of a runtime, or None where there is none.

    Parameters
    ----------
    runtime
        Lambda's name of it, for example "python3.13" or "nodejs22.x". All Pythons are this one, and all
        Node.js the one that `find_node` finds.
    """
    if runtime.startswith("python"):
        return sys.executable, str(_HERE / "lambda_runtime.py")
    if runtime.startswith("nodejs") and (node := find_node()):
        return node, str(_HERE / "lambda_runtime.cjs")
    return None


def runtime_variables() -> dict[str, str]:
    """Return the variables by which Node.js finds what Lambda's runtime has of its own, the AWS SDK.

    It is looked for where npm puts it with `--prefix` and this Python's environment.
    """
    return {"NODE_PATH": str(Path(sys.prefix) / "node_modules")}

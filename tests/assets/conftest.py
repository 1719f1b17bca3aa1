"""What the asset tests share: the assets as they lie in a container, and a model that train.py trained.

Tests of what needs no torch run on every Python of the containers, and so does this file.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if "HYPOTHESIS_PROFILE" not in os.environ:
    # As in tests/conftest.py, which the other Pythons run without.
    steady = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("steady", **steady)
    settings.load_profile("steady")

ROOT = Path(__file__).parents[2]
# As in a container, where scripts and packages of the code directory are on the path.
sys.path[:0] = [str(ROOT / "inference_assets"), str(ROOT / "training_assets")]

TrainingJob = "Callable[..., subprocess.CompletedProcess[str]]"


@pytest.fixture
def forget_scripts(tmp_path: Path) -> Iterator[None]:
    """Undo what loading a script leaves behind: its folder on the path, and its modules."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def assets() -> Path:
    """Return the folder that holds inference_assets and training_assets."""
    return ROOT


@pytest.fixture(scope="session")
def container_environment() -> dict[str, str]:
    """Return the environment of a container, without this machine's own settings of SageMaker."""
    foreign = ("SM_", "SAGEMAKER_", "CDK_SAGEMAKER_PYTORCH_", "RAYSERVE_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


@pytest.fixture(scope="session")
def npy() -> Callable[[object], bytes]:
    """Return a function that writes an array as NPY with numpy itself."""

    def write(array: object) -> bytes:
        stream = io.BytesIO()
        np.save(stream, np.asarray(array), allow_pickle=False)
        return stream.getvalue()

    return write


@pytest.fixture(scope="session")
def training_job(container_environment: dict[str, str]) -> TrainingJob:
    """Return a function that runs train.py in a folder, as the training toolkit does."""

    def run(
        folder: Path,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        variables = {
            **container_environment,
            "SM_MODEL_DIR": str(folder / "model"),
            "SM_OUTPUT_DATA_DIR": str(folder / "output"),
            "SM_NUM_GPUS": "0",
            "OMP_NUM_THREADS": "1",  # threads that wait for each other are slow where cores are shared
            **{f"SM_CHANNEL_{path.name.upper()}": str(path) for path in (folder / "data").glob("*")},
            **(environment or {}),
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "training_assets" / "train.py"), *arguments],
            env=variables,
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return scikit-learn's handwritten digits, split 80/20."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(x))
    cut = int(0.8 * len(x))
    return {"train": (x[order[:cut]], y[order[:cut]]), "test": (x[order[cut:]], y[order[cut:]])}


@pytest.fixture(scope="session")
def digits_job(
    tmp_path_factory: pytest.TempPathFactory,
    digits: dict[str, tuple[np.ndarray, np.ndarray]],
    training_job: TrainingJob,
) -> tuple[Path, str]:
    """Train on the digits once, and return the folder of the job and its log."""
    folder = tmp_path_factory.mktemp("digits")
    for channel, (x, y) in digits.items():
        (folder / "data" / channel).mkdir(parents=True)
        np.savez(folder / "data" / channel / "digits.npz", x=x, y=y)
    return folder, training_job(folder).stdout


@pytest.fixture
def model_folder(tmp_path: Path, digits_job: tuple[Path, str]) -> Path:
    """Return a model folder as a container unpacks it: model.pth, and code/ with the serving package."""
    folder = tmp_path / "model"
    shutil.copytree(digits_job[0] / "model", folder)
    ignore = shutil.ignore_patterns("__pycache__")
    package = folder / "code" / "cdk_sagemaker_pytorch_serving"
    shutil.copytree(ROOT / "inference_assets" / "serving", package, ignore=ignore)
    return folder

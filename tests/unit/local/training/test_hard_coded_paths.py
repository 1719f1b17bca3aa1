from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.base.container_view import CONTAINER_FOLDER
from cdk_sagemaker_pytorch.local.training.hard_coded_paths import find_hard_coded_paths

FOUND = {
    "a call": 'torch.save(m, "/opt/ml/model/m.pth")',
    "a name": 'MODEL = "/opt/ml/model"',
    "an f-string": 'open(f"/opt/ml/input/data/{name}")',
    "a default of an argument": 'parser.add_argument("--model-dir", default="/opt/ml/model")',
    "the folder itself": 'os.chdir("/opt/ml")',
}
NOT_FOUND = {
    "a default of a variable": 'd = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")',
    "a default of getenv": 'd = os.getenv("SM_MODEL_DIR", default="/opt/ml/model")',
    "what is taken instead": 'd = os.environ.get("SM_MODEL_DIR") or "/opt/ml/model"',
    "a nested default": 'add("--dir", default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))',
    "a docstring": '"""/opt/ml/model is where models go."""',
    "a comment": "x = 1  # /opt/ml/model",
    "a comparison": 'if d == "/opt/ml/model": print("in a container")',
    "text about it": 'print("the model is in /opt/ml/model")',
    "another folder": 'open("/opt/mlflow/x")',
    "no Python": "what /opt/ml/model (",
}


@pytest.mark.parametrize("code", FOUND.values(), ids=FOUND)
def test_what_leads_to_the_machines_folder_is_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").write_text(f"import os\n{code}\n")
    assert find_hard_coded_paths(tmp_path) == ["pkg/train.py:2"]


@pytest.mark.parametrize("code", NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_leads_nowhere_is_not_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "train.py").write_text(f"{code}\n")
    assert find_hard_coded_paths(tmp_path) == []


@pytest.mark.skipif(CONTAINER_FOLDER.exists(), reason="this machine has an /opt/ml")
def test_a_script_that_looks_first_is_left_alone(tmp_path: Path) -> None:
    code = 'import os\nif os.path.exists("/opt/ml/model"):\n    MODEL = "/opt/ml/model"\n'
    (tmp_path / "train.py").write_text(code)
    assert find_hard_coded_paths(tmp_path) == []


def test_shell_scripts_are_read_by_lines(tmp_path: Path) -> None:
    lines = [
        "#!/bin/sh",
        "# into /opt/ml/model",
        'cp m.pth "${SM_MODEL_DIR:-/opt/ml/model}"',
        "cp m.pth /opt/ml/model/",
        "python train.py --dir=/opt/ml/model",
        "ls /opt/mlflow",
    ]
    (tmp_path / "run.sh").write_text("\n".join(lines))
    assert find_hard_coded_paths(tmp_path) == ["run.sh:4", "run.sh:5"]


@pytest.mark.skipif(Path("/opt/ml").exists(), reason="this machine has the folder of a container")
def test_the_bundled_script_looks_for_the_folder_first() -> None:
    assert find_hard_coded_paths(Path(__file__).parents[4] / "training_assets") == []

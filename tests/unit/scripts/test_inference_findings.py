"""What is found in and around inference scripts, beyond the corpus."""

from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.scripts.script_check import check_inference_script
from cdk_sagemaker_pytorch.scripts.script_check.__main__ import main


def found(path: Path, **options: object) -> list[tuple[int, str, str]]:
    findings = check_inference_script(path, **options)  # type: ignore[arg-type]
    return [(finding.line, finding.id, finding.severity) for finding in findings]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "inference.py"
    path.write_text("import net\n\n\ndef model_fn(model_dir):\n    return net\n")
    return path


@pytest.mark.parametrize("name", ["torch.py", "numpy/__init__.py", "random.py", "starlette.py"])
def test_a_file_in_front_of_a_package_is_found(script: Path, name: str) -> None:
    (script.parent / name).parent.mkdir(exist_ok=True)
    (script.parent / name).write_text("")
    assert found(script) == [(1, "Script.shadowedPackage", "error")]
    assert found(script, shipped=["inference.py"]) == []


@pytest.mark.parametrize("name", ["net.py", "test/__init__.py", "code/a.py", "torch/weights.py", "data.py"])
def test_other_files_are_in_front_of_nothing(script: Path, name: str) -> None:
    (script.parent / name).parent.mkdir(exist_ok=True)
    (script.parent / name).write_text("")
    assert found(script) == []


@pytest.mark.parametrize("name", ["net.py", "net/__init__.py", "../net.py"])
def test_a_neighbour_that_does_not_ship_is_found(script: Path, name: str) -> None:
    (script.parent / name).parent.mkdir(exist_ok=True)
    (script.parent / name).write_text("")
    try:
        assert found(script, shipped=["inference.py"]) == [(1, "Script.missingModule", "warning")]
        assert found(script, shipped=["inference.py", "net.py"]) == []
    finally:
        (script.parent / name).unlink()


def test_modules_of_the_scripts_own_are_read_too(script: Path) -> None:
    (script.parent / "net.py").write_text("import layers\n")
    (script.parent / "layers.py").write_text("import net\ndef f(:\n")
    (script.parent / "unused.py").write_text("def f(:\n")
    [finding] = check_inference_script(script)
    assert (Path(finding.path).name, finding.line, finding.id) == ("layers.py", 2, "Script.syntax")


def test_newer_syntax_in_a_module_of_the_scripts_own_is_found(script: Path) -> None:
    (script.parent / "net.py").write_text("match 1:\n    case 1:\n        pass\n")
    assert found(script, python=(3, 8)) == [(1, "Script.newSyntax", "error")]
    assert found(script, python=(3, 12)) == []


def test_a_notebook_is_no_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = tmp_path / "inference.ipynb"
    notebook.write_text("{}")
    assert found(notebook) == [(1, "Script.notebook", "error")]
    assert main([str(notebook)]) == 1
    assert "Script.notebook" in capsys.readouterr().out


def test_a_package_of_torchserve_may_be_installed(script: Path) -> None:
    script.write_text("import sagemaker_inference\n")
    assert found(script, framework_version="2.13") == [(1, "Inference.modelServer", "error")]
    assert found(script, framework_version="2.6")[0][1] == "Inference.modelFn"
    (script.parent / "requirements.txt").write_text("sagemaker_inference==1.10.1\n")
    assert found(script, framework_version="2.13") == []


def test_a_whole_model_loads_before_2_6(script: Path) -> None:
    script.write_text("import torch\ndef model_fn(d):\n    return torch.load(d).eval()\n")
    assert "Inference.wholeModel" not in {kind for _, kind, _ in found(script, framework_version="2.5")}
    assert found(script, framework_version="2.6") == [(3, "Inference.wholeModel", "error")]
    script.write_text("import torch\ndef model_fn(d):\n    return torch.load(d, weights_only=False).eval()\n")
    assert found(script, framework_version="2.6") == [(3, "Inference.torchLoad", "warning")]


@pytest.mark.parametrize("instance_type", ["ml.g5.xlarge", "ml.p3.2xlarge", None, "local"])
def test_a_device_that_may_be_there_is_fine(script: Path, instance_type: str | None) -> None:
    script.write_text("import torch\ndevice = torch.device('cuda')\n")
    assert found(script, instance_type=instance_type) == []
    assert found(script, instance_type="ml.c7g.large") == [(2, "Inference.device", "error")]


@pytest.mark.parametrize(
    ("comment", "allows"),
    [
        ("# script-check: allow Script.relativeImport: it is patched in", True),
        ("#script-check:allow Script.relativeImport:why", True),
        ("# script-check: allow Script.relativeImport", False),
        ("# script-check: allow Script.relativeImport:", False),
        ("# script-check: allow Script.syntax: why", False),
    ],
)
def test_a_comment_allows_a_finding_and_says_why(script: Path, comment: str, allows: bool) -> None:
    script.write_text(f"from .net import Net  {comment}\n")
    assert (found(script) == []) == allows
    script.write_text(f"{comment}\nfrom .net import Net\n")
    assert (found(script) == []) == allows
    script.write_text(f"{comment}\n\nfrom .net import Net\n")
    assert found(script) == [(3, "Script.relativeImport", "error")]


@pytest.mark.parametrize("content", ["café = 1\n".encode("latin-1"), b"\xff\xfeh\x00i\x00", b"x = 1\x00"])
def test_a_file_that_python_cannot_decode_is_found(script: Path, content: bytes) -> None:
    script.write_bytes(content)
    assert [kind for _, kind, _ in found(script)] == ["Script.syntax"]

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.base.node_program import find_node


def test_the_wheels_own_program_is_found() -> None:
    node = find_node()
    assert node is not None
    assert Path(node).read_bytes()[:4] == b"\x7fELF" or sys.platform != "linux"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("v")


def test_without_the_wheel_it_is_the_one_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\n")
    node.chmod(0o700)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_node() == str(node)
    node.unlink()
    assert find_node() is None

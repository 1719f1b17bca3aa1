import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.base import own_folders
from cdk_sagemaker_pytorch.local.base.errors import LocalAwsError
from cdk_sagemaker_pytorch.local.base.own_folders import claim, make_private

CLAIM = """
import sys
from pathlib import Path
from cdk_sagemaker_pytorch.local.base.own_folders import claim
claim(Path(sys.argv[1]))
print("claimed", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", [None, 0o755, 0o777, 0o700])
def test_a_folder_is_closed_whether_it_is_there_or_not(tmp_path: Path, mode: int | None) -> None:
    folder = tmp_path / "folder"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_fails_when_a_link_leads_to_another_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o755)
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalAwsError, match="must be a folder of your own"):
        make_private(tmp_path / "folder")
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755


def test_fails_when_the_folder_is_another_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(LocalAwsError, match="must be a folder of your own"):
        make_private(tmp_path / "folder")


def test_a_claim_lasts_as_long_as_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", CLAIM, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        with monkeypatch.context() as patience:
            patience.setattr(own_folders, "_CLAIM_SECONDS", 0.0)
            with pytest.raises(LocalAwsError, match="is used by another local AWS"):
                claim(tmp_path)
        other.kill()
        other.wait()
    os.close(claim(tmp_path))

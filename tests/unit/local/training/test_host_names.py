from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.training.host_names import find_host_names


@pytest.mark.parametrize(
    "code",
    [
        'os.environ["MASTER_ADDR"] = args.hosts[0]',
        'os.environ["MASTER_ADDR"] = json.loads(os.environ["SM_HOSTS"])[0]',
        'init(init_method=f"tcp://{hosts[0]}:29500")',
        'init(init_method="tcp://" + json.loads(os.environ["SM_HOSTS"])[0] + ":29500")',
    ],
)
def test_addresses_made_of_host_names_are_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").write_text(f"import json, os\n{code}\n")
    assert find_host_names(tmp_path) == ["pkg/train.py:2"]


@pytest.mark.parametrize(
    "code",
    [
        "dist.init_process_group('gloo', rank=hosts.index(host), world_size=len(hosts))",
        "init(init_method=f\"tcp://{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}\")",
        'os.environ["MASTER_ADDR"] = "127.0.0.1"',
        'print("tcp://hosts")',
        "no Python tcp:// (",
    ],
)
def test_other_addresses_are_not(tmp_path: Path, code: str) -> None:
    (tmp_path / "train.py").write_text(f"{code}\n")
    assert find_host_names(tmp_path) == []

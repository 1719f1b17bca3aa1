import tarfile
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.training.runner import TrainingRun
from cdk_sagemaker_pytorch.local.training.spec import TrainingJobSpec, TrainingResult

pytestmark = pytest.mark.local

# Each rank gives its number plus one; all of them get the sum.
SUM_OF_RANKS = """
import json, os
import torch
import torch.distributed as dist

hosts = json.loads(os.environ["SM_HOSTS"])
rank = int(os.environ.get("RANK", hosts.index(os.environ["SM_CURRENT_HOST"])))
world_size = int(os.environ.get("WORLD_SIZE", len(hosts)))
dist.init_process_group("gloo", rank=rank, world_size=world_size)
total = torch.tensor([rank + 1.0])
dist.all_reduce(total)
print(f"rank={rank} world_size={world_size} sum={total.item():g}")
dist.destroy_process_group()
"""


def train(tmp_path: Path, code: str, hyperparameters: dict[str, str]) -> TrainingResult:
    (tmp_path / "train.py").write_text(code)
    archive = tmp_path / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")
    spec = TrainingJobSpec("job-1", archive, "train.py", hyperparameters=hyperparameters, instance_count=2)
    return TrainingRun(spec, tmp_path / "job").run()


@pytest.mark.parametrize("torchrun", ["false", "true"])
def test_two_hosts_train_together(tmp_path: Path, torchrun: str) -> None:
    result = train(tmp_path, SUM_OF_RANKS, {"sagemaker_torch_distributed_enabled": torchrun})
    assert result.status == "Completed"
    for rank, log_path in enumerate(result.log_paths.values()):
        assert f"rank={rank} world_size=2 sum=3\n" in log_path.read_text()


def test_fails_when_one_rank_raises_under_torchrun_with_that_ranks_own_exception(tmp_path: Path) -> None:
    code = SUM_OF_RANKS + "\nif rank == 1: raise ValueError('no labels')"
    result = train(tmp_path, code, {"sagemaker_torch_distributed_enabled": "true"})
    assert result.status == "Failed"
    first, *_ = str(result.failure_reason).splitlines()
    assert first == "AlgorithmError: rank 1 on algo-2 failed: ValueError: no labels"
    assert 'ErrorMessage "ValueError: no labels"' in str(result.failure_reason)


def test_fails_when_a_rank_is_killed_under_torchrun_and_says_which(tmp_path: Path) -> None:
    code = SUM_OF_RANKS.replace("total = ", "if rank == 1: os.kill(os.getpid(), 9)\ntotal = ")
    result = train(tmp_path, code, {"sagemaker_torch_distributed_enabled": "true"})
    first, *_ = str(result.failure_reason).splitlines()
    assert first.startswith(
        "AlgorithmError: rank 1 on algo-2 failed: the script was killed by signal 9 (SIGKILL), when its"
    )

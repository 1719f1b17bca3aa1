import json
from dataclasses import replace
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.local.training.environment import TrainingEnvironment
from cdk_sagemaker_pytorch.local.training.folders import HostFolders


@pytest.fixture
def environment(tmp_path: Path) -> TrainingEnvironment:
    folders = HostFolders(tmp_path)
    folders.make()
    return TrainingEnvironment(
        job_name="job-1",
        folders=folders,
        hyperparameters={"epochs": "3", "sagemaker_program": '"train.py"'},
        entry_point="train.py",
        hosts=("algo-1", "algo-2"),
        current_host="algo-2",
        instance_type="ml.g5.xlarge",
        region="eu-west-1",
        master_address="127.0.0.1",
        master_port=5000,
        input_data_config={"train": {"TrainingInputMode": "File"}},
    )


def test_the_variables_that_scripts_read(environment: TrainingEnvironment) -> None:
    variables = environment.variables()
    base = environment.folders.base
    expected = {
        "SM_MODEL_DIR": f"{base}/model",
        "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
        "SM_CHANNELS": '["train"]',
        "SM_CHANNEL_TRAIN": f"{base}/input/data/train",
        "SM_HPS": '{"epochs":3}',
        "SM_HP_EPOCHS": "3",
        "SM_USER_ARGS": '["--epochs","3"]',
        "SM_HOSTS": '["algo-1","algo-2"]',
        "SM_CURRENT_HOST": "algo-2",
        "SM_CURRENT_INSTANCE_TYPE": "ml.g5.xlarge",
        "SM_MODULE_NAME": "train",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_LOG_LEVEL": "20",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "5000",
        "TRAINING_JOB_NAME": "job-1",
        "SAGEMAKER_REGION": "eu-west-1",
    }
    assert {name: variables[name] for name in expected} == expected
    assert json.loads(variables["SM_TRAINING_ENV"])["is_master"] is False


def test_the_configuration_files(environment: TrainingEnvironment) -> None:
    environment.write_config_files()
    config = {file.name: json.loads(file.read_text()) for file in environment.folders.config.iterdir()}
    assert config["hyperparameters.json"] == {"epochs": "3", "sagemaker_program": '"train.py"'}
    assert config["inputdataconfig.json"] == {"train": {"TrainingInputMode": "File"}}
    assert config["resourceconfig.json"]["current_host"] == "algo-2"


def test_a_script_a_package_and_a_shell_script_are_started_differently(
    environment: TrainingEnvironment,
) -> None:
    assert environment.command("python") == ["python", "--", "train.py", "--epochs", "3"]
    shell = replace(environment, entry_point="bin/run.sh", hyperparameters={"text": "\"a 'b'\""})
    assert shell.command("python") == ["/bin/sh", "-c", """./bin/run.sh --text 'a '"'"'b'"'"''"""]
    (environment.folders.code / "setup.py").touch()
    assert environment.command("python") == ["python", "-m", "train", "--epochs", "3"]


def test_torchrun_starts_the_script_when_it_is_enabled(environment: TrainingEnvironment) -> None:
    enabled = {"epochs": "3", "sagemaker_torch_distributed_enabled": "true"}
    command = replace(environment, hyperparameters=enabled).command("python")
    assert command[:3] == ["python", "-m", "torch.distributed.run"]
    assert command[-3:] == ["train.py", "--epochs", "3"]
    assert command[command.index("--node_rank") + 1] == "1"
    assert command[command.index("--nnodes") + 1] == "2"


def test_fails_when_torchrun_is_to_start_a_shell_script(environment: TrainingEnvironment) -> None:
    enabled = {"sagemaker_torch_distributed_enabled": "true"}
    shell = replace(environment, entry_point="run.sh", hyperparameters=enabled)
    with pytest.raises(ValueError, match="torchrun cannot start shell scripts, use a Python script"):
        shell.command("python")

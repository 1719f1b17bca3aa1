"""The SageMaker Python SDK itself on the local AWS: it predicts, and attaches to a training job."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cdk_sagemaker_pytorch import Predictor
from cdk_sagemaker_pytorch.local import LocalAws
from waiting import end_of_execution

from .serving_scripts.network import Network

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

APP = Path(__file__).parent / "apps" / "sdk_app.py"
ROWS = [[1.5, -2.0, 0.25, 3.0], [0.0, 4.0, -1.0, 0.5]]
# The SDK would report to AWS that it is used.
SDK_CONFIG = "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"

PREDICT = """
import json, sys
from importlib.metadata import version
import numpy as np
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.pytorch import PyTorchPredictor
from sagemaker.serializers import CSVSerializer, JSONSerializer

endpoint, rows = sys.argv[1], json.loads(sys.argv[2])
formats = {
    "default": {},
    "json": {"serializer": JSONSerializer(), "deserializer": JSONDeserializer()},
    "csv": {"serializer": CSVSerializer(), "deserializer": CSVDeserializer()},
    "csv to json": {"serializer": CSVSerializer(), "deserializer": JSONDeserializer()},
}
answers = {
    name: np.asarray(PyTorchPredictor(endpoint, **options).predict(data)).astype(float).tolist()
    for name, options in formats.items()
    # What users hand to it: an array for NPY, lists otherwise.
    for data in [np.array(rows) if name == "default" else rows]
}
print(json.dumps({"sdk": version("sagemaker"), "answers": answers}))
"""
ATTACH = """
import json, sys
from sagemaker.pytorch import PyTorch

estimator = PyTorch.attach(sys.argv[1])
print(json.dumps({
    "hyperparameters": estimator.hyperparameters(),
    "entry_point": estimator.entry_point,
    "source_dir": estimator.source_dir,
    "framework_version": estimator.framework_version,
    "py_version": estimator.py_version,
    "instance": [estimator.instance_type, estimator.instance_count],
    "model_data": estimator.model_data,
}))
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalAws, dict[str, str]]]:
    """A local AWS with the app deployed, and the app's outputs."""
    folder = tmp_path_factory.mktemp("sdk")
    (folder / "model").mkdir()
    traced = torch.jit.trace(network(), torch.zeros(1, 4))  # type: ignore[no-untyped-call]
    torch.jit.save(traced, folder / "model" / "model.pt")
    with LocalAws(folder / "aws") as aws:
        variables = {"MODEL_DIRECTORY": str(folder / "model"), "CDK_OUTDIR": str(folder / "cdk.out")}
        yield aws, aws.deploy([sys.executable, str(APP)], env=variables)["Sdk"]


def network() -> Network:
    """The model that is deployed."""
    torch.manual_seed(7)
    return Network().eval()


@pytest.fixture
def run_sdk(
    deployed: tuple[LocalAws, dict[str, str]], sdk_python: Path, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Run a program in the SDK's environment, with its AWS settings only, and return what it prints."""
    (tmp_path / "config.yaml").write_text(SDK_CONFIG)

    def run(program: str, *arguments: str) -> dict[str, Any]:
        aws, _ = deployed
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(tmp_path / "config.yaml"),
        }
        done = subprocess.run(
            [sdk_python, "-W", "ignore", "-c", program, *arguments],
            env=environment | aws.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return printed

    return run


def test_the_sdks_predictor_predicts(
    deployed: tuple[LocalAws, dict[str, str]], run_sdk: Callable[..., dict[str, Any]]
) -> None:
    aws, outputs = deployed
    endpoint = outputs["EndpointName"]
    seen = run_sdk(PREDICT, endpoint, json.dumps(ROWS))
    assert seen["sdk"] == "2.257.7"
    with torch.inference_mode():
        expected = network()(torch.tensor(ROWS)).numpy()
    ours = Predictor(endpoint, aws.client("sagemaker-runtime")).predict(np.array(ROWS))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    assert set(seen["answers"]) == {"default", "json", "csv", "csv to json"}
    for answer in seen["answers"].values():
        np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_the_sdk_attaches_to_a_training_job(
    deployed: tuple[LocalAws, dict[str, str]], run_sdk: Callable[..., dict[str, Any]]
) -> None:
    aws, outputs = deployed
    states, sagemaker = aws.client("stepfunctions"), aws.client("sagemaker")
    execution = states.start_execution(stateMachineArn=outputs["MachineArn"], name="train")["executionArn"]
    described = end_of_execution(states, execution)
    assert described["status"] == "SUCCEEDED", described.get("cause")
    [name] = [job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    job = sagemaker.describe_training_job(TrainingJobName=name)

    seen = run_sdk(ATTACH, name)
    # As the SDK writes hyperparameters itself: each value is JSON.
    attached = {key: json.loads(value) for key, value in seen.pop("hyperparameters").items()}
    assert {key: value for key, value in attached.items() if not key.startswith("sagemaker_")} == {
        "epochs": 3,
        "learning-rate": 0.5,
        "optimizer": "adam",
        "layers": [16, 8],
        "nesterov": True,
    }
    assert seen == {
        "entry_point": "train.py",
        "source_dir": json.loads(job["HyperParameters"]["sagemaker_submit_directory"]),
        "framework_version": "2.6.0",
        "py_version": "py312",
        "instance": ["ml.c5.xlarge", 2],
        "model_data": job["ModelArtifacts"]["S3ModelArtifacts"],
    }

"""TorchScript behind an accelerator's handlers: trained, packaged and served by PyTorch 1.5.1."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from cdk_sagemaker_pytorch import Predictor
from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.serving import elastic_inference_host
from waiting import end_of_execution

pytestmark = [pytest.mark.local]

APP = Path(__file__).parent / "apps" / "elastic_inference.py"


def test_a_traced_model_is_trained_packaged_and_served(tmp_path: Path) -> None:
    assembly = tmp_path / "cdk.out"
    subprocess.run([sys.executable, APP], env={**os.environ, "CDK_OUTDIR": str(assembly)}, check=True)
    with LocalAws(tmp_path / "aws") as aws:
        outputs = aws.deploy(assembly)["ElasticInference"]
        states, sagemaker = aws.client("stepfunctions"), aws.client("sagemaker")
        arn = states.start_execution(stateMachineArn=outputs["Machine"])["executionArn"]
        execution = end_of_execution(states, arn)
        assert execution["status"] == "SUCCEEDED", execution["cause"]
        rows = np.array([[2.0], [-1.0]], dtype=np.float32)
        answer = Predictor(outputs["Endpoint"], aws.client("sagemaker-runtime")).predict(rows)
        endpoint = sagemaker.describe_endpoint(EndpointName=outputs["Endpoint"])
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        bucket, _, key = json.loads(execution["output"])["model_data_url"][len("s3://") :].partition("/")
        archive = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        group = f"/aws/sagemaker/Endpoints/{outputs['Endpoint']}"
        events = aws.client("logs").filter_log_events(logGroupName=group)["events"]

    np.testing.assert_allclose(answer, [[6.0], [-3.0]], rtol=1e-5)
    (variant,) = config["ProductionVariants"]
    assert variant["AcceleratorType"] == "ml.eia2.medium"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert {"model.pt", "code/inference.py"} <= {name.removeprefix("./") for name in tar.getnames()}
    assert "this machine's CPU in place of the Elastic Inference accelerator" in [
        event["message"] for event in events
    ]


def test_the_accelerators_call_runs_on_the_cpu() -> None:
    double = torch.jit.script(torch.nn.Identity())  # type: ignore[no-untyped-call]
    for options in (None, {"target_device": "eia:0"}):
        with elastic_inference_host.optimized_execution(True, options):
            assert double(torch.ones(1)) == 1


@pytest.mark.parametrize("options", [{}, {"target_device": "eia:1"}, {"target_device": "cuda:0"}])
def test_fails_with_a_device_that_the_instance_does_not_have(options: dict[str, str]) -> None:
    with (
        pytest.raises(RuntimeError, match="target_device must be eia:0"),
        elastic_inference_host.optimized_execution(True, options),
    ):
        pass

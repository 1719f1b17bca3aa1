"""Bring your own model: a directory with model.pth and code/, served as it is, and with another script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cdk_sagemaker_pytorch import Predictor
from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = [pytest.mark.local]

APP = Path(__file__).parent / "apps" / "own_models.py"

NETWORK = """
import torch

def load(model_dir):
    model = torch.nn.Linear(2, 1)
    model.load_state_dict(torch.load(f"{model_dir}/model.pth", weights_only=True))
    return model.eval()
"""
OWN = """
from network import load

def model_fn(model_dir):
    return load(model_dir)

def output_fn(prediction, accept, context):
    properties = sorted(context.system_properties)
    return {"own": prediction.tolist(), "knows": properties[:1], "of": context.manifest["model"]["modelName"]}
"""
JOINED = """
import json
from network import load
from shared.scale import FACTOR

def model_fn(model_dir):
    return load(model_dir)

def input_fn(body, content_type):
    return FACTOR * json.loads(body)["instances"][0][0]

def predict_fn(data, model):
    return data

def output_fn(prediction, accept):
    return [prediction, accept]
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """What a user has: a trained model with its code, a script, and a package that both stacks share."""
    code = tmp_path / "my_model" / "code"
    code.mkdir(parents=True)
    network = torch.nn.Linear(2, 1)
    torch.nn.init.ones_(network.weight)
    torch.nn.init.zeros_(network.bias)
    torch.save(network.state_dict(), tmp_path / "my_model" / "model.pth")
    (tmp_path / "my_model" / "._model.pth").write_bytes(b"\0")
    (code / "inference.py").write_text(OWN)
    (code / "network.py").write_text(NETWORK)
    (tmp_path / "serve.py").write_text(JOINED)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "scale.py").write_text("FACTOR = 3")
    return tmp_path


def test_models_are_served_with_their_own_code_and_with_a_script_that_joins_it(
    models: Path, tmp_path: Path
) -> None:
    assembly = tmp_path / "cdk.out"
    environment = {**os.environ, "CDK_OUTDIR": str(assembly), "OWN_MODELS": str(models)}
    subprocess.run([sys.executable, APP], env=environment, check=True)
    with LocalAws(tmp_path / "aws") as aws:
        outputs = aws.deploy(assembly)["OwnModels"]
        runtime = aws.client("sagemaker-runtime")

        own = Predictor(outputs["OwnEndpoint"], runtime).predict([[1.0, 2.0]])
        joined = Predictor(outputs["JoinedEndpoint"], runtime).predict({"instances": [[5]]})

    assert own == {"own": [[3.0]], "knows": ["batch_size"], "of": "model"}
    assert joined == [15, "application/json"]

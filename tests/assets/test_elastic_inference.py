import contextlib
import importlib.util

import numpy as np
import pytest
import torch
import train

# TorchScript is what SageMaker's default model_fn loads.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture
def script(assets):
    path = assets / "inference_assets" / "elastic_inference" / "inference.py"
    specification = importlib.util.spec_from_file_location("elastic_inference_script", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_model_pt_is_loaded_onto_the_cpu(script, tmp_path, monkeypatch):
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), str(tmp_path / "model.pt"))
    load, devices = torch.jit.load, []

    def recording_load(path, map_location):
        devices.append(map_location)
        return load(path, map_location=map_location)

    monkeypatch.setattr(torch.jit, "load", recording_load)

    model = script.model_fn(str(tmp_path))

    assert devices == [torch.device("cpu")]
    assert not model.training


def test_fails_when_there_is_no_model_pt(script, tmp_path):
    (tmp_path / "model.pth").touch()

    with pytest.raises(FileNotFoundError, match=r"must hold model\.pt, .* got \['model\.pth'\]"):
        script.model_fn(str(tmp_path))


def test_predictions_run_on_the_accelerator(script, monkeypatch):
    # Only the accelerator's own build of torch takes the second argument.
    entered = []

    @contextlib.contextmanager
    def optimized_execution(should_optimize, options):
        entered.append((should_optimize, options, torch.is_grad_enabled()))
        yield
        entered.append("left")

    monkeypatch.setattr(torch.jit, "optimized_execution", optimized_execution)

    def model(data):
        assert len(entered) == 1
        return data * 2

    assert script.predict_fn(torch.ones(2), model).tolist() == [2, 2]
    assert entered == [(True, {"target_device": "eia:0"}, False), "left"]


def test_what_the_bundled_script_exports_is_served_on_the_accelerator(script, tmp_path, monkeypatch):
    random = np.random.RandomState(0)
    y = np.arange(40) % 2
    x = random.randn(40, 3) + 4 * y[:, None]
    (tmp_path / "train").mkdir()
    np.savez(tmp_path / "train" / "part.npz", x=x, y=y)
    folders = [f"--{name}={tmp_path / name}" for name in ("train", "model-dir", "output-data-dir")]
    train.main([*folders, "--torchscript=trace", "--epochs=20", "--num-gpus=0"])
    targets = []

    @contextlib.contextmanager
    def optimized_execution(should_optimize, options):
        targets.append(options["target_device"])
        yield

    monkeypatch.setattr(torch.jit, "optimized_execution", optimized_execution)

    model = script.model_fn(str(tmp_path / "model-dir"))
    probabilities = script.predict_fn(torch.from_numpy(x).float(), model)

    assert targets == ["eia:0"]
    assert (probabilities.argmax(1).numpy() == y).mean() > 0.9


def test_script_runs_on_the_python_of_its_container(assets):
    import ast

    source = (assets / "inference_assets" / "elastic_inference" / "inference.py").read_text()

    ast.parse(source, feature_version=(3, 6))
    assert "__future__" not in source

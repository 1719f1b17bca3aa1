import contextlib
import importlib.util

import pytest
import torch

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


def test_script_runs_on_the_python_of_its_container(assets):
    import ast

    source = (assets / "inference_assets" / "elastic_inference" / "inference.py").read_text()

    ast.parse(source, feature_version=(3, 6))
    assert "__future__" not in source

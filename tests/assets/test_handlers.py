import json

import numpy as np
import pytest
import torch
from serving import bundled_model
from serving.bundled_model import MultilayerPerceptron, load_bundled_model
from serving.errors import (
    MalformedBodyError,
    NotAcceptableError,
    PredictionEncodingError,
    UnsupportedContentTypeError,
)
from serving.handlers import input_fn, model_fn, output_fn, predict_fn

# TorchScript is what SageMaker's default model_fn loads.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def script_module(module=None):
    return torch.jit.script(module or torch.nn.Linear(3, 2))


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "weights.pt"])
def test_model_fn_loads_torchscript(tmp_path, name):
    module = script_module()
    module.train()
    torch.jit.save(module, str(tmp_path / name))

    model = model_fn(str(tmp_path))

    assert not model.training
    assert torch.equal(model(torch.ones(1, 3)), module(torch.ones(1, 3)))


def test_model_fn_prefers_model_pt(tmp_path):
    torch.jit.save(script_module(), str(tmp_path / "model.pt"))
    for other in ("model.pth", "other.pt"):
        (tmp_path / other).write_bytes(b"something else")

    assert model_fn(str(tmp_path)).original_name == "Linear"


def test_model_fn_loads_what_train_py_saved(digits_job, digits):
    model = model_fn(str(digits_job[0] / "model"))
    x, y = digits["test"]

    probabilities = predict_fn(torch.from_numpy(x), model)

    assert not model.training
    assert model.classes == list(range(10))
    assert torch.allclose(probabilities.sum(1), torch.ones(len(x)))
    assert (probabilities.argmax(1).numpy() == y).mean() >= 0.95


@pytest.mark.parametrize(("names", "got"), [([], r"\[\]"), (["a.pt", "b.pth"], r"\['a\.pt', 'b\.pth'\]")])
def test_fails_when_there_is_no_one_model_file(tmp_path, names, got):
    for name in names:
        (tmp_path / name).touch()

    with pytest.raises(
        FileNotFoundError, match=f"must hold model.pt, .*got {got}: save one there or write a model_fn"
    ):
        model_fn(str(tmp_path))


class Explosive:
    def __reduce__(self):
        return (exec, ("import serving; serving.exploded = True",))


@pytest.mark.parametrize("before_weights_only", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            lambda path: torch.save(torch.nn.Linear(3, 2).state_dict(), path),
            "not a model of the bundled training",
        ),
        (lambda path: torch.save({"format": Explosive()}, path), "holds more than tensors and plain values"),
        (lambda path: torch.save(torch.nn.Linear(3, 2), path), "holds more than tensors and plain values"),
        (lambda path: path.write_bytes(b"\x80\x02}."), "not in the zip format of torch.save"),
        (
            lambda path: torch.save({"format": Explosive()}, path, _use_new_zipfile_serialization=False),
            "not in the zip format of torch.save",
        ),
    ],
)
def test_fails_when_model_pth_is_another_kind_of_file(
    tmp_path, monkeypatch, content, message, before_weights_only
):
    import serving

    if before_weights_only:
        use_restricted_unpickler(monkeypatch)
    content(tmp_path / "model.pth")

    with pytest.raises(ValueError, match=rf"model\.pth .*{message}.*: write a model_fn"):
        model_fn(str(tmp_path))

    assert not hasattr(serving, "exploded")


def use_restricted_unpickler(monkeypatch):
    """Load as on torch before 1.13, which has no weights_only."""
    load = torch.load

    def old_load(f, map_location=None, pickle_module=None):
        return load(f, map_location=map_location, pickle_module=pickle_module, weights_only=False)

    monkeypatch.setattr(bundled_model.torch, "load", old_load)


def test_model_pth_loads_on_torch_without_weights_only(digits_job, monkeypatch):
    path = digits_job[0] / "model" / "model.pth"
    expected = load_bundled_model(path).state_dict()
    use_restricted_unpickler(monkeypatch)

    loaded = load_bundled_model(path).state_dict()

    assert set(loaded) == set(expected)
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


@pytest.mark.parametrize("classes", [[], [3, 5]])
def test_bundled_model_computes_what_the_trainer_trained(classes):
    from trainer import MultilayerPerceptron as Trained

    trained = Trained(4, [8, 6], 2, dropout=0.5).eval()
    for buffer in trained.buffers():
        torch.nn.init.uniform_(buffer, 1, 2)
    checkpoint = {
        "features": 4,
        "hidden_sizes": [8, 6],
        "outputs": 2,
        "classes": classes,
        "state_dict": trained.state_dict(),
    }
    x = torch.randn(5, 2, 2)

    served = MultilayerPerceptron(checkpoint).eval()(x)

    raw = trained(x.flatten(1))
    expected = raw.softmax(1) if classes else raw * trained.output_scale + trained.output_mean
    torch.testing.assert_close(served, expected)


@pytest.mark.parametrize("shape", [(2, 3), (3,), (), (2, 2, 3)])
def test_fails_when_rows_have_other_features(digits_job, shape):
    model = load_bundled_model(digits_job[0] / "model" / "model.pth")

    with pytest.raises(MalformedBodyError, match="the input must have 64 features a row, got the shape"):
        predict_fn(torch.zeros(shape), model)


def test_input_fn_reads_text_as_float32_and_npy_as_it_is(npy):
    for body, content_type in ((b"[[1, 2]]", "application/json"), ("1,2\n", "text/csv; charset=utf-8")):
        tensor = input_fn(body, content_type)
        assert tensor.dtype == torch.float32
        assert tensor.tolist() == [[1, 2]]
    for dtype in ("float64", "float32", "float16", "int64", "int32", "uint8", "bool"):
        tensor = input_fn(npy(np.ones((2, 3), dtype)), "application/x-npy")
        assert tensor.dtype == getattr(torch, dtype)
        assert tensor.shape == (2, 3)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", ">f4", "longdouble"])
def test_input_fn_widens_what_torch_has_no_dtype_for(npy, dtype):
    assert input_fn(npy(np.array([[3]], dtype)), "application/x-npy").tolist() == [[3]]


def test_input_fn_gives_torch_nothing_to_warn_about(npy, recwarn):
    input_fn(npy(np.ones((2, 3), np.float32)), "application/x-npy")
    input_fn(bytearray(npy(np.ones((2, 3), np.float32))), "application/x-npy")

    assert not recwarn.list


def test_fails_when_the_content_type_is_unknown():
    with pytest.raises(UnsupportedContentTypeError):
        input_fn(b"", "application/python-pickle")


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool]
)
@pytest.mark.parametrize("scripted", [True, False])
def test_predict_fn_casts_to_the_dtype_of_the_model(dtype, scripted):
    model = torch.nn.Linear(3, 2)
    model = torch.jit.script(model) if scripted else model

    assert predict_fn(torch.ones(1, 3, dtype=dtype), model).dtype == torch.float32


@pytest.mark.parametrize("scripted", [True, False])
def test_predict_fn_leaves_the_indices_of_an_embedding(scripted):
    model = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Linear(4, 2))
    model = torch.jit.script(model) if scripted else model

    assert predict_fn(torch.tensor([[1, 2, 3]]), model).shape == (1, 3, 2)


def test_predict_fn_uses_eval_and_inference_mode():
    model = torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Linear(3, 2))
    model.train()

    prediction = predict_fn(torch.ones(2, 3), model)

    assert prediction.is_inference()
    assert torch.equal(prediction[0], prediction[1])


def test_predict_fn_calls_anything_that_can_be_called():
    assert predict_fn([1, 2], sum) == 3


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x4 and 3x2)"),
        RuntimeError("CUDA out of memory"),
        IndexError("list index out of range"),
        TypeError("expected int"),
        MalformedBodyError("the model's own word"),
    ],
)
def test_what_the_model_raises_is_raised_as_it_is(failure):
    def model(_):
        raise failure

    with pytest.raises(type(failure)) as raised:
        predict_fn(torch.ones(1), model)
    assert raised.value is failure


@pytest.mark.parametrize(
    "prediction",
    [
        torch.tensor([[1.0, 2.0]]),
        torch.tensor([[1.0, 2.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16),
        torch.tensor([[1.0, 2.0]], dtype=torch.float16),
        np.array([[1.0, 2.0]]),
        [[1.0, 2.0]],
    ],
)
def test_output_fn_writes_tensors_arrays_and_lists(prediction):
    body, content_type = output_fn(prediction, "application/json")

    assert json.loads(body) == [[1.0, 2.0]]
    assert content_type == "application/json"


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ({"a": torch.ones(2), "b": [np.float32(0.5), None]}, {"a": [1.0, 1.0], "b": [0.5, None]}),
        ((torch.ones(1), torch.ones(2)), [[1.0], [1.0, 1.0]]),
        (["cat", "dog"], ["cat", "dog"]),
        ([{"label": "cat"}], [{"label": "cat"}]),
    ],
)
def test_output_fn_writes_what_is_not_numbers_as_json(prediction, expected):
    body, content_type = output_fn(prediction, "application/x-npy;q=0.5, */*;q=0.1")

    assert json.loads(body) == expected
    assert content_type == "application/json"
    with pytest.raises(NotAcceptableError, match="accept must allow one of application/json, got 'text/csv'"):
        output_fn(prediction, "text/csv")


@pytest.mark.parametrize("prediction", [object(), {"a": object()}, {"a": float("nan")}])
def test_fails_when_json_cannot_carry_the_prediction(prediction):
    with pytest.raises(PredictionEncodingError, match="the prediction cannot be written as JSON: "):
        output_fn(prediction, "application/json")


def test_inference_py_offers_the_defaults(assets, monkeypatch):
    import sys

    import serving
    from serving import handlers
    from serving.entry_point import load_entry_point

    monkeypatch.setitem(sys.modules, "cdk_sagemaker_pytorch_serving", serving)
    monkeypatch.setitem(sys.modules, "cdk_sagemaker_pytorch_serving.handlers", handlers)
    script = load_entry_point(assets / "inference_assets", "inference.py")

    for name in ("model_fn", "input_fn", "predict_fn", "output_fn"):
        assert getattr(script, name) is getattr(handlers, name)


def test_what_a_mac_leaves_beside_a_model_is_no_model(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), str(tmp_path / "net.pt"))
    (tmp_path / "._net.pt").write_bytes(b"\x00\x05\x16\x07")

    assert isinstance(model_fn(str(tmp_path)), torch.jit.ScriptModule)

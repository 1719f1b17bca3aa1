import sys
from types import ModuleType

import pytest
from serving import torchserve_entry_point
from serving.handler_chain import Context


class GenericInferenceToolkitError(Exception):
    """As in AWS's sagemaker-inference toolkit, which the conformance tests run for real."""

    def __init__(self, status_code, message):
        super().__init__(message)
        self.status_code, self.message = status_code, message


@pytest.fixture(autouse=True)
def _toolkit(monkeypatch, forget_scripts):
    toolkit, errors = ModuleType("sagemaker_inference"), ModuleType("sagemaker_inference.errors")
    errors.GenericInferenceToolkitError = GenericInferenceToolkitError
    monkeypatch.setitem(sys.modules, "sagemaker_inference", toolkit)
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", errors)
    # What names this module must not be taken for the user's script.
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "cdk_sagemaker_pytorch_serving.torchserve_entry_point")


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Return a function that loads a script through the entry point, with the context of the model server."""
    monkeypatch.setattr(torchserve_entry_point, "CODE_DIR", tmp_path)
    context = Context(str(tmp_path), {"x-trace": "7"})

    def load(script=None, name="inference.py"):
        if script is not None:
            (tmp_path / name).write_text(script)
        model = torchserve_entry_point.model_fn(str(tmp_path), context)
        return lambda *request: torchserve_entry_point.transform_fn(model, *request, context)

    return load


ECHO = """
def model_fn(model_dir): return "model"
def predict_fn(data, model, context): return data * 2 if context.get_request_header(0, "x-trace") else None
"""


def test_a_script_is_completed_with_the_defaults(serve):
    transform = serve(ECHO)

    assert transform("[[1, 2]]", "application/json", "text/csv") == (b"2.0,4.0\n", "text/csv")


def test_the_environment_names_the_script(serve, monkeypatch):
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_ENTRY_POINT", "serve.py")

    transform = serve(ECHO.replace("* 2", "* 3"), name="serve.py")

    assert transform(bytearray(b"[1]"), "application/json; a=b", "*/*") == (b"[3.0]", "application/json")


def test_without_a_script_the_defaults_load_the_model(serve):
    with pytest.raises(FileNotFoundError, match=r"must hold model\.pt"):
        serve()


@pytest.mark.parametrize(
    ("request_parts", "status", "message"),
    [
        (("{", "application/json", "*/*"), 400, "the body is not JSON"),
        (("{", "text/html", "*/*"), 415, "content type must be one of"),
        (("[1]", "application/json", "image/png"), 406, "accept must allow one of"),
    ],
)
def test_fails_when_the_caller_is_mistaken(serve, request_parts, status, message):
    transform = serve(ECHO)

    with pytest.raises(GenericInferenceToolkitError, match=message) as failure:
        transform(*request_parts)

    assert failure.value.status_code == status

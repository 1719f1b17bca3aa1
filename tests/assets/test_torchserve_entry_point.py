import sys
from types import SimpleNamespace

import pytest
from serving import torchserve_entry_point
from serving.entry_point import HandlerError
from serving.handler_chain import Context


class TorchServeContext(Context):
    """With what TorchServe's context adds, which the conformance tests run for real."""

    status = None

    def set_response_status(self, code=200, phrase="", idx=0):
        self.status = (code, phrase, idx)
        super().set_response_status(code, phrase, idx)


@pytest.fixture(autouse=True)
def _program(monkeypatch, forget_scripts):
    # What names this module must not be taken for the user's script.
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "cdk_sagemaker_pytorch_serving.torchserve_entry_point")


@pytest.fixture
def context(tmp_path):
    return TorchServeContext(str(tmp_path), {"x-trace": "7"})


@pytest.fixture
def serve(tmp_path, monkeypatch, context):
    """Return a function that loads a script through the entry point, with the context of the model server."""
    monkeypatch.setattr(torchserve_entry_point, "CODE_DIR", tmp_path)

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

FAILING = """
from serving.errors import RequestError
class Unnamed(RequestError):
    status = 499
def model_fn(model_dir): return "model"
def predict_fn(data, model):
    if 13 in data: raise KeyError(13)
    if 14 in data: raise Unnamed("a status without a name")
    if 15 in data: exit(3)
    return data
"""


def test_a_script_is_completed_with_the_defaults(serve, context):
    transform = serve(ECHO)

    assert transform("[[1, 2]]", "application/json", "text/csv") == (b"2.0,4.0\n", "text/csv")
    assert context.status is None


def test_the_toolkit_hands_over_bodies_as_they_come(serve, monkeypatch):
    content_types = SimpleNamespace(UTF8_TYPES=["application/json", "text/csv"])
    monkeypatch.setitem(sys.modules, "sagemaker_inference.content_types", content_types)

    transform = serve(ECHO)

    assert content_types.UTF8_TYPES == []
    assert transform(bytearray(b"[[1, \xff]]"), "application/json", "*/*")[0].startswith(b"the body is not ")


def test_the_environment_names_the_script(serve, monkeypatch):
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_ENTRY_POINT", "serve.py")

    transform = serve(ECHO.replace("* 2", "* 3"), name="serve.py")

    assert transform(bytearray(b"[1]"), "application/json; a=b", "*/*") == (b"[3.0]", "application/json")


def test_without_a_script_the_defaults_load_the_model(serve):
    with pytest.raises(FileNotFoundError, match=r"must hold model\.pt"):
        serve()


@pytest.mark.parametrize(
    ("request_parts", "status", "phrase", "message"),
    [
        (("{", "application/json", "*/*"), 400, "Bad Request", "the body is not JSON"),
        (("{", "text/html", "*/*"), 415, "Unsupported Media Type", "content type must be one of"),
        (("[1]", "application/json", "image/png"), 406, "Not Acceptable", "accept must allow one of"),
        (('["13"]', "application/json", "*/*"), 400, "Bad Request", "the item at [0] must be a number"),
        (("[13]", "application/json", "*/*"), 500, "Internal Server Error", "predict_fn raised KeyError: 13"),
        (
            ("[15]", "application/json", "*/*"),
            500,
            "Internal Server Error",
            "predict_fn raised SystemExit: 3",
        ),
        (("[14]", "application/json", "*/*"), 499, "", "a status without a name"),
    ],
)
def test_an_error_is_a_message_with_its_status(serve, context, request_parts, status, phrase, message):
    transform = serve(FAILING)

    body, content_type = transform(*request_parts)

    assert context.status == (status, phrase, 0)
    assert body.decode().startswith(message)
    assert content_type == "text/plain; charset=utf-8"


SPEAKING = """
def model_fn(model_dir): return "model"
def predict_fn(data, model): return data
def output_fn(prediction, accept, context):
    context.set_response_status(202, "Taken", 0)
    context.set_response_content_type(0, "application/vnd.answer")
    context.set_response_header(0, "x-version", "3")
    return {"rows": prediction}
"""


def test_what_a_script_says_through_the_context_reaches_the_server(serve, context):
    assert serve(SPEAKING)("[[1]]", "application/json", "*/*") == (
        b'{"rows": [[1.0]]}',
        "application/vnd.answer",
    )
    assert context.status == (202, "Taken", 0)
    assert context.get_response_headers(0)["x-version"] == "3"


BROKEN = "def model_fn(model_dir): raise KeyError('bias')\n"


@pytest.fixture
def ended(monkeypatch):
    """How often TorchServe was ended."""
    times = []
    monkeypatch.setattr(torchserve_entry_point, "end_torchserve", lambda: times.append(1))
    return times


def test_a_model_that_does_not_load_ends_the_server(serve, ended):
    with pytest.raises(KeyError, match="bias"):
        serve(BROKEN)
    assert ended == [1]


def test_a_script_that_ends_the_worker_ends_the_server(serve, ended):
    with pytest.raises(HandlerError, match=r"inference\.py raised SystemExit: 3"):
        serve("import sys\nsys.exit(3)\n")
    assert ended == [1]


def test_the_server_is_left_to_try_again_where_that_is_asked_for(serve, ended, monkeypatch):
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_CHECK_MODEL", "false")
    with pytest.raises(KeyError):
        serve(BROKEN)
    assert ended == []

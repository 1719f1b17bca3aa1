"""The chain of handlers with scripts that bring all functions: they may do without torch."""

import sys
import textwrap

import numpy as np
import pytest
from serving.handler_chain import HandlerChain, Request, Response

pytestmark = pytest.mark.usefixtures("forget_scripts")

STEPS = """
    from serving.codecs import decode, encode

    def model_fn(model_dir): return 10
    def model_warmup_fn(model_dir, model): predict_fn(decode(b"[1]", "application/json"), model)
    def input_fn(body, content_type): return decode(body, content_type)
    def predict_fn(data, model): return data + model
    def output_fn(prediction, accept): return encode(prediction, accept)
"""
TRANSFORM = """
    def model_fn(model_dir, context): return context.system_properties["model_dir"]
    def transform_fn(model, body, content_type, accept, context):
        return repr([body, content_type, accept, context.get_request_header(0, "X-Name")]), "text/x"
"""


@pytest.fixture
def chain_of(tmp_path, monkeypatch):
    for name in ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "code").mkdir()

    def load(script):
        (tmp_path / "code" / "inference.py").write_text(textwrap.dedent(script))
        return HandlerChain.load(tmp_path)

    return load


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "answer"),
    [
        (b"[[1, 2.5]]", "application/json", "text/csv", b"11.0,12.5\n"),
        (b"1,2.5\n3,4", "text/csv; charset=utf-8", "text/csv", b"11.0,12.5\n13.0,14.0\n"),
        (b"[1, 2]", "application/json", "*/*", b"[11, 12]"),
    ],
)
def test_a_request_goes_through_the_steps(chain_of, body, content_type, accept, answer):
    response = chain_of(STEPS).invoke(body, content_type, accept)

    assert response.status == 200
    assert response.body.replace(b", ", b",") == answer.replace(b", ", b",")


def test_large_requests_of_every_type_give_the_same_prediction(chain_of, npy):
    chain = chain_of(STEPS)
    array = np.random.RandomState(0).random_sample((200, 100)).astype(np.float32)
    bodies = {
        "application/json": str(array.tolist()).encode(),
        "text/csv": "\n".join(",".join(row) for row in array.astype(str).tolist()).encode(),
        "application/x-npy": npy(array),
    }
    for content_type, body in bodies.items():
        response = chain.invoke(bytearray(body), content_type, "text/csv")
        rows = [[float(field) for field in line.split(b",")] for line in response.body.splitlines()]
        np.testing.assert_allclose(rows, array + 10, rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "message"),
    [
        (b"[", "application/json", None, 400, "the body is not JSON"),
        (b"1,x", "text/csv", None, 400, "line 1, field 2 must be a number, got 'x'"),
        (b"\x93NUMPY", "application/x-npy", None, 400, "the body is not NPY"),
        (b"[1]", "text/html", None, 415, "content type must be one of"),
        (b"[1]", "application/json", "image/png", 406, "accept must allow one of"),
    ],
)
def test_mistakes_have_a_status_and_a_message(chain_of, body, content_type, accept, status, message):
    response = chain_of(STEPS).invoke(body, content_type, accept)

    assert response.status == status
    assert response.body.decode().startswith(message)


def test_transform_fn_and_context(chain_of):
    response = chain_of(TRANSFORM).invoke(b"1", "text/csv", "text/y", {"x-name": "7"})

    assert response == Response(200, repr(["1", "text/csv", "text/y", "7"]).encode(), "text/x")


def test_a_batch_is_answered_one_by_one(chain_of):
    requests = [
        Request(b"[1]", "application/json"),
        Request(b"?", "application/json"),
        Request(b"2", "text/csv"),
    ]

    responses = chain_of(STEPS).invoke_batch(requests)

    assert [response.status for response in responses] == [200, 400, 200]


def test_what_a_script_raises_is_an_answer(chain_of):
    chain = chain_of(STEPS + "    def predict_fn(data, model): return {}[13] if 13 in data else data\n")

    assert chain.invoke(b"[13]", "application/json").body == b"predict_fn raised KeyError: 13"
    assert "inference" in sys.modules

import io
import json
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving.entry_point import HandlerError
from serving.handler_chain import HandlerChain, Request, Response

NPY = "application/x-npy"

# TorchScript is what SageMaker's default model_fn loads.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True)
def _clean_container(monkeypatch, forget_scripts):
    for name in ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def batches(monkeypatch):
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION", "0")


@pytest.fixture
def chain_of(tmp_path):
    """Return a function that loads the chain of a script, beside a TorchScript model of three inputs."""
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), str(tmp_path / "model.pt"))
    (tmp_path / "code").mkdir()

    def load(script=""):
        (tmp_path / "code" / "inference.py").write_text(textwrap.dedent(script))
        return HandlerChain.load(tmp_path)

    return load


def error(status, text):
    return Response(status, text.encode(), "text/plain; charset=utf-8")


def test_the_defaults_serve_what_train_py_saved(model_folder, digits, npy):
    chain = HandlerChain.load(model_folder)
    x, y = digits["test"]

    response = chain.invoke(npy(x), NPY, NPY)

    assert (response.status, response.content_type) == (200, NPY)
    answer = np.load(io.BytesIO(response.body))
    assert answer.dtype == np.float32
    assert (answer.argmax(1) == y).mean() >= 0.95


def test_every_pair_of_types_gives_the_same_prediction(chain_of, npy):
    chain = chain_of()
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    expected = chain.model(torch.from_numpy(x)).detach().numpy()
    bodies = {"application/json": b"[[1,2,3],[4,5,6]]", "text/csv": b"1,2,3\n4,5,6\n", NPY: npy(x)}
    readers = {
        "application/json": json.loads,
        "text/csv": lambda body: np.loadtxt(io.BytesIO(body), delimiter=","),
        NPY: lambda body: np.load(io.BytesIO(body)),
    }
    for content_type, body in bodies.items():
        for accept, read in readers.items():
            response = chain.invoke(body, content_type, accept)
            assert (response.status, response.content_type) == (200, accept)
            np.testing.assert_allclose(read(response.body), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "text"),
    [
        (b"[[1,2,3]]", "text/plain", None, 415, "content type must be one of"),
        (b"[[1,2,3]]", None, None, 415, "content type must be one of"),
        (b"[[1,2,3]]", "application/json", "image/png", 406, "accept must allow one of"),
        (b"[[1,2,3]", "application/json", None, 400, "the body is not JSON"),
        (b"1,2,x", "text/csv", None, 400, "line 1, field 3 must be a number, got 'x'"),
    ],
)
def test_fails_when_the_caller_is_mistaken(chain_of, body, content_type, accept, status, text):
    response = chain_of().invoke(body, content_type, accept)

    assert response.status == status
    assert response.body.decode().startswith(text)
    assert response.content_type == "text/plain; charset=utf-8"


def test_functions_of_a_script_are_called_in_turn_with_the_context(chain_of, tmp_path):
    chain = chain_of("""
        calls = []
        def pre_model_fn(model_dir): calls.append(("pre", model_dir))
        def model_fn(model_dir, context): return {"properties": context.system_properties}
        def model_warmup_fn(model_dir, model, context): calls.append(("warm", model_dir, sorted(model)))
        def input_fn(body, content_type, context): return [body, content_type]
        def predict_fn(data, model, context):
            return data + [context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")]
        def output_fn(prediction, accept, context):
            return repr((calls, prediction, accept, dict(context.get_all_request_header(0))))
    """)
    folder = str(tmp_path)

    response = chain.invoke(
        b"[1]", "application/json", "text/x", {"x-amzn-sagemaker-custom-attributes": "a=1"}
    )

    assert chain.model["properties"]["model_dir"] == folder
    assert response.status == 200
    assert response.content_type == "text/x"
    assert response.body.decode() == repr(
        (
            [("pre", folder), ("warm", folder, ["properties"])],
            ["[1]", "application/json", "a=1"],
            "text/x",
            {"x-amzn-sagemaker-custom-attributes": "a=1"},
        )
    )


def test_transform_fn_does_it_all(chain_of):
    chain = chain_of("""
        def model_fn(model_dir): return "model"
        def transform_fn(model, body, content_type, accept):
            return repr((model, body, content_type, accept)), "text/x"
    """)

    response = chain.invoke(b"\x00", "application/octet-stream", "*/*")

    expected = repr(("model", b"\x00", "application/octet-stream", "application/json"))
    assert response == Response(200, expected.encode(), "text/x")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("application/json", "str"), ("text/csv", "str"), ("text/csv; charset=utf-8", "bytes"), (NPY, "bytes")],
)
def test_a_script_gets_text_where_the_toolkit_passes_text(chain_of, content_type, kind):
    chain = chain_of("""
        def input_fn(body, content_type): return type(body).__name__
        def predict_fn(data, model): return data
        def output_fn(prediction, accept): return prediction
    """)

    assert chain.invoke(b"1", content_type).body.decode() == kind


def test_fails_when_text_for_a_script_is_not_utf_8(chain_of):
    chain = chain_of("def input_fn(body, content_type): return body")

    response = chain.invoke(b"\xff", "text/csv")

    assert response.status == 400
    assert response.body.startswith(b"the body is not UTF-8")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("def input_fn(body, content_type): raise KeyError(1)", error(500, "input_fn raised KeyError: 1")),
        (
            """
            from serving.errors import RequestError
            class Teapot(RequestError): status = 418
            def input_fn(body, content_type): raise Teapot("no coffee")
            """,
            error(418, "no coffee"),
        ),
        (
            """
            from serving.errors import RequestError
            def predict_fn(data, model): raise RequestError("at most two rows")
            """,
            error(400, "at most two rows"),
        ),
        (
            "def predict_fn(data, model): return {'a': 1}",
            error(406, "accept must allow one of application/json, got 'text/csv'"),
        ),
        ("def output_fn(p, a): return bytearray(b'x'), 'text/y'", Response(200, b"x", "text/y")),
    ],
)
def test_what_a_script_raises_or_returns_becomes_an_answer(chain_of, script, expected):
    assert chain_of(script).invoke(b"[[1,2,3]]", "application/json", "text/csv") == expected


# What is no Exception, so that it would end a thread, a process or the task of an event loop.
ENDINGS = ["SystemExit(3)", "KeyboardInterrupt(3)", "GeneratorExit(3)", "asyncio.CancelledError(3)", "End(3)"]
STEPS = """
    def input_fn(body, content_type): return step("input_fn", torch.tensor([[float(body)]]))
    def predict_fn(data, model): return step("predict_fn", data)
    def output_fn(prediction, accept): return str(step("output_fn", prediction))
"""
ENDING = """
    import asyncio
    import torch
    class End(BaseException): pass
    def step(name, value):
        if name == {!r} and (value == 13).any(): raise {}
        return value
"""
TRANSFORM = """
    def transform_fn(model, body, content_type, accept):
        return str(step("transform_fn", torch.tensor([[float(body)]])))
"""


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("step", ["input_fn", "predict_fn", "output_fn", "transform_fn"])
def test_what_would_end_the_server_fails_its_own_request_alone(chain_of, caplog, step, ending):
    chain = chain_of(ENDING.format(step, ending) + (TRANSFORM if step == "transform_fn" else STEPS))

    responses = chain.invoke_batch([Request(body, "application/json") for body in (b"1", b"13", b"2")])

    assert [response.status for response in responses] == [200, 500, 200]
    name = ending.partition("(")[0].rpartition(".")[2]
    assert responses[1].body.decode().startswith(f"{step} raised {name}: 3")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info[0].__name__ == name


def test_an_exception_without_words_fails_its_own_request_alone(chain_of):
    chain = chain_of("""
        class Mute(Exception):
            def __str__(self): raise KeyError
        def predict_fn(data, model):
            if (data == 13).any(): raise Mute
            return data
    """)

    responses = chain.invoke_batch([Request(f"[[{n}]]".encode(), "application/json") for n in (1, 13)])

    assert [response.status for response in responses] == [200, 500]
    assert responses[1].body.startswith(b"predict_fn raised Mute: <no words>")


def test_a_value_that_cannot_be_looked_at_fails_its_own_request_alone(chain_of):
    chain = chain_of("""
        import torch
        class Odd(torch.Tensor):
            ndim = property(lambda self: 1 / 0)
        def input_fn(body, content_type):
            tensor = torch.tensor([[float(body)]])
            return tensor.as_subclass(Odd) if body == "13" else tensor
        def predict_fn(data, model): return float(data.sum())
    """)

    responses = chain.invoke_batch([Request(body, "application/json") for body in (b"1", b"13", b"2")])

    assert [response.body for response in responses] == [b"1.0", b"13.0", b"2.0"]


def test_a_default_that_a_script_imports_stays_a_default(chain_of):
    chain = chain_of("from serving.handlers import input_fn, output_fn")

    assert chain.invoke(b"[[1,2,3]]", "application/json", "image/png, application/json").status == 200


@pytest.mark.parametrize("status", [200, 302, 399, 500, 503, 600, "422", None, 422.0])
@pytest.mark.parametrize("attribute", ["status", "status_code"])
@pytest.mark.parametrize("base", ["RequestError", "OSError"])
def test_only_a_request_error_of_400_to_499_blames_the_caller(chain_of, status, attribute, base):
    chain = chain_of(f"""
        from serving.errors import RequestError
        class Own({base}): {attribute} = {status!r}
        def predict_fn(data, model): raise Own("from the service behind")
    """)
    theirs = (base, attribute) == ("RequestError", "status_code")

    response = chain.invoke(b"[[1,2,3]]", "application/json")

    assert response.status == (400 if theirs else 500)


@pytest.mark.parametrize(
    "failure",
    ["urllib.error.HTTPError('http://x', 404, 'gone', {}, None)", "Answered(429, 'slow down')"],
)
def test_a_status_of_a_service_that_the_script_asks_is_not_the_callers(chain_of, failure):
    chain = chain_of(f"""
        import urllib.error
        class Answered(Exception):
            status = status_code = 429
            message = "slow down"
        def predict_fn(data, model): raise {failure}
    """)

    response = chain.invoke(b"[[1,2,3]]", "application/json")

    assert response.status == 500
    assert response.body.startswith(b"predict_fn raised ")


@pytest.mark.parametrize("scripted", [True, False])
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (torch.nn.Linear(3, 2), (1, 4)),
        (torch.nn.Conv2d(3, 2, 3), (1, 4, 8, 8)),
        (torch.nn.Embedding(10, 4), (2, 2)),
        (torch.nn.Flatten(5), (1, 4)),
    ],
)
def test_an_exception_of_the_model_is_a_server_error_that_names_the_input(
    chain_of, npy, model, shape, scripted
):
    chain = chain_of()
    chain.model = torch.jit.script(model) if scripted else model

    response = chain.invoke(npy(np.full(shape, 11, np.int64)), NPY)

    assert response.status == 500
    assert response.body.startswith(b"predict_fn raised ")
    assert f"(for an input of shape {shape} and dtype torch.int64)" in response.body.decode()
    assert b"Traceback" not in response.body


def test_a_model_that_looks_beyond_a_list_is_a_server_error(chain_of):
    chain = chain_of("def model_fn(model_dir): return lambda x: [][3]")

    assert chain.invoke(b"[[1]]", "application/json") == error(
        500,
        "predict_fn raised IndexError: list index out of range"
        " (for an input of shape (1, 1) and dtype torch.float32)",
    )


def test_server_errors_are_logged_with_their_traceback_and_mistakes_of_callers_without(chain_of, caplog):
    caplog.set_level("INFO", "serving.handler_chain")
    chain_of("def predict_fn(data, model): raise KeyError('x')").invoke(
        b"[[1,2,3]]", "application/json", headers={"x-request-id": "17"}
    )
    chain_of().invoke(b"[[1,2", "application/json", headers={"x-amzn-sagemaker-inference-id": "my own"})

    [failed, refused] = caplog.records
    assert (failed.levelname, failed.getMessage()) == ("ERROR", "request 17: predict_fn failed")
    assert failed.exc_info[0] is KeyError
    assert refused.levelname == "INFO"
    said = "request my own: input_fn refused it with 400: 'the body is not JSON"
    assert refused.getMessage().startswith(said)
    assert refused.exc_info is None


@pytest.mark.parametrize(
    ("script", "error_type", "message"),
    [
        ("def model_fn(model_dir): raise OSError('no weights')", OSError, "no weights"),
        ("def model_warmup_fn(model_dir, model): raise OSError('too cold')", OSError, "too cold"),
        ("import a_package_that_is_missing", ImportError, "a_package_that_is_missing"),
        ("def model_fn(): pass", HandlerError, "model_fn must take"),
        ("def model_fn(model_dir): raise SystemExit(0)", HandlerError, "model_fn raised SystemExit: 0"),
        ("def pre_model_fn(model_dir): raise KeyboardInterrupt", HandlerError, "pre_model_fn raised Keyb"),
        (
            "def model_warmup_fn(model_dir, model): exit(3)",
            HandlerError,
            "model_warmup_fn raised SystemExit: 3",
        ),
        ("raise SystemExit('bye')", HandlerError, r"inference\.py raised SystemExit: bye"),
    ],
)
def test_fails_when_the_model_does_not_load(chain_of, script, error_type, message):
    with pytest.raises(error_type, match=message):
        chain_of(script)


def test_environment_names_the_script_and_its_folder(chain_of, tmp_path, monkeypatch):
    chain_of("def output_fn(prediction, accept): return 'code'")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "serve.py").write_text("def output_fn(prediction, accept): return 'elsewhere'")
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "serve.py")
    monkeypatch.setenv("SAGEMAKER_SUBMIT_DIRECTORY", str(tmp_path / "elsewhere"))

    assert HandlerChain.load(tmp_path).invoke(b"[[1,2,3]]", "application/json").body == b"elsewhere"


def test_an_s3_submit_directory_is_not_taken_for_a_folder(chain_of, tmp_path, monkeypatch):
    chain_of("def output_fn(prediction, accept): return 'code'")
    monkeypatch.setenv("SAGEMAKER_SUBMIT_DIRECTORY", "s3://bucket/sourcedir.tar.gz")

    assert HandlerChain.load(tmp_path).invoke(b"[[1,2,3]]", "application/json").body == b"code"


COUNTING = """
    import torch
    calls = []
    def predict_fn(data, model):
        calls.append(tuple(data.shape))
        if (data == 13).any():
            raise ValueError("unlucky")
        return model(data)
"""


def test_nothing_is_predicted_together_unless_asked_for(chain_of):
    chain_of(COUNTING).invoke_batch([Request(b"[[1,2,3]]", "application/json")] * 3)

    assert sys.modules["inference"].calls == [(1, 3)] * 3


@pytest.mark.parametrize("value", ["-1", "first", "0.5"])
def test_fails_when_the_batch_dimension_is_none(chain_of, monkeypatch, value):
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION", value)

    with pytest.raises(ValueError, match=f"BATCH_DIMENSION must be a dimension such as 0, got '{value}'"):
        chain_of()


@pytest.mark.usefixtures("batches")
def test_a_batch_is_predicted_in_one_call_and_answered_one_by_one(chain_of):
    chain = chain_of(COUNTING)
    requests = [
        Request(b"[[1,2,3]]", "application/json", "application/json"),
        Request(b"4,5,6\n7,8,9", "text/csv", "text/csv"),
        Request(b"broken", "application/json"),
        Request(b"[[1,2]]", "application/json"),
        Request(b"[[1,1,1]]", "application/json", "image/png"),
    ]

    responses = chain.invoke_batch(requests)

    # Neither shapes nor content types meet.
    assert sys.modules["inference"].calls == [(2, 3), (2, 3), (1, 2)]
    assert [response.status for response in responses] == [200, 200, 400, 500, 406]
    alone = [chain.invoke(*request[:3]) for request in requests]
    assert [r.content_type for r in responses] == [r.content_type for r in alone]
    np.testing.assert_allclose(json.loads(responses[0].body), json.loads(alone[0].body), rtol=1e-6)
    rows = [np.loadtxt(io.BytesIO(r[1].body), delimiter=",") for r in (responses, alone)]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-6)


# Each gives every caller what only its own request tells: its number, and its header.
OWN_ANSWERS = {
    "predict_fn takes context": """
        def predict_fn(data, model, context):
            return data * float(context.get_request_header(0, "secret"))
    """,
    "predict_fn wraps the default": """
        import functools
        from serving import handlers
        @functools.wraps(handlers.predict_fn)
        def predict_fn(data, model, context):
            return data * float(context.get_request_header(0, "secret"))
    """,
    "output_fn writes all that lies behind a tensor": """
        import io, torch
        def predict_fn(data, model): return data * 2
        def output_fn(prediction, accept):
            file = io.BytesIO()
            torch.save(prediction, file)
            return str([prediction.untyped_storage().tolist(), prediction.tolist()])
    """,
    "some fail": """
        def predict_fn(data, model):
            if (data % 3 == 0).any(): raise ValueError(data.tolist())
            return data
        def output_fn(prediction, accept, context):
            secret = context.get_request_header(0, "secret")
            if float(secret) % 5 == 0: raise ValueError(secret)
            return secret + str(prediction.tolist())
    """,
    "the defaults": "",
}


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("script", OWN_ANSWERS.values(), ids=OWN_ANSWERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    secrets=st.lists(st.integers(1000, 9999), min_size=2, max_size=6, unique=True),
    rows=st.lists(st.integers(1, 2), min_size=6, max_size=6),
)
def test_a_batch_gives_each_caller_what_it_gets_alone(chain_of, script, secrets, rows):
    chain = chain_of(script)
    requests = [
        Request(
            json.dumps([[secret, secret, secret]] * count).encode(),
            "application/json",
            headers={"secret": str(secret)},
        )
        for secret, count in zip(secrets, rows, strict=False)
    ]

    together = chain.invoke_batch(requests)

    alone = [chain.invoke_batch([request])[0] for request in requests]
    if script:
        assert together == alone
    for one, other in zip(together, alone, strict=True):
        assert one.status == other.status
        if one.status == 200 and not script:
            np.testing.assert_allclose(json.loads(one.body), json.loads(other.body), rtol=1e-5)


@pytest.mark.usefixtures("batches")
def test_an_output_fn_changes_no_rows_but_its_own_even_where_rows_share_memory(chain_of):
    chain = chain_of("""
        import torch
        def predict_fn(data, model): return torch.zeros(1, 1).expand(len(data), -1)
        def output_fn(prediction, accept, context):
            prediction += float(context.get_request_header(0, "secret"))
            return str(prediction.tolist())
    """)

    responses = chain.invoke_batch(
        [Request(b"[[1,2,3]]", "application/json", headers={"secret": secret}) for secret in "248"]
    )

    assert [response.body for response in responses] == [b"[[2.0]]", b"[[4.0]]", b"[[8.0]]"]


@pytest.mark.usefixtures("batches")
def test_a_script_without_context_is_asked_once_for_a_batch_and_with_context_once_for_each(chain_of):
    requests = [Request(b"[[1,2,3]]", "application/json")] * 3
    chain_of(COUNTING).invoke_batch(requests)
    assert sys.modules["inference"].calls == [(3, 3)]

    chain_of(COUNTING.replace("(data, model)", "(data, model, context)", 1)).invoke_batch(requests)
    assert sys.modules["inference"].calls == [(1, 3)] * 3


@pytest.mark.usefixtures("batches")
def test_one_bad_input_of_a_batch_fails_alone(chain_of):
    chain = chain_of(COUNTING)

    responses = chain.invoke_batch([Request(f"[[1,2,{n}]]".encode(), "application/json") for n in (3, 13, 4)])

    assert [response.status for response in responses] == [200, 500, 200]
    assert sys.modules["inference"].calls == [(3, 3), (1, 3), (1, 3), (1, 3)]


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("result", ["model(data).sum()", "model(data)[:1]", "model(data).tolist()"])
def test_a_prediction_that_cannot_be_split_is_made_one_by_one(chain_of, result):
    chain = chain_of(f"def predict_fn(data, model): return {result}")
    requests = [Request(f"[[1,2,{n}]]".encode(), "application/json") for n in (3, 4)]

    together = chain.invoke_batch(requests)

    assert together == [chain.invoke(*request[:2]) for request in requests]
    assert [response.status for response in together] == [200, 200]


@pytest.mark.usefixtures("batches")
def test_inputs_without_a_batch_dimension_are_predicted_one_by_one(chain_of):
    chain = chain_of(COUNTING)

    chain.invoke_batch([Request(b"[1,2,3]", "application/json")] * 2)

    assert sys.modules["inference"].calls == [(3,), (3,)]


def test_threads_get_their_own_answers(chain_of):
    chain = chain_of("def predict_fn(data, model): return data")
    bodies = [f"[[{n},{n},{n}]]".encode() for n in range(200)]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda body: chain.invoke(body, "application/json").body, bodies))

    assert [json.loads(answer)[0][0] for answer in answers] == list(range(200))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    body=st.binary(max_size=100) | st.text("[]{},.0123456789eE+-\n", max_size=60).map(str.encode),
    content_type=st.sampled_from(["application/json", "text/csv", NPY]) | st.text(max_size=20) | st.none(),
    accept=st.sampled_from(["application/json", "text/csv", NPY]) | st.text(max_size=20) | st.none(),
)
def test_no_request_is_a_server_error(chain_of, body, content_type, accept):
    # What comes in any shape is no mistake that the library can know.
    response = chain_of("def predict_fn(data, model): return data").invoke(body, content_type, accept)

    assert response.status == 200 or 400 <= response.status < 500


ANSWERS = [
    ("{'scores': prediction}", b'{"scores": [[1.0, 2.0, 3.0]]}', "application/json"),
    ("[1, None, 'a']", b'[1, null, "a"]', "application/json"),
    ("3.5", b"3.5", "application/json"),
    ("None", b"null", "application/json"),
    ("prediction", b"1.0,2.0,3.0\n", "text/csv"),
    ("prediction.numpy()", b"1.0,2.0,3.0\n", "text/csv"),
    ("({'a': 1}, 'application/x+json')", b'{"a": 1}', "application/x+json"),
    ("('<a/>', 'text/xml')", b"<a/>", "text/xml"),
    ("('<a/>', 'text/xml', 'more')", b"<a/>", "text/xml"),
]
FUNCTIONS = {
    "output_fn": "def output_fn(prediction, accept): return {}",
    "transform_fn": """
import torch
def transform_fn(model, body, content_type, accept):
    prediction = torch.tensor([[1.0, 2.0, 3.0]])
    return {}""",
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("expression", "body", "content_type"), ANSWERS)
def test_a_script_answers_with_anything(chain_of, function, expression, body, content_type):
    script = FUNCTIONS[function].format(expression)
    if function == "output_fn":
        script += "\ndef predict_fn(data, model): return data"

    response = chain_of(script).invoke(b"[[1,2,3]]", "application/json", "text/csv")

    assert response == Response(200, body, content_type)


@pytest.mark.parametrize("answer", ["(b'a', 200)", "(b'a',)", "()", "{1, 2}", "iter([])", "print"])
def test_an_answer_that_cannot_be_sent_is_the_scripts_failure(chain_of, answer):
    response = chain_of(f"def output_fn(prediction, accept): return {answer}").invoke(
        b"[[1,2,3]]", "application/json"
    )

    assert response.status == 500
    assert b"must be the answer and its content type" in response.body or b"as JSON" in response.body


def test_a_script_says_more_through_the_context(chain_of):
    response = chain_of("""
        def output_fn(prediction, accept, context):
            context.set_response_status(203, "Elsewhere", 0)
            context.set_response_content_type(0, "text/x")
            context.set_response_header(0, "X-Version", "3")
            return "a"
    """).invoke(b"[[1,2,3]]", "application/json")

    assert response == Response(203, b"a", "text/x", {"X-Version": "3"})
    assert response.all_headers() == {"x-version": "3", "content-type": "text/x"}


def test_no_body_goes_with_a_status_that_has_none(chain_of):
    response = chain_of("""
        def output_fn(prediction, accept, context):
            context.set_response_status(204)
            return "a"
    """).invoke(b"[[1,2,3]]", "application/json")

    assert (response.status, response.body) == (204, b"")


def test_a_failure_is_one_whatever_status_was_set(chain_of):
    response = chain_of("""
        def predict_fn(data, model, context):
            context.set_response_status(200)
            raise KeyError("bias")
    """).invoke(b"[[1,2,3]]", "application/json")

    assert response == error(
        500, "predict_fn raised KeyError: 'bias' (for an input of shape (1, 3) and dtype torch.float32)"
    )


@pytest.mark.parametrize(
    "raised",
    [
        "Refused()",  # what an HTTP client of the script raises: the status is another service's
        "[][3]",
        "ValueError('bad')",
        "torch.zeros(2) @ torch.zeros(3)",
    ],
)
def test_a_fault_of_the_script_is_never_told_as_the_callers(chain_of, caplog, raised):
    response = chain_of(f"""
        import torch
        class Refused(Exception):
            status = status_code = 404
        def predict_fn(data, model):
            fault = {raised}
            raise fault
    """).invoke(b"[[1,2,3]]", "application/json")

    assert response.status == 500
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("accept", "expected"),
    [(None, "text/csv"), ("", "text/csv"), ("*/*", "text/csv"), ("application/json", "application/json")],
)
@pytest.mark.parametrize("script", ["", "def output_fn(prediction, accept): return accept"])
def test_the_environment_says_what_a_caller_accepts_who_does_not(
    chain_of, monkeypatch, accept, expected, script
):
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")

    response = chain_of(script).invoke(b"[[1,2,3]]", "application/json", accept)

    assert (response.status, response.content_type) == (200, expected)
    assert not script or response.body.decode() == expected

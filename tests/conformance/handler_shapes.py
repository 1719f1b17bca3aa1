"""Shapes of handler functions that people write, and why the answer of some is another one here."""

from dataclasses import dataclass, field
from textwrap import dedent

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"

MODEL = """
import json
import torch
def model_fn(model_dir): return torch.nn.Identity()
"""
# A prediction to write, whatever the request.
SCORES = """
def input_fn(body, content_type): return torch.tensor([[1.5, 2.0]])
"""


@dataclass(frozen=True)
class Shape:
    """A script and a request to it.

    Parameters
    ----------
    name
        What is special about it, as the table has it.
    script
        What follows `MODEL`.
    body, content_type, accept, headers
        The request; a header that is None is not sent.
    environment
        Variables of the container.
    whole
        The script brings its model itself.
    why
        Why the answer is another one here. Defaults to none: it is the same.
    """

    name: str
    script: str
    body: bytes = b"[[1.5, 2.0]]"
    content_type: str | None = JSON
    accept: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    whole: bool = False
    why: str = ""

    def message(self) -> dict[str, object]:
        """Return what the program needs of it."""
        given = {"Content-Type": self.content_type, "Accept": self.accept, **self.headers}
        return {
            "script": dedent(self.script) if self.whole else MODEL + dedent(self.script),
            "body": self.body.decode("latin-1"),
            "headers": {name: value for name, value in given.items() if value is not None},
            "environment": self.environment,
        }


NO_PICKLES = "tensors are written as the caller wants them; pickles run code where they are read"
NO_WORKER_LOST = "what a script raises fails its own request alone"
AT_DEPLOYMENT = "a function that cannot be called is found when the model is loaded, not at each request"
IN_WORDS = "the same, with the status that says whose fault it is: 500, and not 503 for a busy endpoint"
ONE_LABEL = "the content type says what the body is"
CALLERS = "a mistake of the caller is told as one"
HTTP = "headers are read as HTTP defines them"
LENIENT = "the function can be called, and is"
SPOKEN = "what the script says through the context is kept"


def _output(name: str, expression: str, *, accept: str | None = JSON, why: str = "") -> Shape:
    script = SCORES + f"def output_fn(prediction, accept):\n    return {expression}\n"
    return Shape(f"`output_fn` returns {name}", script, accept=accept, why=why)


def _transform(name: str, expression: str, *, why: str = "") -> Shape:
    script = f"def transform_fn(model, body, content_type, accept):\n    return {expression}\n"
    return Shape(f"`transform_fn` returns {name}", script, why=why)


def _context(
    name: str, signature: str, expression: str = "type(context).__name__ != 'str'", **more: str
) -> Shape:
    script = SCORES + f"def predict_fn{signature}:\n    return {expression}\n"
    script += "def output_fn(prediction, accept): return json.dumps(prediction)\n"
    return Shape(name, script, headers={"X-Amzn-SageMaker-Custom-Attributes": "7"}, why=more.get("why", ""))


def _says(name: str, statement: str, *, why: str = "") -> Shape:
    script = SCORES + f"def output_fn(prediction, accept, context):\n    {statement}\n    return 'said'\n"
    return Shape(f"`output_fn` calls {name}", script, why=why)


def _raises(name: str, statement: str, *, why: str = "") -> Shape:
    script = f"def predict_fn(data, model):\n    {statement}\n    return data\n"
    return Shape(f"`predict_fn` {name}", script, why=why)


ECHO = """
def input_fn(body, content_type): return [type(body).__name__, content_type]
def predict_fn(data, model): return data
def output_fn(prediction, accept): return json.dumps(prediction + [accept])
"""


def _told(name: str, **request: object) -> Shape:
    return Shape(f"told of {name}", ECHO, **request)  # type: ignore[arg-type]


SHAPES = [
    _output("bytes", "b'raw'"),
    _output("a bytearray", "bytearray(b'raw')"),
    _output("text", "'words'"),
    _output("nothing but `b''`", "b''"),
    _output("a dict", "{'scores': prediction.tolist()}"),
    _output("a list", "prediction.tolist()"),
    _output("a list of dicts", "[{'label': 'cat', 'score': 0.5}]"),
    _output("a whole number", "3"),
    _output("a number", "0.5"),
    _output("a bool", "True"),
    _output("`None`", "None"),
    _output("a tensor", "prediction", why=NO_PICKLES),
    _output("a numpy array", "prediction.numpy()", why="arrays are written as the caller wants them"),
    _output("a numpy number", "prediction.numpy().max()", why="arrays are written as the caller wants them"),
    _output("a dict with a tensor in it", "{'scores': prediction}", why="tensors in it become lists"),
    _output("a dict with an array in it", "{'scores': prediction.numpy()}", why="arrays in it become lists"),
    _output("a set", "{1, 2}", why=IN_WORDS),
    _output("an object", "object()", why=IN_WORDS),
    _output("a generator", "(row for row in prediction)", why=IN_WORDS),
    _output("a memoryview", "memoryview(b'raw')", why="bytes by another name"),
    _output(
        "NaN in a list", "[float('nan')]", why="NaN is not JSON; `CDK_SAGEMAKER_PYTORCH_ALLOW_NON_FINITE`"
    ),
    _output("bytes and a content type", "b'<a/>', 'text/xml'"),
    _output("text and a content type", "'<a/>', 'text/xml'"),
    _output("a dict and a content type", "{'a': 1}, 'application/vnd.a+json'"),
    _output("a tuple of three", "b'<a/>', 'text/xml', 'more'"),
    _output("a tuple of one", "(b'a',)"),
    _output("a content type that is a number", "b'a', 200", why=NO_WORKER_LOST),
    _output("a tensor and a content type", f"prediction, {NPY!r}", why=NO_PICKLES),
    _output("a list where CSV is wanted", "[1, 2]", accept=CSV, why=ONE_LABEL),
    _output("text where CSV is wanted", "'1,2'", accept=CSV),
    _output("bytes where `image/png` is wanted", "b'\\x89PNG'", accept="image/png"),
    _output("bytes where `image/*` is wanted", "b'\\x89PNG'", accept="image/*"),
    _output("an image and its type where `image/*` is wanted", "b'\\x89PNG', 'image/png'", accept="image/*"),
    _transform("bytes", "b'raw'"),
    _transform("a dict", "{'a': 1}"),
    _transform("a list", "[1, 2]"),
    _transform("text and a content type", "'<a/>', 'text/xml'"),
    _transform("a tensor", "torch.ones(1, 2)", why=NO_PICKLES),
    Shape(
        "`transform_fn` takes a context",
        "def transform_fn(model, body, content_type, accept, context):\n"
        "    return [body, content_type, accept, context.get_request_header(0, 'X-Name')]\n",
        headers={"X-Name": "me"},
    ),
    Shape(
        "`transform_fn` beside `predict_fn`",
        """
        def transform_fn(model, body, content_type, accept): return b""
        def predict_fn(data, model): return data
        """,
    ),
    Shape(
        "`transform_fn = None` beside `predict_fn`",
        "transform_fn = None\ndef predict_fn(data, model): return data * 2\n",
    ),
    _context("one more parameter", "(data, model, context)"),
    _context("one more parameter of another name", "(data, model, ctx)", "ctx is not None"),
    _context("one more parameter with a default", "(data, model, context=None)", "context is not None"),
    _context(
        "one more parameter of another name and default", "(data, model, strict=True)", "strict is not True"
    ),
    _context("one more parameter by keyword alone", "(data, model, *, strict=True)", "strict", why=LENIENT),
    _context("`*arguments` alone", "(*arguments)", "len(arguments)", why=LENIENT),
    _context("`*rest` after the parameters", "(data, model, *rest)", "len(rest)"),
    _context("`**options` after the parameters", "(data, model, **options)", "len(options)", why=LENIENT),
    _context("two more with defaults", "(data, model, first=1, second=2)", "[first, second]", why=LENIENT),
    _context("two more without", "(data, model, first, second)", "1", why=AT_DEPLOYMENT),
    _context("one parameter too few", "(data)", "1", why=AT_DEPLOYMENT),
    _context(
        "a request header", "(d, m, c)", "c.get_request_header(0, 'X-Amzn-SageMaker-Custom-Attributes')"
    ),
    _context(
        "a request header by the processor",
        "(d, m, c)",
        "c.request_processor[0].get_request_property('X-Amzn-SageMaker-Custom-Attributes')",
    ),
    _context(
        "all request headers",
        "(d, m, c)",
        "c.request_processor[0].get_request_properties()['X-Amzn-SageMaker-Custom-Attributes']",
    ),
    _context("a header that is absent", "(d, m, c)", "c.get_request_header(0, 'X-Absent')"),
    _context("a header in another case", "(d, m, c)", "c.get_request_header(0, 'content-type')", why=HTTP),
    _context("the manifest", "(d, m, c)", "c.manifest['model']['modelName']"),
    _context("the model's folder", "(d, m, c)", "c.system_properties['model_dir'].split('/')[-1][:5]"),
    _context("the GPU", "(d, m, c)", "c.system_properties.get('gpu_id')"),
    _context("the size of the batch", "(d, m, c)", "c.system_properties.get('batch_size')"),
    _context("the name of the model", "(d, m, c)", "c.model_name"),
    _context("metrics", "(d, m, c)", "c.metrics.add_counter('Rows', 1)"),
    _context("times as metrics", "(d, m, c)", "c.metrics.add_time('Decoding', 1.5, None, 'ms')"),
    _says("`set_response_status`", "context.set_response_status(code=201, phrase='Made', idx=0)"),
    _says("`set_response_header`", "context.set_response_header(0, 'x-version', '3')"),
    _says("`set_response_content_type`", "context.set_response_content_type(0, 'text/x')", why=SPOKEN),
    _says("`report_status`", "context.request_processor[0].report_status(404, 'Not here')"),
    _says("`add_response_property`", "context.request_processor[0].add_response_property('x-version', '3')"),
    Shape(
        "every function takes a context",
        """
        import json, torch
        called = []
        def pre_model_fn(model_dir, context): called.append("pre")
        def model_fn(model_dir, context): return context.system_properties["model_dir"] == model_dir
        def model_warmup_fn(model_dir, model, context): called.append("warm")
        def input_fn(body, content_type, context): return context.get_request_header(0, "X-Name")
        def predict_fn(data, model, context): return [data, model, called]
        def output_fn(prediction, accept, context): return json.dumps(prediction)
        """,
        headers={"X-Name": "me"},
        whole=True,
    ),
    Shape("`predict_fn` is a lambda", "predict_fn = lambda data, model: data * 2"),
    Shape(
        "`predict_fn` is a `partial`",
        "import functools\ndef scaled(factor, data, model): return data * factor\n"
        "predict_fn = functools.partial(scaled, 2)\n",
    ),
    Shape(
        "`predict_fn` is a method",
        """
        class Service:
            def predict(self, data, model): return data * 2
        predict_fn = Service().predict
        """,
    ),
    Shape(
        "`predict_fn` is an object that can be called",
        "class Predict:\n    def __call__(self, data, model): return data * 2\npredict_fn = Predict()\n",
    ),
    Shape(
        "`predict_fn` is imported", "from operator import mul as times\npredict_fn = lambda d, m: times(d, 2)"
    ),
    Shape("`predict_fn` is text", "predict_fn = 'text'", why=AT_DEPLOYMENT),
    Shape("`predict_fn` is a coroutine", "async def predict_fn(data, model): return data", why=AT_DEPLOYMENT),
    Shape(
        "`model_fn` returns a dict",
        """
        def model_fn(d): return {"factor": 2}
        def predict_fn(data, model): return data * model["factor"]
        """,
    ),
    Shape("`model_fn` raises", "def model_fn(model_dir): raise KeyError('bias')"),
    Shape("`model_fn` takes no parameter", "def model_fn(): return 1"),
    Shape("the script cannot be imported", "import absent_module"),
    Shape("the script is broken", "def broken(:"),
    _told("JSON"),
    _told("CSV", content_type=CSV, body=b"1,2\n"),
    _told("NPY", content_type=NPY, body=b"\x93NUMPY"),
    _told("JSON Lines", content_type="application/jsonlines", body=b"[1]\n"),
    _told("JSON with a charset", content_type="application/json; charset=utf-8"),
    _told("an image", content_type="image/jpeg", body=b"\xff\xd8"),
    _told("bytes", content_type="application/octet-stream", body=b"\x00"),
    _told("no content type", content_type=None),
    _told("text that is not UTF-8", body=b"\xff", why=CALLERS),
    _told("no Accept", accept=None),
    _told("Accept `*/*`", accept="*/*"),
    _told("Accept `image/png`", accept="image/png"),
    _told(
        "a list in Accept", accept="text/csv, application/json", why="the one type that the caller likes best"
    ),
    _told(
        "no Accept, with a default", accept=None, environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV}
    ),
    _told(
        "Accept `*/*`, with a default",
        accept="*/*",
        environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV},
    ),
    _told("an Accept, with a default", environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV}),
    Shape(
        "defaults, no Accept, with a default",
        "",
        accept=None,
        environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV},
    ),
    Shape("defaults, JSON", ""),
    Shape('defaults, `{"instances": …}`', "", body=b'{"instances": [[1]]}', why=CALLERS),
    Shape("defaults, an image", "", body=b"\xff\xd8", content_type="image/jpeg", why=CALLERS),
    Shape("`predict_fn` returns a dict", "def predict_fn(d, m): return {'label': 'cat'}"),
    Shape("`predict_fn` returns text", "def predict_fn(d, m): return 'cat'"),
    Shape(
        "`predict_fn` returns two tensors",
        "def predict_fn(d, m): return d, d.argmax(1)",
    ),
    Shape(
        "`predict_fn` returns a list of tensors",
        "def predict_fn(d, m): return [d, d]",
    ),
    Shape("`predict_fn` returns what needs gradients", "def predict_fn(d, m): return d.requires_grad_()"),
    _raises("raises `ValueError`", "raise ValueError('bad')"),
    _raises("meets an `IndexError`", "[][3]"),
    _raises("meets a `RuntimeError` of torch", "torch.ones(2) @ torch.ones(3)"),
    _raises(
        "raises what carries a status",
        "error = ValueError('x'); error.status = error.status_code = 404; raise error",
    ),
    _raises("calls `sys.exit()`", "raise SystemExit(3)", why=NO_WORKER_LOST),
    _raises("raises `KeyboardInterrupt`", "raise KeyboardInterrupt", why=NO_WORKER_LOST),
    _raises(
        "raises the toolkit's own error",
        "from sagemaker_inference.errors import GenericInferenceToolkitError as E; raise E(422, 'too long')",
    ),
    _raises(
        "raises the toolkit's own error of 5xx",
        "from sagemaker_inference.errors import GenericInferenceToolkitError as E; raise E(503, 'later')",
        why="500: the endpoint's own faults have one status",
    ),
    _raises("runs out of memory", "raise MemoryError"),
]

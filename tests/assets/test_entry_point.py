from types import SimpleNamespace

import pytest
from serving import handlers
from serving.entry_point import HandlerError, load_entry_point, resolve_handlers

pytestmark = pytest.mark.usefixtures("forget_scripts")


def test_functions_that_are_left_out_are_the_defaults():
    own = lambda prediction, content_type: b""  # noqa: E731

    resolved = resolve_handlers(SimpleNamespace(output_fn=own))

    assert set(resolved) == {"model_fn", "input_fn", "predict_fn", "output_fn"}
    assert resolved["output_fn"].function is own
    assert resolved["output_fn"].own
    for name in ("model_fn", "input_fn", "predict_fn"):
        assert resolved[name].function is getattr(handlers, name)
        assert not resolved[name].own


def test_without_a_script_all_are_the_defaults():
    assert set(resolve_handlers(None)) == {"model_fn", "input_fn", "predict_fn", "output_fn"}


def test_transform_fn_replaces_the_three_steps():
    script = SimpleNamespace(transform_fn=lambda model, body, content_type, accept: b"")

    assert set(resolve_handlers(script)) == {"model_fn", "transform_fn"}


@pytest.mark.parametrize(
    ("function", "takes_context"),
    [
        (lambda body, content_type: None, False),
        (lambda body, content_type, context: None, True),
        (lambda body, content_type, anything: None, True),
        (lambda body, content_type, context=None: None, True),
        (lambda body, content_type, strict=True: None, True),
        (lambda body, content_type, *rest: None, True),
        (lambda body, content_type, first=1, second=2: None, False),
        (lambda body, content_type, context=None, second=2: None, True),
        (lambda body, content_type, *, strict=True: None, False),
        (lambda body, content_type, **options: None, False),
        (lambda *arguments: None, False),
        (lambda body, *arguments: None, False),
        (lambda body, content_type=None: None, False),
    ],
)
def test_any_function_may_take_a_trailing_context(function, takes_context):
    handler = resolve_handlers(SimpleNamespace(input_fn=function))["input_fn"]

    assert handler.takes_context is takes_context
    handler(b"", "text/csv", context=object())


async def coroutine(data, model):
    return data


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            {"input_fn": lambda body: None},
            r"input_fn must take \(request_body, request_content_type\) and .* \(body\)",
        ),
        ({"model_fn": lambda a, b, c: None}, r"model_fn must take \(model_dir\) and optionally context"),
        ({"predict_fn": "text"}, "predict_fn must be a function, got str"),
        ({"predict_fn": coroutine}, "predict_fn must be a function that returns its result, got a coroutine"),
        (
            {"output_fn": str},
            "output_fn must be a function whose parameters Python can tell, got <class 'str'>",
        ),
        ({"output_fn": lambda p, a, *, indent: ""}, r"output_fn must take .*, got \(p, a, \*, indent\)"),
        (
            {
                "transform_fn": lambda a, b, c, d: None,
                "input_fn": lambda a, b: None,
                "output_fn": lambda a, b: None,
            },
            "transform_fn replaces input_fn, output_fn: define one or the other",
        ),
        ({"model_fn": lambda: None, "predict_fn": lambda: None}, "model_fn must .*; predict_fn must "),
    ],
)
def test_fails_when_a_function_cannot_serve(script, message):
    with pytest.raises(HandlerError, match=message):
        resolve_handlers(SimpleNamespace(**script))


def test_a_script_imports_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_script.py").write_text("VALUE = 7")
    (tmp_path / "serve.py").write_text("from neighbour_of_script import VALUE")

    assert load_entry_point(tmp_path, "serve.py").VALUE == 7


def test_a_script_may_lie_in_a_folder_or_be_a_module(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "serve_here.py").write_text("VALUE = 8")

    assert load_entry_point(tmp_path, "scripts/serve_here.py").VALUE == 8
    assert load_entry_point(tmp_path, "scripts.serve_here").VALUE == 8


def test_inference_py_is_the_default(tmp_path):
    assert load_entry_point(tmp_path, None) is None
    (tmp_path / "inference.py").write_text("VALUE = 9")
    assert load_entry_point(tmp_path, None).VALUE == 9


def test_fails_when_the_script_does_not_exist(tmp_path):
    (tmp_path / "other.py").touch()

    with pytest.raises(HandlerError, match=r"entry point serve\.py must exist in .*, got \['other\.py'\]"):
        load_entry_point(tmp_path, "serve.py")
    with pytest.raises(HandlerError, match="got no such folder"):
        load_entry_point(tmp_path / "absent", "serve.py")

"""The handler functions of a user's script, and the defaults for those that it leaves out."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, NamedTuple

#: The functions that a script may define, with the parameters of each before an optional trailing `context`.
HANDLER_PARAMETERS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("request_body", "request_content_type"),
    "predict_fn": ("input_object", "model"),
    "output_fn": ("prediction", "content_type"),
    "transform_fn": ("model", "request_body", "request_content_type", "accept"),
}
STEPS = ("input_fn", "predict_fn", "output_fn")

DEFAULT_ENTRY_POINT = "inference.py"

# A script may import a default function, which is not its own by that.
_DEFAULTS = f"{__package__}.handlers"


class HandlerError(RuntimeError):
    """The entry point cannot be used as it is."""


class Handler(NamedTuple):
    """A handler function; `own` tells a user's function from a default one."""

    function: Callable[..., Any]
    takes_context: bool
    own: bool

    def __call__(self, *arguments: Any, context: Any) -> Any:
        """Call the function, with the context if it takes one."""
        return self.function(*arguments, context) if self.takes_context else self.function(*arguments)


@contextlib.contextmanager
def exits_are_failures(what: str) -> Iterator[None]:
    """Make an error with a reason of what would end the process, such as ``sys.exit()`` while a model loads.

    Raises
    ------
    HandlerError
        The block raised what is no `Exception`.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        raise HandlerError(f"{what} raised {type(error).__name__}: {error}") from error


def load_entry_point(code_dir: Path, entry_point: str | None) -> ModuleType | None:
    """Import a user's script.

    Parameters
    ----------
    code_dir
        The folder of the script, which joins `sys.path` so that the script can import its neighbours.
    entry_point
        A path below `code_dir` such as ``inference.py``, or the dotted name of a module. None takes
        ``inference.py`` if there is one.

    Returns
    -------
    module
        The script as a module; None where `entry_point` is None and there is no ``inference.py``.

    Raises
    ------
    HandlerError
        The script does not exist, or ends the process.
    """
    if code_dir.is_dir() and str(code_dir) not in sys.path:
        sys.path.insert(0, str(code_dir))
    name = entry_point or DEFAULT_ENTRY_POINT
    if not name.endswith(".py"):
        with exits_are_failures(name):
            return importlib.import_module(name)
    path = code_dir / name
    if not path.is_file():
        if entry_point is None:
            return None
        found = sorted(item.name for item in code_dir.glob("*")) if code_dir.is_dir() else "no such folder"
        raise HandlerError(f"entry point {name} must exist in {code_dir}, got {found}")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise HandlerError(f"entry point {path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    with exits_are_failures(name):
        specification.loader.exec_module(module)
    return module


def resolve_handlers(module: ModuleType | None) -> dict[str, Handler]:
    """Take the handler functions of an entry point, and the defaults for those that it leaves out.

    Returns
    -------
    dict of Handler
        By name: model_fn, then transform_fn or the three steps that it replaces, and pre_model_fn and
        model_warmup_fn if the entry point has them.

    Raises
    ------
    HandlerError
        What has the name of a handler function cannot serve as one, or transform_fn stands beside one of the
        functions that it replaces.
    """
    own = {
        name: getattr(module, name) for name in HANDLER_PARAMETERS if getattr(module, name, None) is not None
    }
    wrong = [mistake for mistake in (_mistake(name, function) for name, function in own.items()) if mistake]
    beside = [name for name in STEPS if name in own]
    if "transform_fn" in own and beside:
        wrong.append(f"transform_fn replaces {', '.join(beside)}: define one or the other")
    if wrong:
        raise HandlerError("; ".join(wrong))
    # Not by `__module__`, which functools.wraps copies from the default that a script's function wraps.
    defaults = sys.modules.get(_DEFAULTS)
    handlers = {
        name: Handler(function, _takes_context(name, function), function is not getattr(defaults, name, None))
        for name, function in own.items()
    }
    steps = ("transform_fn",) if "transform_fn" in own else STEPS
    for name in ("model_fn",) + steps:
        if name not in handlers:
            # Imported only now: a script that brings all functions may do without torch.
            function = getattr(importlib.import_module(_DEFAULTS), name)
            handlers[name] = Handler(function, _takes_context(name, function), False)
    return handlers


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # some that are written in C have none
        return None


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that are filled by position, ``*arguments`` included."""
    signature = _signature(function)
    others = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return (
        [parameter for parameter in signature.parameters.values() if parameter.kind not in others]
        if (signature)
        else []
    )


def _mistake(name: str, function: Any) -> str | None:
    """Say why a function cannot serve as the handler of that name."""
    names = HANDLER_PARAMETERS[name]
    if not callable(function):
        return f"{name} must be a function, got {type(function).__name__}"
    signature = _signature(function)
    if signature is None:
        return f"{name} must be a function whose parameters Python can tell, got {function!r}"
    if inspect.iscoroutinefunction(function):
        return f"{name} must be a function that returns its result, got a coroutine: define it with def"
    positional = _positional(function)
    required = sum(
        parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        for parameter in positional
    )
    named = any(
        parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
        for parameter in signature.parameters.values()
    )
    enough = len(positional) >= len(names) or any(p.kind is p.VAR_POSITIONAL for p in positional)
    if enough and required <= len(names) + 1 and not named:
        return None
    return f"{name} must take ({', '.join(names)}) and optionally context, got {signature}"


def _takes_context(name: str, function: Callable[..., Any]) -> bool:
    """Tell whether a function takes a trailing `context`.

    As in AWS's container, the number of parameters decides: one more than the function needs is the
    context, whatever its name and default. Of several more, it is the first if that is called so or has no
    default; the container does not call such functions at all.
    """
    extra = _positional(function)[len(HANDLER_PARAMETERS[name]) :]
    return len(extra) == 1 or (len(extra) > 1 and extra[0].name == "context") or _is_required(extra)


def _is_required(extra: list[inspect.Parameter]) -> bool:
    return bool(extra) and extra[0].default is inspect.Parameter.empty

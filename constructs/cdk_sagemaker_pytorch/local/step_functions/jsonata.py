"""JSONata expressions as Step Functions evaluates them: JSONata 2 plus the functions that AWS adds.

The evaluator is PyPI's `jsonata-python`. `$states` and the workflow variables are bound as values, so that
nothing in them is ever read as code.
"""

import hashlib
import json
import math
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from jsonata import Jsonata
from jsonata.jexception import JException
from jsonata.utils import Utils

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class JsonataError(Exception):
    """An expression that cannot be evaluated, or that has no value."""


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression.

    Parameters
    ----------
    expression
        The expression without `{%` and `%}`.
    variables
        Values by name, without the `$`; `states` is one of them.

    Returns
    -------
    Any
        A JSON value.

    Raises
    ------
    JsonataError
        If the expression is not valid, fails, or has no value or one that JSON cannot hold.
    """
    try:
        compiled = Jsonata.jsonata(expression)
        compiled.set_output_convert_nulls(False)  # null is a value, "nothing" is an error
        for name, function in _FUNCTIONS.items():
            compiled.register_lambda(name, function)
        for name, value in variables.items():
            compiled.assign(name, _with_nulls(value))
        result = compiled.evaluate(None)
    except JException as error:
        raise JsonataError(f"The JSONata expression '{expression}' threw an error: {error}") from error
    if result is None:
        raise JsonataError(f"The JSONata expression '{expression}' returned nothing (undefined).")
    try:
        return json.loads(json.dumps(Utils.convert_nulls(result)))
    except (TypeError, ValueError):
        raise JsonataError(
            f"The JSONata expression '{expression}' returned an unsupported result type."
        ) from None


def _with_nulls(value: Any) -> Any:
    """Mark JSON nulls: the evaluator takes Python's None for "nothing"."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, Mapping):
        return {name: _with_nulls(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return value


def _uuid() -> str:
    return str(uuid.uuid4())


def _hash(value: str, algorithm: str) -> str:
    if algorithm not in _HASHES:
        raise JException(f"$hash knows {', '.join(_HASHES)}, got {algorithm}", 0)
    return hashlib.new(_HASHES[algorithm], value.encode(), usedforsecurity=False).hexdigest()


def _parse(text: str) -> Any:
    try:
        return _with_nulls(json.loads(text))
    except ValueError as error:
        raise JException(f"$parse: {error}", 0) from error


def _partition(values: list[Any], size: float) -> list[list[Any]]:
    chunk = math.floor(size)
    if chunk < 1:
        raise JException(f"$partition needs a size of at least 1, got {size}", 0)
    return [values[start : start + chunk] for start in range(0, len(values), chunk)]


def _range(first: float, last: float, step: float) -> list[float]:
    if step == 0:
        raise JException("$range needs a step that is not 0", 0)
    count = math.floor((last - first) / step) + 1
    if count > 1000:
        raise JException(f"$range makes at most 1000 numbers, got {count}", 0)
    return [first + index * step for index in range(max(0, count))]


def _random(seed: float | None = None) -> float:
    return random.Random(seed).random() if seed is not None else random.random()  # noqa: S311 - no secret


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "uuid": _uuid,
    "hash": _hash,
    "parse": _parse,
    "partition": _partition,
    "range": _range,
    "random": _random,
}

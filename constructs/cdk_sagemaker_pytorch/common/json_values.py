"""Values that are sent as JSON: of whatever Python types people have them in, tokens among them."""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Tokenization

from .limits import shown
from .tokens import is_token

__all__ = ["encode_json", "plain_json"]


def plain_json(value: Any) -> Any:
    """Turn a value into what JSON has; numbers that are tokens stay as they are.

    Parameters
    ----------
    value : Any
        Any value, for example with numbers of NumPy or paths in it.

    Raises
    ------
    ValueError
        When that cannot be done; the text goes on after the parameter's name.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"must be a finite number, for JSON has no {value}")
        return value
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise ValueError(f"must have keys that are text, got {shown(wrong[0])}")
        return {key: plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if any(isinstance(item, str) and item.startswith("#{Token[") for item in value):
            raise ValueError("must be a token of text or a number, got one of a list: write Fn.join(...)")
        return [plain_json(item) for item in value]
    if is_token(value):
        raise ValueError("must be a token of text or a number, got another one: write Token.as_string(...)")
    if hasattr(value, "__fspath__"):
        return str(value)
    if hasattr(value, "tolist"):  # numbers and arrays of NumPy, tensors
        return plain_json(value.tolist())
    raise ValueError(f"must be text, a number, True, False, None, a list or a dictionary, got {shown(value)}")


def encode_json(value: Any) -> str:
    """Write a value as JSON, in which a number that is a token has no quotes.

    Parameters
    ----------
    value : Any
        A value as `plain_json` returns it.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {encode_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encode_json, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool) and is_token(value):
        text: str = Tokenization.stringify_number(value)
        return text
    return json.dumps(value)

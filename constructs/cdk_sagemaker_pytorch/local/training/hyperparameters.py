"""How hyperparameters and settings reach a training script: decoded, as arguments and as variables.

The rules are those of AWS's `sagemaker-training` 5.1.4.
"""

import json
from collections.abc import Mapping
from typing import Any


def decode_hyperparameters(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Decode each value from JSON; one that is no JSON stays the string it is."""
    decoded: dict[str, Any] = {}
    for name, value in hyperparameters.items():
        try:
            decoded[name] = json.loads(value)
        except (ValueError, TypeError):
            decoded[name] = value
    return decoded


def command_line_arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Turn decoded hyperparameters into arguments, sorted by name.

    `{"k": True, "layers": [1, 2], "map": {"a": 1}, "none": None}` gives
    `["-k", "True", "--layers", "[1, 2]", "--map", "a=1", "--none", ""]`.
    """
    arguments: list[str] = []
    for name in sorted(hyperparameters):
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(hyperparameters[name])]
    return arguments


def _argument(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)


def sm_variables(values: Mapping[str, Any]) -> dict[str, str]:
    """Name variables SM_ and the upper-cased name; encode all values but strings as compact JSON."""
    return {f"SM_{name.upper()}": _variable(value) for name, value in values.items()}


def _variable(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

"""How the container's toolkit hands a hyperparameter to the script."""

import re
import shlex
from collections.abc import Mapping

from cdk_sagemaker_pytorch.images.framework_version import ArgumentPassing

from .shell_arguments import is_only_split, shell_reading

__all__ = ["as_passed", "is_for_container", "is_token", "option_of", "words_of"]


def is_for_container(name: str) -> bool:
    """Whether the container keeps a hyperparameter to itself."""
    return name.startswith("sagemaker_") or name == "_tuning_objective_metric"


def option_of(name: str) -> str:
    """Name of the option on the command line."""
    return f"-{name}" if len(name) == 1 else f"--{name}"


def as_passed(value: object) -> str:
    """Text of a hyperparameter on the command line of the script, as the container writes it."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return str(value)


def is_token(value: object) -> bool:
    """Whether CDK replaces the value at deployment; its tokens are marked texts and huge negative numbers."""
    if isinstance(value, float):
        return value < -1e288
    return isinstance(value, str) and bool(re.search(r"[$#]\{Token\[", value))


def words_of(text: str, passing: ArgumentPassing) -> list[list[str]]:
    """Arguments that may come of a text: through no shell, a shell, or either.

    What a shell expands by what is in the container is left out.
    """
    ways: list[list[str]] = []
    if passing != "shell":
        ways.append([text])
    if passing != "exec":
        if shell_reading(text) is None:
            ways.append([text])
        elif is_only_split(text):
            ways.append(text.split())
        elif not re.search(r"[;&|<>()\n$`*?{}~]", text):
            try:
                ways.append(shlex.split(text, comments=True))
            except ValueError:
                ways.append([text])  # the shell fails; what argparse would say of it does not matter
    return [way for number, way in enumerate(ways) if way not in ways[:number]]

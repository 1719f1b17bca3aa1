"""Checks values against the limits of the SageMaker API, those that no shape of it knows included."""

import re
from collections.abc import Sized
from typing import Any

from cdk_sagemaker_pytorch.images.instance_processor import instance_family

from .api_limits import API_LIMITS, ApiLimits
from .problems import Problems

__all__ = ["check_bounds", "check_limits", "has_local_storage", "shorten", "shown"]

# What the patterns of the API mean.
_WORDS = {
    r"[A-Za-z0-9\.\-_]+": "letters, digits, dots, dashes and underscores",
    r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}": "letters, digits and dashes, with no dash at its ends",
    r"[a-zA-Z_][a-zA-Z0-9_]*": "letters, digits and underscores, with no digit in front",
    r"(https|s3)://([^/]+)/?(.*)": "an S3 URI such as s3://bucket/prefix",
    r"[\S]+": "text without spaces",
    r".+": "one line",
}

# Families with NVMe storage of their own, which the API takes no key for: their hardware encrypts it.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html, VolumeKmsKeyId, and
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/InstanceStorage.html#instance-store-volumes
_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|dl1|gr?[567][ef]?|p[45][a-z]*|p6.*|trn[12]n?|i\d[a-z]*")


def check_limits(problems: Problems, name: str, value: str | Sized, shape: str) -> None:
    """Note a text or a collection that the API refuses for its length, its count or its form.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    name : str
        The parameter, or the part of it, as the message names it.
    value : str or Sized
        A text, or a collection, of which the entries are counted. No token.
    shape : str
        Name of the API's shape.
    """
    limits = API_LIMITS[shape]
    if isinstance(value, str):
        pattern = limits.get("pattern", "(?s).*")
        fits = _check_length(
            problems, f"{name} must have", "characters", value, limits, f": {shorten(value)}"
        )
        problems.check(
            not fits or re.fullmatch(pattern, value) is not None,
            f"{name} must be {_WORDS.get(pattern, f'text like {pattern}')}, got {shorten(value)}",
        )
    else:
        _check_length(problems, f"{name} must be", "entries", value, limits, "")


def check_bounds(problems: Problems, name: str, value: float, *, least: int | None, most: int | None) -> None:
    """Note a number out of its bounds.

    Parameters
    ----------
    problems : Problems
        Gets the findings.
    name : str
        The parameter.
    value : float
        The number; no token.
    least, most : int or None
        The bounds, if any.
    """
    if (least is None or value >= least) and (most is None or value <= most):
        return
    if most is None:
        allowed = f"at least {least}"
    else:
        allowed = f"at most {most}" if least is None else f"from {least} to {most}"
    problems.add(f"{name} must be {allowed}, got {value}")


def has_local_storage(instance_type: str) -> bool:
    """Whether the instances have NVMe storage of their own, in place of a volume that a key encrypts."""
    return _LOCAL_STORAGE.fullmatch(instance_family(instance_type) or "") is not None


def shorten(value: str) -> str:
    """Write a text as it is, or the beginning of a long one."""
    return repr(value) if len(value) <= 80 else f"{value[:60]!r}…"


def shown(value: Any) -> str:
    """Write a value of a wrong type, with its type."""
    return f"{shorten(value) if isinstance(value, str) else value} ({type(value).__name__})"


def _check_length(
    problems: Problems, subject: str, unit: str, value: Sized, limits: ApiLimits, shown: str
) -> bool:
    least, most = limits.get("min", 0), limits.get("max")
    if len(value) < least:
        problems.add(f"{subject} at least {least} {unit}, got {len(value)}")
    elif most is not None and len(value) > most:
        problems.add(f"{subject} at most {most} {unit}, got {len(value)}{shown}")
    return least <= len(value) <= (len(value) if most is None else most)

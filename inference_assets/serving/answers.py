"""What a script's own function returned, made into a body: as AWS's container does, but never a pickle.

There bytes and text are sent as they are, and everything else as JSON, except tensors, which it pickles.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from .codecs import CODECS, JSON, Limits, encode
from .content_types import parse_media_type
from .errors import PredictionEncodingError

_LIMITS = Limits.from_environment()


def body_of(answer: Any, accept: str, content_type: str | None = None) -> tuple[bytes, str]:
    """Write an answer.

    Parameters
    ----------
    answer
        Bytes and text are the body; a tensor or an array is written as the codecs do; anything else becomes
        JSON, tensors and arrays in it included.
    accept
        The one media type that the caller wants.
    content_type
        The content type that the script gave. Defaults to what the body is: `accept` for bytes and text.

    Raises
    ------
    NotAcceptableError
        A tensor or an array cannot be written as what the caller wants, and the script gave no content type.
    PredictionEncodingError
        The answer cannot be written.
    """
    if isinstance(answer, (bytes, bytearray, memoryview)):
        return bytes(answer), content_type or accept
    if isinstance(answer, str):
        return answer.encode("utf-8"), content_type or accept
    array = as_array(answer)
    if array is not None:
        return _array(array, accept, content_type)
    return to_json(answer), content_type or JSON


def _array(array: Any, accept: str, content_type: str | None) -> tuple[bytes, str]:
    if content_type is None:
        return encode(array, accept, _LIMITS)
    media_type = parse_media_type(content_type)
    if media_type is None or media_type.name not in CODECS:
        raise PredictionEncodingError(
            f"a tensor or an array is written as one of {', '.join(CODECS)}, got the content type"
            f" {content_type!r}: return bytes or text for it"
        )
    return encode(array, media_type.name, _LIMITS)[0], content_type


def as_array(value: Any) -> Any:
    """Return a tensor as an array, bfloat16 as float32; an array as it is; None for anything else."""
    torch, numpy = sys.modules.get("torch"), sys.modules["numpy"]
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return value if isinstance(value, (numpy.ndarray, numpy.generic)) else None


def to_json(value: Any) -> bytes:
    """Write what JSON can carry, and tensors and arrays in it as lists.

    Raises
    ------
    PredictionEncodingError
        JSON cannot carry it.
    """

    def plain(part: Any) -> Any:
        array = as_array(part)
        if array is not None:
            return array.tolist()
        raise TypeError(f"{type(part).__name__} is not JSON")

    try:
        return json.dumps(value, default=plain, allow_nan=_LIMITS.allow_non_finite).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise PredictionEncodingError(
            f"the prediction cannot be written as JSON: {error}: return bytes or text from output_fn"
        ) from error

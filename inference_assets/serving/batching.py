"""Inputs of several callers in one tensor, for models that are known to keep them apart.

Whether a model computes each caller's answer from that caller's input alone, and along which dimension
inputs may lie side by side, nobody but the script's author knows: a softmax over the first dimension, a
normalization in training mode or rows that are steps in time mix them. So nothing is batched unless
``CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION`` says so.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Callable, Iterable, Sequence, TypeVar

Item = TypeVar("Item")

VARIABLE = "CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION"


def batch_dimension() -> int | None:
    """Return the dimension along which inputs lie side by side, or None where none was given.

    Raises
    ------
    ValueError
        The variable is no number from 0 on.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"environment variable {VARIABLE} must be a dimension such as 0, got {text!r}")
    return int(text)


def that_fit(
    items: Iterable[Item], dimension: int, look: Callable[[Item], tuple[Any, str | None]]
) -> list[list[Item]]:
    """Group what can be predicted together.

    Parameters
    ----------
    items
        What to group; each is in one group, alone where it fits no other.
    dimension
        The dimension along which tensors lie side by side. Only plain tensors that have others besides fit,
        and that agree in these, in dtype and device, and in the content type of their request.
    look
        Returns the value of an item, and the content type.
    """
    groups: dict[Any, list[Item]] = {}
    torch = sys.modules.get("torch")
    for item in items:
        key: Any = id(item)
        # Nested tensors have no shape, and a subclass may do as it likes: such are predicted alone.
        with contextlib.suppress(Exception):
            value, content_type = look(item)
            if torch is not None and type(value) is torch.Tensor and value.ndim > max(dimension, 1):
                others = (value.shape[:dimension], value.shape[dimension + 1 :])
                key = (value.dtype, value.device, others, (content_type or "").strip().lower())
        groups.setdefault(key, []).append(item)
    return list(groups.values())


def predict_together(
    predict: Callable[[Any], Any], values: Sequence[Any], dimension: int
) -> list[Any] | None:
    """Predict tensors in one call, and take the prediction apart again.

    Returns
    -------
    list or None
        A prediction for each; None where what came back cannot be taken apart.
    """
    torch = sys.modules["torch"]
    sizes = [value.shape[dimension] for value in values]
    prediction = predict(torch.cat(list(values), dimension))
    if not isinstance(prediction, torch.Tensor):
        return None
    if prediction.shape[dimension : dimension + 1] != (sum(sizes),):
        return None
    # Views would let an output_fn change, or write with torch.save, what its neighbours get.
    return [part.clone() for part in prediction.split(sizes, dimension)]

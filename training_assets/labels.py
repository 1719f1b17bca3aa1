"""What is learned: the labels of classes, or quantities."""

from __future__ import annotations

import torch
from process_group import Process, gathered, summed

# With more distinct whole numbers than this in `y`, the task `auto` takes them for quantities, not classes.
MOST_CLASSES = 100


def find_classes(task: str, y: torch.Tensor, process: Process) -> list[int]:
    """List the sorted labels of all processes; the list is empty where the task is a regression.

    Raises
    ------
    ValueError
        A classification was asked for and `y` is no column of whole numbers, at least two of them distinct.
    """
    whole = y.shape[1] == 1 and bool((y == y.round()).all())
    whole = int(summed(torch.tensor(int(whole), device=y.device), process)) == process.world_size
    if task == "regression" or (task == "auto" and not whole):
        return []
    if not whole:
        raise ValueError(
            "--task classification needs one column of whole numbers in y: use --task regression"
        )
    classes: list[int] = torch.unique(gathered(torch.unique(y.long()), process)).tolist()
    if task == "auto" and len(classes) > MOST_CLASSES:
        return []
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two labels, train holds {classes} only")
    return classes


def class_indices(targets: torch.Tensor, classes: list[int], channel: str) -> torch.Tensor:
    """Turn a column of labels into the indices of their classes.

    Raises
    ------
    ValueError
        A label is none of the classes.
    """
    known = torch.tensor(classes, dtype=targets.dtype, device=targets.device)
    labels = targets[:, 0].contiguous()
    indices = torch.searchsorted(known, labels).clamp(max=len(classes) - 1)
    unknown = labels[known[indices] != labels]
    if len(unknown):
        raise ValueError(f"channel {channel}: y holds the label {unknown[0].item():g}, train has {classes}")
    return indices

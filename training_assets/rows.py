"""The rows of ``x`` that a process trains on: in memory, or on the disk."""

from __future__ import annotations

import zlib
from typing import Any, Iterator, Sequence

import numpy as np
import torch

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2

# Rows that are looked at together, where all are.
BLOCK_BYTES = 64 * 1024 * 1024


class RowsOnDisk:
    """Arrays on the disk, one after the other, of which nothing is read before it is needed.

    It is sliced and indexed as an array would be, and hands out float32.

    Parameters
    ----------
    parts
        Memory-mapped arrays of the shape (rows, features).
    rows
        Which of all their rows, in this order. Defaults to all.
    """

    def __init__(self, parts: Sequence[Array], rows: range | None = None) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._rows = range(int(self._ends[-1])) if rows is None else rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return len(self._rows), self._parts[0].shape[1]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def __getitem__(self, rows: slice | Array) -> Any:
        """Take a slice, which reads nothing, or rows by their numbers."""
        if isinstance(rows, slice):
            return RowsOnDisk(self._parts, self._rows[rows])
        numbers = self._rows.start + np.asarray(rows) * self._rows.step
        part_of = np.searchsorted(self._ends, numbers, side="right")
        taken = np.empty((len(numbers), self.shape[1]), np.float32)
        for index in np.unique(part_of):
            mine = part_of == index
            begin = self._ends[index] - len(self._parts[index])
            taken[mine] = self._parts[index][numbers[mine] - begin]
        return taken


class Rows:
    """Rows of ``x`` as tensors on the device of the process.

    Parameters
    ----------
    x
        An array of float32, or `RowsOnDisk`.
    device
        The device.
    """

    def __init__(self, x: Array, device: torch.device) -> None:
        self._device = device
        self._x = x if isinstance(x, RowsOnDisk) else torch.from_numpy(x).to(device)
        self.features: int = x.shape[1]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._x)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        """Take rows by their numbers, which are on the device too."""
        if isinstance(self._x, torch.Tensor):
            return self._x[rows]
        return torch.from_numpy(self._x[rows.cpu().numpy()]).to(self._device)

    def blocks(self, size: int = 0) -> Iterator[torch.Tensor]:
        """Go through all rows in order, some at a time; without a size as many as make 64 MiB."""
        size = size or max(1, BLOCK_BYTES // (4 * self.features))
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            if isinstance(self._x, torch.Tensor):
                yield self._x[start:stop]
            else:
                yield torch.from_numpy(self._x[np.arange(start, stop)]).to(self._device)

    def checksum(self) -> int:
        """Sum up what the rows are, so that other rows are told apart."""
        value = 0
        for block in self.blocks():
            content: Any = block.cpu().contiguous().numpy()
            value = zlib.crc32(content, value)
        return value

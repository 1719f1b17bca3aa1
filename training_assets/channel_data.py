"""Read the tables of a channel; the text of ``train.py`` describes their layouts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import numpy as np
from process_group import Process
from rows import BLOCK_BYTES, RowsOnDisk

Array = Any  # np.ndarray, whose type parameters differ between numpy 1 and 2

# .npy files are left on the disk where they are larger than this share of the memory of the host.
MEMORY_SHARE = 0.25


class Table(NamedTuple):
    """The rows of a channel: `x` float32 (rows, features), or `RowsOnDisk`; `y` float64 (rows, targets)."""

    x: Any
    y: Array


def read_channel(folder: str, channel: str, memory_map: str = "auto", processes: int = 1) -> Table:
    """Read every table of the folder of a channel.

    Parameters
    ----------
    folder, channel
        The folder, and the name that errors give it.
    memory_map
        Whether the ``x`` of ``.npy`` pairs stays on the disk: ``always``, ``never``, or ``auto``, where it is
        large for the memory of the host.
    processes
        How many processes of the host read it.

    Raises
    ------
    ValueError
        The folder is missing, holds no table or several kinds, or a table has a wrong shape or is not finite.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"channel {channel}: the folder {root} does not exist")
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name[0] not in "._")
    readers = {".npz": _read_npz, ".npy": _read_npy_pairs, ".csv": _read_csv}
    kinds = sorted({path.suffix for path in files} & set(readers))
    if len(kinds) != 1:
        found = ", ".join(path.name for path in files[:5]) or "an empty folder"
        raise ValueError(
            f"channel {channel}: {root} must hold tables of one kind, .npz, .npy or .csv, got {found}"
        )
    paths = [path for path in files if path.suffix == kinds[0]]
    on_disk = kinds[0] == ".npy" and _stays_on_disk(paths, memory_map, processes)
    reader = _read_npy_pairs_mapped if on_disk else readers[kinds[0]]
    tables = [_checked(path, x, y) for path, x, y in reader(paths)]
    for name, widths in (
        ("x", {table.x.shape[1] for table in tables}),
        ("y", {table.y.shape[1] for table in tables}),
    ):
        if len(widths) > 1:
            raise ValueError(f"channel {channel}: the files differ in the width of {name}: {sorted(widths)}")
    y = np.concatenate([table.y for table in tables])
    if on_disk:
        return Table(RowsOnDisk([table.x for table in tables]), y)
    return Table(np.concatenate([table.x for table in tables]), y)


def _stays_on_disk(paths: list[Path], memory_map: str, processes: int) -> bool:
    if memory_map != "auto":
        return memory_map == "always"
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return False
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sum(path.stat().st_size for path in paths) * processes > memory * MEMORY_SHARE


def _read_npz(paths: list[Path]) -> Iterator[tuple[Path, Array, Array]]:
    for path in paths:
        with np.load(path, allow_pickle=False) as archive:
            if not {"x", "y"} <= set(archive.files):
                raise ValueError(f"{path}: must hold the arrays x and y, got {archive.files}")
            yield path, archive["x"], archive["y"]


def _read_npy_pairs_mapped(paths: list[Path]) -> Iterator[tuple[Path, Array, Array]]:
    return _read_npy_pairs(paths, "r")


def _read_npy_pairs(paths: list[Path], mode: Any = None) -> Iterator[tuple[Path, Array, Array]]:
    stems = {path.with_suffix("").as_posix() for path in paths}
    alone = [
        stem for stem in sorted(stems) if stem[:-1] + {"x": "y", "y": "x"}.get(stem[-1], "") not in stems
    ]
    if alone:
        raise ValueError(f"{alone[0]}.npy: must be one of a pair such as x.npy and y.npy")
    for path in paths:
        if path.stem.endswith("x"):
            partner = path.with_name(path.stem[:-1] + "y.npy")
            yield (
                path,
                np.load(path, mmap_mode=mode, allow_pickle=False),
                np.load(partner, allow_pickle=False),
            )


def _read_csv(paths: list[Path]) -> Iterator[tuple[Path, Array, Array]]:
    for path in paths:
        with path.open(encoding="utf-8-sig") as stream:
            header = not _is_numeric(stream.readline())
        try:
            table = np.loadtxt(
                path, delimiter=",", comments=None, ndmin=2, skiprows=int(header), encoding="utf-8-sig"
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        yield path, table[:, 1:], table[:, :1]


def _is_numeric(line: str) -> bool:
    try:
        return all(float(field) is not None for field in line.split(","))
    except ValueError:
        return False


def _checked(path: Path, x: Array, y: Array) -> Table:
    """Give a table its dtypes and shapes, or say all that is wrong with it."""
    wrong = [
        f"{name} must hold numbers, got {array.dtype}"
        for name, array in (("x", x), ("y", y))
        if array.dtype.kind not in "biuf"
    ]
    if x.ndim < 2 or 0 in x.shape:
        wrong.append(f"x must have the shape (rows, features), neither of them 0, got {x.shape}")
    if y.ndim not in (1, 2) or y.shape[0] != x.shape[0] or 0 in y.shape:
        wrong.append(f"y must have a row for each row of x, which has the shape {x.shape}, got {y.shape}")
    if wrong:
        raise ValueError(f"{path}: " + "; ".join(wrong))
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1).astype(np.float64)
    if not isinstance(x, np.memmap):
        x = x.astype(np.float32)
    for name, array in (("x", x), ("y", y)):
        step = max(1, BLOCK_BYTES // (8 * array.shape[1]))
        for start in range(0, len(array), step):
            finite = np.isfinite(np.asarray(array[start : start + step], array.dtype)).all(axis=1)
            if not finite.all():
                raise ValueError(f"{path}: {name} must be finite, its row {start + finite.argmin()} is not")
    return Table(x, y)


def share_of(process: Process, table: Table, channel: str) -> Table:
    """Take the rows that are for a process: of all, unless each host was given other files already."""
    channels = json.loads(os.environ.get("SM_INPUT_DATA_CONFIG") or "{}")
    if channels.get(channel, {}).get("S3DistributionType") == "ShardedByS3Key":
        rows = slice(process.local_rank, None, process.local_world_size)
    else:
        rows = slice(process.rank, None, process.world_size)
    return Table(table.x[rows], table.y[rows])

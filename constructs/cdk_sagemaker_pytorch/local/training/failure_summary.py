"""Say in one line why a job failed: what a person needs to know first."""

import contextlib
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from cdk_sagemaker_pytorch.local.base.error_message import last_exception

_MOST_CHARACTERS = 400
_SHELL_SIGNAL_BASE = 128
_GIB = 1 << 30
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

_INSTALLER_ERROR = re.compile(r"(?:ERROR|error): (?P<text>.+)")
_INSTALLING = re.compile(r"(?:Collecting|Processing) (?P<what>\S+)")
_ARGUMENT_ERROR = re.compile(r"(?:\[rank\d+\]: ?)?(?P<text>\S+: error: .+)")
_ARGUMENT_EXIT_CODE = 2
# torchrun's report of the rank that failed first.
_ROOT_CAUSE = "Root Cause (first observed failure):"
_RANK = re.compile(r"\s+rank\s+: (?P<rank>\d+) ")
_RANK_EXIT_CODE = re.compile(r"\s+exitcode\s+: (?P<code>-?\d+) ")
# What the others say of a host that is gone.
_LOST_PEER = re.compile(
    r"connection (closed|reset|refused|was likely)|broken pipe|remote process exited|DistNetworkError"
    r"|DistStoreError|peer closed|heartbeat",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ScriptEnd:
    """How a script ended on one host.

    Parameters
    ----------
    lines
        The end of its output.
    exit_code
        Of the command; -N when signal N ended it.
    peak_memory
        Bytes that its largest process had; None if that is not known.
    host
        The host, where there are several; else empty.
    """

    lines: Sequence[str]
    exit_code: int
    peak_memory: int | None = None
    host: str = ""

    @property
    def summary(self) -> str:
        """The reason, in one line."""
        rank, code = _first_rank(self.lines)
        reason = self._reason(self.exit_code if code is None else code, by_launcher=rank is not None)
        where = " on ".join(filter(None, [f"rank {rank}" if rank else "", self.host]))
        return _shortened(f"{where} failed: {reason}" if where else reason)

    @property
    def is_for_lost_peer(self) -> bool:
        """Whether it failed because another host did."""
        exception = last_exception(self.lines)
        return bool(_LOST_PEER.search(exception)) and "EADDRINUSE" not in exception

    def _reason(self, exit_code: int, *, by_launcher: bool) -> str:
        number = -exit_code if exit_code < 0 else exit_code - _SHELL_SIGNAL_BASE
        if name := _signal_name(number):
            ended = f"the script was killed by signal {number} ({name})"
            return ended + (_memory(self.peak_memory) if number == signal.SIGKILL else "")
        complaints = [found["text"] for line in self.lines if (found := _ARGUMENT_ERROR.match(line))]
        if complaints and exit_code == _ARGUMENT_EXIT_CODE:
            return complaints[-1]
        if exception := last_exception(self.lines):
            return exception.splitlines()[0]
        said = [line.strip() for line in self.lines if line.strip()]
        ended = f"the script ended with exit code {exit_code}"
        return f"{ended}: {said[-1]}" if said and not by_launcher else ended


def installer_summary(lines: Sequence[str]) -> str:
    """Return why pip did not install something, in its own words, in one line."""
    errors = [found["text"] for line in lines if (found := _INSTALLER_ERROR.match(line.strip()))]
    said = "; ".join(dict.fromkeys(errors)) or next((line for line in reversed(lines) if line.strip()), "")
    begun = [found["what"] for line in lines if (found := _INSTALLING.match(line.strip()))]
    during = f" (while installing {begun[-1]})" if begun and begun[-1] not in said else ""
    return _shortened(f"requirements cannot be installed: {said}{during}")


def _shortened(text: str) -> str:
    """Leave out the end of a text that is too long to be read first."""
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _first_rank(lines: Sequence[str]) -> tuple[str | None, int | None]:
    """Return rank and exit code of what torchrun calls the root cause; None of both without torchrun."""
    reports = [number for number, line in enumerate(lines) if line.strip() == _ROOT_CAUSE]
    if not reports:
        return None, None
    report = lines[reports[-1] :]
    ranks = [found["rank"] for line in report if (found := _RANK.match(line))]
    codes = [int(found["code"]) for line in report if (found := _RANK_EXIT_CODE.match(line))]
    return next(iter(ranks), None), next(iter(codes), None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def _memory(peak: int | None) -> str:
    """Say what a killed script had: a system without memory kills the largest process."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # not limited
        total = min(total, int(_CONTAINER_LIMIT.read_text()))
    had = "" if peak is None else f", when its largest process had {peak / _GIB:.1f} GiB"
    return f"{had} of this machine's {total / _GIB:.1f} GiB of memory" if had else ""

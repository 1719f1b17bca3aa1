"""Find in a program's output why it failed."""

import re
from collections.abc import Iterable

_LINES_WITHOUT_TRACEBACK = 20
_TRACEBACK = re.compile(r"(\w+: )?Traceback \(most recent call last\):")
_TERMINAL_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What torch.distributed (rank) and Ray (process) put before each line of a worker's output.
_PREFIX = re.compile(r"^(\[rank\d+\]: ?|\((raylet|[\w:.]+ pid=\d+[^)]*)\) ?)")
# TorchServe logs a worker's output as MODEL_LOG, in between lines of its own.
_TORCHSERVE_RECORD = re.compile(r"^\S+ \[\w+ *\] \S+ (?P<logger>\S+) - (?P<text>.*)")
# Python's logging, and torch's own.
_LOG_RECORD = re.compile(r"^((DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|[VDIWEF]\d{4} \d\d:\d\d:\d\d)")
# torchrun's own exception says only that a worker failed.
_LAUNCHER_ERROR = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"


def error_message(lines: Iterable[str]) -> str:
    """Return the part of a program's output that says why it failed.

    That is the exception of its last traceback, or its last 20 lines when there is no traceback. What
    torchrun, Ray and TorchServe add to a worker's output is left out.

    Parameters
    ----------
    lines
        The output, or its last part.
    """
    output = _workers_own(lines)
    starts = [number for number, line in enumerate(output) if _TRACEBACK.fullmatch(line.strip())]
    for start in reversed(starts):
        message = _exception_lines(output[start + 1 :])
        if message and not message[0].startswith(_LAUNCHER_ERROR):
            return "\n".join(message)
    return "\n".join(output[-_LINES_WITHOUT_TRACEBACK:]).strip()


def _workers_own(lines: Iterable[str]) -> list[str]:
    output = []
    for line in lines:
        plain = _PREFIX.sub("", _TERMINAL_COLOUR.sub("", line))
        record = _TORCHSERVE_RECORD.match(plain)
        if record is None:
            output.append(plain)
        elif record["logger"] == "MODEL_LOG":
            output.append(record["text"])
    return output


def _exception_lines(after_traceback: list[str]) -> list[str]:
    """Skip the indented frames; take the exception's lines, up to a log record or the next traceback."""
    message: list[str] = []
    for line in after_traceback:
        if _TRACEBACK.fullmatch(line.strip()) or _LOG_RECORD.match(line):
            break
        if message or (line and not line[0].isspace()):
            message.append(line)
    return "\n".join(message[:_LINES_WITHOUT_TRACEBACK]).rstrip().splitlines()

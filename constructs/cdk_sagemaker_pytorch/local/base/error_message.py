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
    kept = list(lines)
    if message := last_exception(kept):
        return message
    return "\n".join(text for _, text in _workers_own(kept)[-_LINES_WITHOUT_TRACEBACK:]).strip()


def last_exception(lines: Iterable[str]) -> str:
    """Return the exception of the last traceback in a program's output, "" without any.

    That of a launcher, which only says that its worker failed, does not count.

    Parameters
    ----------
    lines
        The output, or its last part.
    """
    output = _workers_own(lines)
    starts = [number for number, (_, text) in enumerate(output) if _TRACEBACK.fullmatch(text.strip())]
    for start in reversed(starts):
        worker = output[start][0]
        message = _exception_lines([text for who, text in output[start + 1 :] if who == worker])
        if message and not message[0].startswith(_LAUNCHER_ERROR):
            return "\n".join(message)
    return ""


def _workers_own(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return each line with what tells its worker: the lines of several come in any order."""
    output = []
    for line in lines:
        plain = _TERMINAL_COLOUR.sub("", line)
        prefix = _PREFIX.match(plain)
        text = plain[prefix.end() :] if prefix else plain
        record = _TORCHSERVE_RECORD.match(text)
        if record is None:
            output.append((prefix[0] if prefix else "", text))
        elif record["logger"] == "MODEL_LOG":
            output.append(("MODEL_LOG", record["text"]))
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

"""`python -m packager [--message FILE] EVENT…`: packaging as a processing job, without a deadline."""

import argparse
import json
import sys
from pathlib import Path

from .deadline import Deadline
from .errors import ModelPackagerError
from .handling import answer

_MAX_MESSAGE: int = 1000  # a processing job reports one kilobyte


def main(arguments: list[str]) -> int:
    """Meet the request that the arguments hold; print the answer as JSON and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m packager", description=__doc__)
    parser.add_argument("event", nargs="+", help="the event as JSON, in pieces that are put together")
    parser.add_argument(
        "--message",
        type=Path,
        help="where the model's entity tag, or what went wrong, is written besides the log",
    )
    given = parser.parse_args(arguments)
    try:
        found = answer(json.loads("".join(given.event)), Deadline())
    except ModelPackagerError as error:
        message = f"{type(error).__name__}: {error}"
        print(message, file=sys.stderr)  # noqa: T201
        _report(given.message, message[:_MAX_MESSAGE])
        return 1
    print(json.dumps(found))  # noqa: T201 - the job's log
    _report(given.message, json.dumps({"model_data_etag": found["model_data_etag"]}))
    return 0


def _report(path: Path | None, message: str) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

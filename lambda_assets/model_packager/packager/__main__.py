"""`python -m packager '<event as JSON>'`: packaging as a SageMaker Processing job, without a deadline."""

import json
import sys
from pathlib import Path

from .deadline import Deadline
from .errors import ModelPackagerError
from .handling import answer

# Processing shows this file's content as the job's ExitMessage.
_MESSAGE = Path("/opt/ml/output/message")


def main(arguments: list[str]) -> int:
    """Meet the request given as the only argument; print the answer as JSON and return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m packager '<event as JSON>'", file=sys.stderr)  # noqa: T201
        return 2
    try:
        print(json.dumps(answer(json.loads(arguments[0]), Deadline())))  # noqa: T201 - the job's log
    except ModelPackagerError as error:
        message = f"{type(error).__name__}: {error}"
        print(message, file=sys.stderr)  # noqa: T201
        if _MESSAGE.parent.is_dir():
            _MESSAGE.write_text(message[:1000])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

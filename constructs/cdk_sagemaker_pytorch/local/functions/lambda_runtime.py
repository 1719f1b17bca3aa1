"""Run invocations of a Python Lambda function one after another, as the Lambda runtime does.

Run as a file, `python lambda_runtime.py FOLDER`: for each byte that comes through the pipe `requests` in the
folder it reads `invocation.json` there (`handler`, `path`, `event` and `context`), writes `answer.json`,
`{"result": …}` or `{"error": {"errorMessage", "errorType", "stackTrace"}}`, and sends a byte through the pipe
`answers`. It needs only the standard library, as it runs with the function's own path.
"""

import contextlib
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


class LambdaContext:
    """The second argument of a handler."""

    def __init__(self, *, deadline_ms: int, **attributes: Any) -> None:
        self._deadline_ms = deadline_ms
        self.identity = None
        self.client_context = None
        self.__dict__.update(attributes)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function times out."""
        return max(0, self._deadline_ms - time.time_ns() // 1_000_000)


def _failure(error_type: str, message: str, stack_trace: list[str]) -> dict[str, Any]:
    print(f"[ERROR] {error_type}: {message}")  # noqa: T201 - a function's standard output is its log
    if stack_trace:
        print("Traceback (most recent call last):\n" + "".join(stack_trace), end="")  # noqa: T201
    return {"error": {"errorMessage": message, "errorType": error_type, "stackTrace": stack_trace}}


def load(invocation: dict[str, Any]) -> tuple[Callable[..., Any] | None, dict[str, Any]]:
    """Import the handler; return it, or None and the answer that says why there is none."""
    sys.path[:0] = [folder for folder in invocation["path"] if folder not in sys.path]
    module_name, _, function_name = invocation["handler"].rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        return None, _failure("Runtime.ImportModuleError", message, [])
    except Exception as error:
        return None, _failure(type(error).__name__, str(error), traceback.format_tb(error.__traceback__)[1:])
    handler = getattr(module, function_name, None)
    if handler is None:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        return None, _failure("Runtime.HandlerNotFound", message, [])
    return handler, {}


def run(handler: Callable[..., Any], invocation: dict[str, Any]) -> dict[str, Any]:
    """Call the handler, and return the answer."""
    try:
        result = handler(invocation["event"], LambdaContext(**invocation["context"]))
    except Exception as error:
        # The first frame is this module's.
        return _failure(type(error).__name__, str(error), traceback.format_tb(error.__traceback__)[1:])
    try:
        # NaN is no JSON: what calls the function could not read it.
        return {"result": json.loads(json.dumps(result, allow_nan=False))}
    except (TypeError, ValueError) as error:
        return _failure("Runtime.MarshalError", f"Unable to marshal response: {error}", [])


def _say(line: str) -> None:
    """Write a line of the runtime after all that the function wrote, whatever it made of `sys.stdout`."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os.write(1, f"{line}\n".encode())


def main() -> None:
    """Run the invocations that come to the folder of the command line."""
    folder = Path(sys.argv[1])
    # This file's folder is no part of the function's path.
    sys.path.pop(0)
    handler = None
    with (
        (folder / "requests").open("rb", buffering=0) as requests,
        (folder / "answers").open("wb", buffering=0) as answers,
    ):
        while requests.read(1):
            invocation = json.loads((folder / "invocation.json").read_text(encoding="utf-8"))
            request_id = invocation["context"]["aws_request_id"]
            _say(f"START RequestId: {request_id} Version: $LATEST")
            answer: dict[str, Any] = {}
            if handler is None:
                handler, answer = load(invocation)
            if handler is not None:
                answer = run(handler, invocation)
            _say(f"END RequestId: {request_id}")
            (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
            answers.write(b"\n")


if __name__ == "__main__":
    main()

"""Run one invocation of a Python Lambda function, as the Lambda runtime does.

Run as a file, `python lambda_runtime.py INVOCATION ANSWER`: it reads the invocation (JSON with `handler`,
`path`, `event` and `context`) and writes the answer: `{"result": …}` or `{"error": {"errorMessage",
"errorType", "stackTrace"}}`. It needs only the standard library, as it runs with the function's own path.
"""

import importlib
import json
import sys
import time
import traceback
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


def run(invocation: dict[str, Any]) -> dict[str, Any]:
    """Import the handler, call it, and return the answer."""
    sys.path[:0] = invocation["path"]
    module_name, _, function_name = invocation["handler"].rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        return _failure("Runtime.ImportModuleError", message, [])
    except Exception as error:
        return _failure(type(error).__name__, str(error), traceback.format_tb(error.__traceback__)[1:])
    handler = getattr(module, function_name, None)
    if handler is None:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        return _failure("Runtime.HandlerNotFound", message, [])
    try:
        result = handler(invocation["event"], LambdaContext(**invocation["context"]))
    except Exception as error:
        # The first frame is this module's.
        return _failure(type(error).__name__, str(error), traceback.format_tb(error.__traceback__)[1:])
    try:
        return {"result": json.loads(json.dumps(result))}
    except (TypeError, ValueError) as error:
        return _failure("Runtime.MarshalError", f"Unable to marshal response: {error}", [])


def main() -> None:
    """Run the invocation of the command line."""
    invocation_file, answer_file = map(Path, sys.argv[1:3])
    # This file's folder is no part of the function's path.
    sys.path.pop(0)
    answer = run(json.loads(invocation_file.read_text(encoding="utf-8")))
    answer_file.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()

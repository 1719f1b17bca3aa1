import base64
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local


def archive(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as code:
        for name, text in files.items():
            code.writestr(name, text)
    return content.getvalue()


@pytest.fixture
def create(aws: LocalAws, name: str, create_role: Callable[..., str]) -> Callable[..., str]:
    def function(code: str, **options: Any) -> str:
        files = {"index.py": code, "pkg/helper.py": "WORD = 'from the package'"}
        aws.client("lambda").create_function(
            FunctionName=name,
            Role=create_role("lambda.amazonaws.com"),
            Code={"ZipFile": archive(files)},
            **({"Runtime": "python3.13", "Handler": "index.handler", "Timeout": 30} | options),
        )
        return name

    return function


@pytest.fixture
def invoke(aws: LocalAws, name: str) -> Callable[..., tuple[Any, str | None]]:
    def call(event: Any = None, **options: Any) -> tuple[Any, str | None]:
        answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **options)
        return json.loads(answer["Payload"].read() or "null"), answer.get("FunctionError")

    return call


def test_the_handler_gets_event_context_and_environment(
    create: Callable[..., str], invoke: Callable[..., Any], name: str, aws: LocalAws
) -> None:
    code = """
import os, boto3
from pkg.helper import WORD

def handler(event, context):
    return {
        "event": event,
        "word": WORD,
        "name": context.function_name,
        "arn": context.invoked_function_arn,
        "in_time": 0 < context.get_remaining_time_in_millis() <= 30000,
        "id": len(context.aws_request_id),
        "memory": [os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], context.memory_limit_in_mb],
        "own": os.environ["OWN"],
        "root": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "caller": boto3.client("sts").get_caller_identity()["Arn"],
    }
"""
    create(code, Environment={"Variables": {"OWN": "yes"}}, MemorySize=256)
    assert invoke({"a": [1, None]}) == (
        {
            "event": {"a": [1, None]},
            "word": "from the package",
            "name": name,
            "arn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
            "in_time": True,
            "id": 36,
            "memory": ["256", "256"],
            "own": "yes",
            "root": True,
            "caller": f"arn:aws:sts::123456789012:assumed-role/{name}-lambda/{name}",
        },
        None,
    )


def test_output_goes_to_logs_and_file(
    create: Callable[..., str],
    invoke: Callable[..., Any],
    aws: LocalAws,
    name: str,
    log_lines: Callable[[str], list[str]],
) -> None:
    create("import sys\ndef handler(e, c):\n    print('to stdout')\n    print('to stderr', file=sys.stderr)")
    assert invoke() == (None, None)
    lines = log_lines(f"/aws/lambda/{name}")
    assert [line.split()[0] for line in lines] == ["START", "to", "to", "END", "REPORT"]
    assert {"to stdout", "to stderr"} <= set(lines)
    assert "to stdout" in (aws.logs_directory / "lambda" / f"{name}.log").read_text()
    answer = aws.client("lambda").invoke(FunctionName=name, LogType="Tail")
    assert b"to stdout" in base64.b64decode(answer["LogResult"])


def test_fails_as_lambda_does_when_the_handler_raises(
    create: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    create("class OddError(Exception): pass\ndef handler(event, context):\n    raise OddError('too odd')")
    payload, error = invoke()
    assert error == "Unhandled"
    assert (payload["errorType"], payload["errorMessage"]) == ("OddError", "too odd")
    assert "in handler" in payload["stackTrace"][-1]


@pytest.mark.parametrize(
    ("code", "options", "error_type", "message"),
    [
        ("import absent_module", {}, "Runtime.ImportModuleError", "absent_module"),
        ("", {}, "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
        ("def handler(e, c): return {1, 2}", {}, "Runtime.MarshalError", "set is not JSON serializable"),
        ("import os\ndef handler(e, c): os._exit(3)", {}, "Runtime.ExitError", "exit status 3"),
        (
            "import time\ndef handler(e, c): time.sleep(60)",
            {"Timeout": 1},
            "Sandbox.Timedout",
            "Task timed out after 1.00 seconds",
        ),
    ],
)
def test_fails_as_lambda_does(
    create: Callable[..., str],
    invoke: Callable[..., Any],
    code: str,
    options: dict[str, Any],
    error_type: str,
    message: str,
) -> None:
    create(code, **options)
    payload, error = invoke()
    assert (error, payload["errorType"]) == ("Unhandled", error_type)
    assert message in payload["errorMessage"]


def test_new_code_runs_after_an_update(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    create("def handler(e, c): return 1")
    assert invoke() == (1, None)
    code = archive({"index.py": "def handler(e, c): return 2"})
    aws.client("lambda").update_function_code(FunctionName=name, ZipFile=code)
    assert invoke() == (2, None)


def test_an_event_invocation_runs_in_the_background(
    create: Callable[..., str],
    invoke: Callable[..., Any],
    name: str,
    log_lines: Callable[[str], list[str]],
    wait_for: Callable[..., Any],
    aws: LocalAws,
) -> None:
    create("def handler(event, context): print('saw', event)")
    assert invoke("it", InvocationType="Event") == (None, None)
    log = aws.logs_directory / "lambda" / f"{name}.log"
    wait_for(lambda: log.exists() and "saw it" in log.read_text())


def test_layers_are_on_the_path(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    content = {"ZipFile": archive({"python/layered.py": "NAME = 'layer'"})}
    layer = aws.client("lambda").publish_layer_version(LayerName=name, Content=content)
    create("import layered\ndef handler(e, c): return layered.NAME", Layers=[layer["LayerVersionArn"]])
    assert invoke() == ("layer", None)


def test_a_function_that_is_no_python_is_not_run(
    aws: LocalAws,
    create: Callable[..., str],
    invoke: Callable[..., Any],
    name: str,
    wait_for: Callable[..., Any],
) -> None:
    create("exports.handler = async () => 1", Runtime="nodejs22.x")
    assert invoke() == (None, None)
    wait_for(lambda: f"function {name} not run" in (aws.logs_directory / "server.log").read_text())

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from cdk_sagemaker_pytorch.local.base.container_view import why_no_container_view
from waiting import wait_for

pytestmark = pytest.mark.local


def archive(files: Mapping[Any, str]) -> bytes:
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
        ("def handler(e, c): return [float('nan')]", {}, "Runtime.MarshalError", "not JSON compliant"),
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


def test_what_lambda_refuses_changes_nothing(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    create("def handler(e, c): return 1")
    functions, reserved = aws.client("lambda"), {"Variables": {"AWS_REGION": "eu-west-1"}}
    with pytest.raises(ClientError, match="at 'timeout' failed"):
        functions.update_function_configuration(FunctionName=name, Timeout=901)
    with pytest.raises(ClientError, match="Reserved keys used in this request: AWS_REGION"):
        functions.update_function_configuration(FunctionName=name, Environment=reserved)
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        functions.update_function_code(FunctionName=name, ZipFile=b"none")
    assert invoke() == (1, None)


def test_an_event_invocation_runs_in_the_background(
    create: Callable[..., str],
    invoke: Callable[..., Any],
    name: str,
    log_lines: Callable[[str], list[str]],
    aws: LocalAws,
) -> None:
    create("def handler(event, context): print('saw', event)")
    assert invoke("it", InvocationType="Event") == (None, None)
    log = aws.logs_directory / "lambda" / f"{name}.log"
    wait_for(lambda: log.exists() and "saw it" in log.read_text())


COUNTING = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    if event == "exit":
        os._exit(1)
    if event == "raise":
        raise ValueError
    return [count, os.getpid(), context.log_stream_name, context.aws_request_id]
"""


@pytest.mark.parametrize(
    ("kind", "most", "message"),
    [
        ("RequestResponse", 6 * 1024 * 1024, "Request must be smaller than 6291456 bytes"),
        ("Event", 1024 * 1024, r"1048577 byte payload is too large .* \(limit 1048576 bytes\)"),
    ],
)
def test_a_request_has_at_most_what_lambda_takes(
    aws: LocalAws, create: Callable[..., str], name: str, kind: str, most: int, message: str
) -> None:
    create("def handler(event, context): return len(event)")
    call = {"FunctionName": name, "InvocationType": kind}
    answer = aws.client("lambda").invoke(**call, Payload=b'"' + b"x" * (most - 2) + b'"')
    assert answer["Payload"].read() == (b"" if kind == "Event" else str(most - 2).encode())
    with pytest.raises(ClientError, match=message) as failure:
        aws.client("lambda").invoke(**call, Payload=b'"' + b"x" * (most - 1) + b'"')
    assert failure.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_environment_stays_warm_until_it_ends_or_the_function_changes(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    create(COUNTING)
    (first, _), (second, _) = invoke(), invoke()
    assert (first[0], second[0]) == (1, 2)
    assert first[1:3] == second[1:3]  # one process, one log stream
    assert first[3] != second[3]
    assert invoke("raise")[1] == "Unhandled"
    assert invoke()[0][:2] == [4, first[1]]
    assert invoke("exit")[0]["errorType"] == "Runtime.ExitError"
    after_exit = invoke()[0]
    assert after_exit[0] == 1
    assert after_exit[1:3] != first[1:3]

    variables = {"Variables": {"OWN": "new"}}
    aws.client("lambda").update_function_configuration(FunctionName=name, Environment=variables)
    after_change = invoke()[0]
    assert after_change[0] == 1
    assert not psutil.pid_exists(after_exit[1])


def test_a_function_made_again_does_not_meet_the_environment_of_the_one_before(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    client = aws.client("lambda")
    create(COUNTING)
    invoke()
    function = client.get_function_configuration(FunctionName=name)
    client.delete_function(FunctionName=name)
    kept = {key: function[key] for key in ("FunctionName", "Role", "Runtime", "Handler", "Timeout")}
    client.create_function(**kept, Code={"ZipFile": archive({"index.py": COUNTING})})
    assert invoke()[0][0] == 1


def test_invocations_at_once_have_environments_of_their_own(
    create: Callable[..., str], invoke: Callable[..., Any], tmp_path: Path
) -> None:
    # Each waits until both are there.
    create(f"""
import os, pathlib, time
here = pathlib.Path({str(tmp_path)!r})
def handler(event, context):
    (here / str(os.getpid())).touch()
    while len(list(here.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid()
""")
    with ThreadPoolExecutor(2) as pool:
        pids = {pid for pid, _ in pool.map(lambda _: invoke(), range(2))}
    assert len(pids) == 2
    assert invoke()[0] in pids


def test_an_unfinished_line_is_a_line_of_its_invocation(
    aws: LocalAws, create: Callable[..., str], name: str
) -> None:
    create("def handler(e, c):\n    print('half', end='')")
    for _ in range(2):
        answer = aws.client("lambda").invoke(FunctionName=name, LogType="Tail")
        lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
        assert [line.split()[0] for line in lines] == ["START", "half", "END", "REPORT"]


def test_layers_are_on_the_path(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    content = {"ZipFile": archive({"python/layered.py": "NAME = 'layer'"})}
    layer = aws.client("lambda").publish_layer_version(LayerName=name, Content=content)
    create("import layered\ndef handler(e, c): return layered.NAME", Layers=[layer["LayerVersionArn"]])
    assert invoke() == ("layer", None)


@pytest.mark.skipif(why_no_container_view() is not None, reason=f"mounts: {why_no_container_view()}")
def test_layers_are_seen_as_opt_the_last_one_on_top(
    aws: LocalAws, create: Callable[..., str], invoke: Callable[..., Any], name: str
) -> None:
    program = zipfile.ZipInfo("bin/greet")
    program.external_attr = 0o755 << 16
    contents = [
        archive({"python/first.py": "", "text/a.txt": "first", "text/b.txt": "first"}),
        archive({"text/b.txt": "second"}),
        archive({program: "#!/var/lang/bin/python\nprint('hello')"}),
    ]
    layers = [
        aws.client("lambda").publish_layer_version(
            LayerName=f"{name}-{number}", Content={"ZipFile": content}
        )["LayerVersionArn"]
        for number, content in enumerate(contents)
    ]
    code = """
import pathlib, subprocess
def handler(event, context):
    import first
    texts = [pathlib.Path(f"/opt/text/{letter}.txt").read_text() for letter in "ab"]
    said = subprocess.run(["greet"], capture_output=True, text=True, check=True).stdout
    return [*texts, said, first.__file__]
"""
    create(code, Layers=layers)
    assert invoke() == (["first", "second", "hello\n", "/opt/python/first.py"], None)
    assert not Path("/opt/text").exists(), "this machine's folders stay as they are"


@pytest.fixture
def create_node(
    aws: LocalAws, name: str, create_role: Callable[..., str]
) -> Callable[[dict[str, str], str], None]:
    """Create a function for Node.js, which may list buckets."""

    def function(files: dict[str, str], handler: str = "index.handler") -> None:
        statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
        aws.client("lambda").create_function(
            FunctionName=name,
            Role=create_role("lambda.amazonaws.com", statement),
            Code={"ZipFile": archive(files)},
            Runtime="nodejs22.x",
            Handler=handler,
            Timeout=30,
        )

    return function


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        ({"index.js": "exports.handler = async (event) => [event, 1]"}, "index.handler"),
        ({"index.js": "exports.handler = (event) => [event, 1]"}, "index.handler"),
        ({"index.js": "exports.handler = (event, context, done) => done(null, [event, 1])"}, "index.handler"),
        ({"index.mjs": "export const handler = async (event) => [event, 1]"}, "index.handler"),
        (
            {
                "a/b.js": "export const run = async (event) => [event, 1]",
                "package.json": '{"type": "module"}',
            },
            "a/b.run",
        ),
    ],
)
def test_a_node_function_answers(
    create_node: Callable[..., None], invoke: Callable[..., Any], files: dict[str, str], handler: str
) -> None:
    create_node(files, handler)
    assert invoke({"a": "ü"}) == ([{"a": "ü"}, 1], None)


def test_a_node_function_gets_its_context_the_sdk_and_stays_warm(
    create_node: Callable[..., None], invoke: Callable[..., Any], name: str, bucket: str
) -> None:
    create_node(
        {
            "index.js": """
const { S3Client, ListBucketsCommand } = require("@aws-sdk/client-s3");
let count = 0;
exports.handler = async (event, context) => {
  const { Buckets } = await new S3Client().send(new ListBucketsCommand({}));
  const time = context.getRemainingTimeInMillis();
  return [++count, context.functionName, Buckets.map((b) => b.Name), 0 < time && time <= 30000];
};
"""
        }
    )
    for count in (1, 2):
        (counted, function, buckets, in_time), error = invoke()
        assert (counted, function, in_time, error) == (count, name, True, None)
        assert bucket in buckets


@pytest.mark.parametrize(
    ("code", "error_type", "message"),
    [
        ("require('./absent')", "Runtime.ImportModuleError", "./absent"),
        ("exports.other = 1", "Runtime.HandlerNotFound", "index.handler is undefined or not exported"),
        ("exports.handler = async () => { throw new RangeError('too odd') }", "RangeError", "too odd"),
        ("exports.handler = (e, c, done) => done(new RangeError('too odd'))", "RangeError", "too odd"),
        ("exports.handler = (e, c, d) => { setTimeout(() => { throw Error('late') }) }", "Error", "late"),
        ("exports.handler = () => process.exit(3)", "Runtime.ExitError", "exit status 3"),
        ("require('@aws-sdk/client-none')", "LocalAws.NotRun", "npm install --prefix"),
    ],
)
def test_a_node_function_fails_as_lambda_does(
    create_node: Callable[..., None], invoke: Callable[..., Any], code: str, error_type: str, message: str
) -> None:
    create_node({"index.js": code})
    payload, error = invoke()
    assert (error, payload["errorType"]) == ("Unhandled", error_type)
    assert message in payload["errorMessage"]


def test_a_function_of_another_runtime_is_not_run_and_says_so(
    aws: LocalAws,
    create: Callable[..., str],
    invoke: Callable[..., Any],
    name: str,
) -> None:
    create("class Index {}", Runtime="java21")
    payload, error = invoke()
    assert (error, payload["errorType"]) == ("Unhandled", "LocalAws.NotRun")
    assert "has no program for its runtime, java21" in payload["errorMessage"]
    wait_for(lambda: f"function {name} is not run" in (aws.logs_directory / "server.log").read_text())

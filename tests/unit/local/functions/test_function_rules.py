import base64
import io
import zipfile
from typing import Any

import pytest
from moto.awslambda.exceptions import LambdaClientError

from cdk_sagemaker_pytorch.local.functions.function_rules import check_function


def archive() -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as written:
        written.writestr("index.py", "")
    return base64.b64encode(content.getvalue()).decode()


def variables(**values: str) -> dict[str, Any]:
    return {"Environment": {"Variables": values}}


# In the JSON of the variables, `{"NAME":""}` takes eleven bytes.
LONGEST = 4096 - 11


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"MemorySize": 10_240, "Timeout": 900},
        {"Environment": None},
        variables(NAME="x" * LONGEST),
        variables(AWS_LAMBDA_EXEC_WRAPPER="/opt/wrapper"),
        {"Code": {"ZipFile": archive()}},
        {"Code": {"S3Bucket": "bucket", "S3Key": "key"}},
    ],
)
def test_a_function_can_be_made(spec: dict[str, Any]) -> None:
    check_function(spec)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"MemorySize": 10_241}, "'10241' at 'memorySize' .* less than or equal to 10240"),
        ({"Timeout": 901}, "'901' at 'timeout' .* less than or equal to 900"),
        (variables(AWS_REGION="x", TZ="UTC"), "Reserved keys used in this request: AWS_REGION"),
        (variables(NAME="x" * (LONGEST + 1)), "exceeded the 4KB limit"),
        ({"Code": {"ZipFile": base64.b64encode(b"none").decode()}}, "Could not unzip uploaded file"),
    ],
)
def test_fails_where_no_function_can_be_made(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(LambdaClientError, match=problem):
        check_function(spec)

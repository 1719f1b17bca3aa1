import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local.base.call_errors import passes


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, True),
        ("InternalFailure", 500, True),
        ("SlowDown", 503, True),
        ("ValidationException", 400, False),
    ],
)
def test_throttled_calls_and_faults_of_aws_pass(code: str, status: int, expected: bool) -> None:
    metadata = {"HTTPStatusCode": status}
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": metadata}, "Operation")  # type: ignore[typeddict-item]
    assert passes(error) is expected

"""What errors of API calls say."""

from botocore.exceptions import ClientError


def passes(error: ClientError) -> bool:
    """Tell whether a call that failed may well succeed the next time: throttled, or a fault of AWS."""
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or error.response["Error"]["Code"] == "ThrottlingException"

"""What attackers have: plain HTTP, and botocore's signers for requests that they change afterwards."""

import http.client
from collections.abc import Mapping

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cdk_sagemaker_pytorch.local import LocalAws


class Door:
    """Sends requests as no AWS SDK would."""

    def __init__(self, aws: LocalAws) -> None:
        self.port = int(aws.endpoint_url.rsplit(":", 1)[1])
        self.host = f"127.0.0.1:{self.port}"
        self.key_id = aws.environment["AWS_ACCESS_KEY_ID"]
        self.keys = Credentials(self.key_id, aws.environment["AWS_SECRET_ACCESS_KEY"])

    def signed(
        self,
        method: str,
        target: str,
        service: str = "s3",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        keys: Credentials | None = None,
        host: str | None = None,
    ) -> dict[str, str]:
        """Headers of a request, signed by whoever holds the keys: by default the user."""
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(keys or self.keys, service, "us-east-1")
        path = target if target.startswith("/") else "/"
        given = {"Host": self.host if host is None else host} | dict(headers or {})
        request = AWSRequest(method, f"http://{self.host}{path}", given, body)
        signer.add_auth(request)
        return {name: value for name, value in request.headers.items() if name != "Host"}

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        hosts: list[str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target.replace("{port}", str(self.port)), skip_host=True)
            for host in [self.host] if hosts is None else hosts:
                connection.putheader("Host", host)
            for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.msg, response.read()
        finally:
            connection.close()

    def send_signed(
        self, method: str, target: str, service: str = "s3", *, body: bytes = b"", **more: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request that is signed as the user for what is sent."""
        target = target.replace("{port}", str(self.port))
        return self.send(method, target, self.signed(method, target, service, body=body, **more), body=body)


@pytest.fixture
def door(aws: LocalAws) -> Door:
    return Door(aws)


@pytest.fixture
def knock() -> type[Door]:
    """Make a door of another local AWS."""
    return Door

"""The flat keywords of a deployment, and its sample request."""

import base64
from dataclasses import dataclass
from typing import Any, Self

from aws_cdk import Duration, RemovalPolicy, Token
from aws_cdk import aws_s3 as s3

from cdk_sagemaker_pytorch.common.json_values import encode_json, plain_json
from cdk_sagemaker_pytorch.common.limits import shown
from cdk_sagemaker_pytorch.common.option_kinds import (
    BUCKET,
    Flag,
    ListOf,
    OfType,
    Resource,
    Seconds,
    Text,
    Whole,
)
from cdk_sagemaker_pytorch.common.options import Options, option
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.packaging.settings import PackagerKind

__all__ = ["DeploymentOptions", "SampleRequest"]

_JSON = "application/json"
# An input of Step Functions holds 256 KiB, with everything else that the function is told.
_MOST_BYTES = 100_000
# A deployment that waits for its turn adds about ten events a minute to a history, which holds 25,000.
_LONGEST_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class DeploymentOptions(Options):
    """Flat keywords of a deployment, see `PyTorchDeployment`."""

    model_data_bucket: s3.IBucket | None = option(Resource(attribute="bucket_arn", wanted=BUCKET))
    artifacts_bucket: s3.IBucket | None = option(Resource(attribute="bucket_arn", wanted=BUCKET))
    compressed: bool = option(Flag(), True)
    retain_versions: int = option(Whole(least=0), 1)
    timeout: Duration = option(Seconds(least=60, most=_LONGEST_SECONDS), Duration.hours(6))
    adopt: bool = option(Flag(), False)
    removal_policy: RemovalPolicy = option(
        OfType(type=RemovalPolicy, wanted="a RemovalPolicy such as RemovalPolicy.RETAIN"),
        RemovalPolicy.DESTROY,
    )
    packager: ModelPackager | str | None = option(PackagerKind())


@dataclass(frozen=True, kw_only=True)
class SampleRequest(Options):
    """A request that every version must answer before it counts as verified.

    Attributes
    ----------
    body : Any
        The body: a JSON value, or, for another `content_type`, text or bytes. Up to 100 KB.
    content_type : str
        Defaults to ``application/json``.
    accept : str
        Content type of the answer. Defaults to ``application/json``.
    expected_shape : sequence of int, optional
        Lengths of the answer's nested lists, for example ``(1, 10)``; the answer must be JSON. Defaults to
        any.
    expected : Any, optional
        The answer, a JSON value; numbers may differ by a thousandth. Defaults to any.
    """

    body: Any
    content_type: str = option(Text(), _JSON)
    accept: str = option(Text(), _JSON)
    expected_shape: tuple[int, ...] | list[int] | None = option(
        ListOf(item=Whole(least=0), wanted="whole numbers")
    )
    expected: Any = None

    @classmethod
    def of(cls, value: Any, problems: Problems, name: str) -> Self:
        """Turn what was given into a sample request: any JSON value is the body of one."""
        group = value if isinstance(value, cls) else cls(body=value)
        group.check(problems, name)
        return group

    def check(self, problems: Problems, name: str) -> None:
        """Note what cannot be sent, or compared."""
        super().check(problems, name)
        try:
            body = self._encoded()
        except ValueError as error:
            problems.add(f"{name} {error}")
        else:
            problems.check(
                len(body) <= _MOST_BYTES, f"{name} must be at most {_MOST_BYTES} bytes, got {len(body)}"
            )
        try:
            plain_json(self.expected)
        except ValueError as error:
            problems.add(f"{name}.expected {error}")
        problems.check(
            (self.expected is None and self.expected_shape is None) or self.accept == _JSON,
            f"{name}.expected and {name}.expected_shape need accept {_JSON}, got {self.accept}",
        )

    def event(self) -> dict[str, Any]:
        """Write it as the function takes it; see ``lambda_assets/endpoint_deployer/sample.py``."""
        event: dict[str, Any] = {
            "body": base64.b64encode(self._encoded()).decode(),
            "content_type": self.content_type,
            "accept": self.accept,
        }
        if self.expected_shape is not None:
            event["expected_shape"] = [int(each) for each in self.expected_shape]
        if self.expected is not None:
            event["expected"] = plain_json(self.expected)
        return event

    def _encoded(self) -> bytes:
        body = self.body
        if isinstance(body, bytes):
            return body
        if self.content_type != _JSON:
            if not isinstance(body, str):
                raise ValueError(f"must be text or bytes for {self.content_type}, got {shown(body)}")
            text = body
        else:
            text = encode_json(plain_json(body))
        if Token.is_unresolved(text):
            raise ValueError("must be known when the app is synthesized, got a token")
        return text.encode()

"""What children of the local AWS inherit of this machine, and of what a user gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.local.base.processes import (
    direct_to_loopback,
    host_environment,
    without_leads_elsewhere,
)

OWN = "127.0.0.1,localhost"


@pytest.mark.parametrize(
    ("given_hosts", "expected"),
    [
        ({}, OWN),
        ({"NO_PROXY": ""}, OWN),
        ({"NO_PROXY": "a.example, .b.example"}, f"{OWN},a.example,.b.example"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example,a.example"}, f"{OWN},b.example,a.example"),
        ({"no_proxy": "localhost"}, OWN),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_no_proxy_is_asked_for_loopback(given_hosts: dict[str, str], expected: str) -> None:
    result = direct_to_loopback(given_hosts | {"HTTP_PROXY": "http://proxy"})
    assert result == {"HTTP_PROXY": "http://proxy", "NO_PROXY": expected, "no_proxy": expected}
    assert direct_to_loopback(result) == result


def test_what_leads_elsewhere_is_dropped_and_all_else_stays() -> None:
    stays = {"MODEL": "1", "AWS_LAMBDA_EXEC_WRAPPER": "x", "AWS_XRAY_CONTEXT_MISSING": "y", "AWS_REGION": "z"}
    goes = [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_SESSION_TOKEN",
    ]
    assert without_leads_elsewhere(stays | dict.fromkeys(goes, "x")) == stays


@given(st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), min_size=1, max_size=30))
def test_no_variable_of_an_sdk_is_inherited(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"AWS_{name}", "of this machine")
        assert "of this machine" not in host_environment().values()

"""The function's modules, and fakes or moto in place of what they talk to."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from .fakes import Setting

CODE = Path(__file__).parents[4] / "lambda_assets" / "endpoint_deployer"
MODULES = sorted(path.stem for path in CODE.glob("*.py"))


@pytest.fixture(scope="session")
def code() -> SimpleNamespace:
    """The function's modules, whatever other function's modules have the same names."""
    before = {name: sys.modules.pop(name, None) for name in MODULES}
    sys.path.insert(0, str(CODE))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path.remove(str(CODE))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto in place of AWS."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def setting(code: SimpleNamespace) -> Setting:
    """An endpoint that nobody has claimed."""
    return Setting(code)


@pytest.fixture
def claimed(setting: Setting) -> Setting:
    """An endpoint that the stack has claimed, and that does not exist yet."""
    setting.ownership.claim(setting.claim())
    return setting


@pytest.fixture
def ledger_table(aws: None) -> Any:
    """A table as the construct makes it."""
    client = boto3.client("dynamodb")
    client.create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "endpoint", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "endpoint", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client

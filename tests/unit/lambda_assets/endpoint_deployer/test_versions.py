"""What belongs to a version, made and removed."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from .fakes import Setting, api_error, lost_answer, version

NEW = version(2)
OPERATIONS = [("create_model", "CreateModel"), ("create_endpoint_config", "CreateEndpointConfig")]


@pytest.fixture
def versions(setting: Setting) -> Any:
    return setting.deployer._versions


def test_a_version_is_a_model_and_a_configuration_of_its_name(setting: Setting, versions: Any) -> None:
    versions.create(NEW, setting.requests)
    assert setting.sagemaker.models[NEW] == {"ExecutionRoleArn": "arn:role", "ModelName": NEW}
    assert setting.sagemaker.configs[NEW] == {"ProductionVariants": [], "EndpointConfigName": NEW}


def test_creating_it_again_changes_nothing(setting: Setting, versions: Any) -> None:
    versions.create(NEW, setting.requests)
    versions.create(NEW, setting.requests)
    assert setting.sagemaker.versions == {NEW}


@pytest.mark.parametrize(("call", "operation"), OPERATIONS)
def test_an_answer_that_was_lost_is_read_back(
    setting: Setting, versions: Any, call: str, operation: str
) -> None:
    setting.sagemaker.fail(call, lost_answer(), took_effect=True)
    versions.create(NEW, setting.requests)
    assert setting.sagemaker.versions == {NEW}


@pytest.mark.parametrize(("call", "operation"), OPERATIONS)
@pytest.mark.parametrize("error", [api_error("ValidationException", "no such image"), lost_answer()])
def test_fails_when_a_part_could_not_be_created(
    setting: Setting, versions: Any, call: str, operation: str, error: Exception
) -> None:
    setting.sagemaker.fail(call, error)
    with pytest.raises(setting.code.versions.VersionNotCreatedError) as raised:
        versions.create(NEW, setting.requests)
    assert str(raised.value) == f"{operation} of {NEW}: {error}"


def test_removing_a_version_removes_its_parts_and_marks_its_artifacts(
    setting: Setting, versions: Any
) -> None:
    setting.sagemaker.have(version(1), NEW)
    versions.remove(NEW)
    assert setting.sagemaker.versions == {version(1)}
    assert setting.superseded == [NEW]


def test_removing_what_is_gone_is_no_error(setting: Setting, versions: Any) -> None:
    setting.sagemaker.models[NEW] = {}
    versions.remove(NEW)
    versions.remove(NEW)
    assert setting.sagemaker.versions == set()


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        "digits-mine",
        "digits-eu-20260101000001-0123abcd",
        "xdigits-20260101000001-0123abcd",
        "digits-20260101000001-0123abcd-2",
        "digits-20260101000001-0123ABCD",
        "digits-2026010100001-0123abcd",
    ],
)
def test_names_of_others_are_never_touched(setting: Setting, versions: Any, name: str) -> None:
    setting.sagemaker.have(name)
    versions.remove(name)
    assert setting.sagemaker.versions == {name}
    assert setting.superseded == []


def test_a_prefix_is_no_pattern(setting: Setting) -> None:
    versions = setting.code.versions.Versions(setting.sagemaker, None, "d.g")
    assert versions.is_ours("d.g-20260101000001-0123abcd")
    assert not versions.is_ours("dig-20260101000001-0123abcd")


def test_fails_when_a_part_cannot_be_removed(setting: Setting, versions: Any) -> None:
    setting.sagemaker.have(NEW)
    setting.sagemaker.fail("delete_model", api_error("AccessDeniedException"))
    with pytest.raises(ClientError, match="AccessDenied"):
        versions.remove(NEW)


@pytest.mark.parametrize(
    ("status", "then"), [("InProgress", "Stopping"), ("Completed", "Completed"), ("Stopping", "Stopping")]
)
def test_a_packaging_job_that_runs_is_stopped(
    setting: Setting, versions: Any, status: str, then: str
) -> None:
    setting.sagemaker.jobs[NEW] = status
    versions.stop_packaging(NEW)
    assert setting.sagemaker.jobs == {NEW: then}


def test_a_version_may_have_no_packaging_job(setting: Setting, versions: Any) -> None:
    versions.stop_packaging(NEW)
    assert setting.sagemaker.called("stop_processing_job") == []

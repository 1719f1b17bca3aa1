import importlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.sagemaker.models import sagemaker_backends

PREFIX = "stack-pipeline-ab12"
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/Stack/1234"
OLD, MIDDLE, NEW = (f"{PREFIX}-202601010000{n:02}-0123abcd" for n in (1, 2, 3))


class Context:
    remaining = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("ARTIFACTS", "s3://artifacts/models/")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="artifacts")
        yield boto3.client("sagemaker")


def store_artifact(key: str, **tags: str) -> None:
    tagging = "&".join(f"{name}={value}" for name, value in tags.items())
    boto3.client("s3").put_object(Bucket="artifacts", Key=key, Body=b"model", Tagging=tagging)


def tags_of(key: str) -> dict[str, str]:
    found = boto3.client("s3").get_object_tagging(Bucket="artifacts", Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


@pytest.fixture
def handle(sagemaker: Any) -> Callable[..., dict[str, Any]]:
    index = importlib.import_module("index")

    def call(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = index.handler(event, context or Context())
        return answer

    return call


def artifacts() -> Any:
    return importlib.import_module("artifacts").Artifacts(boto3.client("s3"), "s3://artifacts/models/")


def make_version(sagemaker: Any, name: str) -> None:
    sagemaker.create_model(ModelName=name, ExecutionRoleArn="arn:aws:iam::123456789012:role/any")
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )


def make_endpoint(sagemaker: Any, version: str, owner: str | None = STACK) -> None:
    tags = [] if owner is None else [{"Key": "cdk-sagemaker-pytorch:owner", "Value": owner}]
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=version, Tags=tags)


def tags_of_endpoint(sagemaker: Any) -> list[dict[str, str]]:
    arn = sagemaker.describe_endpoint(EndpointName="e")["EndpointArn"]
    tags: list[dict[str, str]] = sagemaker.list_tags(ResourceArn=arn)["Tags"]
    return tags


def versions(sagemaker: Any) -> set[str]:
    configs = {c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]}
    models = {m["ModelName"] for m in sagemaker.list_models()["Models"]}
    assert configs == models
    return configs


def endpoints(sagemaker: Any) -> list[str]:
    return [endpoint["EndpointName"] for endpoint in sagemaker.list_endpoints()["Endpoints"]]


def prune(retain: int) -> dict[str, Any]:
    return {"action": "prune", "endpoint_name": "e", "name_prefix": PREFIX, "retain": retain}


def test_prune_keeps_the_serving_version_and_the_newest_superseded(
    sagemaker: Any, handle: Callable[..., Any]
) -> None:
    for name in (OLD, MIDDLE, NEW):
        make_version(sagemaker, name)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=NEW)
    assert handle(prune(retain=1)) == {"removed": [OLD]}
    assert versions(sagemaker) == {MIDDLE, NEW}
    assert handle(prune(retain=0)) == {"removed": [MIDDLE]}
    assert versions(sagemaker) == {NEW}


def test_prune_leaves_what_another_execution_is_deploying(sagemaker: Any, handle: Callable[..., Any]) -> None:
    for name in (OLD, NEW):
        make_version(sagemaker, name)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=OLD)
    assert handle(prune(retain=0)) == {"removed": []}
    assert versions(sagemaker) == {OLD, NEW}


def test_prune_leaves_everything_where_there_is_no_endpoint(
    sagemaker: Any, handle: Callable[..., Any]
) -> None:
    make_version(sagemaker, OLD)
    assert handle(prune(retain=0)) == {"removed": []}


def test_names_of_others_are_never_touched(sagemaker: Any, handle: Callable[..., Any]) -> None:
    others = {f"{PREFIX}-eu-20260101000001-0123abcd", f"{PREFIX}-mine", f"x{OLD}"}
    for name in (*others, OLD, NEW):
        make_version(sagemaker, name)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=NEW)
    handle(prune(retain=0))
    assert versions(sagemaker) == {*others, NEW}


def test_a_version_that_could_not_be_deployed_goes(sagemaker: Any, handle: Callable[..., Any]) -> None:
    for name in (OLD, NEW):
        make_version(sagemaker, name)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=OLD)
    event = {"action": "remove_version", "endpoint_name": "e", "version": NEW}
    assert handle(event) == {"removed": [NEW]}
    assert versions(sagemaker) == {OLD}
    assert handle(event) == {"removed": [NEW]}  # a repetition changes nothing


def test_a_version_that_serves_stays(sagemaker: Any, handle: Callable[..., Any]) -> None:
    make_version(sagemaker, OLD)
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=OLD)
    event = {"action": "remove_version", "endpoint_name": "e", "version": OLD}
    assert handle(event) == {"removed": []}
    assert endpoints(sagemaker) == ["e"]


def test_fails_when_the_action_is_unknown(handle: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="action must be remove_version or prune, got destroy"):
        handle({"action": "destroy"})


def test_fails_when_sagemaker_refuses(sagemaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cleanup = importlib.import_module("cleanup")

    class Refusing:
        def describe_endpoint(self, **_: Any) -> None:
            error = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(error, "DescribeEndpoint")  # type: ignore[arg-type]

    with pytest.raises(ClientError, match="AccessDenied"):
        cleanup.EndpointCleanup(Refusing(), artifacts(), lambda: 900).remove_version("e", OLD)


def test_fails_when_the_endpoint_stays_busy(sagemaker: Any, handle: Callable[..., Any]) -> None:
    make_version(sagemaker, OLD)
    make_endpoint(sagemaker, OLD)
    sagemaker_backends["123456789012"]["us-east-1"].endpoints["e"].endpoint_status = "Updating"
    cleanup = importlib.import_module("cleanup")
    with pytest.raises(cleanup.EndpointBusyError, match="still Updating: wait until"):
        cleanup.EndpointCleanup(sagemaker, artifacts(), lambda: 5).remove_everything("e", PREFIX, STACK)


@pytest.fixture
def response_url() -> Iterator[tuple[str, list[Any]]]:
    """Where CloudFormation waits for the answer, and what it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def stack_event(request_type: str, url: str, **extra: Any) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResponseURL": url,
        "StackId": STACK,
        "RequestId": "request",
        "LogicalResourceId": "Claim",
        "ResourceProperties": {"EndpointName": "e", "NamePrefix": PREFIX, "RemovalPolicy": "Delete"},
        **extra,
    }


def test_creation_and_update_of_the_stack_change_nothing(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any
) -> None:
    url, got = response_url
    make_version(sagemaker, OLD)
    for request_type in ("Create", "Update"):
        handle(stack_event(request_type, url))
    assert versions(sagemaker) == {OLD}
    assert [answer["Status"] for _, answer in got] == ["SUCCESS", "SUCCESS"]
    assert {answer["PhysicalResourceId"] for _, answer in got} == {"e"}
    assert {content_type for content_type, _ in got} == {""}


def test_deletion_of_the_stack_removes_everything(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any
) -> None:
    url, got = response_url
    for name in (OLD, NEW):
        make_version(sagemaker, name)
    make_endpoint(sagemaker, NEW)
    handle(stack_event("Delete", url, PhysicalResourceId="e"))
    assert got[0][1]["Status"] == "SUCCESS"
    assert endpoints(sagemaker) == []
    assert versions(sagemaker) == set()


def test_deletion_of_the_stack_removes_versions_without_an_endpoint(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any
) -> None:
    make_version(sagemaker, OLD)
    handle(stack_event("Delete", response_url[0], PhysicalResourceId="e"))
    assert versions(sagemaker) == set()


@pytest.mark.parametrize("owner", [None, "arn:aws:cloudformation:us-east-1:123456789012:stack/Other/5678"])
def test_deletion_of_the_stack_leaves_what_is_not_its_own(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any, owner: str | None
) -> None:
    """So a deployment that added an endpoint of that name and was rolled back takes nothing along."""
    url, got = response_url
    make_version(sagemaker, NEW)
    make_endpoint(sagemaker, NEW, owner)
    handle(stack_event("Delete", url, PhysicalResourceId="e"))
    assert got[0][1]["Status"] == "SUCCESS"
    assert endpoints(sagemaker) == ["e"]
    assert versions(sagemaker) == {NEW}


def test_a_retained_endpoint_belongs_to_no_stack_any_more(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any
) -> None:
    make_version(sagemaker, NEW)
    make_endpoint(sagemaker, NEW)
    event = stack_event("Delete", response_url[0], PhysicalResourceId="e")
    event["ResourceProperties"]["RemovalPolicy"] = "Retain"
    handle(event)
    assert endpoints(sagemaker) == ["e"]
    assert versions(sagemaker) == {NEW}
    assert tags_of_endpoint(sagemaker) == []


def test_an_endpoint_of_another_stack_is_refused_and_stays(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any
) -> None:
    url, got = response_url
    make_version(sagemaker, NEW)
    make_endpoint(sagemaker, NEW, "arn:aws:cloudformation:us-east-1:123456789012:stack/Other/5678")
    handle(stack_event("Create", url))
    answer = got[0][1]
    assert answer["Status"] == "FAILED"
    assert "endpoint e belongs to the stack arn:aws:cloudformation" in answer["Reason"]
    # CloudFormation deletes what it could not create.
    handle(stack_event("Delete", url, PhysicalResourceId=answer["PhysicalResourceId"]))
    assert endpoints(sagemaker) == ["e"]


@pytest.mark.parametrize("owner", [None, STACK])
def test_an_endpoint_without_a_stack_or_of_this_one_is_accepted(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any, owner: str | None
) -> None:
    url, got = response_url
    make_version(sagemaker, NEW)
    make_endpoint(sagemaker, NEW, owner)
    handle(stack_event("Create", url))
    assert got[0][1]["Status"] == "SUCCESS"


def test_cloudformation_hears_of_a_failure(
    sagemaker: Any, handle: Callable[..., Any], response_url: Any
) -> None:
    url, got = response_url
    event = stack_event("Delete", url, PhysicalResourceId="e/p")
    event["ResourceProperties"] = {}
    handle(event)
    ((_, answer),) = got
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "KeyError: 'EndpointName'"
    assert answer["PhysicalResourceId"] == "e/p"


def test_artifacts_of_removed_versions_are_marked_and_no_others(
    handle: Callable[..., dict[str, Any]], sagemaker: Any
) -> None:
    for version in (OLD, NEW):
        make_version(sagemaker, version)
        store_artifact(f"models/{version}/model.tar.gz", team="vision")
    store_artifact(f"models/{OLD}/code/inference.py")
    store_artifact(f"models/{OLD}-other/model.tar.gz")
    handle({"action": "remove_version", "endpoint_name": "e", "version": OLD})
    marked = {"cdk-sagemaker-pytorch:superseded": "true"}
    assert tags_of(f"models/{OLD}/model.tar.gz") == {"team": "vision"} | marked
    assert tags_of(f"models/{OLD}/code/inference.py") == marked
    assert tags_of(f"models/{NEW}/model.tar.gz") == {"team": "vision"}
    assert tags_of(f"models/{OLD}-other/model.tar.gz") == {}


def test_an_artifact_with_all_the_tags_it_can_have_stays_as_it_is(
    handle: Callable[..., dict[str, Any]], sagemaker: Any
) -> None:
    store_artifact(f"models/{OLD}/model.tar.gz", **{f"tag{number}": "x" for number in range(10)})
    handle({"action": "remove_version", "endpoint_name": "e", "version": OLD})
    assert len(tags_of(f"models/{OLD}/model.tar.gz")) == 10


def test_a_version_is_removed_although_its_artifacts_cannot_be_marked(
    handle: Callable[..., dict[str, Any]],
    sagemaker: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_version(sagemaker, OLD)
    monkeypatch.setenv("ARTIFACTS", "s3://deleted-bucket/models/")
    assert handle({"action": "remove_version", "endpoint_name": "e", "version": OLD}) == {"removed": [OLD]}
    assert sagemaker.list_models()["Models"] == []
    assert f"the artifacts of {OLD} are not marked as superseded" in capsys.readouterr().out

"""Every request that the templates can send, against botocore's model of the API: limits and patterns too."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from cdk_sagemaker_pytorch.local.step_functions import jsonata

SNAPSHOTS = sorted((Path(__file__).parent / "__snapshots__" / "test_templates").glob("*.json"))

# What the deployment fills in, by the type of the resource and what is asked of it.
ATTRIBUTES = {
    ("AWS::IAM::Role", "Arn"): "arn:aws:iam::123456789012:role/Role",
    ("AWS::KMS::Key", "Arn"): "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ("AWS::S3::Bucket", "Ref"): "stack-bucket-1",
    ("AWS::EC2::SecurityGroup", "GroupId"): "sg-0123456789abcdef0",
    ("AWS::EC2::Subnet", "Ref"): "subnet-0123456789abcdef0",
    (
        "AWS::StepFunctions::StateMachine",
        "Ref",
    ): "arn:aws:states:us-east-1:123456789012:stateMachine:Machine",
    ("AWS::Lambda::Function", "Arn"): "arn:aws:lambda:us-east-1:123456789012:function:Function",
    ("AWS::SageMaker::Model", "ModelName"): "Model-1",
    ("AWS::SageMaker::EndpointConfig", "EndpointConfigName"): "Config-1",
    ("Custom::PackagedModel", "ModelDataUrl"): "s3://stack-bucket-1/models/model.tar.gz",
    ("Custom::PackagedModel", "SubmitDirectory"): "/opt/ml/model/code",
}
PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/Stack/1",
    "AWS::URLSuffix": "amazonaws.com",
}
TOKEN = re.compile(
    r"""\{"Ref":\ "(?P<ref>[^"]+)"\}
    | \{"Fn::GetAtt":\ \["(?P<resource>[^"]+)",\ "(?P<attribute>[^"]+)"\]\}
    | \{"Fn::FindInMap":\ \[.*?"account"\]\}
    | \{"Fn::Sub":\ "(?P<sub>[^"]+)"\}""",
    re.VERBOSE,
)

JOB_NAME = "stack-training-0531f6c1-20261122164507-0123abcd"
VERSION = "stack-pipeline-0531f6c1-20261122164507-0123abcd"
EXECUTION = {
    "Id": "arn:aws:states:us-east-1:123456789012:execution:Machine:first",
    "Name": "n" * 80,  # the longest
    "StartTime": "2026-11-22T16:45:07.123Z",
    "RedriveCount": 0,
}
STATES = {
    "input": {
        "hyperparameters": {"epochs": 9, "names": ["a", {"b": None}]},
        "inputs": {"train": "s3://my-bucket/other/", "added": "s3://my-bucket/added"},
        "training_job_name": JOB_NAME,
        "resume_from": JOB_NAME,
    },
    "context": {"Execution": EXECUTION, "State": {"EnteredTime": "2026-11-22T16:45:08.000Z"}},
}
MODEL_DATA = "s3://stack-bucket-1/training/job/output/model.tar.gz"
VARIABLES = {
    "training": {"model_data": MODEL_DATA},
    "model_data": MODEL_DATA,
    "training_job_name": None,
    "order": "2026-11-22T16:45:07.123Z first",
    "rolls_back": False,
    "packaged": {
        "model_data_url": "s3://stack-bucket-1/models/v/model.tar.gz",
        "submit_directory": "/opt/ml/model/code",
    },
    "version": VERSION,
    "checkpoints_uri": "s3://stack-bucket-1/checkpoints/20261122164508-0f1e2d3c/",
    "resumed": {"status": "Failed", "uri": "s3://stack-bucket-1/checkpoints/20261122164507-0f1e2d3c/"},
}
INTEGRATION = re.compile(r":::(?:aws-sdk:)?(?P<service>\w+):(?P<action>\w+)(?:\.sync(?::2)?)?")
# Names of services that botocore calls otherwise.
SERVICES = {"states": "stepfunctions"}

JAVA_PATTERNS = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{ASCII}": r"[\x00-\x7f]"}

Request = tuple[str, str, dict[str, Any]]
Problem = tuple[str, str]


def filled_in(part: Any, template: dict[str, Any]) -> Any:
    """Fill in what a deployment does, and evaluate what an execution does."""
    if isinstance(part, list):
        return [filled_in(item, template) for item in part]
    if isinstance(part, dict):
        (key, *more) = part or {"": ""}
        if not more and (key == "Ref" or key.startswith("Fn::")):
            return _text(part, template)
        return {name: filled_in(item, template) for name, item in part.items()}
    if not isinstance(part, str):
        return part
    text = TOKEN.sub(lambda found: _token(found, template), part)
    if text.startswith("{%") and text.endswith("%}"):
        return jsonata.evaluate(text[2:-2], {"states": STATES, **VARIABLES})
    return text


def _text(intrinsic: dict[str, Any], template: dict[str, Any]) -> Any:
    ((function, argument),) = intrinsic.items()
    if function == "Fn::Join":
        separator, parts = argument
        return separator.join(filled_in(part, template) for part in parts)
    return TOKEN.sub(lambda found: _token(found, template), json.dumps(intrinsic))


def _token(found: re.Match[str], template: dict[str, Any]) -> str:
    if found["sub"]:
        return re.sub(r"\$\{([^}]+)\}", lambda name: PSEUDO_PARAMETERS[name[1]], found["sub"])
    if found["ref"] in PSEUDO_PARAMETERS:
        return PSEUDO_PARAMETERS[found["ref"]]
    logical_id, attribute = (found["ref"], "Ref") if found["ref"] else (found["resource"], found["attribute"])
    if logical_id is None:
        return "763104351884"
    return ATTRIBUTES[template["Resources"][logical_id]["Type"], attribute]


def requests_of(template: dict[str, Any]) -> Iterator[Request]:
    """Find the requests of a template: service, operation and parameters."""
    for resource in template["Resources"].values():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::StepFunctions::StateMachine":
            for state in properties["DefinitionString"]["States"].values():
                if state["Type"] == "Task":
                    yield from _task_requests(state["Resource"], filled_in(state["Arguments"], template))
        if kind.startswith("AWS::SageMaker::"):
            name = kind.rpartition("::")[2]
            properties = filled_in(properties, template)
            # CloudFormation makes the name where none is given.
            yield "sagemaker", f"Create{name}", {f"{name}Name": "Name-1", **properties}


def _task_requests(resource: str, arguments: dict[str, Any]) -> Iterator[Request]:
    """Find what a task sends, and what the function that it calls sends in turn."""
    found = INTEGRATION.fullmatch(resource[resource.index(":::") :])
    assert found is not None, resource
    service, action = found["service"], found["action"]
    operation = action[0].upper() + action[1:]
    if service == "lambda":
        arguments = {**arguments, "Payload": json.dumps(arguments["Payload"]).encode()}
        # The function adds the names of a version.
        for name, request in json.loads(arguments["Payload"]).get("requests", {}).items():
            yield "sagemaker", name, {**request, f"{name.removeprefix('Create')}Name": VERSION}
    if service == "states":  # Step Functions writes its own members otherwise, and the input as an object
        arguments = {name[0].lower() + name[1:]: value for name, value in arguments.items()}
        arguments["input"] = json.dumps(arguments["input"])
    yield service, operation, arguments


def problems_of(shape: Shape, value: Any, path: str = "") -> Iterator[Problem]:
    """Say what the API refuses of a value."""
    limits = shape.metadata
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            yield path, f"a structure, got {value!r}"
            return
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name}", "required"
        for name, item in value.items():
            if name not in shape.members:
                yield f"{path}.{name}", "unknown"
            else:
                yield from problems_of(shape.members[name], item, f"{path}.{name}")
        return
    if isinstance(shape, ListShape | MapShape):
        if not isinstance(value, list if isinstance(shape, ListShape) else dict):
            yield path, f"{shape.type_name}, got {value!r}"
            return
        yield from _bounds(path, len(value), limits)
        if isinstance(shape, ListShape):
            for number, item in enumerate(value):
                yield from problems_of(shape.member, item, f"{path}[{number}]")
        else:
            for key, item in value.items():
                yield from problems_of(shape.key, key, f"{path} key {key}")
                yield from problems_of(shape.value, item, f"{path}[{key}]")
        return
    if isinstance(shape, StringShape):
        if not isinstance(value, str):
            yield path, f"text, got {value!r}"
            return
        yield from _bounds(path, len(value), limits)
        if limits.get("enum") and value not in limits["enum"]:
            yield path, f"one of the API's values, got {value}"
        pattern = limits.get("pattern", "(?s).*")
        for java, python in JAVA_PATTERNS.items():
            pattern = pattern.replace(java, python)
        if re.fullmatch(pattern, value) is None:
            yield path, f"text like {limits['pattern']}, got {value}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield path, f"a number, got {value!r}"
        else:
            yield from _bounds(path, value, limits)
    elif shape.type_name == "boolean" and not isinstance(value, bool):
        yield path, f"true or false, got {value!r}"


def _bounds(path: str, size: float, limits: dict[str, Any]) -> Iterator[Problem]:
    if size < limits.get("min", size) or size > limits.get("max", size):
        yield path, f"from {limits.get('min')} to {limits.get('max')}, got {size}"


def input_shape(service: str, operation: str) -> Shape:
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    shape = model.operation_model(operation).input_shape
    assert shape is not None
    return shape


def _read(path: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(path.read_text())
    return template


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_the_api_takes_every_request(path: Path) -> None:
    for service, operation, parameters in requests_of(_read(path)):
        found = list(problems_of(input_shape(service, operation), parameters))
        # The service has dropped Elastic Inference from its model, not from its past.
        found = [problem for problem in found if not problem[0].endswith(".AcceleratorType")]
        assert (operation, found) == (operation, [])


def test_every_operation_is_among_the_requests() -> None:
    operations = {operation for path in SNAPSHOTS for _, operation, _ in requests_of(_read(path))}
    assert operations == {
        "CreateEndpoint",
        "CreateEndpointConfig",
        "CreateModel",
        "CreateProcessingJob",
        "CreateTrainingJob",
        "DescribeTrainingJob",
        "HeadObject",
        "Invoke",
        "StartExecution",
    }


@pytest.mark.parametrize(
    "path", [path for path in SNAPSHOTS if "deployment" in path.stem], ids=lambda path: path.stem
)
def test_the_requests_of_a_version_are_among_them(path: Path) -> None:
    found = {operation: parameters for _, operation, parameters in requests_of(_read(path))}
    assert found["CreateModel"]["ModelName"] == VERSION
    assert found["CreateEndpointConfig"]["EndpointConfigName"] == VERSION
    assert found["CreateEndpointConfig"]["ProductionVariants"][0]["ModelName"] == VERSION


def test_what_a_pipeline_starts_gets_an_input() -> None:
    (path,) = (path for path in SNAPSHOTS if path.stem == "test_pipeline_default")
    (started,) = (p for _, operation, p in requests_of(_read(path)) if operation == "StartExecution")
    assert json.loads(started["input"])["model_data"] == MODEL_DATA
    assert len(started["name"]) <= 80


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"TrainingJobName": "a_b"}, (".TrainingJobName", "text like")),
        ({"HyperParameters": {"a": 1}}, (".HyperParameters[a]", "text, got 1")),
        ({"HyperParameters": {f"p{n}": "1" for n in range(101)}}, (".HyperParameters", "to 100, got 101")),
        ({"InputDataConfig": []}, (".InputDataConfig", "from 1 to 20, got 0")),
        ({"Environment": {"1": "x"}}, (".Environment key 1", "text like")),
        ({"EnableManagedSpotTraining": "true"}, (".EnableManagedSpotTraining", "true or false")),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
            (".StoppingCondition.MaxRuntimeInSeconds", "got 0"),
        ),
        ({"OutputDataConfig": {}}, (".OutputDataConfig.S3OutputPath", "required")),
        ({"ResourceConfig": {"InstanceTypo": 1}}, (".ResourceConfig.InstanceTypo", "unknown")),
        ({"ResourceConfig": []}, (".ResourceConfig", "a structure")),
    ],
)
def test_fails_when_the_api_would_refuse_it(change: dict[str, Any], problem: tuple[str, str]) -> None:
    (path,) = (path for path in SNAPSHOTS if path.stem == "test_training_job_full")
    (good,) = (
        parameters
        for _, operation, parameters in requests_of(_read(path))
        if operation == "CreateTrainingJob"
    )
    found = list(problems_of(input_shape("sagemaker", "CreateTrainingJob"), {**good, **change}))
    assert any(where == problem[0] and problem[1] in what for where, what in found), found

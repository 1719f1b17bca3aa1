import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws
from waiting import wait_for

pytestmark = pytest.mark.local

CUSTOM = """
import json, urllib.request
def handler(event, context):
    properties = event["ResourceProperties"]
    print(event["RequestType"], properties["Value"], event.get("PhysicalResourceId"))
    if properties["Value"] == "crash":
        raise RuntimeError("crashed on purpose")
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")} | {
        "Status": "FAILED" if properties["Value"] == "bad" else "SUCCESS",
        "Reason": "bad value",
        "PhysicalResourceId": "thing-" + properties["Value"],
        "Data": {"Length": len(properties["Value"]), "Number": properties["Number"]},
    }
    body, headers = json.dumps(answer).encode(), {"Content-Type": ""}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, headers, method="PUT"))
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]},
        }
    ],
}
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": TRUST,
        "Policies": [{"PolicyName": "Read", "PolicyDocument": READ}],
    },
}
FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Code": {"ZipFile": CUSTOM},
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Runtime": "python3.13",
        "Timeout": 20,
    },
}


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def custom(value: str) -> dict[str, Any]:
    properties = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "Value": value, "Number": 3}
    return {"Type": "Custom::Thing", "Properties": properties}


def test_a_custom_resource_is_created_updated_replaced_and_deleted(
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    log_lines: Callable[[str], list[str]],
) -> None:
    shown = {
        "Outputs": {
            "Id": {"Value": {"Ref": "Thing"}},
            "Length": {"Value": {"Fn::GetAtt": ["Thing", "Length"]}},
            "Number": {"Value": {"Fn::GetAtt": ["Thing", "Number"]}},
            "Function": {"Value": {"Ref": "Function"}},
        }
    }
    parts = {"Role": ROLE, "Function": FUNCTION}
    stack = deploy(parts | {"Thing": custom("one")}, **shown)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    values = outputs(stack)
    assert (values["Id"], values["Length"], values["Number"]) == ("thing-one", "3", "3")
    stack = deploy(parts | {"Thing": custom("three")}, update=True, **shown)
    assert (outputs(stack)["Id"], outputs(stack)["Length"]) == ("thing-three", "5")
    delete()
    # The function answers, and the stack goes on, before the log of the invocation is complete.
    expected = [
        "Create one None",
        "Delete one thing-one",
        "Delete three thing-three",
        "Update three thing-one",
    ]
    group = f"/aws/lambda/{values['Function']}"
    wait_for(lambda: sorted(line for line in log_lines(group) if line in expected) == expected)


@pytest.mark.parametrize(("value", "reason"), [("bad", "bad value"), ("crash", "crashed on purpose")])
def test_fails_and_rolls_back_when_a_custom_resource_fails(
    aws: LocalAws, deploy: Callable[..., Any], name: str, value: str, reason: str
) -> None:
    resources = {"Role": ROLE, "Function": FUNCTION, "Thing": custom(value)}
    stack = deploy(resources)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    [failed] = [event for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["LogicalResourceId"] == "Thing"
    assert reason in failed["ResourceStatusReason"]
    assert aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"] == []
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        deploy(resources, update=True)


def test_fails_at_once_when_the_function_of_a_custom_resource_does_not_exist(
    deploy: Callable[..., Any],
) -> None:
    absent = "arn:aws:lambda:us-east-1:123456789012:function:absent"
    stack = deploy({"Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": absent}}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Function not found" in stack["StackStatusReason"]


def test_an_update_that_fails_takes_back_what_it_changed(
    aws: LocalAws, deploy: Callable[..., Any], name: str
) -> None:
    parts: dict[str, Any] = {"Role": ROLE, "Function": FUNCTION}
    parameter = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": name, "Type": "String", "Value": "old"},
    }
    deploy(parts | {"Parameter": parameter, "Thing": custom("one")})
    changed = parameter | {"Properties": parameter["Properties"] | {"Value": "new"}}
    thing = custom("bad") | {"DependsOn": ["Parameter", "Added"]}
    stack = deploy(
        parts | {"Parameter": changed, "Added": {"Type": "AWS::S3::Bucket"}, "Thing": thing}, update=True
    )
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"] == "old"
    resources = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    assert sorted(item["LogicalResourceId"] for item in resources) == [
        "Function",
        "Parameter",
        "Role",
        "Thing",
    ]


HANDLERS = """
def model_fn(model_dir):
    return float(open(model_dir + "/bias").read())
def input_fn(body, content_type):
    return body
def predict_fn(data, model):
    return model
def output_fn(prediction, accept):
    return str(prediction)
"""


def serving(uri: str, image: str, endpoint: str) -> dict[str, Any]:
    variables = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    container = {"Image": image, "ModelDataUrl": uri, "Environment": variables}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": "1",
        "InitialVariantWeight": 1,
    }
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    return {
        "Role": ROLE,
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "PrimaryContainer": container,
            },
        },
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointName": endpoint, "EndpointConfigName": config},
        },
    }


def test_an_endpoint_of_a_stack_is_in_service_and_follows_its_model(
    aws: LocalAws,
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    put_archive: Callable[..., str],
    inference_image: str,
    name: str,
) -> None:
    def predict() -> float:
        answer = aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"{}")
        return float(answer["Body"].read())

    files = {"code/inference.py": HANDLERS}
    first = put_archive("1.tar.gz", files | {"bias": "1.5"})
    second = put_archive("2.tar.gz", files | {"bias": "2.5"})
    assert deploy(serving(first, inference_image, name))["StackStatus"] == "CREATE_COMPLETE"
    assert predict() == 1.5
    sagemaker = aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=name)

    # Only the model's template changes: it is replaced, and with it what refers to it.
    stack = deploy(serving(second, inference_image, name), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert predict() == 2.5
    after = sagemaker.describe_endpoint(EndpointName=name)
    assert after["CreationTime"] == before["CreationTime"]
    assert after["EndpointConfigName"] != before["EndpointConfigName"]
    assert len(sagemaker.list_models(NameContains=name)["Models"]) == 1

    broken = put_archive("3.tar.gz", files | {"bias": "no number"})
    stack = deploy(serving(broken, inference_image, name), update=True)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "could not convert string to float" in stack["StackStatusReason"]
    assert predict() == 2.5

    delete()
    for kind in ("Endpoint", "EndpointConfig", "Model"):
        listed = getattr(
            sagemaker, f"list_{'endpoint_config' if kind == 'EndpointConfig' else kind.lower()}s"
        )
        assert listed(NameContains=name)[f"{kind}s"] == []


def test_fails_when_the_endpoint_of_a_stack_does_not_come_into_service(
    aws: LocalAws,
    deploy: Callable[..., Any],
    put_archive: Callable[..., str],
    inference_image: str,
    name: str,
) -> None:
    uri = put_archive("m.tar.gz", {"code/inference.py": HANDLERS, "bias": "no number"})
    stack = deploy(serving(uri, inference_image, name))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "could not convert string to float" in stack["StackStatusReason"]
    assert aws.client("sagemaker").list_endpoints(NameContains=name)["Endpoints"] == []


def test_retained_and_unknown_resources(
    aws: LocalAws,
    deploy: Callable[..., Any],
    delete: Callable[[], None],
    name: str,
) -> None:
    resources = {
        "Kept": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "Properties": {"BucketName": f"{name}-kept"},
        },
        "Fleet": {"Type": "AWS::Example::Fleet", "Properties": {"Size": 3}},
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": READ}},
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
                "Threshold": 1,
            },
        },
    }
    more = {
        "Outputs": {"Alarm": {"Value": {"Ref": "Alarm"}}, "Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}}
    }
    stack = deploy(resources, **more)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert outputs(stack)["Key"].startswith("arn:aws:kms:us-east-1:123456789012:key/")
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNames=[outputs(stack)["Alarm"]])["MetricAlarms"]
    assert len(alarms) == 1
    warning = f"Fleet of stack {name} is a AWS::Example::Fleet, which the local AWS does not simulate"
    wait_for(lambda: warning in (aws.logs_directory / "server.log").read_text())
    events = aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert [e["LogicalResourceId"] for e in events if warning in e.get("ResourceStatusReason", "")] == [
        "Fleet"
    ]
    delete()
    assert f"{name}-kept" in str(aws.client("s3").list_buckets()["Buckets"])


def test_a_change_set_deploys(aws: LocalAws, name: str) -> None:
    cloudformation = aws.client("cloudformation")
    body = json.dumps(
        {"Resources": {"B": {"Type": "AWS::S3::Bucket"}}, "Outputs": {"Name": {"Value": {"Ref": "B"}}}}
    )
    cloudformation.create_change_set(
        StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
    )
    described = cloudformation.describe_change_set(StackName=name, ChangeSetName="c")
    assert [change["ResourceChange"]["Action"] for change in described["Changes"]] == ["Add"]
    cloudformation.execute_change_set(StackName=name, ChangeSetName="c")
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    assert outputs(stack)["Name"] in str(aws.client("s3").list_buckets()["Buckets"])


def test_fails_when_a_request_is_wrong(aws: LocalAws, deploy: Callable[..., Any], name: str) -> None:
    bucket = {"B": {"Type": "AWS::S3::Bucket"}}
    deploy(bucket)
    with pytest.raises(ClientError, match=r"Stack \[.*\] already exists") as failure:
        deploy(bucket)
    assert failure.value.response["Error"]["Code"] == "AlreadyExistsException"
    with pytest.raises(ClientError, match="No updates are to be performed"):
        deploy(bucket, update=True)
    with pytest.raises(ClientError, match="Stack with id missing does not exist"):
        aws.client("cloudformation").describe_stacks(StackName="missing")
    with pytest.raises(ClientError, match="At least one Resources member must be defined"):
        deploy({}, update=True)


def test_what_is_not_there_is_deleted_already(
    aws: LocalAws, deploy: Callable[..., Any], delete: Callable[[], None], name: str
) -> None:
    cloudformation = aws.client("cloudformation")
    deploy({"B": {"Type": "AWS::S3::Bucket"}})
    stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    for stack in (name, stack_id):
        cloudformation.delete_change_set(StackName=stack, ChangeSetName="missing")
    arn = stack_id.replace(":stack/", ":changeSet/")
    cloudformation.delete_change_set(ChangeSetName=arn)
    delete()
    for stack in (name, stack_id, "never-was"):
        cloudformation.delete_stack(StackName=stack)
    with pytest.raises(ClientError, match="Stack with id never-was does not exist"):
        cloudformation.delete_change_set(StackName="never-was", ChangeSetName="missing")
    with pytest.raises(ClientError, match="does not exist") as failure:
        cloudformation.describe_change_set(StackName=stack_id, ChangeSetName="missing")
    assert failure.value.response["Error"]["Code"] == "ChangeSetNotFound"


def test_a_refused_change_set_leaves_no_stack(aws: LocalAws, name: str) -> None:
    cloudformation = aws.client("cloudformation")
    refers_to_itself = {"B": {"Type": "AWS::S3::Bucket", "DependsOn": "B"}}
    with pytest.raises(ClientError, match="ircular"):
        cloudformation.create_change_set(
            StackName=name, ChangeSetName="c", TemplateBody=json.dumps({"Resources": refers_to_itself})
        )
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stacks(StackName=name)


def test_a_change_set_belongs_to_its_stack_as_it_was(aws: LocalAws, name: str) -> None:
    cloudformation = aws.client("cloudformation")

    def prepare(change_set: str, **bucket: Any) -> str:
        body = json.dumps({"Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": bucket}}})
        arn: str = cloudformation.create_change_set(
            StackName=name, ChangeSetName=change_set, TemplateBody=body
        )["Id"]
        return arn

    def executed(change_set: str) -> str:
        cloudformation.execute_change_set(StackName=name, ChangeSetName=change_set)
        status = lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]  # noqa: E731
        return str(wait_for(lambda: not status().endswith("IN_PROGRESS") and status()))

    # Never executed, gone with the stack: the next stack of that name has one of the same name.
    prepare("c")
    with pytest.raises(ClientError, match="ChangeSet c already exists") as failure:
        prepare("c")
    assert failure.value.response["Error"]["Code"] == "AlreadyExistsException"
    cloudformation.delete_stack(StackName=name)
    first, second = prepare("c"), prepare("other")
    assert first != second
    assert executed("c") == "CREATE_COMPLETE"

    # The other was made for a stack without resources.
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.execute_change_set(ChangeSetName=second)
    with pytest.raises(ClientError, match="cannot be executed") as failure:
        cloudformation.execute_change_set(ChangeSetName=first)
    assert failure.value.response["Error"]["Code"] == "InvalidChangeSetStatus"

    # One without changes fails, and cannot be executed either.
    prepare("same")
    described = cloudformation.describe_change_set(StackName=name, ChangeSetName="same")
    assert (described["Status"], described["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    with pytest.raises(ClientError, match="cannot be executed"):
        cloudformation.execute_change_set(StackName=name, ChangeSetName="same")
    prepare("new", Tags=[{"Key": "a", "Value": "b"}])
    assert executed("new") == "UPDATE_COMPLETE"


@pytest.mark.parametrize("bad", ["", "1a", "a_b", "a.b", "../a", "a" * 129, "ä"])
def test_fails_when_a_stack_has_no_name_for_a_stack(aws: LocalAws, bad: str) -> None:
    cloudformation, body = aws.client("cloudformation"), json.dumps({"Resources": {}})
    for call in (
        lambda: cloudformation.create_stack(StackName=bad or " ", TemplateBody=body),
        lambda: cloudformation.create_change_set(
            StackName=bad or " ", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
        ),
    ):
        with pytest.raises(ClientError, match="at 'stackName' failed to satisfy constraint"):
            call()


HANDLE: dict[str, Any] = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


@pytest.mark.parametrize(
    ("resources", "arguments", "code"),
    [
        ({"Role": ROLE}, {}, "InsufficientCapabilitiesException"),
        ({"B": HANDLE}, {"Tags": [{"Key": "aws:mine", "Value": "1"}]}, "ValidationError"),
        ({"B": HANDLE}, {"Tags": [{"Key": f"{n}", "Value": "1"} for n in range(51)]}, "ValidationError"),
        ({"B": HANDLE | {"Metadata": "x" * 51_200}}, {}, "ValidationError"),
        ({"B": HANDLE | {"DependsOn": "C"}}, {}, "ValidationError"),
        ({"B": HANDLE}, {"Parameters": [{"ParameterKey": "P", "ParameterValue": "1"}]}, "ValidationError"),
    ],
)
def test_what_is_refused_leaves_no_stack(
    aws: LocalAws, name: str, resources: dict[str, Any], arguments: dict[str, Any], code: str
) -> None:
    cloudformation, body = aws.client("cloudformation"), json.dumps({"Resources": resources})
    for call in (
        lambda: cloudformation.create_stack(StackName=name, TemplateBody=body, **arguments),
        lambda: cloudformation.create_change_set(
            StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body, **arguments
        ),
    ):
        with pytest.raises(ClientError) as failure:
            call()
        assert failure.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stacks(StackName=name)


def test_an_export_has_one_stack(aws: LocalAws, name: str, deploy: Callable[..., dict[str, Any]]) -> None:
    exported = {"O": {"Value": "1", "Export": {"Name": f"{name}-export"}}}
    deploy({"B": HANDLE}, Outputs=exported)
    cloudformation = aws.client("cloudformation")
    body = json.dumps({"Resources": {"B": HANDLE}, "Outputs": exported})
    cloudformation.create_stack(StackName=f"{name}-2", TemplateBody=body)

    def settled() -> dict[str, Any] | None:
        [stack] = cloudformation.describe_stacks(StackName=f"{name}-2")["Stacks"]
        return stack if stack["StackStatus"].endswith("COMPLETE") else None

    other = wait_for(settled)
    assert other["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "is already exported by another stack" in other["StackStatusReason"]
    # Its own can be told again.
    assert (
        deploy({"B": HANDLE, "C": HANDLE}, update=True, Outputs=exported)["StackStatus"] == "UPDATE_COMPLETE"
    )

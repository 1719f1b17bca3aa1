"""What belongs to an endpoint: it goes and stays with it, whichever construct declares it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from constructs import Construct

from cdk_sagemaker_pytorch import Instances, Networking, PyTorchDeployment, SourceCode
from cdk_sagemaker_pytorch.states.names import version_prefix

Statements = Callable[[str], list[dict[str, Any]]]
MakeDeployment = Callable[..., PyTorchDeployment]
Resources = dict[str, dict[str, Any]]

FUNCTION_ROLE = "PyTorchEndpointdigitsServiceRole"
VERSION = f"digits-{'?' * 14}-{'?' * 8}"


def resources(stack: Stack, kind: str = "") -> Resources:
    found: Resources = Template.from_stack(stack).to_json()["Resources"]
    return {name: each for name, each in found.items() if kind in ("", each["Type"])}


def claim(stack: Stack) -> dict[str, Any]:
    (only,) = resources(stack, "Custom::PyTorchEndpoint").values()
    return only


def actions(statement: dict[str, Any]) -> set[str]:
    found = statement["Action"]
    return set(found) if isinstance(found, list) else {found}


def allowing(statements: list[dict[str, Any]], action: str) -> dict[str, Any]:
    """The only statement that allows an action."""
    (only,) = (each for each in statements if action in actions(each))
    return only


@pytest.fixture
def declare(inference_code: SourceCode) -> Callable[..., PyTorchDeployment]:
    """Declares the same endpoint anywhere."""

    def make(scope: Construct, construct_id: str, **options: Any) -> PyTorchDeployment:
        bucket = s3.Bucket.from_bucket_name(scope, "Models", "models")
        defaults = {"framework_version": "2.13", "source_code": inference_code, "endpoint_name": "digits"}
        return PyTorchDeployment(scope, construct_id, model_data_bucket=bucket, **{**defaults, **options})

    return make


# Logical ids


def test_a_construct_that_is_renamed_and_moved_leaves_the_template_as_it_is(
    stack: Stack, another_stack: Stack, declare: MakeDeployment
) -> None:
    declare(stack, "Deployment")
    declare(Construct(another_stack, "Moved"), "Renamed")
    assert resources(stack) == resources(another_stack)


def test_what_belongs_to_an_endpoint_is_named_after_it(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment()
    belongings = {
        each["Type"] for name, each in resources(stack).items() if name.startswith("PyTorchEndpointdigits")
    }
    assert belongings == {
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::StepFunctions::StateMachine",
        "Custom::PyTorchEndpoint",
    }


def test_names_of_versions_fit_the_longest_endpoint_name(make_deployment: MakeDeployment) -> None:
    prefix = make_deployment(endpoint_name="a" * 63).version_prefix
    assert len(prefix) + len("-20260101000000-0a1b2c3d") == 63
    assert prefix != version_prefix("a" * 62)


def test_a_short_endpoint_name_is_the_prefix_of_its_versions(make_deployment: MakeDeployment) -> None:
    assert make_deployment().version_prefix == "digits"


# The claim


def test_the_stack_claims_the_endpoint(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment()
    properties = claim(stack)["Properties"]
    (machine,) = resources(stack, "AWS::StepFunctions::StateMachine")
    (function,) = (n for n in resources(stack, "AWS::Lambda::Function") if n.startswith("PyTorchEndpoint"))
    assert properties == {
        "ServiceToken": {"Fn::GetAtt": [function, "Arn"]},
        "ServiceTimeout": "3600",
        "EndpointName": "digits",
        "StateMachine": {"Ref": machine},
        "Adopt": False,
        "RemovalPolicy": "Delete",
    }


def test_the_endpoint_goes_before_what_it_and_its_removal_need(
    stack: Stack, make_deployment: MakeDeployment
) -> None:
    make_deployment()
    needed = claim(stack)["DependsOn"]
    for part in (
        "PyTorchEndpointdigitsModelRole",
        "PyTorchEndpointdigitsModelRoleDefaultPolicy",
        "PyTorchEndpointdigitsArtifacts",
        "PyTorchEndpointdigitsFunction",
        "PyTorchEndpointdigitsWatch",
        "PyTorchEndpointdigitsMachine",
        "PyTorchLedger",
    ):
        assert any(name.startswith(part) for name in needed), part


def test_the_function_goes_before_its_permissions(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment()
    (needed,) = (
        each["DependsOn"]
        for name, each in resources(stack, "AWS::Lambda::Function").items()
        if name.startswith("PyTorchEndpoint")
    )
    assert any(name.startswith("PyTorchEndpointdigitsServiceRoleDefaultPolicy") for name in needed)


def test_adoption_is_said_to_the_function(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment(adopt=True)
    assert claim(stack)["Properties"]["Adopt"] is True


# Removal


@pytest.mark.parametrize("policy", [RemovalPolicy.RETAIN, RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE])
def test_an_endpoint_is_retained_with_what_it_needs(
    stack: Stack, make_deployment: MakeDeployment, policy: RemovalPolicy
) -> None:
    make_deployment(
        removal_policy=policy,
        networking=Networking(
            vpc=ec2.Vpc.from_vpc_attributes(
                stack,
                "Vpc",
                vpc_id="vpc-0123456789abcdef0",
                availability_zones=["us-east-1a"],
                private_subnet_ids=["subnet-0123456789abcdef0"],
            )
        ),
    )
    assert claim(stack)["Properties"]["RemovalPolicy"] == "Retain"
    assert "DeletionPolicy" not in claim(stack) or claim(stack)["DeletionPolicy"] == "Delete"
    retained = {
        (each["Type"], name.removeprefix("PyTorchEndpointdigits")[:9])
        for name, each in resources(stack).items()
        if each.get("DeletionPolicy", "").startswith("Retain")
    }
    assert {(kind, name) for kind, name in retained if kind != "AWS::S3::BucketPolicy"} == {
        ("AWS::IAM::Role", "ModelRole"),
        ("AWS::IAM::Policy", "ModelRole"),
        ("AWS::S3::Bucket", "Artifacts"),
        ("AWS::EC2::SecurityGroup", "SecurityG"),
        ("AWS::DynamoDB::Table", "PyTorchLe"),
    }


def test_only_models_stay_when_an_endpoint_goes(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment()
    stays = {
        each["Type"]
        for each in resources(stack).values()
        if each.get("DeletionPolicy", "").startswith("Retain")
    }
    assert stays - {"AWS::S3::BucketPolicy"} == {"AWS::S3::Bucket"}


def test_a_changed_removal_policy_changes_nothing_but_policies(
    stack: Stack, another_stack: Stack, declare: MakeDeployment
) -> None:
    declare(stack, "Deployment")
    declare(another_stack, "Deployment", removal_policy=RemovalPolicy.RETAIN)
    before, after = resources(stack), resources(another_stack)
    assert before.keys() == after.keys()
    for name, resource in before.items():
        if resource["Type"] == "Custom::PyTorchEndpoint":
            resource["Properties"]["RemovalPolicy"] = "Retain"
        assert resource["Properties"] == after[name]["Properties"], name


# Reconciling


def test_an_execution_that_ends_without_success_is_reconciled(
    stack: Stack, make_deployment: MakeDeployment
) -> None:
    make_deployment()
    (machine,) = resources(stack, "AWS::StepFunctions::StateMachine")
    (rule,) = (
        each["Properties"]
        for each in resources(stack, "AWS::Events::Rule").values()
        if "EventPattern" in each["Properties"]
    )
    assert rule["EventPattern"] == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [{"Ref": machine}], "status": ["FAILED", "TIMED_OUT", "ABORTED"]},
    }
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == {"action": "reconcile"}


def test_what_an_event_did_not_reach_is_reconciled_later(
    stack: Stack, make_deployment: MakeDeployment
) -> None:
    make_deployment()
    (rule,) = (
        each["Properties"]
        for each in resources(stack, "AWS::Events::Rule").values()
        if "ScheduleExpression" in each["Properties"]
    )
    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == {"action": "reconcile"}


# The function


def test_the_function_knows_its_endpoint(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment(endpoint_name="d" * 63, artifacts_bucket=s3.Bucket.from_bucket_name(stack, "A", "mine"))
    (function,) = (
        each["Properties"]
        for name, each in resources(stack, "AWS::Lambda::Function").items()
        if name.startswith("PyTorchEndpoint")
    )
    (table,) = resources(stack, "AWS::DynamoDB::Table")
    assert function["Environment"]["Variables"] == {
        "ENDPOINT_NAME": "d" * 63,
        "VERSION_PREFIX": version_prefix("d" * 63),
        "LEDGER": {"Ref": table},
        "ARTIFACTS": "s3://mine/models/",
    }
    assert (function["Timeout"], function["Runtime"]) == (60, "python3.13")


def test_the_endpoints_of_a_stack_share_a_ledger(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment()
    make_deployment("Second", endpoint_name="letters")
    (table,) = resources(stack, "AWS::DynamoDB::Table").values()
    assert table["Properties"]["KeySchema"] == [{"AttributeName": "endpoint", "KeyType": "HASH"}]
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionPolicy"] == "Delete"


def test_one_retained_endpoint_keeps_the_ledger(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment(removal_policy=RemovalPolicy.RETAIN)
    make_deployment("Second", endpoint_name="letters")
    (table,) = resources(stack, "AWS::DynamoDB::Table").values()
    assert table["DeletionPolicy"] == "Retain"


# Permissions


def test_the_function_reads_and_writes_the_record_of_its_endpoint_alone(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment()
    found = allowing(statements(FUNCTION_ROLE), "dynamodb:PutItem")
    assert actions(found) == {"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"}
    assert found["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["digits"]}}


def test_the_function_changes_its_endpoint_alone(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment()
    found = statements(FUNCTION_ROLE)
    assert str(allowing(found, "sagemaker:DeleteEndpoint")["Resource"]).endswith(":endpoint/digits']]}")
    configs, endpoint = sorted(map(str, allowing(found, "sagemaker:UpdateEndpoint")["Resource"]))
    assert ":endpoint/digits'" in endpoint
    assert f":endpoint-config/{VERSION}'" in configs


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:CreateEndpointConfig", "endpoint-config"),
        ("sagemaker:DeleteEndpointConfig", "endpoint-config"),
        ("sagemaker:CreateModel", "model"),
        ("sagemaker:DeleteModel", "model"),
        ("sagemaker:StopProcessingJob", "processing-job"),
    ],
)
def test_the_function_makes_and_removes_versions_of_its_endpoint_alone(
    make_deployment: MakeDeployment, statements: Statements, action: str, resource: str
) -> None:
    make_deployment()
    found = allowing(statements(FUNCTION_ROLE), action)["Resource"]
    assert f":{resource}/{VERSION}'" in str(found)


def test_the_function_marks_artifacts_of_its_versions_alone(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment()
    found = statements(FUNCTION_ROLE)
    assert f"/models/{VERSION}/*'" in str(allowing(found, "s3:PutObjectTagging")["Resource"])
    assert allowing(found, "s3:ListBucket")["Condition"] == {
        "StringLike": {"s3:prefix": f"models/{VERSION}/*"}
    }


def test_the_function_hands_the_models_role_to_sagemaker_alone(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment()
    found = allowing(statements(FUNCTION_ROLE), "iam:PassRole")
    assert "PyTorchEndpointdigitsModelRole" in str(found["Resource"])
    assert found["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_the_function_stops_executions_of_its_state_machine_alone(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment()
    found = allowing(statements(FUNCTION_ROLE), "states:StopExecution")
    assert "PyTorchEndpointdigitsMachine" in str(found["Resource"])
    assert ":execution:" in str(found["Resource"])


def test_an_adopted_endpoint_may_go_back_to_a_configuration_of_any_name(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment(adopt=True)
    allowed = [s["Resource"] for s in statements(FUNCTION_ROLE) if "sagemaker:UpdateEndpoint" in actions(s)]
    assert ":endpoint-config/*'" in str(allowed)


def test_a_key_of_the_volumes_may_be_used(
    stack: Stack, make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment(instances=Instances(volume_key=kms.Key(stack, "Key")))
    found = allowing(statements(FUNCTION_ROLE), "kms:CreateGrant")
    assert found["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_the_state_machine_changes_nothing_of_sagemakers_by_itself(
    make_deployment: MakeDeployment, statements: Statements
) -> None:
    make_deployment(sample_request=[[1]])
    allowed = set().union(*map(actions, statements("PyTorchEndpointdigitsMachineRole")))
    assert {each for each in allowed if each.startswith("sagemaker:")} == {
        "sagemaker:AddTags",
        "sagemaker:CreateProcessingJob",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:StopProcessingJob",
    }


def test_no_role_gets_more_than_its_own_names(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment(sample_request=[[1]], instances=Instances(volume_key=kms.Key(stack, "Key")))
    on_everything: set[str] = set()
    for policy in resources(stack, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert not any(action.endswith(":*") for action in actions(statement))
            if statement["Resource"] == "*":
                on_everything |= actions(statement)
    # Neither knows resources; PutMetricData is bounded by its namespace.
    assert on_everything == {"cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"}


def test_no_role_has_a_managed_policy(stack: Stack, make_deployment: MakeDeployment) -> None:
    make_deployment()
    roles = resources(stack, "AWS::IAM::Role")
    assert len(roles) == 4  # of the packager, the models, the function and the state machine
    assert not any("ManagedPolicyArns" in role["Properties"] for role in roles.values())

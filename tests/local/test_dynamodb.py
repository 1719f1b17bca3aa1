import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cdk_sagemaker_pytorch.local import LocalAws

pytestmark = pytest.mark.local

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table"
CONDITIONAL = {
    "UpdateExpression": "SET #o = :me",
    "ConditionExpression": "attribute_not_exists(#o) OR #o = :me",
    "ExpressionAttributeNames": {"#o": "owner"},
}


@pytest.fixture
def table(aws: LocalAws, name: str) -> str:
    """A table with the partition key `id` and an index over `owner`."""
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "owner", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return name


@pytest.fixture
def client_of_role(aws: LocalAws, create_role: Callable[..., str]) -> Callable[..., Any]:
    """Return a client with the session of a role that has these statements."""

    def make(*statements: dict[str, Any]) -> Any:
        arn = create_role("lambda.amazonaws.com", *statements)
        keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1"
        )
        return session.client("dynamodb", endpoint_url=aws.endpoint_url)

    return make


def allow(action: Any, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def test_a_role_may_use_the_tables_and_indexes_that_it_is_given(
    client_of_role: Callable[..., Any], table: str
) -> None:
    arn = f"{TABLE_ARN}/{table}"
    dynamodb = client_of_role(
        allow(["dynamodb:PutItem", "dynamodb:GetItem"], arn), allow("dynamodb:Query", f"{arn}/index/by-owner")
    )
    item = {"id": {"S": "a"}, "owner": {"S": "me"}}
    dynamodb.put_item(TableName=table, Item=item)
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}})["Item"] == item
    query = {"KeyConditionExpression": "#o = :o", "ExpressionAttributeNames": {"#o": "owner"}}
    values = {":o": {"S": "me"}}
    found = dynamodb.query(TableName=table, IndexName="by-owner", ExpressionAttributeValues=values, **query)
    assert found["Items"] == [item]
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": item}}])
    for call, refused in (
        (lambda: dynamodb.scan(TableName=table), f"dynamodb:Scan on resource: {arn}"),
        (lambda: dynamodb.get_item(TableName="other", Key={"id": {"S": "a"}}), f"{TABLE_ARN}/other"),
        (
            lambda: dynamodb.query(
                TableName=table,
                KeyConditionExpression="id = :o",
                ExpressionAttributeValues=values,
            ),
            f"dynamodb:Query on resource: {arn}",
        ),
        (
            lambda: dynamodb.transact_write_items(
                TransactItems=[{"Delete": {"TableName": table, "Key": {"id": {"S": "a"}}}}]
            ),
            f"dynamodb:DeleteItem on resource: {arn}",
        ),
        (
            lambda: dynamodb.batch_get_item(RequestItems={table: {"Keys": [item]}}),
            "BatchGetItem",
        ),
        (dynamodb.list_tables, r"dynamodb:ListTables on resource: \*"),
    ):
        with pytest.raises(ClientError, match=refused) as failure:
            call()
        assert failure.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_role_may_be_held_to_some_partition_keys(client_of_role: Callable[..., Any], table: str) -> None:
    mine = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine-*"]}}
    dynamodb = client_of_role(allow("dynamodb:*", f"{TABLE_ARN}/{table}", Condition=mine))
    key = lambda text: {"id": {"S": text}}  # noqa: E731
    calls: list[Callable[[str], Any]] = [
        lambda text: dynamodb.put_item(TableName=table, Item=key(text)),
        lambda text: dynamodb.get_item(TableName=table, Key=key(text)),
        lambda text: dynamodb.update_item(TableName=table, Key=key(text), UpdateExpression="REMOVE a"),
        lambda text: dynamodb.query(
            TableName=table,
            KeyConditionExpression="#k = :k",
            ExpressionAttributeNames={"#k": "id"},
            ExpressionAttributeValues={":k": {"S": text}},
        ),
        lambda text: dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": key(text)}}]}),
        lambda text: dynamodb.delete_item(TableName=table, Key=key(text)),
    ]
    for call in calls:
        call("mine-1")
        with pytest.raises(ClientError, match="is not authorized"):
            call("yours-1")


FUNCTION = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    table = boto3.resource("dynamodb").Table(event["table"])
    try:
        table.put_item(
            Item={"id": "lock", "owner": event["owner"]}, ConditionExpression="attribute_not_exists(id)"
        )
    except ClientError as error:
        return error.response["Error"]["Code"]
    return table.get_item(Key={"id": "lock"})["Item"]["owner"]
"""


def test_a_function_writes_on_conditions(
    aws: LocalAws, name: str, table: str, create_role: Callable[..., str]
) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", FUNCTION)
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName=name,
        Role=create_role("lambda.amazonaws.com", allow("dynamodb:*Item", f"{TABLE_ARN}/{table}")),
        Code={"ZipFile": code.getvalue()},
        Runtime="python3.13",
        Handler="index.handler",
        Timeout=60,
    )

    def lock(owner: str) -> Any:
        payload = json.dumps({"table": table, "owner": owner})
        return json.loads(functions.invoke(FunctionName=name, Payload=payload)["Payload"].read())

    assert lock("first") == "first"
    assert lock("second") == "ConditionalCheckFailedException"


def update(table: str, owner: str, resource: str, **more: Any) -> dict[str, Any]:
    arguments = CONDITIONAL | {
        "TableName": table,
        "Key": {"id": {"S": "{% $states.context.StateMachine.Name %}"}},
        "ExpressionAttributeValues": {":me": {"S": owner}},
    }
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, **more}


@pytest.mark.parametrize(
    ("resource", "service"),
    [("dynamodb:updateItem", "DynamoDB"), ("aws-sdk:dynamodb:updateItem", "DynamoDb")],
)
def test_a_state_machine_writes_on_conditions(
    aws: LocalAws, table: str, execute: Callable[..., Any], name: str, resource: str, service: str
) -> None:
    caught = {"Type": "Pass", "Output": "{% $states.input %}", "End": True}
    error = f"{service}.ConditionalCheckFailedException"
    states = {
        "First": update(table, "first", resource, Next="Second"),
        "Second": update(
            table, "second", resource, End=True, Catch=[{"ErrorEquals": [error], "Next": "Caught"}]
        ),
        "Caught": caught,
    }
    execution = execute(states, allow("dynamodb:UpdateItem", f"{TABLE_ARN}/{table}"))
    assert execution["status"] == "SUCCEEDED", execution
    output = json.loads(execution["output"])
    assert output["Error"] == error
    assert output["Cause"].startswith("The conditional request failed (Service: ")
    item = aws.client("dynamodb").get_item(TableName=table, Key={"id": {"S": name}})["Item"]
    assert item["owner"] == {"S": "first"}


@pytest.mark.parametrize(
    ("resource", "error"),
    [
        ("dynamodb:getItem", "DynamoDB.AmazonDynamoDBException"),
        ("aws-sdk:dynamodb:getItem", "DynamoDb.DynamoDbException"),
    ],
)
def test_fails_when_the_role_of_a_state_machine_may_not_read(
    table: str, execute: Callable[..., Any], resource: str, error: str
) -> None:
    arguments = {"TableName": table, "Key": {"id": {"S": "a"}}}
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, "End": True}
    execution = execute({"Get": state}, allow("dynamodb:PutItem", f"{TABLE_ARN}/{table}"))
    assert (execution["status"], execution["error"]) == ("FAILED", error)
    assert (
        f"not authorized to perform: dynamodb:GetItem on resource: {TABLE_ARN}/{table}" in execution["cause"]
    )


def test_a_state_machine_reads_an_item(table: str, execute: Callable[..., Any]) -> None:
    put = {"TableName": table, "Item": {"id": {"S": "a"}, "n": {"N": "3"}, "none": {"NULL": True}}}
    get = {"TableName": table, "Key": {"id": {"S": "a"}}}
    task = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem", "Arguments": put, "Next": "Get"}
    states = {
        "Put": task,
        "Get": task | {"Resource": "arn:aws:states:::dynamodb:getItem", "Arguments": get, "Next": "Sdk"},
        "Sdk": task
        | {
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem",
            "Arguments": get,
            "Next": "End",
            "Output": {"sdk": "{% $states.result.Item %}", "optimized": "{% $states.input.Item %}"},
        },
        "End": {"Type": "Succeed"},
    }
    output = json.loads(execute(states, allow("dynamodb:*", f"{TABLE_ARN}/{table}"))["output"])
    assert output["sdk"] == output["optimized"] == put["Item"]


def template(**changes: Any) -> dict[str, Any]:
    properties = {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "SSESpecification": {"SSEEnabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    }
    return {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties | changes}}


OUTPUTS = {
    "Outputs": {"Name": {"Value": {"Ref": "Table"}}, "Arn": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}}}
}


def test_a_table_of_a_stack_is_made_changed_replaced_and_removed(
    aws: LocalAws, deploy: Callable[..., Any], delete: Callable[[], None]
) -> None:
    dynamodb = aws.client("dynamodb")

    def outputs(stack: dict[str, Any]) -> tuple[str, str]:
        assert stack["StackStatus"].endswith("_COMPLETE"), stack
        assert "ROLLBACK" not in stack["StackStatus"], stack
        values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return values["Name"], values["Arn"]

    table, arn = outputs(deploy(template(), **OUTPUTS))
    assert arn == f"{TABLE_ARN}/{table}"
    assert dynamodb.describe_table(TableName=table)["Table"]["SSEDescription"]["Status"] == "ENABLED"

    def recovery() -> str:
        backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        return str(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])

    assert recovery() == "ENABLED"
    dynamodb.put_item(TableName=table, Item={"id": {"S": "kept"}})
    changes: dict[str, Any] = {
        "Tags": [{"Key": "a", "Value": "3"}],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
        "TimeToLiveSpecification": {"AttributeName": "ends", "Enabled": True},
        "SSESpecification": {"SSEEnabled": False},
    }
    assert outputs(deploy(template(**changes), update=True, **OUTPUTS)) == (table, arn)
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "kept"}})["Item"]
    assert recovery() == "DISABLED"
    expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "ends")
    tags = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert [tag for tag in tags if not tag["Key"].startswith("aws:")] == [{"Key": "a", "Value": "3"}]
    other_key = {
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
    }
    replaced, _ = outputs(deploy(template(**other_key), update=True, **OUTPUTS))
    assert replaced != table
    assert table not in dynamodb.list_tables()["TableNames"]
    delete()
    assert replaced not in dynamodb.list_tables()["TableNames"]


def test_a_retained_table_stays(
    aws: LocalAws, deploy: Callable[..., Any], delete: Callable[[], None]
) -> None:
    resources = template()
    resources["Table"] |= {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    stack = deploy(resources, **OUTPUTS)
    [table] = [output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "Name"]
    delete()
    assert table in aws.client("dynamodb").list_tables()["TableNames"]


def test_a_table_as_the_cdk_makes_it_now(
    aws: LocalAws, deploy: Callable[..., Any], delete: Callable[[], None]
) -> None:
    resources = template()["Table"]["Properties"]
    replica = {
        "Region": "us-east-1",
        "PointInTimeRecoverySpecification": resources.pop("PointInTimeRecoverySpecification"),
        "Tags": resources.pop("Tags"),
    }
    properties = resources | {"Replicas": [replica]}
    stack = deploy({"Table": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": properties}}, **OUTPUTS)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    assert "StackStatusReason" not in stack
    delete()


def test_fails_in_the_words_of_the_api_when_the_local_aws_itself_fails(aws: LocalAws, table: str) -> None:
    # moto's own fault; AWS takes an update that changes nothing.
    with pytest.raises(ClientError, match="the local AWS failed") as failure:
        aws.client("dynamodb").update_item(TableName=table, Key={"id": {"S": "a"}})
    assert failure.value.response["Error"]["Code"] == "InternalFailure"

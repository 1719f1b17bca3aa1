from typing import Any

import pytest

from cdk_sagemaker_pytorch.local.cloudformation.template_rules import (
    check_parameters,
    check_template,
    required_capabilities,
)
from cdk_sagemaker_pytorch.local.cloudformation.templates import TemplateError

HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def parameter(value: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}


def template(value: Any = "x", **sections: Any) -> dict[str, Any]:
    return {"Resources": {"A": parameter(value), "B": HANDLE}} | sections


@pytest.mark.parametrize(
    "content",
    [
        template(),
        template({"Ref": "B"}),
        template({"Ref": "AWS::Region"}),
        template({"Ref": "P"}, Parameters={"P": {"Type": "String"}}),
        template({"Fn::Sub": ["${Own}-${B}-${AWS::StackName}-${!Literal}", {"Own": {"Ref": "B"}}]}),
        template(
            {"Fn::If": ["C", {"Ref": "B"}, {"Ref": "AWS::NoValue"}]}, Conditions={"C": {"Fn::Equals": [1, 1]}}
        ),
        template({"Ref": "data", "with": "more keys"}),  # no function
        template(Transform="AWS::LanguageExtensions", AWSTemplateFormatVersion="2010-09-09"),
        template(Rules={"R": {"Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [["1"], "2"]}]}}]}}),
        {"Resources": {"A": HANDLE | {"Metadata": {"Ref": "Nothing"}, "DeletionPolicy": "Retain"}}},
        {"Resources": {"A": {"Type": "Custom::Any-thing@1"}}},
    ],
)
def test_a_template_can_be_deployed(content: dict[str, Any]) -> None:
    check_template(content)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (template(Nope={}), r"Invalid template property or properties \[Nope\]"),
        (template(AWSTemplateFormatVersion="2020-01-01"), "format version 2020-01-01 is not supported"),
        (template(Description="x" * 1025), "'Description' length is greater than 1024"),
        (template(Transform=["AWS::Serverless-2016-10-31"]), "No transform named AWS::Serverless"),
        (template(Transform={"Name": "AWS::Include", "Parameters": {}}), "No transform named AWS::Include"),
        ({"Resources": [HANDLE]}, r"\[/Resources\] must be an object"),
        (template(Outputs={"O": "x"}), "Every Outputs member must contain a Value"),
        (template(Parameters={"P": {"Default": "x"}}), "Every Parameters member must contain a Type"),
        (
            {"Resources": {f"A{number}": HANDLE for number in range(501)}},
            "Number of resources, 501, is greater than maximum allowed, 500",
        ),
        (template(Outputs={f"O{number}": {"Value": "x"} for number in range(201)}), "Number of outputs, 201"),
        ({"Resources": {"A-b": HANDLE}}, "Resource name A-b is non alphanumeric"),
        ({"Resources": {"A": []}}, r"\[/Resources/A\] resource definition is malformed"),
        ({"Resources": {"A": {}}}, "must contain a Type member"),
        ({"Resources": {"A": {"Type": "Topic"}}}, r"Unrecognized resource types: \[Topic\]"),
        ({"Resources": {"A": HANDLE | {"Nope": 1}}}, "Invalid template resource property 'Nope'"),
        ({"Resources": {"A": HANDLE | {"Properties": "x"}}}, "Properties must be an object"),
        (
            {"Resources": {"A": HANDLE | {"DeletionPolicy": "Keep"}}},
            "DeletionPolicy of A must be one of Delete",
        ),
        ({"Resources": {"A": HANDLE | {"DependsOn": ["B"]}}}, r"dependencies \[B\] in the Resources block"),
        (
            {"Resources": {"A": HANDLE | {"Condition": "C"}}},
            "Unresolved condition dependency C in the Resources",
        ),
        (template({"Ref": "C"}), r"Unresolved resource dependencies \[C\] in the Resources block"),
        (template({"Ref": "AWS::Nope"}), r"dependencies \[AWS::Nope\]"),
        (template({"Fn::GetAtt": ["C", "Arn"]}), r"dependencies \[C\]"),
        (template({"Fn::GetAtt": "C.Arn"}), r"dependencies \[C\]"),
        (template([{"Fn::Sub": "${C.Arn}"}]), r"dependencies \[C\]"),
        (template({"Fn::If": ["C", 1, 2]}), "unresolved condition dependency C in Fn::If"),
        (template({"Fn::Cidr": ["10.0.0.0/16", 1, 8]}), "has no function Fn::Cidr"),
        (template(Outputs={"O": {"Value": {"Ref": "C"}}}), r"dependencies \[C\] in the Outputs block"),
        (template(Outputs={"O": {"Value": 1, "Condition": "C"}}), "condition dependency C in the Outputs"),
    ],
)
def test_fails_before_anything_is_made(content: dict[str, Any], problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        check_template(content)


def declared(kind: str = "String", **constraints: Any) -> dict[str, Any]:
    return {"Parameters": {"P": {"Type": kind} | constraints}}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (declared(AllowedValues=["a", "b"]), "b"),
        (declared("Number", AllowedValues=[1, 2]), "2"),
        (declared(AllowedPattern="[a-z]+"), "abc"),
        (declared(AllowedPattern=r"\p{ASCII}+"), "abc"),  # Java's
        (declared(MinLength=1, MaxLength="3"), "abc"),
        (declared("Number", MinValue=1, MaxValue=3), "2.5"),
        (declared("CommaDelimitedList", AllowedValues=["a", "b"]), "a, b"),
        (declared("AWS::SSM::Parameter::Value<String>"), "/name"),
    ],
)
def test_a_value_is_taken(content: dict[str, Any], value: str) -> None:
    check_parameters(content, {"P": value})


@pytest.mark.parametrize(
    ("content", "value", "problem"),
    [
        (declared(AllowedValues=["a", "b"]), "c", r"'P' must be one of AllowedValues \[a, b\]"),
        (declared("CommaDelimitedList", AllowedValues=["a", "b"]), "a,c", "one of AllowedValues"),
        (declared(AllowedPattern="[a-z]+"), "abc1", r"must match pattern \[a-z\]\+"),
        (declared(MinLength=2), "a", "at least 2 characters"),
        (declared(MaxLength=2), "abc", "at most 2 characters"),
        (declared("Number"), "x", "must be a number$"),
        (declared("Number", MinValue=1), "0", "not less than 1"),
        (declared("Number", MaxValue=1), "2", "not greater than 1"),
        (declared(AllowedValues=["a"], ConstraintDescription="an a."), "b", "satisfy constraint: an a."),
        ({}, "x", r"\[P\] do not exist in the template"),
    ],
)
def test_fails_with_a_value_that_is_not_taken(content: dict[str, Any], value: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        check_parameters(content, {"P": value})


def test_a_default_is_held_against_its_constraints_too() -> None:
    with pytest.raises(TemplateError, match="AllowedValues"):
        check_parameters(declared(AllowedValues=["a"], Default="b"), {})


@pytest.mark.parametrize(
    ("resource", "capabilities"),
    [
        (HANDLE, set()),
        ({"Type": "AWS::IAM::Role"}, {"CAPABILITY_IAM"}),
        ({"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "needed"}}, {"CAPABILITY_IAM"}),
        ({"Type": "AWS::IAM::Role", "Properties": {"RoleName": "mine"}}, {"CAPABILITY_NAMED_IAM"}),
    ],
)
def test_iam_resources_are_to_be_acknowledged(resource: dict[str, Any], capabilities: set[str]) -> None:
    assert required_capabilities({"Resources": {"A": resource}}) == capabilities

import pytest

from cdk_sagemaker_pytorch.local.cloudformation.templates import Template, TemplateError, load_template

RESOURCE = {"Type": "AWS::S3::Bucket"}


def template(content, parameters=None, *, look_up=None, ssm=None, exports=None):
    return Template(
        {"Resources": {"R": RESOURCE}} | content,
        parameters or {},
        pseudo_parameters={"AWS::Region": "us-east-1", "AWS::Partition": "aws", "AWS::AccountId": "1"},
        ssm_parameter=(ssm or {}).__getitem__,
        look_up=look_up or (lambda name, attribute: f"{name}.{attribute}" if attribute else name),
        import_value=(exports or {}).__getitem__,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "R"}, "R"),
        ({"Fn::GetAtt": ["R", "Arn"]}, "R.Arn"),
        ({"Fn::GetAtt": "R.Outputs.Name"}, "R.Outputs.Name"),
        ({"Fn::Sub": "${AWS::Partition}-${R.Arn}-${!kept}"}, "aws-R.Arn-${kept}"),
        ({"Fn::Sub": ["${a}${R}", {"a": {"Ref": "AWS::AccountId"}}]}, "1R"),
        ({"Fn::Join": ["-", ["a", {"Ref": "R"}, 1]]}, "a-R-1"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b,c"]}]}, "b"),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, None),
        ([1, {"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}, "b": 2}], [1, {"b": 2}]),
        ({"Fn::FindInMap": ["Images", {"Ref": "AWS::Region"}, "cpu"]}, "image"),
        ({"Fn::FindInMap": ["Images", "eu-west-1", "cpu", {"DefaultValue": "d"}]}, "d"),
        ({"Fn::Base64": "text"}, "dGV4dA=="),
        ({"Fn::ToJsonString": {"a": {"Ref": "R"}}}, '{"a":"R"}'),
        ({"Fn::ImportValue": "name"}, "exported"),
        ({"Condition": {"StringEquals": {"a": "b"}}}, {"Condition": {"StringEquals": {"a": "b"}}}),
        ({"Ref": "AWS::Region", "more": 1}, {"Ref": "AWS::Region", "more": 1}),
    ],
)
def test_functions(value, expected):
    content = {
        "Conditions": {
            "Yes": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]},
            "No": {"Fn::Not": [{"Condition": "Yes"}]},
        },
        "Mappings": {"Images": {"us-east-1": {"cpu": "image"}}},
    }
    assert template(content, exports={"name": "exported"}).evaluate(value) == expected


def test_resources_come_after_what_they_refer_to():
    resources = {
        "C": {"Type": "T", "Properties": {"x": {"Fn::Join": ["", [{"Fn::GetAtt": ["B", "Arn"]}]]}}},
        "B": {"Type": "T", "Properties": {"x": {"Fn::Sub": "${A}"}}},
        "D": {"Type": "T", "DependsOn": ["C"]},
        "A": {"Type": "T"},
        "Not": {"Type": "T", "Condition": "Never"},
    }
    content = {"Resources": resources, "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}}}
    assert list(template(content).resources) == ["A", "B", "C", "D"]


def test_fails_when_resources_refer_to_each_other():
    resources = {
        "A": {"Type": "T", "Properties": {"x": {"Ref": "B"}}},
        "B": {"Type": "T", "Properties": {"x": {"Ref": "A"}}},
    }
    with pytest.raises(TemplateError, match="Circular dependency"):
        _ = template({"Resources": resources}).resources


def test_parameters_have_types_and_defaults():
    content = {
        "Parameters": {
            "Given": {"Type": "String", "Default": "d"},
            "Default": {"Type": "Number", "Default": 3},
            "List": {"Type": "CommaDelimitedList"},
            "Version": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk/version"},
        }
    }
    built = template(content, {"Given": "g", "List": "a, b"}, ssm={"/cdk/version": "30"})
    assert built.parameters == {"Given": "g", "Default": 3, "List": ["a", "b"], "Version": "30"}


def test_fails_when_parameters_have_no_value():
    with pytest.raises(TemplateError, match=r"Parameters: \[A, B\] must have values"):
        template({"Parameters": {"A": {"Type": "String"}, "B": {"Type": "String"}}})


def test_outputs_have_descriptions_exports_and_conditions():
    content = {
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Outputs": {
            "Name": {"Value": {"Ref": "R"}, "Description": "d", "Export": {"Name": {"Fn::Sub": "x-${R}"}}},
            "Not": {"Value": "v", "Condition": "Never"},
        },
    }
    assert template(content).outputs() == [
        {"OutputKey": "Name", "OutputValue": "R", "Description": "d", "ExportName": "x-R"}
    ]


def test_yaml_with_short_forms_is_read():
    body = """
    Resources:
      R:
        Type: AWS::S3::Bucket
        Properties:
          Name: !Join ["-", [!Ref AWS::Region, !GetAtt Other.Arn]]
          Day: 2026-01-31
    """
    assert load_template(body)["Resources"]["R"]["Properties"] == {
        "Name": {"Fn::Join": ["-", [{"Ref": "AWS::Region"}, {"Fn::GetAtt": "Other.Arn"}]]},
        "Day": "2026-01-31",
    }


@pytest.mark.parametrize("body", ["{", "a: [", "[]", "{}", '{"Resources": {}}'])
def test_fails_when_it_is_no_template(body):
    with pytest.raises(TemplateError, match="Template format error"):
        load_template(body)

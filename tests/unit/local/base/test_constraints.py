from typing import Any

import botocore.session
import pytest

from cdk_sagemaker_pytorch.local.base.constraints import constraint_problems

MODEL = botocore.session.Session().get_service_model("sagemaker")


def problems(operation: str, **request: Any) -> list[str]:
    return list(constraint_problems(MODEL.operation_model(operation).input_shape, request))


def test_names_that_sagemaker_takes_are_no_problem() -> None:
    assert problems("CreateTrainingJob", TrainingJobName="a-1", Unknown=1, InputDataConfig=None) == []
    assert problems("CreateTrainingJob", InputDataConfig=[{"ChannelName": "train.v_1"}]) == []


@pytest.mark.parametrize("name", ["../up", "/abs", "a\0b", "ünï", "-a", "a_b", "a\n"])
def test_fails_when_a_name_does_not_fit_its_pattern(name: str) -> None:
    [problem] = problems("CreateTrainingJob", TrainingJobName=name)
    assert problem.startswith(
        f"Value '{name}' at 'trainingJobName' failed to satisfy constraint: Member must"
    )
    assert problem.endswith("satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def test_fails_when_a_name_is_too_long() -> None:
    [problem] = problems("CreateEndpoint", EndpointName="a" * 64)
    assert problem.endswith("Member must have length less than or equal to 63")


def test_names_inside_lists_count() -> None:
    variants = [{"VariantName": "ok", "ModelName": "m"}, {"VariantName": "../v", "ModelName": "m/n"}]
    assert len(problems("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=variants)) == 2


@pytest.mark.parametrize(
    ("request_part", "place", "constraint"),
    [
        (
            {"HyperParameters": {f"k{n}": "" for n in range(101)}},
            "hyperParameters",
            "have length less than or equal to 100",
        ),
        ({"HyperParameters": {"k": "v" * 2501}}, "hyperParameters.k.member", "less than or equal to 2500"),
        ({"HyperParameters": {"k" * 257: "v"}}, "hyperParameters.key", "less than or equal to 256"),
        ({"InputDataConfig": [{"ChannelName": "a"}] * 21}, "inputDataConfig", "less than or equal to 20"),
        ({"InputDataConfig": [{"ChannelName": "a/b"}]}, "inputDataConfig.1.member.channelName", "pattern"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "stoppingCondition.maxRuntimeInSeconds", "1"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 31}}, "retryStrategy.maximumRetryAttempts", "to 30"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "Slow"}}, "trainingInputMode", "enum value set: ["),
    ],
)
def test_limits_of_every_kind_count(request_part: dict[str, Any], place: str, constraint: str) -> None:
    [problem] = problems("CreateTrainingJob", **request_part)
    assert f"{place}' failed to satisfy constraint: Member must" in problem
    assert constraint in problem.split("Member must", 1)[1]


def test_what_may_be_new_or_cannot_be_read_is_no_problem() -> None:
    assert problems("CreateTrainingJob", ResourceConfig={"InstanceType": "ml.new.large"}) == []
    assert problems("AddTags", Tags=[{"Key": "clé", "Value": "✓"}]) == []

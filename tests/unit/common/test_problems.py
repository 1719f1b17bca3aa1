import jsii
import pytest
from aws_cdk import INumberProducer, IResolveContext, Lazy

from cdk_sagemaker_pytorch import ConfigurationError
from cdk_sagemaker_pytorch.common.problems import Problems


@jsii.implements(INumberProducer)
class _Zero:
    def produce(self, context: IResolveContext) -> int:
        return 0


def test_nothing_is_raised_without_problems() -> None:
    problems = Problems("Thing")
    problems.check(True, "never said")
    problems.check_at_least("count", 1, 1)
    problems.check_at_least("count", None, 1)
    problems.raise_if_any()


def test_tokens_pass_because_they_are_known_only_at_deployment() -> None:
    problems = Problems("Thing")
    token = Lazy.number(_Zero())
    problems.check_at_least("count", token, 1)
    problems.raise_if_any()


def test_fails_when_anything_was_noted_with_all_of_it_at_once() -> None:
    problems = Problems("Thing")
    problems.check_at_least("count", 0, 1)
    problems.add("name must be text, got 3")
    with pytest.raises(ConfigurationError) as raised:
        problems.raise_if_any()
    assert raised.value.problems == (
        "count must be at least 1, got 0",
        "name must be text, got 3",
    )
    assert str(raised.value) == "Thing: " + "; ".join(raised.value.problems)

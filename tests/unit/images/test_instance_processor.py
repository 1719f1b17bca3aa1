import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.images.instance_processor import ContainerImageError, instance_family, processor_of


@pytest.mark.parametrize(
    ("instance_type", "processor"),
    [
        ("ml.m5.large", "cpu"),
        ("ml.c5n.18xlarge", "cpu"),
        ("ml.trn1.2xlarge", "neuron"),
        ("ml.inf2.xlarge", "neuron"),
        ("ml.p3.2xlarge", "gpu"),
        ("ml.p4de.24xlarge", "gpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.g6e.48xlarge", "gpu"),
        ("ml.p6-b200.48xlarge", "gpu"),
        ("ml.m6gd.4xlarge", "graviton"),
        ("ml.c7gn.large", "graviton"),
        ("ml.t4g.medium", "graviton"),
    ],
)
def test_processor_of_an_instance_type(instance_type: str, processor: str) -> None:
    assert processor_of(instance_type) == processor


@given(st.from_regex(r"ml\.[a-z]{1,4}[0-9][a-z]{0,3}\.([0-9]{1,2}x)?large", fullmatch=True))
def test_every_instance_type_has_one_processor(instance_type: str) -> None:
    assert processor_of(instance_type) in ("cpu", "gpu", "graviton", "neuron")


@pytest.mark.parametrize("instance_type", ["", "m5.large", "ml.m5", "ml..large", "ml.m5.large\n", "local"])
def test_fails_when_it_is_no_instance_type(instance_type: str) -> None:
    with pytest.raises(ContainerImageError, match=r"such as ml.m5.large, got"):
        processor_of(instance_type)


def test_the_family_of_an_instance_type() -> None:
    assert instance_family("ml.p6-b200.48xlarge") == "p6-b200"
    assert instance_family("m5.large") is None

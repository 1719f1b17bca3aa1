import runpy
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.common import api_limits
from cdk_sagemaker_pytorch.common.limits import check_limits, has_local_storage
from cdk_sagemaker_pytorch.common.problems import Problems

SCRIPT = Path(__file__).parents[3] / "scripts" / "make_api_limits.py"


def test_the_table_is_what_botocore_says() -> None:
    rendered = runpy.run_path(str(SCRIPT))["render"]()
    assert Path(api_limits.__file__).read_text() == rendered, "run python scripts/make_api_limits.py"


@pytest.mark.parametrize(
    "instance_type",
    ["ml.g4dn.xlarge", "ml.g5.2xlarge", "ml.g6e.xlarge", "ml.p4d.24xlarge", "ml.p4de.24xlarge"]
    + ["ml.p5.48xlarge", "ml.p5en.48xlarge", "ml.p6-b200.48xlarge", "ml.trn1.2xlarge", "ml.trn1n.32xlarge"]
    + ["ml.m5d.large", "ml.c6gd.xlarge", "ml.r7gd.large", "ml.p3dn.24xlarge", "ml.dl1.24xlarge"],
)
def test_families_with_nvme_storage(instance_type: str) -> None:
    assert has_local_storage(instance_type)


@pytest.mark.parametrize(
    "instance_type",
    ["ml.m5.large", "ml.c7g.large", "ml.c7i-flex.large", "ml.p3.2xlarge", "ml.p2.xlarge", "ml.inf2.xlarge"]
    + ["ml.t3.medium", "ml.r6g.large", "ml.c5n.18xlarge", "ml.inf1.xlarge", "${Token[Type.1]}", ""],
)
def test_families_without(instance_type: str) -> None:
    assert not has_local_storage(instance_type)


@pytest.mark.parametrize("value", ["a\nb", ".*", "{% x %}"])
def test_a_value_of_any_form_passes_where_the_api_says_nothing_of_it(value: str) -> None:
    problems = Problems("Thing")
    check_limits(problems, "value", value, "TrainingEnvironmentValue")
    problems.raise_if_any()

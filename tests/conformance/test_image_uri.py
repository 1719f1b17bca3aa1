"""Container images against the SageMaker Python SDK's own answers and refusals."""

import itertools
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import cdk_sagemaker_pytorch
from cdk_sagemaker_pytorch.images.container_image import ContainerImageError, image_uri
from cdk_sagemaker_pytorch.images.image_table import image_table, minor, release

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(1200)]

SDK_VERSION = "2.257.7"

KINDS: dict[str, dict[str, str]] = {
    "training cpu": {"scope": "training", "instance_type": "ml.m5.large"},
    "training gpu": {"scope": "training", "instance_type": "ml.g5.xlarge"},
    "training p2": {"scope": "training", "instance_type": "ml.p2.xlarge"},
    "training p4d": {"scope": "training", "instance_type": "ml.p4d.24xlarge"},
    "training graviton": {"scope": "training", "instance_type": "ml.c6g.large"},
    "training trn": {"scope": "training", "instance_type": "ml.trn1.2xlarge"},
    "inference cpu": {"scope": "inference", "instance_type": "ml.c5.xlarge"},
    "inference gpu": {"scope": "inference", "instance_type": "ml.p3.2xlarge"},
    "inference p4d": {"scope": "inference", "instance_type": "ml.p4d.24xlarge"},
    "inference graviton": {"scope": "inference", "instance_type": "ml.c7g.large"},
    "inference inf": {"scope": "inference", "instance_type": "ml.inf1.xlarge"},
    "inference trn": {"scope": "inference", "instance_type": "ml.trn1.2xlarge"},
    "serverless": {"scope": "inference"},
    "eia": {"scope": "inference", "instance_type": "ml.m5.large", "accelerator_type": "ml.eia2.medium"},
    "eia gpu": {"scope": "inference", "instance_type": "ml.g5.xlarge", "accelerator_type": "ml.eia2.medium"},
}

# Prints what the SDK knows, reads the axes of the questions, prints one answer a line ("" for a refusal).
SDK_PROGRAM = """
import functools, inspect, itertools, json, logging, sys
logging.disable(logging.CRITICAL)
from importlib.metadata import version
from sagemaker import image_uris, utils
from sagemaker.serverless import ServerlessInferenceConfig
# Both read a large file at each call.
image_uris.config_for_framework = functools.cache(image_uris.config_for_framework)
utils._botocore_resolver = functools.cache(utils._botocore_resolver)
# The decorator of retrieve reads the function's signature at each call.
inspect.signature = functools.cache(inspect.signature)
scopes = image_uris.config_for_framework("pytorch")
entries = [entry for scope in scopes.values() for entry in scope["versions"].values()]
print(json.dumps({
    "sdk": version("sagemaker"),
    "versions": sorted({v for s in scopes.values() for v in (*s["versions"], *s["version_aliases"])}),
    "py_versions": sorted({py for entry in entries for py in entry["py_versions"]}),
    "regions": sorted({region for entry in entries for region in entry["registries"]}),
}), flush=True)
axes = json.loads(sys.stdin.readline())
for framework, py, region, kind in itertools.product(*axes):
    arguments = dict(kind)
    scope = arguments.pop("scope")
    if "instance_type" not in arguments:
        arguments["serverless_inference_config"] = ServerlessInferenceConfig()
    try:
        print(image_uris.retrieve(
            "pytorch", region, version=framework, py_version=py, image_scope=scope, **arguments
        ))
    except ValueError:
        print("")
"""


@dataclass(frozen=True)
class Question:
    framework_version: str
    py_version: str | None
    region: str
    kind: str


@dataclass(frozen=True)
class Difference:
    """What this library answers otherwise than the SDK, on purpose."""

    reason: str
    concerns: Callable[[Question], bool]
    sdk_refuses: bool
    answer: str = ""
    """A part of this library's answer; empty where it refuses."""


DIFFERENCES = [
    Difference(
        "without py_version the newest Python is taken, where the SDK refuses to choose",
        lambda q: q.py_version is None and release(q.framework_version) < (1, 9),
        sdk_refuses=True,
        answer="-py3",
    ),
    Difference(
        "inference after 2.6 has the Ray Serve container, of which the SDK knows nothing",
        lambda q: (
            q.kind in ("inference cpu", "inference gpu", "inference p4d", "serverless")
            and release(q.framework_version) >= (2, 7)
        ),
        sdk_refuses=True,
        answer="/ray:serve-ml-sagemaker-",
    ),
    Difference(
        "the SDK knows training images up to 2.8 only",
        lambda q: (
            q.kind in ("training cpu", "training gpu", "training p4d")
            and release(q.framework_version) >= (2, 9)
        ),
        sdk_refuses=True,
        answer="/pytorch",
    ),
    Difference(
        "the SDK does not know the arm64 repository, where Graviton images are since 2.6",
        lambda q: q.kind == "inference graviton" and minor(q.framework_version) == "2.6",
        sdk_refuses=True,
        answer="/pytorch-inference-arm64:",
    ),
    Difference(
        "for training on Graviton the SDK answers with an inference image",
        lambda q: q.kind == "training graviton",
        sdk_refuses=False,
    ),
    Difference(
        "Neuron images are out of scope; the SDK answers some of them, not always with the version asked for",
        lambda q: q.kind in ("training trn", "inference trn", "inference inf"),
        sdk_refuses=False,
    ),
]


def ask_both(sdk_python: Path) -> Iterator[tuple[Question, str | None, str | None]]:
    """Yield every question with the SDK's answer and this library's, which run side by side.

    None stands for a refusal.
    """
    process = subprocess.Popen(
        [sdk_python, "-W", "ignore", "-c", SDK_PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        known = json.loads(process.stdout.readline())
        assert known["sdk"] == SDK_VERSION
        newer = image_table().versions()
        axes = (
            sorted({*known["versions"], *newer, *map(minor, newer), "9.9.9"}, key=release),
            [None, *known["py_versions"], "py313", "py27"],
            [*known["regions"], "me-west-1", "eu-nowhere-1"],
            list(KINDS),
        )
        sdk_axes = (*axes[:3], [KINDS[kind] for kind in axes[3]])
        process.stdin.write(json.dumps(sdk_axes) + "\n")
        process.stdin.flush()
        for values, line in zip(itertools.product(*axes), process.stdout, strict=True):
            question = Question(*values)
            yield question, line.strip() or None, our_answer(question)
    assert process.returncode == 0


def our_answer(question: Question) -> str | None:
    try:
        return image_uri(
            question.framework_version,
            region=question.region,
            py_version=question.py_version,
            **KINDS[question.kind],  # type: ignore[arg-type]
        )
    except ContainerImageError:
        return None


def test_every_answer_and_refusal_is_the_sdks_or_a_listed_difference(
    sdk_python: Path,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: Counter[str] = Counter()
    unexplained = []
    for question, sdk, ours in ask_both(sdk_python):
        if ours == sdk:
            seen["equal refusals" if sdk is None else "equal URIs"] += 1
            continue
        for difference in DIFFERENCES:
            as_listed = (sdk is None) == difference.sdk_refuses and (
                difference.answer in ours if ours and difference.answer else ours is None
            )
            if difference.concerns(question) and as_listed:
                seen[difference.reason] += 1
                break
        else:
            unexplained.append((question, sdk, ours))

    report = pytestconfig.get_terminal_writer()
    with capsys.disabled():
        report.line(f"\n{seen.total() + len(unexplained)} questions to sagemaker {SDK_VERSION}:")
        for what, count in seen.most_common():
            report.line(f"  {count:7}  {what}")
        report.line(f"  {len(unexplained):7}  unexplained")
    assert not unexplained, unexplained[:10]
    assert seen["equal URIs"] > 10_000
    assert all(seen[difference.reason] for difference in DIFFERENCES), "a listed difference is gone"


@pytest.mark.parametrize("instance_type", ["ml.m7g.large", "ml.c7gn.xlarge", "ml.r8g.large", "ml.t4g.medium"])
def test_graviton_families_that_the_sdk_lacks_get_the_graviton_image(instance_type: str) -> None:
    """The SDK answers with the x86 image, which cannot start there."""
    uri = image_uri("2.4.0", region="eu-west-1", scope="inference", instance_type=instance_type)
    assert uri.endswith("/pytorch-inference-graviton:2.4.0-cpu-py311-ubuntu22.04-sagemaker")


def test_the_table_is_what_the_rebuild_script_writes(sdk_python: Path, tmp_path: Path) -> None:
    shipped = Path(cdk_sagemaker_pytorch.__file__).parent / "images" / "container_images.json"
    rebuilt = tmp_path / "container_images.json"
    rebuilt.write_bytes(shipped.read_bytes())
    day = json.loads(shipped.read_text())["sdk"]["read"]
    script = Path(__file__).parents[2] / "scripts" / "rebuild_container_images.py"
    subprocess.run([sdk_python, "-W", "ignore", script, "--table", rebuilt, "--date", day], check=True)
    assert rebuilt.read_text() == shipped.read_text()

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion, UnknownFrameworkVersionError
from cdk_sagemaker_pytorch.images.image_table import image_table, minor


@pytest.mark.parametrize(
    ("alias", "full"),
    [
        ("0.4", "0.4.0"),
        ("1.5", "1.5.0"),
        ("1.8", "1.8.1"),
        ("1.10", "1.10.2"),
        ("2.2", "2.2.0"),
        ("2.6", "2.6.0"),
        ("2.12", "2.12.1"),
    ],
)
def test_an_alias_is_the_newest_patch(alias: str, full: str) -> None:
    assert FrameworkVersion.of(alias) == FrameworkVersion.of(full)
    assert FrameworkVersion.of(alias).full == full


@given(st.sampled_from(image_table().versions()))
def test_every_version_and_its_minor_are_known(version: str) -> None:
    assert FrameworkVersion.of(version).full == version
    assert minor(FrameworkVersion.of(minor(version)).full) == minor(version)


def test_a_version_is_taken_as_it_is() -> None:
    version = FrameworkVersion.of("2.6.0")
    assert FrameworkVersion.of(version) is version


@pytest.mark.parametrize(
    ("version", "training", "inference"),
    [
        ("0.4.0", ("py2", "py3"), ("py2", "py3")),
        ("1.4.0", ("py2", "py3", "py36"), ("py3", "py36")),
        ("1.5.1", (), ("py3",)),
        ("1.12.1", ("py38",), ("py38",)),
        ("2.6.0", ("py312",), ("py312",)),
        ("2.10.0", ("py313",), ("py313",)),
        ("2.13.0", ("py312",), ("py313",)),
        ("2.14.0", ("py312",), ("py313",)),
    ],
)
def test_python_versions(version: str, training: tuple[str, ...], inference: tuple[str, ...]) -> None:
    found = FrameworkVersion.of(version)
    assert found.training_py_versions == training
    assert found.inference_py_versions == inference


@pytest.mark.parametrize(
    ("version", "code_in_model_archive", "requirements", "model_server"),
    [
        ("0.4.0", False, "source_dir", "flask"),
        ("1.1.0", False, "source_dir", "flask"),
        ("1.2.0", True, "unsupported", "mms"),
        ("1.3.1", True, "code", "mms"),
        ("1.5.1", True, "code", "mms"),
        ("1.6.0", True, "code", "torchserve"),
        ("1.10.2", True, "code", "torchserve"),
        ("2.6.0", True, "code", "torchserve"),
        ("2.7.1", True, "code", "ray"),
        ("2.13.0", True, "code", "ray"),
    ],
)
def test_layout_requirements_and_server(
    version: str, code_in_model_archive: bool, requirements: str, model_server: str
) -> None:
    found = FrameworkVersion.of(version)
    assert found.code_in_model_archive is code_in_model_archive
    assert found.inference_requirements == requirements
    assert found.model_server == model_server


def test_elastic_inference_has_two_minors() -> None:
    supporting = [v for v in image_table().versions() if FrameworkVersion.of(v).supports_elastic_inference]
    assert supporting == ["1.3.1", "1.5.0", "1.5.1"]


@pytest.mark.parametrize(
    ("version", "day"),
    [
        ("0.4.0", date(2023, 7, 1)),
        ("1.11.0", date(2023, 7, 1)),
        ("1.13.1", date(2024, 10, 28)),
        ("2.6.0", date(2026, 1, 29)),
        ("2.13.0", date(2027, 7, 20)),
        ("2.14.0", date(2027, 9, 28)),
    ],
)
def test_end_of_patch(version: str, day: date) -> None:
    assert FrameworkVersion.of(version).end_of_patch == day


@given(st.sampled_from(image_table().versions()), st.sampled_from(image_table().versions()))
def test_releases_compare_in_the_order_of_the_table(one: str, other: str) -> None:
    versions = image_table().versions()
    assert (FrameworkVersion.of(one).release < FrameworkVersion.of(other).release) == (
        versions.index(one) < versions.index(other)
    )


def test_what_comes_next_can_be_declared() -> None:
    declared = FrameworkVersion.of(
        "3.0.0",
        training_py_versions=["py314"],
        end_of_patch=date(2029, 1, 1),
        training_images={"cpu": "pytorch:3.0.0-cpu-amzn2023-sagemaker"},
    )
    assert declared.full == "3.0.0"
    assert declared.training_py_versions == ("py314",)
    assert declared.inference_py_versions == ("py313",), "it is served by the Ray Serve container"
    assert declared.end_of_patch == date(2029, 1, 1)
    assert declared.model_server == "ray"
    assert declared.code_in_model_archive
    assert not declared.supports_elastic_inference
    assert hash(declared) == hash(declared)


def test_a_declaration_of_a_known_version_has_no_effect() -> None:
    declared = FrameworkVersion.of("2.6.0", training_py_versions=["py399"], end_of_patch=date(2099, 1, 1))
    assert declared == FrameworkVersion.of("2.6.0")


@given(st.text(max_size=12).filter(lambda text: text not in map(minor, image_table().versions())))
def test_fails_when_the_version_is_unknown(version: str) -> None:
    if version in image_table().versions():
        return
    with pytest.raises(
        UnknownFrameworkVersionError, match=r"framework_version must be one of 0.4.0, 1.0.0, .*got"
    ):
        FrameworkVersion.of(version)


def test_fails_when_the_version_is_a_number() -> None:
    with pytest.raises(UnknownFrameworkVersionError, match=r"as a string, got 2.1;"):
        FrameworkVersion.of(2.10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "declaration", "message"),
    [
        ("3.0", {"training_py_versions": ["py314"]}, "must have three numbers such as 2.14.0, got 3.0"),
        ("3.0.0", {"training_py_versions": ["3.14"]}, "training_py_versions must be .* py312, got 3.14"),
        ("3.0.0", {"training_py_versions": "py314"}, "must be a list such as .* got the string 'py314'"),
        ("3.0.0", {"training_images": {"cpu": "pytorch:3"}}, "must come with training_py_versions, got none"),
        (
            "3.0.0",
            {"training_py_versions": ["py314"], "training_images": {"tpu": "pytorch:3"}},
            "must map cpu and gpu to repository:tag, got tpu: pytorch:3",
        ),
        (
            "3.0.0",
            {"training_py_versions": ["py314"], "training_images": {"cpu": "pytorch:3", "gpu": "torch:3"}},
            "must be in one repository, got pytorch:3, torch:3",
        ),
    ],
)
def test_fails_when_a_declaration_cannot_be_understood(
    version: str, declaration: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FrameworkVersion.of(version, **declaration)  # type: ignore[arg-type]


@pytest.mark.parametrize(("version", "ships"), [("1.8", False), ("1.9", True), ("2.6", True), ("2.13", True)])
def test_the_handlers_ship_from_the_first_container_with_their_python(version: str, ships: bool) -> None:
    assert FrameworkVersion.of(version).ships_handlers is ships


@pytest.mark.parametrize(
    ("version", "passing"),
    [
        ("1.8", "exec"),
        ("1.9", "unknown"),
        ("1.10", "unknown"),
        ("1.11", "shell"),
        ("2.6", "shell"),
        ("2.8", "shell"),
        ("2.9", "unknown"),
        ("2.13", "unknown"),
    ],
)
def test_how_hyperparameters_reach_the_script(version: str, passing: str) -> None:
    """Images that are built no more since before September 2026 hold a toolkit with a shell."""
    assert FrameworkVersion.of(version).argument_passing == passing

"""Functions with wheels. The network is asked only where a test says so."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Annotations, Match

from cdk_sagemaker_pytorch.source import lambda_bundling
from cdk_sagemaker_pytorch.source.lambda_bundling import (
    WheelsUnavailableError,
    bundled_function,
    fetch_wheels,
)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lambda_bundling._fetched.cache_clear()
    yield tmp_path / "cache"
    lambda_bundling._fetched.cache_clear()


def make_wheel(path: Path, machine: str) -> bytes:
    """Write a wheel as it would be published: the same bytes again for the same machine."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("isal/__init__.py"), f"MACHINE = {machine!r}\n")
    return path.read_bytes()


@pytest.fixture
def requirements(tmp_path):
    """A requirements file for wheels of two machines."""
    digests = [
        hashlib.sha256(make_wheel(tmp_path / f"{machine}.whl", machine)).hexdigest()
        for machine in ("aarch64", "x86_64")
    ]
    path = tmp_path / "function" / "requirements.txt"
    path.parent.mkdir()
    path.write_text("isal==1.0 " + " ".join(f"--hash=sha256:{digest}" for digest in digests))
    return path


@pytest.fixture
def pip(monkeypatch):
    """Stands for pip with an index; remembers its calls, and can be told to fail."""

    class Pip:
        def __init__(self):
            self.calls = []
            self.failure = None

        def run(self, command, **_):
            self.calls.append(command)
            if self.failure:
                raise self.failure
            options = dict(part.split("=", 1) for part in command if part.startswith("--") and "=" in part)
            machine = "aarch64" if options["--platform"].endswith("aarch64") else "x86_64"
            make_wheel(Path(options["--dest"]) / f"isal-1.0-cp313-{machine}.whl", machine)

    fake = Pip()
    monkeypatch.setattr(lambda_bundling.subprocess, "run", fake.run)
    return fake


def test_wheels_are_asked_for_by_platform_and_hash(requirements, pip):
    (wheel,) = fetch_wheels(requirements, "arm64", "3.13")
    assert wheel.name == "isal-1.0-cp313-aarch64.whl"
    (command,) = pip.calls
    wanted = {
        "--require-hashes",
        "--only-binary=:all:",
        "--python-version=3.13",
        "--platform=manylinux2014_aarch64",
    }
    assert wanted <= set(command)


def test_wheels_stay_in_the_cache(requirements, pip):
    first = fetch_wheels(requirements, "arm64", "3.13")
    lambda_bundling._fetched.cache_clear()
    assert fetch_wheels(requirements, "arm64", "3.13") == first
    assert len(pip.calls) == 1


def test_each_architecture_has_wheels_of_its_own(requirements, pip):
    arm, intel = (fetch_wheels(requirements, name, "3.13") for name in ("arm64", "x86_64"))
    assert [path.name.split("-")[-1] for path in (*arm, *intel)] == ["aarch64.whl", "x86_64.whl"]


def test_a_damaged_wheel_is_fetched_anew(requirements, pip):
    (wheel,) = fetch_wheels(requirements, "arm64", "3.13")
    good = wheel.read_bytes()
    wheel.write_bytes(b"damaged")
    lambda_bundling._fetched.cache_clear()
    (wheel,) = fetch_wheels(requirements, "arm64", "3.13")
    assert wheel.read_bytes() == good


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (subprocess.CalledProcessError(1, "pip", stderr=b"noise\nno route to host\n"), "no route to host"),
        (subprocess.TimeoutExpired("pip", 60), "more than 60 seconds"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_fails_when_pip_cannot_download(failure, text, requirements, pip):
    pip.failure = failure
    for _ in range(2):
        with pytest.raises(WheelsUnavailableError, match=text):
            fetch_wheels(requirements, "arm64", "3.13")
    assert len(pip.calls) == 1  # an index that is out of reach costs its waiting time only once


def test_fails_when_what_came_is_not_what_was_named(requirements, pip):
    requirements.write_text(f"isal==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(WheelsUnavailableError, match=r"are not those that requirements\.txt names"):
        fetch_wheels(requirements, "arm64", "3.13")


def synthesize(folder: Path, monkeypatch, function: Path, context: dict | None = None) -> tuple[Stack, Path]:
    """Synthesize a function and return its stack and the folder of its asset."""
    monkeypatch.setattr(lambda_bundling, "shipped_asset", lambda *_: function)
    app = App(outdir=str(folder), context=context)
    stack = Stack(app, "Stack")
    code = bundled_function(
        stack, "function", architecture=lambda_.Architecture.ARM_64, python_version="3.13"
    )
    lambda_.Function(
        stack, "Function", runtime=lambda_.Runtime.PYTHON_3_13, handler="index.handler", code=code
    )
    app.synth()
    (asset,) = folder.glob("asset.*")
    return stack, asset


@pytest.fixture
def function(requirements):
    (requirements.parent / "index.py").write_text("def handler(event, context): ...\n")
    (requirements.parent / "__pycache__").mkdir()
    (requirements.parent / "__pycache__" / "index.cpython-313.pyc").write_bytes(b"")
    return requirements.parent


def test_the_asset_holds_the_function_and_its_wheels_and_has_a_steady_hash(
    function, pip, tmp_path, monkeypatch
):
    assets = []
    for number in range(2):
        stack, asset = synthesize(tmp_path / f"out{number}", monkeypatch, function)
        Annotations.from_stack(stack).has_no_warning("*", Match.string_like_regexp(".*"))
        assets.append(asset)
    assert assets[0].name == assets[1].name
    files = {path.relative_to(assets[0]).as_posix() for path in assets[0].rglob("*") if path.is_file()}
    assert files == {"index.py", "requirements.txt", "isal/__init__.py"}


def test_without_an_index_the_function_ships_without_wheels_and_a_warning_says_so(
    function, pip, tmp_path, monkeypatch
):
    pip.failure = subprocess.CalledProcessError(1, "pip", stderr=b"no route to host")
    stack, asset = synthesize(tmp_path / "out", monkeypatch, function)
    assert not (asset / "isal").exists()
    Annotations.from_stack(stack).has_warning("/Stack", Match.string_like_regexp("slower.*no route to host"))


def test_wheels_can_be_left_out_on_purpose(function, pip, tmp_path, monkeypatch):
    context = {lambda_bundling.SKIP_CONTEXT_KEY: True}
    stack, asset = synthesize(tmp_path / "out", monkeypatch, function, context)
    assert not (asset / "isal").exists()
    assert pip.calls == []
    Annotations.from_stack(stack).has_no_warning("*", Match.string_like_regexp(".*"))

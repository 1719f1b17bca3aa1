from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Annotations, Match

from cdk_sagemaker_pytorch import PyTorchTrainingJob, SourceCode
from cdk_sagemaker_pytorch.source.default_excludes import SourceFilter
from cdk_sagemaker_pytorch.source.source_archive import collect_files

SECRETS = [
    *(".env", ".env.local", ".envrc", "keys/server.pem", ".netrc", ".aws/credentials", "deep/.ssh/id_rsa"),
    *("id_rsa", "id_ed25519", ".pypirc", "store.p12"),
]
MADE = [
    *("cdk.out/asset.1/x", "node_modules/a/index.js", ".cache/x", "my-env/pyvenv.cfg", "my-env/lib/x.py"),
    *("assembly/cdk.out", "assembly/manifest.json", "assembly/asset.zip"),
]
KEPT = [
    "train.py",
    "id_mapping.json",
    "id_rsa.pub",
    "environment.yml",
    "pem.py",
    "out/model.py",
    "keys/readme.md",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*SECRETS, *MADE, *KEPT):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    return tmp_path / "src"


def test_secrets_and_what_tools_make_are_left_out(folder: Path) -> None:
    source_filter = SourceFilter(folder)

    assert sorted(collect_files(folder, is_excluded=source_filter.excludes)) == sorted(KEPT)

    assert sorted(source_filter.secrets) == [
        *(".aws/", ".env", ".env.local", ".envrc", ".netrc", ".pypirc", "deep/.ssh/", "id_ed25519", "id_rsa"),
        *("keys/server.pem", "store.p12"),
    ]
    assert sorted(source_filter.made_by_tools) == [
        *(".cache/", "assembly/", "cdk.out/", "my-env/", "node_modules/")
    ]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("!.env", ".env"),
        ("!keys/server.pem", "keys/server.pem"),
        ("!.aws/", ".aws/credentials"),
        ("!my-env/", "my-env/lib/x.py"),
        ("!cdk.out/", "cdk.out/asset.1/x"),
    ],
)
def test_a_pattern_lets_in_what_would_be_left_out(folder: Path, pattern: str, name: str) -> None:
    assert name in collect_files(folder, is_excluded=SourceFilter(folder, [pattern]).excludes)


def test_what_the_user_excludes_is_not_told(folder: Path) -> None:
    source_filter = SourceFilter(folder, [".env*", "cdk.out"])
    collect_files(folder, is_excluded=source_filter.excludes)

    assert not any(name.startswith(".env") for name in source_filter.secrets)
    assert "cdk.out/" not in source_filter.made_by_tools


def synthesize(folder: Path, output: Path) -> tuple[str, Stack]:
    """Synthesize into a folder; returns the name of the source code's asset."""
    app = App(outdir=str(output))
    stack = Stack(app, "Stack")
    PyTorchTrainingJob(
        stack,
        "Job",
        framework_version="2.13",
        source_code=SourceCode.from_directory(folder, entry_point="train.py"),
    )
    app.synth()
    assets = [path.name for path in output.iterdir() if path.name.startswith("asset.")]
    return next(name for name in assets if name.endswith(".gz")), stack


@pytest.mark.parametrize("output", ["cdk.out", "build/of-mine"])
def test_each_synthesis_packs_the_same_bytes(tmp_path: Path, output: str) -> None:
    (tmp_path / "train.py").write_text("print('trains')\n")
    (tmp_path / "helper.py").write_bytes(b"# " + b"x" * 100_000)
    names = {synthesize(tmp_path, tmp_path / output)[0] for _ in range(4)}

    assert len(names) == 1


def test_the_construct_tells_what_is_left_out(folder: Path, tmp_path: Path) -> None:
    _, stack = synthesize(folder, tmp_path / "out")

    annotations = Annotations.from_stack(stack)
    annotations.has_warning(
        "/Stack/Job",
        Match.string_like_regexp(r"secret by its name: \.aws/, \.env, .* and 6 more; .*secretsLeftOut"),
    )
    annotations.has_info("/Stack/Job", Match.string_like_regexp("leaves out .cache/, assembly/, cdk.out/, "))


def test_dependencies_are_filtered_too(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / ".env").write_text("TOKEN=x")
    (tmp_path / "lib" / "a.py").write_text("")
    stack = Stack()
    source_code = SourceCode.from_directory(
        tmp_path / "src", entry_point="train.py", dependencies=[tmp_path / "lib"]
    )
    PyTorchTrainingJob(stack, "Job", framework_version="2.13", source_code=source_code)

    Annotations.from_stack(stack).has_warning("/Default/Job", Match.string_like_regexp(r"lib/\.env"))

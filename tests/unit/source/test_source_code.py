import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch import ConfigurationError, SourceCode
from cdk_sagemaker_pytorch.source import archive_cache
from cdk_sagemaker_pytorch.source.source_asset import SERVING_PACKAGE, SourceArchive


@pytest.fixture
def source_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    (folder / "data").mkdir(parents=True)
    (folder / "train.py").write_text("print('training')")
    (folder / "util.py").write_text("")
    (folder / "requirements.txt").write_text("einops\n")
    (folder / "data" / "big.csv").write_text("1,2")
    return folder


def names(stack: Stack, archive: SourceArchive) -> list[str]:
    """Members of the archive as it lies in the cloud assembly."""
    app = App.of(stack)
    assert isinstance(app, App)
    path = Path(app.outdir) / f"asset.{archive.object_key.removesuffix('.gz')}.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes()), mode="r:gz") as tar:
        return tar.getnames()


def test_training_code_lies_at_the_top(stack: Stack, source_dir: Path) -> None:
    source_code = SourceCode.from_directory(source_dir, entry_point="train.py")
    archive = source_code.bind_training(stack, "Code")
    assert archive.entry_point == "train.py"
    assert names(stack, archive) == ["data/big.csv", "requirements.txt", "train.py", "util.py"]


def test_a_single_file_brings_nothing_else(stack: Stack, source_dir: Path) -> None:
    archive = SourceCode.from_file(source_dir / "train.py").bind_training(stack, "Code")
    assert names(stack, archive) == ["train.py"]


def test_exclude_is_like_a_gitignore(stack: Stack, source_dir: Path) -> None:
    source_code = SourceCode.from_directory(
        source_dir, entry_point="train.py", exclude=["*.csv", "/util.py", "!/data/keep.csv"]
    )
    (source_dir / "data" / "keep.csv").write_text("")
    archive = source_code.bind_training(stack, "Code")
    assert names(stack, archive) == ["data/keep.csv", "requirements.txt", "train.py"]


def test_dependencies_lie_beside_the_script(stack: Stack, source_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "net.py").write_text("")
    (tmp_path / "one.py").write_text("")
    source_code = SourceCode.from_directory(
        source_dir,
        entry_point="train.py",
        dependencies=[tmp_path / "shared", tmp_path / "one.py"],
        exclude=["data", "util.py", "requirements.txt"],
    )
    training = source_code.bind_training(stack, "Training")
    inference = source_code.bind_inference(stack, "Inference", with_handlers=False)
    assert names(stack, training) == ["one.py", "shared/net.py", "train.py"]
    assert names(stack, inference) == ["one.py", "shared/net.py", "train.py"]
    assert not inference.has_handlers


def test_inference_code_has_the_librarys_handlers_beside_it(stack: Stack, source_dir: Path) -> None:
    archive = SourceCode.from_file(source_dir / "train.py").bind_inference(stack, "Code", with_handlers=True)
    assert f"{SERVING_PACKAGE}/codecs.py" in names(stack, archive)
    assert archive.has_handlers


def test_a_file_joins_the_models_own_code_and_a_directory_replaces_it(stack: Stack, source_dir: Path) -> None:
    file = SourceCode.from_file(source_dir / "train.py").bind_inference(stack, "File", with_handlers=False)
    folder = SourceCode.from_directory(source_dir, entry_point="train.py")
    directory = folder.bind_inference(stack, "Directory", with_handlers=False)
    assert file.event_fields == {
        "source_code": file.s3_uri,
        "entry_point": "train.py",
        "keep_code": "true",
    }
    assert directory.event_fields == {"source_code": directory.s3_uri, "entry_point": "train.py"}


def test_code_in_s3_gets_the_handlers_beside_it(stack: Stack, statements: object) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "my-bucket")
    code = SourceCode.from_s3(bucket, "code.tar.gz", entry_point="serve.py")
    archive = code.bind_inference(stack, "Code", with_handlers=True)
    assert archive.has_handlers
    assert archive.handlers is not None
    assert archive.event_fields["handlers"] == archive.handlers.s3_object_url
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    archive.grant_read(role)
    granted = str(statements("Role"))  # type: ignore[operator]
    assert "code.tar.gz" in granted
    assert archive.handlers.s3_object_key in granted
    assert code.bind_inference(stack, "Plain", with_handlers=False).handlers is None


def test_what_other_systems_leave_does_not_ship(stack: Stack, source_dir: Path) -> None:
    for name in ("._train.py", "__MACOSX/._train.py", ".DS_Store", "data/Thumbs.db", "data/desktop.ini"):
        (source_dir / name).parent.mkdir(exist_ok=True)
        (source_dir / name).write_bytes(b"\0")
    archive = SourceCode.from_directory(source_dir, entry_point="train.py").bind_training(stack, "Code")
    assert names(stack, archive) == ["data/big.csv", "requirements.txt", "train.py", "util.py"]


def test_the_bundled_scripts_ship(stack: Stack) -> None:
    training = SourceCode.bundled_training().bind_training(stack, "Training")
    inference = SourceCode.bundled_inference().bind_inference(stack, "Inference", with_handlers=True)
    assert "train.py" in names(stack, training)
    assert "inference.py" in names(stack, inference)


def test_the_same_code_is_the_same_asset_in_two_places(
    stack: Stack, source_dir: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "train.py").write_bytes((source_dir / "train.py").read_bytes())
    one = SourceCode.from_file(source_dir / "train.py").bind_training(stack, "One")
    two = SourceCode.from_file(copy / "train.py").bind_training(stack, "Two")
    assert one.object_key == two.object_key


def test_code_that_is_bound_twice_is_packed_once(
    stack: Stack, source_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = []
    write = archive_cache.source_archive.write_archive

    def write_and_count(files: Mapping[str, str], archive: Path) -> str:
        packed.append(archive)
        return write(files, archive)

    monkeypatch.setattr(archive_cache.source_archive, "write_archive", write_and_count)
    archives = [
        SourceCode.from_directory(source_dir, entry_point="train.py").bind_training(scope, "Code")
        for scope in (stack, Construct(stack, "Other"), Stack(App.of(stack), "OtherStack"))  # type: ignore[arg-type]
    ]
    assert len({archive.object_key for archive in archives}) == 1
    assert names(stack, archives[0]) == ["data/big.csv", "requirements.txt", "train.py", "util.py"]
    assert len(packed) == 1

    (source_dir / "util.py").write_text("changed = True")
    changed = SourceCode.from_directory(source_dir, entry_point="train.py").bind_training(stack, "Changed")
    assert changed.object_key != archives[0].object_key
    assert len(packed) == 2


def test_code_in_s3_is_used_where_it_lies(stack: Stack) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "my-bucket")
    archive = SourceCode.from_s3(bucket, "code/sourcedir.tar.gz", entry_point="train.py")
    bound = archive.bind_training(stack, "Code")
    assert bound.s3_uri == "s3://my-bucket/code/sourcedir.tar.gz"
    assert bound.entry_point == "train.py"
    assert archive.path is None
    assert not archive.has_requirements


def test_read_access_is_to_the_archive_alone(stack: Stack, statements: object) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "my-bucket")
    archive = SourceCode.from_s3(bucket, "code.tar.gz", entry_point="train.py")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    archive.bind_training(stack, "Code").grant_read(role)
    ((statement),) = statements("Role")  # type: ignore[operator]
    objects = [str(resource) for resource in statement["Resource"] if "code.tar.gz" in str(resource)]
    assert len(objects) == 1


def test_requirements_are_noticed_unless_they_are_excluded(source_dir: Path) -> None:
    assert SourceCode.from_directory(source_dir, entry_point="train.py").has_requirements
    excluding = SourceCode.from_directory(source_dir, entry_point="train.py", exclude=["requirements.txt"])
    assert not excluding.has_requirements


def test_fails_when_paths_do_not_exist_with_all_of_them(source_dir: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SourceCode.from_directory(source_dir, entry_point="missing.py", dependencies=[source_dir / "nothing"])
    assert raised.value.problems == (
        f"entry_point must be a file in source_dir, got {source_dir / 'missing.py'}",
        f"dependencies must exist, got {source_dir / 'nothing'}",
    )


def test_fails_when_source_dir_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"source_dir must be .*, got .*nowhere"):
        SourceCode.from_directory(tmp_path / "nowhere", entry_point="train.py")


def test_fails_when_two_dependencies_share_a_name(source_dir: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text("")
    with pytest.raises(ConfigurationError, match=r"different names, got net\.py twice"):
        SourceCode.from_directory(
            source_dir,
            entry_point="train.py",
            dependencies=[tmp_path / "a" / "net.py", tmp_path / "b" / "net.py"],
        )


def test_fails_when_a_dependency_would_replace_a_file(stack: Stack, source_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "util.py").write_text("other")
    source_code = SourceCode.from_directory(
        source_dir, entry_point="train.py", dependencies=[tmp_path / "util.py"]
    )
    with pytest.raises(ConfigurationError, match=r"must not replace files .* for util\.py"):
        source_code.bind_training(stack, "Code")


def test_fails_when_a_pattern_cannot_be_understood(source_dir: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"exclude must be patterns as in a \.gitignore, got '\[z-a\]'"
    ):
        SourceCode.from_directory(source_dir, entry_point="train.py", exclude=["[z-a]"])


def test_fails_when_the_code_is_too_large_naming_what_is_biggest(stack: Stack, source_dir: Path) -> None:
    for name, mebibytes in (("data/big.csv", 100), ("data/half.csv", 30)):
        with (source_dir / name).open("wb") as file:
            file.truncate(mebibytes * 1024**2)  # sparse: nothing is written, and nothing will be read
    source_code = SourceCode.from_directory(source_dir, entry_point="train.py")
    with pytest.raises(ConfigurationError) as raised:
        source_code.bind_inference(stack, "Inference", with_handlers=False)
    (problem,) = raised.value.problems
    assert problem.startswith(
        "source code must be at most 128.0 MiB before compression, got 130.0 MiB in 5 files, the biggest"
        " data/big.csv (100.0 MiB), data/half.csv (30.0 MiB), "
    )

    with (source_dir / "data" / "big.csv").open("wb") as file:
        file.truncate(1024**3)
    with pytest.raises(ConfigurationError, match=r"at most 1024\.0 MiB before compression, got 1054\.0 MiB"):
        source_code.bind_training(stack, "Training")


def test_fails_when_the_entry_point_is_excluded(stack: Stack, source_dir: Path) -> None:
    source_code = SourceCode.from_directory(source_dir, entry_point="train.py", exclude=["*.py"])
    with pytest.raises(ConfigurationError, match="exclude must leave the entry point in"):
        source_code.bind_training(stack, "Code")

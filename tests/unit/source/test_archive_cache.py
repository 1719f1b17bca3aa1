import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cdk_sagemaker_pytorch.source import archive_cache, source_archive
from cdk_sagemaker_pytorch.source.archive_cache import CACHE_VARIABLE, archive_key, file_states, pack

Pack = Callable[[], tuple[bytes, str]]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "src"
    folder.mkdir()
    for name in ("train.py", "util.py"):
        (folder / name).write_text(f"print('{name}')")
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are kept."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "source-archives"


@pytest.fixture
def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 60 * 10**9)


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows with every archive that is really packed."""
    written: list[Path] = []
    write = source_archive.write_archive

    def write_and_count(files: dict[str, str], archive: Path) -> str:
        written.append(archive)
        return write(files, archive)

    monkeypatch.setattr(source_archive, "write_archive", write_and_count)
    return written


@pytest.fixture
def packed(files: dict[str, Path], tmp_path: Path) -> Pack:
    """Pack the files as they are now; returns the archive and its digest."""

    def pack_now() -> tuple[bytes, str]:
        archive = tmp_path / "sourcedir.tar.gz"
        archive.unlink(missing_ok=True)
        paths = {name: str(path) for name, path in files.items()}
        digest = pack(paths, file_states(paths), archive)
        return archive.read_bytes(), digest

    return pack_now


@pytest.mark.usefixtures("a_minute_later")
def test_unchanged_files_are_packed_once(packed: Pack, cache: Path, packings: list[Path]) -> None:
    first = packed()
    assert packed() == first
    assert len(packings) == 1
    assert len(list(cache.iterdir())) == 1


def _write_other_text(path: Path) -> None:
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(0, 1))


def _write_other_text_in_secret(path: Path) -> None:
    """Leave size and modification time as they were."""
    before = path.stat()
    path.write_text(path.read_text().swapcase())
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    before = path.stat()
    other = path.with_suffix(".new")
    other.write_text(path.read_text().swapcase())
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.usefixtures("cache", "a_minute_later")
@pytest.mark.parametrize(
    "change",
    [
        _write_other_text,
        _write_other_text_in_secret,
        _replace,
        lambda path: path.write_text("longer than before, by much"),
        lambda path: path.chmod(0o755),
    ],
)
def test_a_change_is_packed(
    packed: Pack, files: dict[str, Path], packings: list[Path], change: Callable[[Path], None]
) -> None:
    first = packed()
    change(files["util.py"])
    changed = packed()
    assert len(packings) == 2
    assert changed[0] != first[0]
    assert changed[1] != first[1]


def test_a_key_depends_on_names_and_not_on_their_order(files: dict[str, Path]) -> None:
    def key(*names: str) -> str:
        return archive_key(file_states({name: str(files[Path(name).name]) for name in names}))

    assert key("train.py", "util.py") == key("util.py", "train.py")
    assert key("train.py", "util.py") != key("train.py", "lib/util.py")
    assert key("train.py", "util.py") != key("train.py")


def test_what_another_version_of_the_library_packed_is_not_used(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = file_states({"train.py": str(files["train.py"])})
    key = archive_key(states)
    monkeypatch.setattr(archive_cache, "_packer", lambda: b"another version")
    assert archive_key(states) != key


def test_files_that_were_just_written_are_not_kept(
    packed: Pack,
    files: dict[str, Path],
    cache: Path,
    packings: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = max(path.stat().st_mtime_ns for path in files.values())
    monkeypatch.setattr(time, "time_ns", lambda: written + 10**9)
    assert packed() == packed()
    assert len(packings) == 2
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("a_minute_later")
def test_files_that_change_while_they_are_packed_are_not_kept(
    packed: Pack, files: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = source_archive.write_archive

    def write_and_change(found: dict[str, str], archive: Path) -> str:
        digest = write(found, archive)
        files["util.py"].write_text("changed meanwhile")
        return digest

    monkeypatch.setattr(source_archive, "write_archive", write_and_change)
    packed()
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("a_minute_later")
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: b"0" * 64 + content[64:],
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    ],
)
def test_a_broken_entry_is_packed_anew(
    packed: Pack, cache: Path, packings: list[Path], damage: Callable[[bytes], bytes]
) -> None:
    first = packed()
    (entry,) = cache.iterdir()
    intact = entry.read_bytes()
    entry.write_bytes(damage(intact))
    assert packed() == first
    assert len(packings) == 2
    assert entry.read_bytes() == intact


@pytest.mark.usefixtures("a_minute_later")
def test_only_the_user_may_write_into_the_folder(packed: Pack, cache: Path) -> None:
    packed()
    assert cache.stat().st_mode & 0o777 == 0o700
    (entry,) = cache.iterdir()
    assert entry.stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("a_minute_later")
def test_a_folder_that_others_may_write_into_is_not_used(
    packed: Pack, cache: Path, packings: list[Path]
) -> None:
    first = packed()
    cache.chmod(0o777)
    assert packed() == first
    assert len(packings) == 2


@pytest.mark.usefixtures("a_minute_later")
@pytest.mark.parametrize("value", ["", "src/train.py"])
def test_without_a_folder_files_are_packed_every_time(
    packed: Pack, packings: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, value)
    assert packed() == packed()
    assert len(packings) == 2


@pytest.mark.usefixtures("a_minute_later")
def test_the_folder_is_among_the_users_caches(
    packed: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    packed()
    assert len(list((tmp_path / "xdg" / "cdk-sagemaker-pytorch" / "source-archives").iterdir())) == 1


@pytest.mark.usefixtures("a_minute_later")
def test_nothing_is_left_behind_when_the_disk_is_full(
    packed: Pack, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    packed()
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("a_minute_later")
def test_what_was_not_used_for_long_is_removed(packed: Pack, cache: Path, files: dict[str, Path]) -> None:
    packed()
    (old,) = cache.iterdir()
    (cache / "notes.txt").write_text("not an archive")
    for path in cache.iterdir():
        os.utime(path, (0, 0))
    files["util.py"].write_text("new")
    packed()
    assert not old.exists()
    assert len(list(cache.glob("*.archive"))) == 1
    assert (cache / "notes.txt").exists()


@pytest.mark.usefixtures("a_minute_later")
def test_the_longest_unused_goes_when_there_is_too_much(
    packed: Pack, cache: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = []
    for minutes_ago in (3, 2):
        files["util.py"].write_text(f"{minutes_ago} minutes ago")
        packed()
        (entry,) = set(cache.iterdir()) - set(entries)
        os.utime(entry, (time.time() - 60 * minutes_ago,) * 2)
        entries.append(entry)
    monkeypatch.setattr(archive_cache, "_MOST_BYTES", 2 * entries[1].stat().st_size + 100)
    files["util.py"].write_text("1 minutes ago")
    packed()
    assert not entries[0].exists()
    assert entries[1].exists()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.usefixtures("a_minute_later")
def test_an_entry_that_is_used_counts_as_new(packed: Pack, cache: Path) -> None:
    packed()
    (entry,) = cache.iterdir()
    os.utime(entry, (0, 0))
    packed()
    assert entry.stat().st_mtime > 0

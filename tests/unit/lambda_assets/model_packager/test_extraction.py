"""Whatever the archive: every tool extracts exactly the model files and the code from what comes out."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("engine")

CODE = {"inference.py": b"def model_fn(model_dir): ...\n", "requirements.txt": b"", "lib/a/b.py": b"x = 1\n"}
UTF8 = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
DIALECTS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def _with_command(*command):
    def extract(archive, directory):
        subprocess.run([*command, directory], input=archive, check=True, capture_output=True, env=UTF8)

    return extract


def _with_python(mode):
    def extract(archive, directory):
        with tarfile.open(fileobj=io.BytesIO(archive), mode=mode, errors="surrogateescape") as tar:
            tar.extractall(directory, filter="data")

    return extract


TOOLS = {
    "gnu tar": _with_command("tar", "-xzf", "-", "-C"),
    "python r:gz": _with_python("r:gz"),
    "python r|gz": _with_python("r|gz"),
}
OTHER_TOOLS = {"bsdtar": ["bsdtar"], "busybox": ["busybox", "tar"]}
TOOLS |= {
    name: _with_command(*command, "-xzf", "-", "-C")
    for name, command in OTHER_TOOLS.items()
    if shutil.which(name)
}
NO_PAX = {"busybox"}  # ignores pax records, in any archive


def tree(directory):
    """Return every file and link below a directory; a hard link counts as a file."""
    found = {}
    for path in Path(directory).rglob("*"):
        name = os.fsencode(path.relative_to(directory))
        if path.is_symlink():
            found[name] = os.readlink(os.fsencode(path))
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


@st.composite
def names(draw, dialect):
    """Paths that no other one of the archive can be a directory of."""
    long = 30 if dialect == "ustar" else 200
    parts = st.binary(min_size=1, max_size=long).map(
        lambda raw: bytes(byte if byte not in b"\0/\n" else ord("_") for byte in raw)
    )
    depth = draw(st.integers(0, 3))
    words = st.one_of(st.sampled_from([b"model", b"a b", "é".encode(), b"n" * long]), parts)
    return b"/".join([*(b"d_" + draw(words) for _ in range(depth)), b"f_" + draw(words)])


@dataclass(frozen=True)
class Case:
    dialect: str
    data: bytes = field(repr=False)
    expected: dict[bytes, bytes]


@st.composite
def archives_with_trees(draw):
    """A model.tar.gz of some tool, and what must come out of it beside the code."""
    dialect = draw(st.sampled_from(sorted(DIALECTS)))
    files = draw(st.dictionaries(names(dialect), st.binary(max_size=2000), max_size=5))
    expected = dict(files)
    prefix = draw(st.sampled_from(["", "./", ".//"]))
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=DIALECTS[dialect], encoding="utf-8", errors="surrogateescape"
    ) as tar:

        def add(name, data=b"", **fields):
            info = tarfile.TarInfo(prefix + os.fsdecode(name))
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))

        if draw(st.booleans()):
            add(b".", type=tarfile.DIRTYPE, mode=0o755)
        old_code = draw(st.sampled_from(["none", "files", "file", "symlink"]))
        if old_code == "files":
            add(b"code", type=tarfile.DIRTYPE, mode=0o755)
            add(b"code/inference.py", b"old")
            add(b"code/stale.py", b"old")
        elif old_code == "file":
            add(b"code", b"old")
        elif old_code == "symlink":
            add(b"code", type=tarfile.SYMTYPE, linkname="/opt/ml/code")
        for name, data in files.items():
            add(name, data, mtime=draw(st.sampled_from([0, 1700000000])))
        for number, name in enumerate(list(files)[:2]):
            if draw(st.booleans()) and (dialect != "ustar" or len(name) < 90):
                add(b"hard%d" % number, type=tarfile.LNKTYPE, linkname=prefix + os.fsdecode(name))
                expected[b"hard%d" % number] = files[name]
            if draw(st.booleans()) and len(name) < 100:
                add(b"soft%d" % number, type=tarfile.SYMTYPE, linkname=os.fsdecode(name))
                expected[b"soft%d" % number] = name
        if files and draw(st.booleans()):
            twice = next(iter(files))
            if b"hard0" not in expected:
                add(twice, b"the last one wins")
                expected[twice] = b"the last one wins"
    plain = buffer.getvalue()
    cut = draw(st.integers(0, len(plain)))
    data = draw(
        st.sampled_from(
            [
                gzip.compress(plain, draw(st.integers(0, 9))),
                gzip.compress(plain[:cut]) + gzip.compress(plain[cut:]),
                gzip.compress(plain) + bytes(draw(st.integers(1, 600))),
            ]
        )
    )
    return Case(dialect, data, expected)


@pytest.mark.skipif("CI" not in os.environ, reason="on a machine of one's own they are optional")
def test_ci_has_every_tool():
    assert OTHER_TOOLS.keys() <= TOOLS.keys()


@given(case=archives_with_trees())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_tool_extracts_the_model_and_the_code_and_nothing_else(case, archives):
    _, packaged = archives.package_bytes(archives.model_archive(CODE), case.data)
    expected = case.expected | {b"code/" + name.encode(): text for name, text in CODE.items()}
    for tool, extract in TOOLS.items():
        if case.dialect == "pax" and tool in NO_PAX:
            continue
        with tempfile.TemporaryDirectory() as directory:
            extract(packaged, directory)
            assert tree(directory) == expected, tool


@pytest.mark.parametrize("tool", TOOLS)
def test_an_empty_model_gets_the_code(tool, archives, tmp_path):
    strategy, packaged = archives.package_bytes(archives.model_archive(CODE), archives.tar_gz({}))
    assert strategy == "splice"
    TOOLS[tool](packaged, tmp_path)
    assert tree(tmp_path) == {b"code/" + name.encode(): text for name, text in CODE.items()}


def test_modes_are_kept_and_the_code_has_the_same_ones_always(archives, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    script = source / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o750)
    model = subprocess.run(["tar", "-C", source, "-czf", "-", "."], check=True, capture_output=True).stdout
    _, packaged = archives.package_bytes(archives.model_archive(CODE), model)
    with tarfile.open(fileobj=io.BytesIO(packaged)) as tar:
        assert tar.getmember("./run.sh").mode == 0o750
        assert tar.getmember("code/inference.py").mode == 0o644
        assert {info.mtime for info in tar if info.name.startswith("code")} == {0}

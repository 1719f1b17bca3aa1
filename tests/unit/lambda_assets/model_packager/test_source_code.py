import io
import tarfile

import pytest
from packager.errors import DecompressionBombError, NotTarError


def archive(*members):
    """Return a tar.gz of (name, data or fields)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            for field, value in (content if isinstance(content, dict) else {}).items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def read(entries):
    with tarfile.open(fileobj=io.BytesIO(entries + bytes(1024))) as tar:
        return {info.name: (info, tar.extractfile(info)) for info in tar}


def test_entries_are_sorted_owned_by_nobody_and_without_times(archives):
    members = [("b.py", b"2"), ("inference.py", b"1"), ("a/c.py", b"3")]
    code = archives.model_archive(archive(*members)).code
    infos = [info for info, _ in read(code.entries).values()]
    assert [info.name for info in infos] == [
        "code",
        "code/a",
        "code/a/c.py",
        "code/b.py",
        "code/inference.py",
    ]
    assert {(info.mtime, info.uid, info.gid, info.uname) for info in infos} == {(0, 0, 0, "")}
    again = archives.model_archive(archive(*reversed(members))).code
    assert again.entries == code.entries


def test_executable_files_stay_executable(archives):
    code = archives.model_archive(archive(("inference.py", b""), ("run.sh", {"mode": 0o744}))).code
    found = read(code.entries)
    assert found["code/run.sh"][0].mode == 0o755
    assert found["code/inference.py"][0].mode == 0o644


def test_links_in_the_code_stay_and_hard_links_become_files(archives):
    members = [
        ("inference.py", b"print()"),
        ("soft.py", {"type": tarfile.SYMTYPE, "linkname": "inference.py"}),
        ("hard.py", {"type": tarfile.LNKTYPE, "linkname": "inference.py"}),
    ]
    code = archives.model_archive(archive(*members)).code
    found = read(code.entries)
    assert found["code/soft.py"][0].linkname == "inference.py"
    assert found["code/hard.py"][1].read() == b"print()"
    assert [(link.name, link.target) for link in code.links] == [(b"code/soft.py", b"inference.py")]


def test_of_two_files_with_one_name_the_later_one_counts(archives):
    code = archives.model_archive(archive(("inference.py", b"old"), ("./inference.py", b"new"))).code
    assert read(code.entries)["code/inference.py"][1].read() == b"new"


def test_a_folder_named_code_is_nothing_special(archives):
    code = archives.model_archive(archive(("inference.py", b""), ("code/x.py", b"x"))).code
    assert read(code.entries)["code/code/x.py"][1].read() == b"x"


def test_long_names_are_kept(archives):
    name = "/".join(["d" * 120] * 3) + ".py"
    code = archives.model_archive(archive(("inference.py", b""), (name, b"x"))).code
    assert read(code.entries)[f"code/{name}"][1].read() == b"x"


def test_fails_when_a_hard_link_leads_nowhere(archives):
    members = [("inference.py", b""), ("hard.py", {"type": tarfile.LNKTYPE, "linkname": "none.py"})]
    with pytest.raises(NotTarError, match=r"cannot be read: .*none.py.* not found"):
        archives.model_archive(archive(*members))


def sparse_archive(name, size):
    """Return a tar.gz of one file that is nothing but a hole, in pax format 1.0."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("inference.py"))
        info = tarfile.TarInfo(name)
        sparse_map = b"0\n".ljust(512, b"\0")
        info.size = len(sparse_map)
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": str(size),
        }
        tar.addfile(info, io.BytesIO(sparse_map))
    return buffer.getvalue()


def test_fails_when_a_sparse_file_expands_to_too_much(archives):
    small = archives.model_archive(sparse_archive("hole.bin", 10**6)).code
    assert len(read(small.entries)["code/hole.bin"][1].read()) == 10**6
    bomb = sparse_archive("hole.bin", 2 * 1024**3)
    assert len(bomb) < 400
    with pytest.raises(DecompressionBombError, match=r"more than 134217728 bytes with 'hole\.bin'"):
        archives.model_archive(bomb)


def test_fails_when_hard_links_expand_to_too_much(archives):
    links = [
        (f"link-{number}.bin", {"type": tarfile.LNKTYPE, "linkname": "data.bin"}) for number in range(200)
    ]
    bomb = archive(("inference.py", b""), ("data.bin", bytes(10 * 1024**2)), *links)
    with pytest.raises(DecompressionBombError, match=r"more than 134217728 bytes with 'link-11\.bin'"):
        archives.model_archive(bomb)


def test_the_models_own_code_gives_way_by_what_lies_at_the_top(archives):
    members = [("inference.py", b"new"), ("tools/new.py", b"new")]
    for keeps in (False, True):
        code = archives.model_archive(archive(*members), keep_code=keeps).code
        for name in (b"code", b"code/inference.py", b"code/tools/old.py", b"code/tools"):
            assert code.replaces(name)
        for name in (b"code/requirements.txt", b"code/net.py", b"code/tools.py"):
            assert code.replaces(name) != keeps

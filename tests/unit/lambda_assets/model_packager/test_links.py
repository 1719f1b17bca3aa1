import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packager.errors import UnsafeMemberError
from packager.links import LinkGuard
from packager.tar_member import Member


def check(*members, placed=()):
    guard = LinkGuard("model.tar.gz", b"code", placed)
    for member in members:
        guard.check(member)
    guard.finish()


def link(name, target):
    return Member(name.encode(), "symlink", target.encode())


def hard(name, target):
    return Member(name.encode(), "hardlink", target.encode())


def file(name):
    return Member(name.encode(), "file")


@pytest.mark.parametrize(
    "members",
    [
        [link("latest", "v2/model.pth")],
        [link("a/b/up", "../../model.pth")],
        [link("here", ".")],
        [link("dangling", "nowhere/at/all")],
        [link("a", "b"), link("a", "c")],
        [file("model.pth"), hard("same", "model.pth")],
        [hard("same", "./model.pth")],
        [link("s", "model.pth"), hard("t", "s")],
        [file("s.txt"), link("s", "s.txt"), file("s.txt")],
    ],
    ids=repr,
)
def test_links_inside_of_the_tree_are_fine(members):
    check(*members)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([link("out", "..")], "outside"),
        ([link("a/out", "../../x")], "outside"),
        ([link("out", "/etc/passwd")], "absolute path"),
        ([hard("out", "../x")], "outside"),
        ([link("long", "x/" * 3000)], "more than 4095 bytes"),
        ([file("x/" * 3000 + "y")], "more than 4095 bytes"),
        ([link("a", "a/../..")], "circle"),
        ([link("one", "two"), link("two", "one")], "circle"),
        ([hard("out", "/etc/passwd")], "absolute path"),
        ([link("d", "x/y"), link("out", "d/../../..")], "outside"),
        ([link("x/up", ".."), link("out", "x/up/..")], "outside"),
        ([link("out", "x/up/.."), link("x/up", "..")], "outside"),  # seen at the end only
        ([link("d", "e"), file("d/model.pth")], "through the symlink 'd'"),
        ([link("a/d", "e"), file("a/d/b/model.pth")], "through the symlink 'a/d'"),
        ([link("c", "code"), file("c/inference.py")], "through the symlink 'c'"),
        ([link("s", "code/inference.py"), file("s")], "name of an earlier symlink"),
        ([hard("h", "code/inference.py")], "hard link into 'code'"),
        ([link("c", "code"), hard("h", "c/inference.py")], "hard link into 'code'"),
        ([link("a/b/s", "../x"), hard("s", "a/b/s")], "outside"),
        ([link("s", "x"), hard("t", "s"), file("t/model.pth")], "through the symlink 't'"),
    ],
    ids=repr,
)
def test_fails_when_something_would_be_written_outside(members, text):
    with pytest.raises(UnsafeMemberError, match=text):
        check(*members)


def test_fails_when_a_link_leads_out_through_a_link_of_the_code():
    with pytest.raises(UnsafeMemberError, match="outside"):
        check(link("out", "code/sub/up/../.."), placed=[link("code/sub/up", "..")])


def test_fails_when_there_are_too_many_links(monkeypatch):
    monkeypatch.setattr("packager.links._MAX_LINKS", 3)
    with pytest.raises(UnsafeMemberError, match="more than 3 symlinks"):
        check(*(link(f"l{number}", "x") for number in range(4)))


PATHS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=6).map("/".join)
NAMES = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/d/a", "d/d/b"])


@given(st.dictionaries(NAMES, PATHS, max_size=5))
def test_accepted_links_stay_inside_on_a_real_file_system(targets):
    try:
        check(*(link(name, target) for name, target in targets.items()))
    except UnsafeMemberError:
        return
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve() / "root"
        for name, target in targets.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
        for name in targets:
            assert os.path.realpath(root / name).startswith(str(root))

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.local.base.path_parts import path_part

HOSTILE = (
    "",
    ".",
    "..",
    "../x",
    "/x",
    "x/",
    "a\0b",
    "x" * 300,
    "ünï",
    ".hidden",
    "a b",
    "\udc80",
    "x%y",
    "a\n",
)


@pytest.mark.parametrize("name", ["digits-2026", "a", "under_score", "with.dot", "-", "x" * 128])
def test_a_plain_name_stays(name: str) -> None:
    assert path_part(name) == name


@given(st.one_of(st.text(), st.text("./\\-_%aA"), st.sampled_from(HOSTILE)))
def test_any_name_is_one_part_of_a_path(name: str) -> None:
    part = path_part(name)
    assert part not in ("", ".", "..")
    assert not part.startswith(".")
    assert len(os.fsencode(part)) <= 128
    assert not set(part) & {"/", "\0", "\\"}
    assert part.isascii()


@given(st.lists(st.text("./-_%aA", max_size=4), unique=True))
def test_two_names_never_meet(names: list[str]) -> None:
    assert len({path_part(name) for name in names}) == len(names)
    # Nor does a name meet what another one became.
    for name in names:
        assert path_part(path_part(name)) == path_part(name) or path_part(path_part(name)) not in names
    assert len({path_part(name) for name in [*HOSTILE, *map(path_part, HOSTILE)]}) == 2 * len(HOSTILE)


long_names = st.text(st.sampled_from("ab/.%-ä"), min_size=100, max_size=300)


@given(st.lists(st.one_of(st.text(), long_names), unique=True), st.sampled_from([".log", ".tar.gz", ""]))
def test_names_of_any_length_get_files_of_their_own(names: list[str], suffix: str) -> None:
    files = [f"{path_part(name)}{suffix}" for name in names]
    assert len(set(files)) == len(names)
    assert all(len(os.fsencode(file)) <= 255 for file in files)
    # On a file system that knows no upper and lower case too, unless the names differ in nothing else.
    plain = {name.lower() for name in names if path_part(name) == name}
    assert not {file.removesuffix(suffix).lower() for file in files if "%" in file} & plain

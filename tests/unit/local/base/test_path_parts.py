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

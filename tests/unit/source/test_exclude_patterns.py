from pathlib import Path

import pytest
from aws_cdk import IgnoreStrategy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.source.exclude_patterns import ExcludePatterns
from cdk_sagemaker_pytorch.source.source_archive import collect_files

FILES = (
    *("a", "b.csv", "ab", "b c.txt", "data/a", "data/b.csv", "data/x/a", "data/x/b.csv"),
    *("lib/data/a", "lib/x/data/b.csv", "x/a", "x/data/x/b", "[a]", "#a", "!a", "a*"),
)


def kept(folder: Path, patterns: list[str]) -> list[str]:
    return list(collect_files(folder, is_excluded=ExcludePatterns(patterns).excludes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("patterns")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("patterns", "excluded"),
    [
        (["*.csv"], {"b.csv", "data/b.csv", "data/x/b.csv", "lib/x/data/b.csv"}),
        (["/b.csv"], {"b.csv"}),
        (["data/*.csv"], {"data/b.csv"}),
        (["**/data/*.csv"], {"data/b.csv", "lib/x/data/b.csv"}),
        (["data/**/b.csv"], {"data/b.csv", "data/x/b.csv"}),
        (["lib/**"], {"lib/data/a", "lib/x/data/b.csv"}),
        (["x/"], {"data/x/a", "data/x/b.csv", "lib/x/data/b.csv", "x/a", "x/data/x/b"}),
        (["a/"], set()),
        (["/x/data"], {"x/data/x/b"}),
        (["*.csv", "!/data/b.csv"], {"b.csv", "data/x/b.csv", "lib/x/data/b.csv"}),
        (["/lib", "!/lib/data/a"], {"lib/data/a", "lib/x/data/b.csv"}),
        (["?b"], {"ab"}),
        (["[!b].csv", "[a-b]b"], {"ab"}),
        (["B.CSV"], set()),
        (["#a", "", "  "], set()),
        ([r"\#a", r"\!a", r"a\*", "[[]a]"], {"#a", "!a", "a*", "[a]"}),
        (["b c.txt   "], {"b c.txt"}),
    ],
)
def test_patterns_are_those_of_a_gitignore(folder: Path, patterns: list[str], excluded: set[str]) -> None:
    assert set(FILES) - set(kept(folder, patterns)) == excluded


# Where `**` stands beside `/` at the end, and where it stands twice, the CDK differs from git.
_PATTERNS = st.builds(
    lambda negation, start, names, slash, end: negation + start + slash.join(names) + end,
    st.sampled_from(["", "!"]),
    st.sampled_from(["", "/", "**/"]),
    st.lists(
        st.sampled_from(["a", "b", "x", "data", "lib", "*", "*.csv", "?", "a*", "[ab]", "*a*"]),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["/", "/**/"]),
    st.sampled_from(["", "/", "/**"]),
)


@given(st.lists(_PATTERNS, min_size=1, max_size=4))
@example(["*", "!data", "!data/**"])
@example(["data/*", "!data/x/"])
@settings(max_examples=60, deadline=None)
def test_the_cdk_reads_the_patterns_in_the_same_way(folder: Path, patterns: list[str]) -> None:
    cdk = IgnoreStrategy.git(str(folder), patterns)
    assert kept(folder, patterns) == sorted(name for name in FILES if not cdk.ignores(str(folder / name)))


def test_fails_when_a_pattern_cannot_be_understood() -> None:
    with pytest.raises(ValueError, match=r"^'\[z-a\]' \(bad character range z-a\)"):
        ExcludePatterns(["*.csv", "[z-a]"])

"""The list of rooms in docs/architecture.md is the house as it is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "constructs" / "cdk_sagemaker_pytorch"


def listed() -> set[str]:
    """Paths in the list: a folder's files are indented below it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    block = re.search(r"```text\nconstructs/cdk_sagemaker_pytorch/.*?\n(.*?)\nlambda_assets/", text, re.S)
    assert block is not None
    found, folders = set(), [""]
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.findall(r"(?<!\S)[\w/]+(?:\.py|/)(?!\S)", line)
        if not names:
            continue
        folders[depth:] = [names[0]] if names[0].endswith("/") else []
        found |= {"".join(folders[1:depth]) + name for name in names}
    return found


def rooms() -> set[str]:
    """The modules that there are, and the packages that are one room."""
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    return {file for file in files if not file.endswith("__init__.py") and "__main__" not in file}


def test_every_room_is_listed_and_there() -> None:
    found = listed()
    whole = {name for name in found if name.endswith("script_check/")}
    modules = {name for name in found if name.endswith(".py")} - {"__init__.py"}
    missing = {room for room in rooms() - modules if not room.startswith(tuple(whole))}
    assert (missing, modules - rooms()) == (set(), set())

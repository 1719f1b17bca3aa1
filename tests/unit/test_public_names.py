"""The public names: one table, and everything else agrees with it."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import cdk_sagemaker_pytorch
from cdk_sagemaker_pytorch import local

PACKAGES = [cdk_sagemaker_pytorch, local]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_the_table_the_list_and_what_type_checkers_see_agree(package: object) -> None:
    source = Path(inspect.getfile(package)).read_text()  # type: ignore[arg-type]
    typed = {
        alias.name: statement.module
        for node in ast.parse(source).body
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    table: dict[str, str] = package._MODULE_OF  # type: ignore[attr-defined]
    assert typed == table
    assert package.__all__ == sorted(table)  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_name_is_where_the_table_says_and_public_there(package: object) -> None:
    for name, place in package._MODULE_OF.items():  # type: ignore[attr-defined]
        module = import_module(f"{package.__name__}.{place}")  # type: ignore[attr-defined]
        assert getattr(package, name) is getattr(module, name)
        assert name in getattr(module, "__all__", [name])


def test_fails_when_a_name_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PyTorchWish'"):
        _ = cdk_sagemaker_pytorch.PyTorchWish  # type: ignore[attr-defined]

"""The function's code, as it is shipped, or changed by a mutation."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "lambda_assets" / "endpoint_deployer"
# In the order in which they need each other.
MODULES = (
    "ledger",
    "endpoint",
    "artifacts",
    "versions",
    "executions",
    "sample",
    "training",
    "way",
    "recovery",
    "deployment",
    "cloudformation",
    "removal",
    "index",
)


class Code:
    """The modules of the function, loaded beside whatever else has their names.

    Parameters
    ----------
    changes
        Texts to replace, by module: pairs of what is there and what is to be there instead.
    """

    def __init__(self, changes: Mapping[str, tuple[str, str]] | None = None) -> None:
        before = {name: sys.modules.pop(name, None) for name in MODULES}
        try:
            for name in MODULES:
                self._load(name, (changes or {}).get(name))
            self._index: Any = sys.modules["index"]
            self._ledger: Any = sys.modules["ledger"]
        finally:
            for name, module in before.items():
                sys.modules.pop(name, None)
                if module is not None:
                    sys.modules[name] = module

    @property
    def Services(self) -> Any:  # noqa: N802 - a class
        """Class of what the function talks to."""
        return self._index.Services

    @property
    def Function(self) -> Any:  # noqa: N802 - a class
        """Class of the function."""
        return self._index.Function

    def record(self, item: dict[str, Any]) -> Any:
        """Read an item of the table."""
        return self._ledger._record(item)

    def _load(self, name: str, change: tuple[str, str] | None) -> None:
        path = FOLDER / f"{name}.py"
        source = path.read_text()
        if change is not None:
            assert source.count(change[0]) == 1, f"{name} has {source.count(change[0])} times: {change[0]}"
            source = source.replace(*change)
        spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - our own code

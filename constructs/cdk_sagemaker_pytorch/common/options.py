"""Groups of parameters: what each takes, checked and written for the API.

A group of parameters is a frozen dataclass whose fields say what they are::

    @dataclass(frozen=True, kw_only=True)
    class Compute(Options):
        volume_size: Size | None = option(Gibibytes("ResourceConfig.VolumeSizeInGB", "VolumeSizeInGB"))

That line is all that a parameter needs: its type, its limits and its place in the request follow from it.
What concerns several fields at once stands in the group's own `check`.
"""

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, ClassVar, Self

from .limits import shown
from .option_kinds import Kind
from .problems import Problems

__all__ = ["Options", "option"]


def option(kind: Kind, default: Any = None) -> Any:
    """Declare a field of a group.

    Parameters
    ----------
    kind : Kind
        What it takes.
    default : Any, optional
        Its default. Defaults to None, which is left out of the request; with any other default None is wrong.
    """
    return field(default=default, metadata={"kind": kind})


class Options:
    """A group of parameters: the base of frozen dataclasses whose fields are options."""

    _simple: ClassVar[str | None] = None
    """The field that a simple value stands for."""

    @classmethod
    def of(cls, value: Any, problems: Problems, name: str) -> Self:
        """Turn what was given for a group into one: nothing into its defaults, a simple value into its field.

        Parameters
        ----------
        value : Any
            What was given.
        problems : Problems
            Gets what is wrong with it.
        name : str
            The parameter.
        """
        if isinstance(value, cls):
            group = value
        elif value is None:
            group = cls()
        elif cls._simple is not None and not isinstance(value, Options | Mapping):
            group = cls(**{cls._simple: value})
            name = ""
        else:
            problems.add(f"{name} must be {cls.__name__}, got {shown(value)}: write {cls.__name__}(...)")
            return cls()
        group.check(problems, name)
        return group

    def check(self, problems: Problems, name: str) -> None:
        """Note what is wrong with the values.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            Name of the group, in front of those of its fields.
        """
        for field_name, kind, value in self._given():
            kind.check(problems, _path(name, field_name), value)

    def members(self) -> dict[str, Any]:
        """Write what is given as members of the request, by their dotted paths."""
        written = {kind.member: kind.render(value) for _, kind, value in self._given()}
        return {member: value for member, value in written.items() if member and value is not None}

    def _given(self) -> list[tuple[str, Kind, Any]]:
        return [
            (each.name, each.metadata["kind"], getattr(self, each.name))
            for each in fields(self)  # type: ignore[arg-type]
            if "kind" in each.metadata and (getattr(self, each.name) is not None or each.default is not None)
        ]


def _path(*names: str) -> str:
    return ".".join(name for name in names if name)

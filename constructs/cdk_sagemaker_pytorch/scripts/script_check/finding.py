"""What a check of a script finds."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Severity"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is wrong with a script.

    Attributes
    ----------
    path : str
        The file, as it was given to the check.
    line : int
        Line in it, from 1.
    id : str
        What kind of finding it is, such as ``Script.mainGuard``; a warning is acknowledged by it.
    severity : str
        ``error``: the job or the endpoint fails, or does something else than was asked for.
        ``warning``: it may.
    message : str
        What is wrong.
    remedy : str
        What to do about it.
    """

    path: str
    line: int
    id: str
    severity: Severity
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.severity}: {self.message}; {self.remedy} [{self.id}]"

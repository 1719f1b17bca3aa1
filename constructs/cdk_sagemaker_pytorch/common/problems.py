"""Collects everything that is wrong with a set of parameters, to raise it at once."""

from aws_cdk import Annotations, Token
from constructs import Construct

__all__ = ["ConfigurationError", "Problems"]


class ConfigurationError(ValueError):
    """One or more parameters have values that cannot work.

    Attributes
    ----------
    problems : tuple of str
        One sentence for each: the parameter, what is allowed, what was got.
    """

    def __init__(self, subject: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{subject}: " + "; ".join(problems))


class Problems:
    """What is wrong with the parameters of one construct.

    Parameters
    ----------
    subject : str
        The construct that the parameters belong to, as the error names it.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._found: list[str] = []
        self._warnings: dict[str, str] = {}

    def add(self, problem: str) -> None:
        """Note a problem."""
        self._found.append(problem)

    def check(self, ok: bool, problem: str) -> None:
        """Note `problem` unless `ok`."""
        if not ok:
            self.add(problem)

    def check_at_least(self, name: str, value: float | None, minimum: float) -> None:
        """Note a `value` below `minimum`; None and tokens, known only at deploy time, pass."""
        if value is not None and not Token.is_unresolved(value) and value < minimum:
            self.add(f"{name} must be at least {minimum}, got {value}")

    def require(self, value: object, needed: type, name: str) -> None:
        """Raise at once when `value` is no `needed`: without it, nothing else can be looked at.

        Raises
        ------
        ConfigurationError
            When it is not.
        """
        if not isinstance(value, needed):
            self.add(f"{name} must be a {needed.__name__}, got {value!r} ({type(value).__name__})")
            self.raise_if_any()

    def warn(self, warning_id: str, warning: str) -> None:
        """Note what is legal but risky, under an id that it can be acknowledged by."""
        self._warnings.setdefault(warning_id, warning)

    def raise_if_any(self) -> None:
        """Raise all that was noted.

        Raises
        ------
        ConfigurationError
            When anything was.
        """
        if self._found:
            raise ConfigurationError(self._subject, self._found)

    def annotate(self, construct: Construct) -> None:
        """Attach the warnings to the construct, which exists by now."""
        for warning_id, warning in self._warnings.items():
            Annotations.of(construct).add_warning_v2(f"cdk-sagemaker-pytorch:{warning_id}", warning)

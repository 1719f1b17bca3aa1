"""Collects everything that is wrong with a set of parameters, to raise it at once."""

from aws_cdk import Token

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

    def check_instance_type(self, name: str, value: str) -> None:
        """Note an instance type that is not one of SageMaker's."""
        if not Token.is_unresolved(value) and not value.startswith("ml."):
            self.add(f"{name} must be a SageMaker instance type such as ml.m5.large, got {value}")

    def raise_if_any(self) -> None:
        """Raise all that was noted.

        Raises
        ------
        ConfigurationError
            When anything was.
        """
        if self._found:
            raise ConfigurationError(self._subject, self._found)

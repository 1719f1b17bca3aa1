"""The kinds of values that parameters take: how each is checked, and how it is written for the API."""

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from numbers import Number
from os import PathLike, fspath
from typing import Any

from aws_cdk import Duration, Size

from cdk_sagemaker_pytorch.images.instance_processor import instance_family

from .api_limits import API_LIMITS
from .limits import check_bounds, check_limits, shown
from .problems import Problems
from .tokens import is_token

__all__ = [
    "BUCKET",
    "IMAGE",
    "KEY",
    "ROLE",
    "SOURCE_CODE",
    "Choice",
    "Days",
    "Flag",
    "Gibibytes",
    "InstanceType",
    "Kind",
    "ListOf",
    "OfType",
    "Prefix",
    "Resource",
    "Seconds",
    "Text",
    "Whole",
    "check_arguments",
]

BUCKET = "an s3.IBucket such as s3.Bucket.from_bucket_name(scope, id, name)"
IMAGE = "a PyTorchImage such as PyTorchImage.from_ecr_repository(repository, tag)"
KEY = "a kms.IKey such as kms.Key.from_key_arn(scope, id, arn)"
SOURCE_CODE = "a SourceCode such as SourceCode.from_file(path)"
ROLE = "an iam.IRole such as iam.Role.from_role_arn(scope, id, arn)"


@dataclass(frozen=True)
class Kind(ABC):
    """A kind of value.

    Attributes
    ----------
    member : str
        Where it stands in the request, for example ``ResourceConfig.VolumeSizeInGB``.
    shape : str, optional
        The API's shape that has its limits. Defaults to no limits.
    least, most : int, optional
        Bounds of a number that the API has and its shape does not say. Default to those of the shape.
    """

    member: str = ""
    shape: str | None = None
    least: int | None = None
    most: int | None = None

    @abstractmethod
    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is wrong with a value.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            The parameter.
        value : Any
            Its value.
        """

    @abstractmethod
    def render(self, value: Any) -> Any:
        """Write a value without problems as the API has it."""

    def _check_limits(self, problems: Problems, name: str, value: Any) -> None:
        if is_token(value):
            return
        if isinstance(value, str):
            if self.shape is not None:
                check_limits(problems, name, value, self.shape)
            return
        limits = API_LIMITS[self.shape] if self.shape is not None else {}
        least, most = self.least, self.most
        check_bounds(
            problems,
            name,
            value,
            least=limits.get("min") if least is None else least,
            most=limits.get("max") if most is None else most,
        )


class Whole(Kind):
    """A whole number: of Python, of NumPy, or a token."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is not a whole number, or out of bounds."""
        if isinstance(value, str) and is_token(value):
            problems.add(f"{name} must be a number, got a text token: write Token.as_number(...)")
        elif not is_token(value) and (isinstance(value, bool) or not hasattr(value, "__index__")):
            as_text = (
                f": write {value.strip()}" if isinstance(value, str) and value.strip().isdecimal() else ""
            )
            problems.add(f"{name} must be a whole number, got {shown(value)}{as_text}")
        else:
            self._check_limits(problems, name, self.render(value))

    def render(self, value: Any) -> int:
        """Write the number."""
        return value if is_token(value) else operator.index(value)


class Seconds(Kind):
    """A duration, in seconds."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is no duration, is not known in seconds, or is out of bounds."""
        if not isinstance(value, Duration):
            number = value if isinstance(value, Number) else "..."
            problems.add(f"{name} must be a Duration, got {shown(value)}: write Duration.seconds({number})")
            return
        if value.is_unresolved():
            problems.check(
                value.unit_label() == "seconds",
                f"{name} must be given in seconds where it is a token, got {value.unit_label()}:"
                " write Duration.seconds(...)",
            )
            return
        seconds = value.to_seconds(integral=False)
        if seconds != int(seconds):
            problems.add(f"{name} must be whole seconds, got {seconds:g}")
        else:
            self._check_limits(problems, f"{name} in seconds", int(seconds))

    def render(self, value: Duration) -> int:
        """Write the seconds."""
        return _number(value.to_seconds())


_DAY_SECONDS = 24 * 3600


class Days(Seconds):
    """A duration in whole days, as lifecycle rules of S3 have them."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is wrong with the seconds, and what is left of them behind whole days."""
        super().check(problems, name, value)
        if isinstance(value, Duration) and not value.is_unresolved():
            seconds = value.to_seconds(integral=False)
            problems.check(
                seconds < _DAY_SECONDS or seconds % _DAY_SECONDS == 0,
                f"{name} must be whole days, got {seconds:g} seconds",
            )


class Gibibytes(Kind):
    """A size, in GiB."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is no size, is no number of GiB, or is out of bounds."""
        if not isinstance(value, Size):
            number = value if isinstance(value, Number) else "..."
            problems.add(f"{name} must be a Size, got {shown(value)}: write Size.gibibytes({number})")
            return
        if value.is_unresolved():
            if not _is_in_gibibytes(value):
                problems.add(f"{name} must be given in GiB where it is a token: write Size.gibibytes(...)")
            return
        gibibytes = value.to_bytes() / 1024**3
        if gibibytes != int(gibibytes):
            problems.add(f"{name} must be whole GiB, got {gibibytes:g}")
        else:
            self._check_limits(problems, f"{name} in GiB", int(gibibytes))

    def render(self, value: Size) -> int:
        """Write the GiB."""
        return _number(value.to_gibibytes())


class Flag(Kind):
    """Yes or no; a no is left out of the request."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is neither True nor False."""
        problems.check(isinstance(value, bool), f"{name} must be True or False, got {shown(value)}")

    def render(self, value: bool) -> bool | None:
        """Write a yes."""
        return True if value else None


class Text(Kind):
    """A text, a path, or a token."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is no text, too long, or of another form than the API's."""
        if isinstance(value, str | PathLike):
            self._check_limits(problems, name, fspath(value))
        else:
            problems.add(f"{name} must be text, got {shown(value)}")

    def render(self, value: str | PathLike[str]) -> str:
        """Write the text."""
        return fspath(value)


class Prefix(Text):
    """A key prefix in a bucket, which gets what comes next after a slash."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is empty, a whole URI, or has slashes at its ends."""
        super().check(problems, name, value)
        if isinstance(value, str) and (not value or "://" in value or value != value.strip("/")):
            problems.add(
                f"{name} must be a key prefix without bucket and without slashes at its ends, got {value!r}"
            )


@dataclass(frozen=True)
class Choice(Kind):
    """One of some words.

    Attributes
    ----------
    words : tuple of str
        The words.
    """

    words: tuple[str, ...] = ()

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note any other word."""
        problems.check(value in self.words, f"{name} must be one of {', '.join(self.words)}, got {value}")

    def render(self, value: str) -> str:
        """Write the word."""
        return value


class InstanceType(Text):
    """An instance type, of which there are always new ones."""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what cannot be an instance type; warn of one that was not known when the limits were read."""
        if not isinstance(value, str):
            example = "ml.m5.large"
            problems.add(f"{name} must be text such as {example}, got {shown(value)}")
        elif not is_token(value):
            if instance_family(value) is None:
                problems.add(f"{name} must be a SageMaker instance type such as ml.m5.large, got {value}")
            elif self.shape is not None and value not in API_LIMITS[self.shape]["known"].split():
                problems.warn(
                    "unknownInstanceType",
                    f"{name} {value} is none that SageMaker was known to have here when this version of the"
                    " library was made: it may be new, or misspelt",
                )


@dataclass(frozen=True)
class Resource(Kind):
    """A construct of another stack module, of which the API is told one attribute.

    Attributes
    ----------
    attribute : str
        The attribute that is told, for example ``key_arn``.
    wanted : str
        What it must be, and how to get one from an ARN, for the message.
    """

    attribute: str = ""
    wanted: str = ""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what has no such attribute."""
        problems.check(
            not isinstance(value, str) and hasattr(value, self.attribute),
            f"{name} must be {self.wanted}, got {shown(value)}",
        )

    def render(self, value: Any) -> str:
        """Write the attribute."""
        attribute: str = getattr(value, self.attribute)
        return attribute


@dataclass(frozen=True)
class ListOf(Kind):
    """A list or tuple of values of one kind.

    Attributes
    ----------
    item : Kind
        What its items are.
    wanted : str
        What they are called, for the message.
    """

    item: Kind = field(default_factory=Text)
    wanted: str = ""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note what is no list, and each item that is wrong."""
        if not isinstance(value, list | tuple):
            problems.add(f"{name} must be a list of {self.wanted}, got {shown(value)}")
            return
        for item in value:
            self.item.check(problems, name, item)

    def render(self, value: Any) -> list[Any]:
        """Write the items."""
        return [self.item.render(item) for item in value]


@dataclass(frozen=True)
class OfType(Kind):
    """An object of the CDK that the API is not told as it is, such as a choice of subnets.

    Attributes
    ----------
    type : type
        Its type.
    wanted : str
        What it must be, for the message.
    """

    type: type = object
    wanted: str = ""

    def check(self, problems: Problems, name: str, value: Any) -> None:
        """Note an object of another type."""
        problems.check(isinstance(value, self.type), f"{name} must be {self.wanted}, got {shown(value)}")

    def render(self, value: Any) -> Any:
        """Write the object."""
        return value


def check_arguments(subject: str, **given: tuple[Kind, Any]) -> None:
    """Check the arguments of a function that is no construct.

    Parameters
    ----------
    subject : str
        What they belong to, as the error names it.
    **given : tuple of Kind and Any
        What each takes, and what was given.

    Raises
    ------
    ConfigurationError
        With everything that is wrong with them.
    """
    problems = Problems(subject)
    for name, (kind, value) in given.items():
        kind.check(problems, name, value)
    problems.raise_if_any()


def _number(value: Any) -> int:
    return value if is_token(value) else int(value)


def _is_in_gibibytes(size: Size) -> bool:
    try:
        size.to_gibibytes()
    except RuntimeError:  # the unit of a token cannot be changed, nor asked for
        return False
    return True

"""What packaging is asked for, checked before anything is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from .errors import InvalidRequestError

CODE_DIRECTORY: Final = "/opt/ml/model/code"
"""Where the container finds the code that model.tar.gz brings along."""

SOURCE_ARCHIVE: Final = "sourcedir.tar.gz"
"""The name of the code's own archive, for versions whose model.tar.gz holds no code."""

_S3_URI = re.compile(r"s3://(?P<bucket>[^/]{3,255})/(?P<key>.{1,1024})", re.DOTALL)
_VERSION = re.compile(r"\d+(\.\d+){1,2}")
_GIB: Final = 1024**3


@dataclass(frozen=True)
class S3Uri:
    """The place of an S3 object."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place that `s3://bucket/key` names; raise ValueError for anything else."""
        match = _S3_URI.fullmatch(text)
        if match is None:
            raise ValueError(f"must look like s3://bucket/key, got {text!r}")
        return cls(match["bucket"], match["key"])

    def beside(self, name: str) -> "S3Uri":
        """Return the place of `name` in the same prefix."""
        prefix, slash, _ = self.key.rpartition("/")
        return S3Uri(self.bucket, f"{prefix}{slash}{name}")

    def below(self, name: str) -> "S3Uri":
        """Return the place of `name` below this prefix, which ends with a slash."""
        return S3Uri(self.bucket, self.key + name)

    @property
    def is_prefix(self) -> bool:
        """True for the place of many objects: it ends with a slash."""
        return self.key.endswith("/")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class PackagingRequest:
    """One checked request.

    Attributes
    ----------
    model_data : S3Uri
        The model.tar.gz that training left, or the prefix of uncompressed model data.
    source_code : S3Uri or None
        A tar.gz of what belongs into `code/`. None: the model is copied as it is.
    output : S3Uri
        Where the packaged model.tar.gz goes. For uncompressed model data a prefix, which may be the model's
        own: then only the code is written.
    framework_version : tuple of int
        PyTorch's version, two or three numbers.
    entry_point : str
        The script at the top level of the source code.
    handlers : S3Uri or None
        A tar.gz of what goes beside the source code, whose files give way. Defaults to none.
    keep_code : bool
        Whether what the model has in `code/` stays, but for what has the name of something in the source
        code. Defaults to no: the source code replaces it.
    model_data_version : str or None
        Which version of the model's object to take. Defaults to the present one.
    kms_key_id : str or None
        The key that encrypts the output (SSE-KMS). Defaults to the output bucket's own encryption.
    tags, metadata : mapping of str to str
        Object tags and user metadata of the output. Default to none.
    max_ratio : int
        Highest ratio of uncompressed to compressed size. It is judged from 1 GiB on. Defaults to 200.
    max_bytes : int
        Highest uncompressed size of the model, in bytes. Defaults to 1 TiB.
    max_source_bytes : int
        Highest uncompressed size of the source code, in bytes. Defaults to 128 MiB.
    """

    model_data: S3Uri
    source_code: S3Uri | None
    output: S3Uri
    framework_version: tuple[int, ...]
    entry_point: str
    handlers: S3Uri | None = None
    keep_code: bool = False
    model_data_version: str | None = None
    kms_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    max_ratio: int = 200
    max_bytes: int = 1024 * _GIB
    max_source_bytes: int = 128 * 1024**2

    @property
    def code_inside(self) -> bool:
        """True from PyTorch 1.2 on, where the code travels in model.tar.gz."""
        return self.framework_version >= (1, 2)

    @property
    def requirements_ignored(self) -> bool:
        """True for 1.2.0 up to before 1.3.1, whose containers install no requirements.txt."""
        return (1, 2) <= self.framework_version < (1, 3, 1)

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> Self:
        """Return the request that an event describes.

        Parameters
        ----------
        event : mapping
            The fields of this class, places as `s3://` texts; numbers may be texts.

        Raises
        ------
        InvalidRequestError
            With everything that is wrong, not only the first thing.
        """
        problems: list[str] = []
        values: dict[str, Any] = {}
        unknown = sorted(set(event) - set(cls.__dataclass_fields__))
        if unknown:
            allowed = ", ".join(cls.__dataclass_fields__)
            problems.append(f"unknown fields {', '.join(map(repr, unknown))}; allowed are {allowed}")
        for name, required in (
            ("model_data", True),
            ("output", True),
            ("source_code", False),
            ("handlers", False),
        ):
            values[name] = _place(event.get(name), name, required, problems)
        values["framework_version"] = _version(event.get("framework_version"), problems)
        values["entry_point"] = _entry_point(event.get("entry_point"), values["source_code"], problems)
        values["keep_code"] = _flag(event.get("keep_code"), "keep_code", problems)
        for name in ("kms_key_id", "model_data_version"):
            values[name] = _optional_text(event.get(name), name, problems)
        model_data = values["model_data"]
        if values["model_data_version"] is not None and model_data is not None and model_data.is_prefix:
            problems.append(f"model_data_version is that of one object, got the prefix {model_data}")
        for name in ("tags", "metadata"):
            values[name] = _texts(event.get(name), name, problems)
        for name in ("max_ratio", "max_bytes", "max_source_bytes"):
            if event.get(name) is not None:
                values[name] = _positive(event[name], name, problems)
        _check_places(values, problems)
        if problems:
            raise InvalidRequestError("; ".join(problems))
        return cls(**values)


def _place(value: Any, name: str, required: bool, problems: list[str]) -> S3Uri | None:
    if value in (None, ""):
        if required:
            problems.append(f"{name} is required: give an s3:// URI")
        return None
    try:
        return S3Uri.parse(str(value))
    except ValueError as error:
        problems.append(f"{name} {error}")
        return None


def _check_places(values: Mapping[str, Any], problems: list[str]) -> None:
    model_data, output = values["model_data"], values["output"]
    if output is None:
        return
    if model_data is not None and model_data.is_prefix:
        _check_prefixes(values, problems)
        return
    if not output.key.endswith(".tar.gz"):
        problems.append(f"output must end in .tar.gz, as SageMaker hosting asks, got {str(output)!r}")
    written = {output}
    if values["framework_version"] < (1, 2):
        written.add(output.beside(SOURCE_ARCHIVE))
    problems += (
        f"output would overwrite {name} ({values[name]}): choose another prefix"
        for name in ("model_data", "source_code")
        if values[name] in written
    )


def _check_prefixes(values: Mapping[str, Any], problems: list[str]) -> None:
    model_data, output, source_code = (values[name] for name in ("model_data", "output", "source_code"))
    if not output.is_prefix:
        problems.append(
            f"output must end in a slash, as model_data does, to be uncompressed too, got {str(output)!r}"
        )
    elif output != model_data and output.bucket == model_data.bucket:
        shorter, longer = sorted((output.key, model_data.key), key=len)
        if longer.startswith(shorter):
            problems.append(
                f"output must not lie within model_data ({model_data}), or around it, got {output}"
            )
    if source_code is not None and values["framework_version"] and values["framework_version"] < (1, 2):
        problems.append(
            "model_data must be a model.tar.gz for framework_version before 1.2, whose code is an archive of "
            f"its own, got the prefix {model_data}"
        )


def _version(value: Any, problems: list[str]) -> tuple[int, ...]:
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        problems.append(f"framework_version must be a version like '2.6.0', got {value!r}")
        return ()
    return tuple(int(part) for part in value.split("."))


def _entry_point(value: Any, source_code: S3Uri | None, problems: list[str]) -> str:
    if value in (None, "") and source_code is None:
        return ""
    if not isinstance(value, str) or not value or "/" in value or value in (".", ".."):
        problems.append(
            f"entry_point must be the name of a file at the top level of the source code, got {value!r}"
        )
        return ""
    return value


def _flag(value: Any, name: str, problems: list[str]) -> bool:
    """Read a bool; CloudFormation makes a text of it."""
    if value in (None, "", False, "false"):
        return False
    if value not in (True, "true"):
        problems.append(f"{name} must be true or false, got {value!r}")
    return True


def _optional_text(value: Any, name: str, problems: list[str]) -> str | None:
    if value is not None and not isinstance(value, str):
        problems.append(f"{name} must be a text, got {value!r}")
        return None
    return value or None


def _texts(value: Any, name: str, problems: list[str]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str) for pair in value.items() for text in pair
    ):
        problems.append(f"{name} must map texts to texts, got {type(value).__name__}")
        return {}
    return dict(value)


def _positive(value: Any, name: str, problems: list[str]) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        problems.append(f"{name} must be a whole number of at least 1, got {value!r}")
    return number

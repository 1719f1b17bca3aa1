"""What handler functions learn and say through `context`, by the names that TorchServe gives it."""

from __future__ import annotations

import json
import logging
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Mapping

from .errors import PredictionEncodingError

logger = logging.getLogger(__name__)

_MODEL_NAME = "model"  # what AWS's container calls every model
_CONTENT_TYPE = "content-type"
# What the server writes by itself.
_SERVERS_OWN = (_CONTENT_TYPE, "content-length", "transfer-encoding", "connection")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


class Headers(dict):  # type: ignore[type-arg]  # Python 3.8 has no dict[str, str] to inherit from
    """Headers by lower-case name, found by a name in any case."""

    def __getitem__(self, name: str) -> str:
        return str(super().__getitem__(name.lower()))

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        return super().get(name.lower(), default)


class RequestProcessor:
    """One request's headers, and what is to be said beside its answer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._properties: Headers | None = None
        self._response_headers: dict[str, str] = {}
        self._status: int = 200
        self._phrase: str | None = None

    def get_request_property(self, key: str) -> str | None:
        """Return a header of the request."""
        value: str | None = self.get_request_properties().get(key)
        return value

    def get_request_properties(self) -> Headers:
        """Return all headers of the request."""
        if self._properties is None:
            self._properties = Headers((name.lower(), value) for name, value in self._headers.items())
        return self._properties

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set the HTTP status of the answer."""
        self._status, self._phrase = code, reason_phrase

    def get_response_status_code(self) -> int:
        """Return the HTTP status of the answer."""
        return self._status

    def get_response_status_phrase(self) -> str | None:
        """Return its reason phrase."""
        return self._phrase

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the answer."""
        self._response_headers[key] = value

    def get_response_headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        return self._response_headers

    def get_response_header(self, key: str) -> str | None:
        """Return a header of the answer."""
        return self._response_headers.get(key)


class Metrics:
    """Metrics of a script: lines of the log, as TorchServe writes them."""

    def add_metric(self, name: str, value: float, unit: str = "count", *_: Any, **__: Any) -> None:
        """Log a metric."""
        logger.info("[METRICS]%s.%s:%s", name, unit, value)

    def add_counter(self, name: str, value: float, *_: Any, **__: Any) -> None:
        """Log a count."""
        self.add_metric(name, value)

    def add_time(
        self, name: str, value: float, idx: Any = None, unit: str = "ms", *_: Any, **__: Any
    ) -> None:
        """Log a time."""
        self.add_metric(name, value, unit)

    def add_size(
        self, name: str, value: float, idx: Any = None, unit: str = "MB", *_: Any, **__: Any
    ) -> None:
        """Log a size."""
        self.add_metric(name, value, unit)

    def add_percent(self, name: str, value: float, *_: Any, **__: Any) -> None:
        """Log a percentage."""
        self.add_metric(name, value, "percent")

    def add_error(self, name: str, value: str, *_: Any, **__: Any) -> None:
        """Log an error."""
        self.add_metric(name, value, "error")  # type: ignore[arg-type]  # TorchServe takes text here


class Context:
    """The context of one request, or of loading a model, which has no headers.

    Parameters
    ----------
    model_dir
        The folder of the model.
    headers
        Headers of the request. Defaults to none.
    request_id
        Identity of the request. Defaults to none.

    Attributes
    ----------
    manifest
        What the model is called, as in TorchServe's model archives.
    request_processor
        A list of one `RequestProcessor`.
    metrics
        Writes metrics to the log.
    """

    def __init__(
        self, model_dir: str, headers: Mapping[str, str] | None = None, request_id: str | None = None
    ) -> None:
        self.model_name = _MODEL_NAME
        self.request_processor = [RequestProcessor(headers or {})]
        self.request_ids = {0: request_id}
        self.metrics = Metrics()
        self.model_yaml_config: dict[str, Any] = {}
        self._model_dir = model_dir
        self._properties: dict[str, Any] | None = None
        self._manifest: dict[str, Any] | None = None

    @property
    def system_properties(self) -> dict[str, Any]:
        """``model_dir``, ``gpu_id`` (None without a GPU), ``batch_size`` and others that TorchServe gives."""
        if self._properties is None:
            self._properties = {
                "model_dir": self._model_dir,
                "gpu_id": gpu_id(),
                "batch_size": 1,
                "server_name": __package__,
                "server_version": "1",
                "limit_max_image_pixels": True,
            }
        return self._properties

    @property
    def manifest(self) -> dict[str, Any]:
        """What the model's MAR-INF/MANIFEST.json says, else a manifest that names the model."""
        if self._manifest is None:
            self._manifest = _manifest(self._model_dir)
        return self._manifest

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return the identity of the request, if it has one."""
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """Return a header of the request, such as ``X-Amzn-SageMaker-Custom-Attributes``; `idx` is 0."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> Headers:
        """Return all headers of the request; `idx` is 0."""
        return self.request_processor[idx].get_request_properties()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the HTTP status of the answer; `idx` is 0."""
        self.request_processor[idx].report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the HTTP status of the answer."""
        self.set_response_status(code, phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """Return the HTTP status of the answer, and its reason phrase."""
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the content type of the answer; `idx` is 0."""
        self.set_response_header(idx, _CONTENT_TYPE, value)

    def get_response_content_type(self, idx: int) -> str | None:
        """Return the content type of the answer, if it was set."""
        return self.request_processor[idx].get_response_header(_CONTENT_TYPE)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header of the answer; `idx` is 0."""
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """Return the headers of the answer."""
        return self.request_processor[idx].get_response_headers()


def said_beside(context: Any) -> tuple[int, dict[str, str] | None]:
    """Return the HTTP status and the headers that a script has set, which server and proxy will take.

    Raises
    ------
    PredictionEncodingError
        A status or header cannot be sent.
    """
    status = context.get_response_status(0)[0]
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise PredictionEncodingError(f"the response status must be from 200 to 599, got {status!r}")
    headers = {}
    for name, value in context.get_response_headers(0).items():
        if str(name).lower() in _SERVERS_OWN:
            continue
        if not _NAME.fullmatch(str(name)) or not _VALUE.fullmatch(str(value)):
            raise PredictionEncodingError(f"a response header must be plain text, got {name!r}: {value!r}")
        headers[str(name)] = str(value)
    return status, headers or None


def gpu_id() -> int | None:
    """Return the number of this process's GPU; None without one, and where nothing has imported torch."""
    return _gpu_of(sys.modules["torch"]) if "torch" in sys.modules else None


@lru_cache(maxsize=1)  # looking for GPUs takes longer than a small request
def _gpu_of(torch: Any) -> int | None:
    return int(torch.cuda.current_device()) if torch.cuda.is_available() else None


def _manifest(model_dir: str) -> dict[str, Any]:
    try:
        text = Path(model_dir, "MAR-INF", "MANIFEST.json").read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict):
        return found
    return {"runtime": "python", "model": {"modelName": _MODEL_NAME, "modelVersion": "1"}}

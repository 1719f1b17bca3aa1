"""The chain of handler functions that answers requests, whichever server receives them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from .answers import body_of
from .batching import batch_dimension, predict_together, that_fit
from .codecs import CODECS, SUPPORTED
from .content_types import preferred
from .context import Context, said_beside
from .entry_point import Handler, exits_are_failures, load_entry_point, resolve_handlers
from .errors import MalformedBodyError, PredictionEncodingError, RequestError

logger = logging.getLogger(__name__)

_WITHOUT_BODY = (204, 304)

#: What callers accept who do not say, as in AWS's container.
DEFAULT_ACCEPT_VARIABLE = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"


class Request(NamedTuple):
    """What a caller sent.

    Parameters
    ----------
    body
        The body. A `bytearray` spares the default input_fn a copy of an NPY array.
    content_type, accept
        The headers of these names.
    headers
        All headers by lower-case name, for functions that take `context`. Defaults to none.
    context
        What to pass as `context` instead of a `Context` made of the headers.
    """

    body: bytes | bytearray | str
    content_type: str | None = None
    accept: str | None = None
    headers: Mapping[str, str] | None = None
    context: Any = None


class Response(NamedTuple):
    """What the caller gets: HTTP status, body, content type, and further headers that the script set."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str] | None = None

    def all_headers(self) -> dict[str, str]:
        """Return all headers of the answer by lower-case name."""
        given = {name.lower(): value for name, value in (self.headers or {}).items()}
        return {**given, "content-type": self.content_type}


class HandlerChain:
    """Answer requests with a loaded model; several threads may do so at once.

    Parameters
    ----------
    handlers
        The functions, see `entry_point.resolve_handlers`.
    model_dir
        The folder into which ``model.tar.gz`` was unpacked.
    context
        What functions that load the model get as `context`. Defaults to a `Context` without headers.

    Attributes
    ----------
    model
        What model_fn returned.

    Raises
    ------
    Exception
        Whatever pre_model_fn, model_fn or model_warmup_fn raise: the model did not load. What is no
        `Exception`, such as `SystemExit`, becomes a `HandlerError`.
    """

    def __init__(self, handlers: Mapping[str, Handler], model_dir: str, context: Any = None) -> None:
        self._handlers = handlers
        self._model_dir = model_dir
        self._default_accept = os.environ.get(DEFAULT_ACCEPT_VARIABLE) or None
        self._batch_dimension = batch_dimension()
        context = context or Context(model_dir)
        if "pre_model_fn" in handlers:
            with exits_are_failures("pre_model_fn"):
                handlers["pre_model_fn"](model_dir, context=context)
        with exits_are_failures("model_fn"):
            self.model = handlers["model_fn"](model_dir, context=context)
        if "model_warmup_fn" in handlers:
            with exits_are_failures("model_warmup_fn"):
                handlers["model_warmup_fn"](model_dir, self.model, context=context)

    @classmethod
    def load(
        cls,
        model_dir: str | os.PathLike[str],
        *,
        entry_point: str | None = None,
        code_dir: str | os.PathLike[str] | None = None,
    ) -> HandlerChain:
        """Import the entry point of a model and load the model.

        Parameters
        ----------
        model_dir
            The folder into which ``model.tar.gz`` was unpacked.
        entry_point
            The user's script. Defaults to ``SAGEMAKER_PROGRAM``, then to ``inference.py`` if there is one,
            then to the default handlers alone.
        code_dir
            The folder of the script. Defaults to ``SAGEMAKER_SUBMIT_DIRECTORY`` if that is a folder, then to
            ``code`` in `model_dir`.

        Raises
        ------
        HandlerError
            The entry point does not exist, or its functions do not fit.
        Exception
            Whatever the entry point raises when it is imported or loads the model.
        """
        submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if code_dir is None:
            code_dir = submitted if os.path.isdir(submitted) else Path(model_dir) / "code"
        module = load_entry_point(Path(code_dir), entry_point or os.environ.get("SAGEMAKER_PROGRAM") or None)
        return cls(resolve_handlers(module), str(model_dir))

    def invoke(
        self,
        body: bytes | bytearray,
        content_type: str | None = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Answer one request, see `Request`.

        Returns
        -------
        Response
            The answer. A failure is a short text with the status of the `RequestError` that was raised (the
            defaults raise 400, 406, 413 and 415 for the caller's mistakes), or with 500 for anything else.
        """
        return self.invoke_batch([Request(body, content_type, accept, headers)])[0]

    def invoke_batch(self, requests: Sequence[Request]) -> list[Response]:
        """Answer several requests, with one call of predict_fn for inputs that can be stacked.

        Where `batching` is told the dimension, tensors that fit are concatenated along it, and the prediction
        is split again if it is a tensor of the same size there. All others are predicted one by one, and so
        is everything by a script's predict_fn that takes `context`, for that is one caller's.
        """
        calls = [_Call(request, self._model_dir, self._default_accept) for request in requests]
        if "transform_fn" in self._handlers:
            self._each(calls, "transform_fn", lambda call: (self.model, *call.body(own=True), call.accept()))
        else:
            input_fn, output_fn = self._handlers["input_fn"], self._handlers["output_fn"]
            self._each(calls, "input_fn", lambda call: call.body(own=input_fn.own))
            predict_fn = self._handlers["predict_fn"]
            alone = predict_fn.own and predict_fn.takes_context
            for group in self._groups(calls, None if alone else self._batch_dimension):
                if len(group) == 1 or not self._predict_together(group):
                    self._each(group, "predict_fn", lambda call: (call.value, self.model))
            self._each(
                calls,
                "output_fn",
                lambda call: (call.value, call.accept() if output_fn.own else call.accept_header),
            )
        return [call.response() for call in calls]

    def _each(self, calls: Iterable[_Call], name: str, arguments: Callable[[_Call], tuple[Any, ...]]) -> None:
        """Take one step with each call on which no earlier step failed."""
        handler = self._handlers[name]
        for call in calls:
            if call.failure is None:
                try:
                    context = call.context if handler.takes_context else None
                    call.value = handler(*arguments(call), context=context)
                except BaseException as error:
                    # Of sys.exit() too: raised on, it would end the thread or the server, not the request.
                    given = call.value if name == "predict_fn" else None
                    call.failure = _failure(name, error, call.request, given)

    @staticmethod
    def _groups(calls: Sequence[_Call], dimension: int | None) -> list[list[_Call]]:
        if dimension is None or len(calls) == 1:
            return [[call] for call in calls]
        return that_fit(calls, dimension, lambda call: (call.value, call.request.content_type))

    def _predict_together(self, calls: Sequence[_Call]) -> bool:
        predict_fn = self._handlers["predict_fn"]

        def predict(values: Any) -> Any:
            context = calls[0].context if predict_fn.takes_context else None
            return predict_fn(values, self.model, context=context)

        try:
            parts = predict_together(predict, [call.value for call in calls], self._batch_dimension or 0)
        except BaseException:
            # One bad input must not fail its neighbours: each is predicted alone, and says what is wrong.
            logger.info("predict_fn failed on %d requests together, trying each alone", len(calls))
            return False
        for call, part in zip(calls, parts or ()):
            call.value = part
        return parts is not None


class _Call:
    """A request on its way through the chain; `value` is what the last step returned."""

    def __init__(self, request: Request, model_dir: str, default_accept: str | None) -> None:
        self.request = request
        self.value: Any = None
        self.failure: Response | None = None
        self._model_dir = model_dir
        self._default_accept = default_accept
        self._context = request.context

    @property
    def context(self) -> Any:
        if self._context is None:
            self._context = Context(self._model_dir, self.request.headers)
        return self._context

    @property
    def accept_header(self) -> str | None:
        """The Accept header; where the caller takes anything, what the environment says instead."""
        accept = self.request.accept
        if self._default_accept is not None and (accept or "*/*").strip() in ("", "*/*"):
            return self._default_accept
        return accept

    def accept(self) -> str:
        """Return the one media type that functions of a script are told."""
        return preferred(self.accept_header, SUPPORTED)

    def body(self, *, own: bool) -> tuple[Any, str | None]:
        """Return the body and its content type; a script's own function gets some as text, see `Codec`."""
        body, content_type = self.request.body, self.request.content_type
        # As AWS's toolkit does, where the header is the media type alone; scripts rely on it.
        codec = CODECS.get(content_type or "")
        if own and codec is not None and codec.is_text and not isinstance(body, str):
            try:
                body = body.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MalformedBodyError(f"the body is not UTF-8: {error}") from None
        return body, content_type

    def response(self) -> Response:
        if self.failure is not None:
            return self.failure
        try:
            return self._written()
        except BaseException as error:
            return _failure("output_fn", error, self.request)

    def _written(self) -> Response:
        answer, content_type = self.value, None
        if isinstance(answer, tuple):
            if len(answer) < 2 or not isinstance(answer[1], str):
                raise PredictionEncodingError(
                    "a tuple must be the answer and its content type, got one of"
                    f" {[type(part).__name__ for part in answer]}"
                )
            answer, content_type = answer[:2]
        if self._context is None:
            return Response(200, *body_of(answer, self.accept(), content_type))
        content_type = content_type or self._context.get_response_content_type(0)
        body, content_type = body_of(answer, self.accept(), content_type)
        status, headers = said_beside(self._context)
        return Response(status, b"" if status in _WITHOUT_BODY else body, content_type, headers)


def request_id(request: Request) -> str:
    """Return the name of a request in the log: its caller's, as SageMaker has it, or the server's own."""
    headers = request.headers or {}
    names = ("x-amzn-sagemaker-inference-id", "x-request-id", "x-amzn-requestid")
    return next((headers[name] for name in names if headers.get(name)), "without an id")


def _failure(name: str, error: BaseException, request: Request, given: Any = None) -> Response:
    """Turn what a function raised into an answer; the log gets the traceback if the caller cannot mend it."""
    status, message = _blame(error)
    if isinstance(status, int) and 400 <= status <= 499:
        logger.info("request %s: %s refused it with %d: %r", request_id(request), name, status, message)
    else:
        status = 500
        if not isinstance(error, PredictionEncodingError):
            message = f"{name} raised {type(error).__name__}: {message}{_shape(given)}"
        logger.error("request %s: %s failed", request_id(request), name, exc_info=error)
    return Response(int(status), message.encode("utf-8", "replace"), "text/plain; charset=utf-8")


def _blame(error: BaseException) -> tuple[Any, str]:
    """Return the status that an error gives itself, if it is of a class that is made for that, and its words.

    Any other exception with such an attribute may come from a service that the script asks.
    """
    if isinstance(error, RequestError):
        return getattr(error, "status", None), _words(error)
    toolkit = getattr(sys.modules.get("sagemaker_inference.errors"), "BaseInferenceToolkitError", None)
    if toolkit is not None and isinstance(error, toolkit):
        return getattr(error, "status_code", None), str(getattr(error, "message", None) or _words(error))
    return None, _words(error)


def _shape(given: Any) -> str:
    """Say what shape predict_fn was given, which often explains why it failed."""
    torch = sys.modules.get("torch")
    try:
        if torch is None or not isinstance(given, torch.Tensor):
            return ""
        return f" (for an input of shape {tuple(given.shape)} and dtype {given.dtype})"
    except Exception:  # nested tensors, see batching
        return ""


def _words(error: BaseException) -> str:
    try:
        words = str(error)
        # TorchScript puts its own code and traceback first.
        return words.strip().splitlines()[-1] if "TorchScript (most recent call last)" in words else words
    except BaseException:  # the script's own class, and its own mistake
        return "<no words>"

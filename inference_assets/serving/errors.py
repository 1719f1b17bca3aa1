"""Mistakes of a caller, each with the HTTP status that tells them apart."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that cannot be answered; `status` is the HTTP status to answer with."""

    status = 400


class MalformedBodyError(RequestError):
    """The body is not what its content type promises, or holds what no model can take."""


class BodyTooLargeError(RequestError):
    """The body is larger than the endpoint accepts."""

    status = 413


class UnsupportedContentTypeError(RequestError):
    """No decoder reads the content type of the body."""

    status = 415


class NotAcceptableError(RequestError):
    """No encoder writes a content type that the caller accepts."""

    status = 406


class PredictionEncodingError(RuntimeError):
    """The prediction cannot be written in any of the answer's content types: the handlers' mistake."""

    status = 500

"""Mistakes of a caller, each with the HTTP status that tells them apart; a script may raise them too."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that cannot be answered.

    The caller gets the message. Subclasses set another status; one that is not 400 to 499 blames nobody but
    the endpoint, and becomes 500.

    Attributes
    ----------
    status
        The HTTP status to answer with.
    """

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

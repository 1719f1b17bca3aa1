"""Content-Type and Accept headers, read as HTTP defines them (RFC 9110, sections 8.3 and 12.5.1)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Sequence

from .errors import NotAcceptableError, UnsupportedContentTypeError

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*(;.*)?$", re.DOTALL)
_PARAMETER = re.compile(rf';\s*(?:({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)")\s*)?', re.DOTALL)
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
# Commas inside quoted strings do not separate.
_LIST_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


class MediaType(NamedTuple):
    """A media type such as ``text/csv``, in lower case, and its parameters by lower-case name."""

    name: str
    parameters: dict[str, str]


class _Range(NamedTuple):
    name: str
    quality: float

    def specificity(self, media_type: str) -> int:
        """How closely the range names a media type: 0 means not at all."""
        if self.name == media_type:
            return 3
        if self.name == media_type.split("/")[0] + "/*":
            return 2
        return int(self.name == "*/*")


def parse_media_type(text: str) -> MediaType | None:
    """Read a media type with its parameters, or return None where the text is none."""
    match = _MEDIA_TYPE.match(text)
    if match is None:
        return None
    parameters, rest = {}, match.group(2) or ""
    position = 0
    while position < len(rest):
        parameter = _PARAMETER.match(rest, position)
        if parameter is None:
            return None
        name, token, quoted = parameter.groups()
        if name:
            value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters[name.lower()] = value
        position = parameter.end()
    return MediaType(match.group(1).lower(), parameters)


@lru_cache(maxsize=128)
def content_type_of(header: str | None, supported: tuple[str, ...]) -> MediaType:
    """Read a Content-Type header.

    Parameters
    ----------
    header
        The header.
    supported
        The media types that a missing one could have been, for the error.

    Raises
    ------
    UnsupportedContentTypeError
        The header is missing or is no media type.
    """
    media_type = parse_media_type(header or "")
    if media_type is None:
        raise UnsupportedContentTypeError(
            f"content type must be one of {', '.join(supported)}, got {header or 'none'!r}"
        )
    return media_type


@lru_cache(maxsize=128)  # most callers send the same
def _ranges(accept: str | None) -> tuple[_Range, ...]:
    """Read the ranges of an Accept header; what is malformed is left out."""
    ranges = []
    for item in _LIST_ITEM.findall(accept if accept and accept.strip() else "*/*"):
        media_type = parse_media_type(item)
        if media_type is None:
            continue
        quality = media_type.parameters.get("q", "1")
        if _QUALITY.fullmatch(quality):
            ranges.append(_Range(media_type.name, float(quality)))
    return tuple(ranges)


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """Choose the media type of the answer.

    Parameters
    ----------
    accept
        The Accept header; none or an empty one accepts anything.
    offered
        The media types to choose from. Where the caller likes several equally, the one that the header names
        first wins, then the one that is offered first.

    Raises
    ------
    NotAcceptableError
        The caller accepts none of those offered.
    """
    ranges = _ranges(accept)
    best, best_rank = None, (0.0, 0)
    for media_type in offered:
        # The most specific range that matches decides.
        matching = max(
            ((item.specificity(media_type), -index, item) for index, item in enumerate(ranges)), default=None
        )
        if matching is None or matching[0] == 0 or matching[2].quality == 0:
            continue
        rank = (matching[2].quality, matching[1])
        if best is None or rank > best_rank:
            best, best_rank = media_type, rank
    if best is None:
        raise NotAcceptableError(f"accept must allow one of {', '.join(offered)}, got {accept!r}")
    return best


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """Tell a user's own output_fn which one media type the caller wants most.

    A single media type is handed on as the caller sent it. Where the caller likes a wildcard best, it is one
    of those offered that fits, else the wildcard itself, such as ``image/*``: the script may know better.
    """
    ranges = _ranges(accept)
    if len(ranges) == 1 and "*" not in ranges[0].name and ranges[0].quality == 1:
        return str(accept).strip()
    best = max(ranges, key=lambda item: item.quality, default=None)
    if best is None or best.quality == 0:
        raise NotAcceptableError(f"accept must name a media type, got {accept!r}")
    fits = "*" in best.name and any(best.specificity(media_type) for media_type in offered)
    return negotiate(accept, offered) if fits else best.name

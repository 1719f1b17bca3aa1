"""Which operation of an API a request calls, by botocore's models."""

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cdk_sagemaker_pytorch.local.base.server_state import isolated_session


@dataclass(frozen=True)
class _Route:
    """Where a REST service has an operation."""

    operation: str
    method: str
    path: re.Pattern[str]
    literal_length: int
    query: Mapping[str, str]
    required_query: frozenset[str]
    required_headers: frozenset[str]


def operation_of(service: str, environ: Mapping[str, Any], form: bytes) -> str | None:
    """Return the operation that a request calls, or None where the service has none like it.

    Parameters
    ----------
    service
        botocore's name of the service.
    environ
        As WSGI has it.
    form
        The body, of a form; else empty.
    """
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rpartition(".")[2]
    path, query = environ.get("PATH_INFO", ""), _query(environ.get("QUERY_STRING", ""))
    if match := re.fullmatch(r"/service/\w+/operation/(\w+)", path):
        return match[1]
    if action := _query(form.decode("utf-8", "replace")).get("Action") or query.get("Action"):
        return action
    headers = {name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_")}
    found = [
        route
        for route in _routes(service)
        if route.method == environ["REQUEST_METHOD"]
        and route.path.fullmatch(path)
        and all(name in query and value in ("", query[name]) for name, value in route.query.items())
        and route.required_query <= set(query)
        and route.required_headers <= headers
    ]
    if not found:
        return None
    # The one that asks for the most: `PutObject` and `UploadPart` have the same path.
    best = max(
        found,
        key=lambda route: (
            len(route.query),
            len(route.required_query) + len(route.required_headers),
            route.literal_length,
        ),
    )
    return best.operation


@cache
def service_model(service: str) -> Any:
    """Return botocore's model of a service."""
    return isolated_session().get_service_model(service)


@cache
def service_names() -> list[str]:
    """Return the services that botocore knows."""
    names: list[str] = isolated_session().get_available_services()
    return names


@cache
def _routes(service: str) -> list[_Route]:
    return [_route(service_model(service).operation_model(name)) for name in _operation_names(service)]


def _operation_names(service: str) -> list[str]:
    return list(service_model(service).operation_names)


def _route(operation: Any) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    parts = re.split(r"(\{[^}]+\})", path.rstrip("/") or "/")
    pattern = "".join(
        re.escape(part) if not part.startswith("{") else ".+" if part.endswith("+}") else "[^/]+"
        for part in parts
    )
    shape = operation.input_shape
    members = [shape.members[name] for name in shape.required_members] if shape is not None else []
    places: dict[str, set[str]] = {"querystring": set(), "header": set()}
    for member in members:
        location = member.serialization.get("location")
        if location in places:
            places[location].add(member.serialization.get("name", member.name))
    return _Route(
        operation.name,
        operation.http["method"],
        re.compile(f"{pattern}/?"),
        sum(len(part) for part in parts if not part.startswith("{")),
        _query(query),
        frozenset(places["querystring"]),
        frozenset(name.lower() for name in places["header"]),
    )


def _query(text: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))

"""A table of requests to AWS's own toolkit and to this library's handlers on three servers."""

import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .four_servers import NO_SCRIPT, OURS, RAY, TOOLKIT, Answer, Server, four_servers
from .improvements import IMPROVEMENTS
from .serving_requests import CSV, JSON, NPY, REQUESTS, ROWS_CSV, ROWS_JSON, ROWS_NPY, Request, npy

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(600)]

SCRIPTS = list(dict.fromkeys(request.script for request in REQUESTS))


def media_type(answer: Answer, server: str) -> str | None:
    """Return the Content-Type; the proxy of the Ray Serve container adds a charset to text."""
    charset = "; charset=utf-8"
    text = answer.content_type
    return text.removesuffix(charset) if text is not None and server == RAY else text


def content(answer: Answer, kind: str | None) -> Any:
    """Read a body: an array, what JSON says, or the bytes."""
    if kind == NPY:
        return np.load(io.BytesIO(answer.body))
    if kind == CSV:
        return np.loadtxt(io.BytesIO(answer.body), delimiter=",", ndmin=2)
    return json.loads(answer.body) if kind == JSON else answer.body


def agree(one: Any, other: Any) -> bool:
    """Tell whether two contents are the same: the same structure and shape, and numbers equal to 1e-6."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, (float, np.ndarray)) and isinstance(other, (float, np.ndarray)):
        return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-6, atol=1e-6)
    return type(one) is type(other) and bool(one == other)


def same_success(answer: Answer, server: str, expected: Answer) -> bool:
    """Tell whether a server's answer is the toolkit's: content type, structure, shape and values."""
    kind = media_type(answer, server)
    return (
        (answer.status, expected.status) == (200, 200)
        and kind == expected.content_type
        and agree(content(answer, kind), content(expected, kind))
    )


def dtype(answer: Answer) -> str | None:
    """Return the dtype of an NPY answer."""
    return np.load(io.BytesIO(answer.body)).dtype.str if answer.content_type == NPY else None


def equal(answer: Answer, server: str, toolkit: Answer) -> bool:
    """Tell whether a server answers as the toolkit does; of errors the status is compared."""
    if answer.status != 200:
        return answer.status == toolkit.status
    return same_success(answer, server, toolkit) and dtype(answer) == dtype(toolkit)


def mistakes(request: Request, answers: dict[str, Answer], likes: Answer) -> Iterator[str]:
    """Say what is wrong with the answers to a request; `likes` is the toolkit's to `request.like`."""
    toolkit = answers[TOOLKIT]
    if request.improvement is None:
        for server in OURS:
            if not equal(answers[server], server, toolkit):
                yield f"{server} answers {answers[server]}, the toolkit {toolkit}"
    else:
        improvement = IMPROVEMENTS[request.improvement]
        if toolkit.status != improvement.toolkit_status:
            yield f"the toolkit should answer {improvement.toolkit}, got {toolkit}"
        for server in OURS:
            answer = answers[server]
            if answer.status != improvement.elsewhere.get(server, improvement.our_status):
                yield f"{server} should answer {improvement.ours}, got {answer}"
            elif answer.status == 200 and not same_success(answer, server, likes):
                yield f"{server} should answer as to {request.like or 'it'}: {likes}, got {answer}"
            elif equal(answer, server, toolkit) and server not in improvement.elsewhere:
                yield f"{server} answers as the toolkit does: {improvement.toolkit}"
    texts = {server: answers[server].body for server in OURS if answers[server].status != 200}
    for server, text in texts.items():
        if not text or b"Traceback (most recent" in text:
            yield f"{server} should say what is wrong in plain words, got {text!r}"


@pytest.fixture(scope="module", params=SCRIPTS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, inference_python: Path
) -> Iterator[tuple[str, dict[str, Server]]]:
    """Each script on its four servers."""
    folder = tmp_path_factory.mktemp(request.param.replace(" ", "_"))
    with four_servers(request.param, folder, inference_python) as servers:
        yield request.param, servers


def test_answers_are_the_toolkits_or_a_listed_improvement(
    served: tuple[str, dict[str, Server]], pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    script, servers = served
    assert {name: server.ping() for name, server in servers.items()} == dict.fromkeys(servers, 200)
    requests = {request.name: request for request in REQUESTS if request.script == script}
    answers = {
        request.name: {
            name: server.invoke(request.body, request.content_type, request.accept, request.attributes)
            for name, server in servers.items()
        }
        for request in requests.values()
    }
    wrong = {
        name: found
        for name, request in requests.items()
        if (found := list(mistakes(request, answers[name], answers[request.like or name][TOOLKIT])))
    }
    seen = Counter(request.improvement or "equal" for name, request in requests.items() if name not in wrong)
    report = pytestconfig.get_terminal_writer()
    with capsys.disabled():
        report.line(f"\n{script}: {len(requests)} requests to {len(servers)} servers:")
        for what, count in seen.most_common():
            report.line(f"  {count:4}  {what}")
        report.line(f"  {len(wrong):4}  unexplained")
    assert not wrong, "\n".join(f"{name}: {line}" for name, found in wrong.items() for line in found)


class MakesFolder:
    """What runs code where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("served", [NO_SCRIPT], indirect=True)
def test_no_body_runs_code(served: tuple[str, dict[str, Server]], tmp_path: Path) -> None:
    _, servers = served
    for number, (name, server) in enumerate(servers.items()):
        folder = tmp_path / str(number)
        server.invoke(npy(np.array([MakesFolder(folder)], dtype=object)), NPY, JSON)
        # The toolkit runs it: the body is one that would.
        assert folder.exists() == (name == TOOLKIT)


HEADERS = st.none() | st.one_of(
    st.sampled_from(
        [JSON, CSV, NPY, "*/*", f"{CSV};q=0.5, {JSON};q=0.1", f"{CSV}; charset=latin-1", ";", "a/b;;q"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.text('[]{},.0123456789eE+-\n"naif ', max_size=60).map(str.encode),
    st.sampled_from([ROWS_JSON, ROWS_CSV, ROWS_NPY]).flatmap(
        lambda body: st.integers(0, len(body)).map(lambda end: body[:end])
    ),
)


@pytest.mark.parametrize("served", [NO_SCRIPT], indirect=True)
@settings(max_examples=200, deadline=None)
@given(body=BODIES, content_type=HEADERS, accept=HEADERS)
def test_no_request_is_the_servers_mistake(
    served: tuple[str, dict[str, Server]], body: bytes, content_type: str | None, accept: str | None
) -> None:
    _, servers = served
    for name in OURS:
        answer = servers[name].invoke(body, content_type, accept)
        # Numbers in a shape that the model does not take are the one thing that only the model finds.
        unfit = answer.status == 500 and answer.body.startswith(b"predict_fn raised ")
        assert unfit or answer.status == 200 or 400 <= answer.status < 500, (name, answer)
        assert b"Traceback (most recent" not in answer.body


def test_the_table_is_large_and_each_improvement_is_in_it() -> None:
    assert len(REQUESTS) >= 150
    assert len({(request.script, request.name) for request in REQUESTS}) == len(REQUESTS)
    assert {request.improvement for request in REQUESTS} == {None, *IMPROVEMENTS}

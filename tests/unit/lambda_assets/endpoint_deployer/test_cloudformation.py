"""What CloudFormation is answered."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

EVENT = {
    "StackId": "stack",
    "RequestId": "request",
    "LogicalResourceId": "Claim",
    "ResponseURL": "https://somewhere",
}
SAME = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "Claim"}


class Answers:
    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []

    def __call__(self, url: str, body: bytes) -> None:
        self.got.append((url, json.loads(body)))


@pytest.fixture
def answers() -> Answers:
    return Answers()


def test_the_work_says_the_physical_id(code: SimpleNamespace, answers: Answers) -> None:
    found = code.cloudformation.answer(dict(EVENT), lambda: "digits", answers)
    assert found == {**SAME, "Status": "SUCCESS", "PhysicalResourceId": "digits"}
    assert answers.got == [("https://somewhere", found)]


def test_a_failure_is_answered_with_its_reason(code: SimpleNamespace, answers: Answers) -> None:
    def work() -> str:
        raise KeyError("EndpointName")

    event = {**EVENT, "PhysicalResourceId": "digits"}
    found = code.cloudformation.answer(event, work, answers)
    assert found == {
        **SAME,
        "Status": "FAILED",
        "PhysicalResourceId": "digits",
        "Reason": "KeyError: 'EndpointName'",
    }
    assert answers.got == [("https://somewhere", found)]


def test_what_could_not_be_created_has_an_id_of_its_own(code: SimpleNamespace, answers: Answers) -> None:
    """So that its deletion is no deletion of a resource that is there."""

    def work() -> str:
        raise PermissionError

    found = code.cloudformation.answer(dict(EVENT), work, answers)
    assert found["PhysicalResourceId"] == "request"


def test_there_is_no_answer_yet_where_another_invocation_goes_on(
    code: SimpleNamespace, answers: Answers
) -> None:
    assert code.cloudformation.answer(dict(EVENT), lambda: None, answers) == {}
    assert answers.got == []


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """Where CloudFormation waits for the answer, and what it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_answer_is_put_without_a_content_type(code: SimpleNamespace, server: Any) -> None:
    """CloudFormation has signed its URL for an empty one."""
    url, got = server
    code.cloudformation.respond(url, b"{}")
    assert got == [("", b"{}")]

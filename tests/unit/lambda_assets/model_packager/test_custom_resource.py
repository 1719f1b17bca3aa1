"""The custom resource protocol, with a server that stands for CloudFormation."""

import http.server
import json
import threading

import pytest
from index import handler

MODEL = {"model.pth": b"weights"}
CODE = {"inference.py": b"pass\n"}
SECRET = "signature=0123456789"  # noqa: S105 - stands for one


class CloudFormation:
    """Takes answers; may fail a few times first."""

    def __init__(self):
        self.answers = []
        self.content_types = []
        self.failures = 0
        self.answered = threading.Event()
        taker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if taker.failures:
                    taker.failures -= 1
                    self.send_response(500)
                else:
                    taker.content_types.append(self.headers["Content-Type"])
                    taker.answers.append(json.loads(body))
                    taker.answered.set()
                    self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/?{SECRET}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def cloudformation():
    taker = CloudFormation()
    yield taker
    taker.close()


@pytest.fixture
def resource_event(cloudformation, event, archives):
    def make(request_type="Create", model=None, **fields):
        properties = event(model or archives.tar_gz(MODEL), archives.tar_gz(CODE))
        return {
            "RequestType": request_type,
            "ResponseURL": cloudformation.url,
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Packaged",
            "ResourceProperties": {"ServiceToken": "arn", "max_ratio": "50", **properties},
        } | fields

    return make


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_packages_and_says_where_the_model_is(request_type, resource_event, cloudformation, archives, s3):
    handler(resource_event(request_type), None)
    assert cloudformation.answers == [
        {
            "Status": "SUCCESS",
            "PhysicalResourceId": "s3://models/out/model.tar.gz",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Packaged",
            "Data": {
                "ModelDataUrl": "s3://models/out/model.tar.gz",
                "SubmitDirectory": "/opt/ml/model/code",
                "Strategy": "memory",
            },
        }
    ]
    assert cloudformation.content_types == [""]
    assert set(archives.contents(s3.get("s3://models/out/model.tar.gz"))) == {
        "model.pth",
        "code/inference.py",
    }


def tags_of(s3, key):
    return s3.client.get_object_tagging(Bucket="models", Key=key)["TagSet"]


SUPERSEDED = [{"Key": "cdk-sagemaker-pytorch:superseded", "Value": "true"}]


def test_deleting_marks_the_artifact_and_leaves_it(resource_event, cloudformation, s3):
    s3.put("out/model.tar.gz", b"artifact")
    s3.put("out/model.tar.gz.other", b"another")
    handler(resource_event("Delete", PhysicalResourceId="s3://models/out/model.tar.gz"), None)
    assert cloudformation.answers[0]["Status"] == "SUCCESS"
    assert cloudformation.answers[0]["PhysicalResourceId"] == "s3://models/out/model.tar.gz"
    assert tags_of(s3, "out/model.tar.gz") == SUPERSEDED
    assert tags_of(s3, "out/model.tar.gz.other") == []


def test_deleting_marks_all_files_of_an_uncompressed_model(resource_event, s3):
    for name in ("model/a", "model/code/inference.py"):
        s3.put(f"out/{name}", b"artifact")
    handler(resource_event("Delete", PhysicalResourceId="s3://models/out/model/"), None)
    assert tags_of(s3, "out/model/a") == tags_of(s3, "out/model/code/inference.py") == SUPERSEDED


def test_deleting_leaves_a_model_that_was_packaged_in_place_alone(resource_event, s3):
    s3.put("in/llm/weights", b"the user's own")
    event = resource_event("Delete", PhysicalResourceId="s3://models/in/llm/")
    event["ResourceProperties"] |= {"model_data": "s3://models/in/llm/", "output": "s3://models/in/llm/"}
    handler(event, None)
    assert tags_of(s3, "in/llm/weights") == []


@pytest.mark.parametrize("made", ["s3://deleted-bucket/out/model.tar.gz", "Packaged"])
def test_deleting_succeeds_where_nothing_is_left(made, resource_event, cloudformation):
    handler(resource_event("Delete", PhysicalResourceId=made), None)
    assert cloudformation.answers[0]["Status"] == "SUCCESS"


def test_says_failed_with_the_reason_when_the_model_is_bad(resource_event, cloudformation):
    handler(resource_event(model=b"not gzip"), None)
    (answer,) = cloudformation.answers
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "Packaged")
    assert answer["Reason"].startswith("NotGzipError: s3://models/in/model.tar.gz is not a gzip file")
    assert SECRET not in json.dumps(answer)


def test_a_failed_update_keeps_the_old_resource(resource_event, cloudformation):
    handler(resource_event("Update", model=b"not gzip", PhysicalResourceId="old"), None)
    assert cloudformation.answers[0]["PhysicalResourceId"] == "old"


def test_a_long_reason_is_cut(resource_event, cloudformation):
    event = resource_event()
    event["ResourceProperties"]["entry_point"] = "x/" * 10_000
    handler(event, None)
    assert len(json.dumps(cloudformation.answers[0])) < 4096


def test_says_failed_and_raises_when_something_unforeseen_happens(
    monkeypatch, resource_event, cloudformation
):
    def surprise(*_):
        raise RuntimeError(f"the token is {SECRET}")

    monkeypatch.setattr("packager.custom_resource.answer", surprise)
    with pytest.raises(RuntimeError):
        handler(resource_event(), None)
    (answer,) = cloudformation.answers
    assert answer["Reason"] == "unexpected RuntimeError; see the log of the packaging function"


def test_an_answer_that_does_not_get_through_is_sent_again(resource_event, cloudformation):
    cloudformation.failures = 2
    handler(resource_event(), None)
    assert [answer["Status"] for answer in cloudformation.answers] == ["SUCCESS"]


def test_says_failed_once_when_time_runs_out(monkeypatch, resource_event, cloudformation):
    class Context:
        def get_remaining_time_in_millis(self):
            return 3001

    def hang(*_):
        assert cloudformation.answered.wait(60)
        return {"model_data_url": "", "submit_directory": "", "strategy": ""}

    monkeypatch.setattr("packager.custom_resource.answer", hang)
    handler(resource_event(), Context())
    (answer,) = cloudformation.answers
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the function ran out of time")


def test_fails_when_the_response_url_is_no_web_address(resource_event):
    with pytest.raises(ValueError, match="must begin with https"):
        handler(resource_event("Delete", ResponseURL="file:///etc/passwd"), None)

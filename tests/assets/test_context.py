import json
import logging
import sys
from types import ModuleType, SimpleNamespace

import pytest
from serving.context import Context, gpu_id, said_beside
from serving.errors import PredictionEncodingError


def test_headers_are_found_in_any_case():
    context = Context("/m", {"x-amzn-sagemaker-custom-attributes": "a=1", "Content-Type": "text/csv"})

    assert context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes") == "a=1"
    assert context.get_request_header(0, "absent") is None
    properties = context.request_processor[0].get_request_properties()
    assert properties["CONTENT-TYPE"] == properties.get("content-type") == "text/csv"
    assert "Content-type" in properties
    assert 1 not in properties
    assert properties.get("absent", "default") == "default"
    assert properties == context.get_all_request_header(0)
    assert context.request_processor[0].get_request_property("Content-Type") == "text/csv"


def test_system_properties_are_those_of_torchserve(tmp_path):
    properties = Context(str(tmp_path)).system_properties

    assert properties["model_dir"] == str(tmp_path)
    assert set(properties) == {
        "model_dir",
        "gpu_id",
        "batch_size",
        "server_name",
        "server_version",
        "limit_max_image_pixels",
    }


def test_what_one_request_changes_no_other_sees():
    one, other = Context("/m"), Context("/m")
    one.system_properties["secret"] = 1
    one.manifest["model"]["secret"] = 1
    one.set_response_header(0, "x", "1")

    assert "secret" not in other.system_properties
    assert "secret" not in other.manifest["model"]
    assert other.get_response_headers(0) == {}


def test_the_gpu_is_the_one_that_torch_uses(monkeypatch):
    for number in (3, None):
        torch = ModuleType("torch")
        torch.cuda = SimpleNamespace(
            is_available=lambda n=number: n is not None, current_device=lambda n=number: n
        )
        monkeypatch.setitem(sys.modules, "torch", torch)
        assert gpu_id() == number
    monkeypatch.delitem(sys.modules, "torch")
    assert gpu_id() is None


def test_the_manifest_is_the_models(tmp_path):
    assert Context(str(tmp_path)).manifest["model"]["modelName"] == "model"
    (tmp_path / "MAR-INF").mkdir()
    file = tmp_path / "MAR-INF" / "MANIFEST.json"
    file.write_text(json.dumps({"model": {"modelName": "mine"}}))
    assert Context(str(tmp_path)).manifest == {"model": {"modelName": "mine"}}
    file.write_text("{")
    assert Context(str(tmp_path)).manifest["model"]["modelName"] == "model"


def test_what_is_said_beside_the_answer():
    context = Context("/m", request_id="r-1")
    assert said_beside(context) == (200, None)
    context.set_all_response_status(201, "Made")
    context.set_response_header(0, "X-Version", 3)
    context.set_response_header(0, "Content-Length", "1000")
    context.set_response_content_type(0, "text/x")

    assert said_beside(context) == (201, {"X-Version": "3"})
    assert context.get_response_status(0) == (201, "Made")
    assert context.get_response_content_type(0) == "text/x"
    assert context.get_request_id(0) == "r-1"


@pytest.mark.parametrize("status", [0, 100, 600, "abc", None])
def test_fails_when_a_status_cannot_be_sent(status):
    context = Context("/m")
    context.set_response_status(status)
    with pytest.raises(PredictionEncodingError, match="from 200 to 599, got"):
        said_beside(context)


@pytest.mark.parametrize(
    ("name", "value"), [("x y", "1"), ("x", "1\r\nset-cookie: a=1"), ("x", "\u4e00"), ("", "1")]
)
def test_fails_when_a_header_cannot_be_sent(name, value):
    context = Context("/m")
    context.set_response_header(0, name, value)
    with pytest.raises(PredictionEncodingError, match="a response header must be plain text"):
        said_beside(context)


def test_metrics_are_lines_of_the_log(caplog):
    metrics = Context("/m").metrics
    with caplog.at_level(logging.INFO):
        metrics.add_counter("Rows", 3)
        metrics.add_time("Decoding", 1.5)
        metrics.add_time("Waiting", 2, None, "s")
        metrics.add_size("Body", 4)
        metrics.add_percent("Hits", 50)
        metrics.add_error("Fault", "no disk")
        metrics.add_metric("Depth", 7, unit="layers", dimensions=[])

    assert [record.getMessage() for record in caplog.records] == [
        "[METRICS]Rows.count:3",
        "[METRICS]Decoding.ms:1.5",
        "[METRICS]Waiting.s:2",
        "[METRICS]Body.MB:4",
        "[METRICS]Hits.percent:50",
        "[METRICS]Fault.error:no disk",
        "[METRICS]Depth.layers:7",
    ]

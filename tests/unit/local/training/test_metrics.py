import pytest

from cdk_sagemaker_pytorch.local.training import metrics


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    points: list[tuple[object, ...]] = []
    monkeypatch.setattr(metrics, "send_metric", lambda *point: points.append(point))
    return points


def test_each_value_is_a_data_point_and_the_last_is_described(sent: list[tuple[object, ...]]) -> None:
    reader = metrics.MetricReader("job", [{"Name": "loss", "Regex": r"loss=(\S+)"}])
    for line in ("loss=0.5", "nothing", "loss=25e-2"):
        reader.read(line)
    place = {"TrainingJobName": "job"}
    assert sent == [
        ("/aws/sagemaker/TrainingJobs", "loss", 0.5, place),
        ("/aws/sagemaker/TrainingJobs", "loss", 0.25, place),
    ]
    assert [(item["MetricName"], item["Value"]) for item in reader.final()] == [("loss", 0.25)]


@pytest.mark.parametrize(("text", "value"), [("nan", "NaN"), ("-inf", "-Infinity"), ("Infinity", "Infinity")])
def test_what_json_has_no_number_for_is_described_as_text(
    sent: list[tuple[object, ...]], text: str, value: str
) -> None:
    reader = metrics.MetricReader("job", [{"Name": "loss", "Regex": r"loss=(\S+)"}])
    reader.read("loss=0.5")
    reader.read(f"loss={text}")
    assert [item["Value"] for item in reader.final()] == [value]
    assert len(sent) == 1, "CloudWatch takes finite numbers alone"


@pytest.mark.parametrize("text", ["none", "1,5"])
def test_what_is_no_number_is_no_value(sent: list[tuple[object, ...]], text: str) -> None:
    reader = metrics.MetricReader("job", [{"Name": "loss", "Regex": r"loss=(\S+)"}])
    reader.read("loss=0.5")
    reader.read(f"loss={text}")
    assert [item["Value"] for item in reader.final()] == [0.5]
    assert len(sent) == 1


def test_a_group_that_does_not_take_part_is_no_value(sent: list[tuple[object, ...]]) -> None:
    reader = metrics.MetricReader("job", [{"Name": "loss", "Regex": r"(\d+)?x"}])
    reader.read("x")
    assert (reader.final(), sent) == ([], [])

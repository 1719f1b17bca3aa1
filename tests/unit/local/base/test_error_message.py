import pytest

from cdk_sagemaker_pytorch.local.base.error_message import error_message

TRACEBACK = ["Traceback (most recent call last):", '  File "train.py", line 1, in <module>', "    raise x"]


def test_the_last_exception_is_the_reason() -> None:
    chained = ["", "During handling of the above exception, another exception occurred:", ""]
    lines = [
        "epoch 1",
        *TRACEBACK,
        "KeyError: 'x'",
        *chained,
        *TRACEBACK,
        "RuntimeError: no channel x",
        "see docs",
    ]
    assert error_message(lines) == "RuntimeError: no channel x\nsee docs"


@pytest.mark.parametrize(
    "prefix",
    ["[rank0]: ", "(ServeController pid=12) ", "(raylet) ", "\x1b[36m(Proxy pid=3, ip=127.0.0.1)\x1b[0m "],
)
def test_what_launchers_put_before_a_line_is_dropped(prefix: str) -> None:
    lines = [prefix + line for line in [*TRACEBACK, "ValueError: boom"]]
    assert error_message([*lines, "ERROR 2026-01-01 the replica will be stopped"]) == "ValueError: boom"


def test_the_exception_of_the_worker_wins_over_that_of_torchrun() -> None:
    launcher = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
    assert error_message([*TRACEBACK, "ValueError: boom", *TRACEBACK, launcher]) == "ValueError: boom"


def test_without_a_traceback_the_last_lines_are_the_reason() -> None:
    lines = [f"line {number}" for number in range(30)]
    assert error_message(lines) == "\n".join(lines[10:])
    assert error_message([]) == ""


def test_what_torchserve_logs_between_the_lines_of_a_traceback_is_dropped() -> None:
    record = "2026-01-01T00:00:00,1 [INFO ] W-9000-model_1.0-stdout MODEL_LOG - "
    own = "2026-01-01T00:00:00,1 [WARN ] W-9000-model_1.0 org.pytorch.serve.wlm.Batch - Load model failed"
    lines = [line for text in [*TRACEBACK, "KeyError: 'bias'"] for line in (record + text, own)]
    assert error_message(lines) == "KeyError: 'bias'"


def test_what_other_processes_print_in_between_is_no_part_of_the_exception() -> None:
    failing, other = "(ServeReplica pid=7) ", "(ServeController pid=8) "
    own = [failing + line for line in [*TRACEBACK, "ValueError: boom", "  in two lines"]]
    lines = [part for line in own for part in (line, other + "still waiting", "Deploying failed")]
    assert error_message(lines) == "ValueError: boom\n  in two lines"

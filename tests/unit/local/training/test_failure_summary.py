import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_sagemaker_pytorch.local.training.failure_summary import ScriptEnd, installer_summary

TRACEBACK = ["Traceback (most recent call last):", '  File "train.py", line 1, in <module>', "    raise x"]
LAUNCHER = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "


def torchrun_report(rank: int, exit_code: int) -> list[str]:
    return [
        *TRACEBACK,
        LAUNCHER,
        "=" * 54,
        "train.py FAILED",
        "Failures:",
        "[1]:",
        "  rank      : 0 (local_rank: 0)",
        "  exitcode  : -15 (pid: 3433)  (SIGTERM)",
        "-" * 54,
        "Root Cause (first observed failure):",
        "[0]:",
        "  time      : 2026-11-28_11:58:31",
        "  host      : localhost",
        f"  rank      : {rank} (local_rank: 1)",
        f"  exitcode  : {exit_code} (pid: 3435)",
        "  error_file: <N/A>",
        "=" * 54,
    ]


@pytest.mark.parametrize(
    ("lines", "exit_code", "summary"),
    [
        ([*TRACEBACK, "ValueError: no labels", "  in train"], 1, "ValueError: no labels"),
        (
            ["usage: train.py [-h]", "train.py: error: argument --epochs: invalid int value: 'x'"],
            2,
            "train.py: error: argument --epochs: invalid int value: 'x'",
        ),
        (
            ["epoch 1", "no data on this host", ""],
            1,
            "the script ended with exit code 1: no data on this host",
        ),
        ([], 3, "the script ended with exit code 3"),
        (["Segmentation fault"], -11, "the script was killed by signal 11 (SIGSEGV)"),
        (["core dumped"], 134, "the script was killed by signal 6 (SIGABRT)"),
        (torchrun_report(1, 3), 1, "rank 1 failed: the script ended with exit code 3"),
        (
            [*["[rank1]: " + line for line in [*TRACEBACK, "KeyError: 'x'"]], *torchrun_report(1, 1)],
            1,
            "rank 1 failed: KeyError: 'x'",
        ),
    ],
)
def test_what_a_person_needs_comes_first(lines: list[str], exit_code: int, summary: str) -> None:
    assert ScriptEnd(lines, exit_code).summary == summary


@pytest.mark.parametrize(
    ("lines", "exit_code", "who"),
    [
        (["epoch 1"], -9, "algo-2 failed: "),
        (["epoch 1"], 137, "algo-2 failed: "),
        (torchrun_report(3, -9), 1, "rank 3 on algo-2 failed: "),
    ],
)
def test_who_was_killed_and_with_what_memory(lines: list[str], exit_code: int, who: str) -> None:
    summary = ScriptEnd(lines, exit_code, peak_memory=3 << 30, host="algo-2").summary
    beginning = (
        f"{who}the script was killed by signal 9 (SIGKILL), when its largest process had 3.0 GiB of this"
    )
    assert summary.startswith(beginning)


@pytest.mark.parametrize(
    ("lines", "summary"),
    [
        (
            [
                "Collecting nosuch==9",
                "ERROR: Could not find a version that satisfies the requirement nosuch==9 (from none)",
                "ERROR: No matching distribution found for nosuch==9",
                "[notice] A new release of pip is available",
            ],
            (
                "requirements cannot be installed: Could not find a version that satisfies the requirement"
                " nosuch==9 (from none); No matching distribution found for nosuch==9"
            ),
        ),
        (
            [
                "Collecting fine",
                "Collecting broken>=1 (from -r requirements.txt (line 2))",
                "  error: subprocess-exited-with-error",
                "  Getting requirements to build wheel did not run successfully.",
            ],
            "requirements cannot be installed: subprocess-exited-with-error (while installing broken>=1)",
        ),
        (["something else"], "requirements cannot be installed: something else"),
        ([], "requirements cannot be installed: "),
    ],
)
def test_what_could_not_be_installed_is_told_in_pips_words(lines: list[str], summary: str) -> None:
    assert installer_summary(lines) == summary


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        ("RuntimeError: [../gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1", True),
        ("torch.distributed.DistBackendError: NCCL error: remote process exited", True),
        ("ValueError: no labels", False),
        ("torch.distributed.DistNetworkError: failed to listen. port: 1, name: EADDRINUSE", False),
    ],
)
def test_a_host_that_failed_for_another_is_known(message: str, lost: bool) -> None:
    assert ScriptEnd([*TRACEBACK, message], 1).is_for_lost_peer is lost


@given(st.lists(st.text(max_size=600), max_size=30), st.integers(-70, 300))
def test_any_output_has_a_summary_of_one_short_line(lines: list[str], exit_code: int) -> None:
    lines = [part for line in lines for part in line.splitlines()]
    for summary in (ScriptEnd(lines, exit_code, 1, "algo-1").summary, installer_summary(lines)):
        assert len(summary) <= 400
        assert "\n" not in summary

import datetime as dt

import pytest

from cdk_sagemaker_pytorch.local.events.schedule_expressions import ScheduleError, next_time

NOW = dt.datetime(2026, 11, 26, 10, 30, 20, tzinfo=dt.UTC)  # a Thursday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", "2026-11-26 10:31:20"),
        ("rate(5 hours)", "2026-11-26 15:30:20"),
        ("rate(2 days)", "2026-11-28 10:30:20"),
        ("cron(* * * * ? *)", "2026-11-26 10:31:00"),
        ("cron(0/15 * * * ? *)", "2026-11-26 10:45:00"),
        ("cron(0 10 * * ? *)", "2026-11-27 10:00:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-26 18:00:00"),
        ("cron(0 8 1 * ? *)", "2026-12-01 08:00:00"),
        ("cron(15 10 ? * 6L 2026-2027)", "2026-11-27 10:15:00"),
        ("cron(0 0 L * ? *)", "2026-11-30 00:00:00"),
        ("cron(0 0 ? * L *)", "2026-11-28 00:00:00"),
        ("cron(0 0 ? * 2#1 *)", "2026-12-07 00:00:00"),
        ("cron(0 0 28W * ? *)", "2026-11-27 00:00:00"),
        ("cron(0 0 1W 8 ? *)", "2027-08-02 00:00:00"),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-27 00:00:00"),
        ("cron(0 0 29 2 ? *)", "2028-02-29 00:00:00"),
        ("cron(0 9,17 26 NOV,DEC ? *)", "2026-11-26 17:00:00"),
    ],
)
def test_a_schedule_is_due_as_on_eventbridge(expression: str, expected: str) -> None:
    assert next_time(expression, NOW) == dt.datetime.fromisoformat(expected + "+00:00")


def test_a_schedule_of_the_past_is_never_due() -> None:
    assert next_time("cron(0 0 1 1 ? 2020)", NOW) is None


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)",
        "rate(1 week)",
        "cron(0 0 1 1 1 *)",
        "cron(0 0 ? * ? *)",
        "cron(60 0 1 1 ? *)",
        "cron(a 0 1 1 ? *)",
        "cron(0/0 0 1 1 ? *)",
        "at(2026-11-26T10:00:00)",
    ],
)
def test_fails_when_the_expression_is_not_valid(expression: str) -> None:
    with pytest.raises(ScheduleError):
        next_time(expression, NOW)

import datetime as dt
from dataclasses import dataclass

from cdk_sagemaker_pytorch.local.events.schedules import Schedules

NOW = dt.datetime(2026, 11, 26, 10, 30, tzinfo=dt.UTC)


@dataclass
class Rule:
    scheduled_expression: str | None
    arn: str = "arn"


def minutes(count: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=count)


def test_a_rule_is_due_once_each_time() -> None:
    schedules, rule = Schedules(), Rule("rate(2 minutes)")
    assert schedules.due_rules([rule, Rule(None, "other")], NOW) == []
    assert schedules.due_rules([rule], minutes(1.9)) == []
    assert schedules.due_rules([rule], minutes(2)) == [rule]
    assert schedules.due_rules([rule], minutes(2.1)) == []
    assert schedules.due_rules([rule], minutes(20)) == [rule]


def test_a_rule_that_was_disabled_begins_anew() -> None:
    schedules, rule = Schedules(), Rule("rate(2 minutes)")
    schedules.due_rules([rule], NOW)
    schedules.due_rules([], minutes(1))
    assert schedules.due_rules([rule], minutes(3)) == []
    assert schedules.due_rules([rule], minutes(5)) == [rule]


def test_an_expression_that_is_not_valid_harms_no_other() -> None:
    schedules, rule = Schedules(), Rule("rate(1 minute)")
    wrong = Rule("cron(1)", "wrong")
    schedules.due_rules([wrong, rule], NOW)
    assert schedules.due_rules([wrong, rule], minutes(1)) == [rule]

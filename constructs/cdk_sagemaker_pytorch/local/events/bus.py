"""EventBridge's buses: moto keeps the rules and matches events, this delivers them."""

import copy
import datetime as dt
import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

from moto.events.models import Rule, events_backends

from cdk_sagemaker_pytorch.local.base.moto_parts import wrap
from cdk_sagemaker_pytorch.local.base.server_state import settings

from .target_input import target_input
from .targets import deliver, is_delivered

_logger = logging.getLogger(__name__)


def install() -> None:
    """Let events that are put reach functions and state machines, and none those of a disabled rule."""
    wrap(Rule, "send_to_targets", _send_to_targets)


def emit(source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
    """Send an event of a service to the default bus.

    Parameters
    ----------
    source
        For example `aws.states`.
    detail_type
        For example `Step Functions Execution Status Change`.
    resources
        ARNs of what the event is about.
    detail
        What happened.
    """
    event = new_event(source, detail_type, resources, detail)
    for rule in default_rules():
        if rule.event_pattern.get_pattern() and rule.event_pattern.matches_event(event):
            send(rule, event)


def default_rules() -> list[Any]:
    """Return the rules of the default bus that are not disabled."""
    bus = events_backends[settings().account][settings().region].event_buses["default"]
    return [rule for rule in list(bus.rules.values()) if rule.state != "DISABLED"]


def new_event(source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> dict[str, Any]:
    """Return an event as EventBridge writes it."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": settings().account,
        "time": _iso_time(dt.datetime.now(dt.UTC)),
        "region": settings().region,
        "resources": resources,
        "detail": detail,
    }


def send(rule: Any, event: dict[str, Any]) -> None:
    """Send an event to all targets of a rule, in the background."""
    own, others = _by_delivery(rule)
    for target in own:
        content = target_input(target, event, rule_name=rule.name, rule_arn=rule.arn)
        threading.Thread(target=deliver, args=(rule.arn, target, content), daemon=True).start()
    if others:
        threading.Thread(target=_send_to_others, args=(rule, others, event), daemon=True).start()


def _send_to_targets(moto_method: Callable[..., Any], rule: Any, event: dict[str, Any], *args: Any) -> None:
    """Stand in for moto's method, which knows some targets and minds no state."""
    if rule.state == "DISABLED" or not rule.event_pattern.get_pattern():
        return
    if args == () and rule.event_pattern.matches_event(event):
        content = {name: value for name, value in event.items() if name != "ingestion-time"}
        if isinstance(event.get("time"), int | float):
            content["time"] = _iso_time(dt.datetime.fromtimestamp(event["time"], dt.UTC))
        own, others = _by_delivery(rule)
        send(_with_targets(rule, own), content)
        rule = _with_targets(rule, others)
    moto_method(rule, event, *args)


def _send_to_others(rule: Any, targets: list[dict[str, Any]], event: dict[str, Any]) -> None:
    try:
        for target in targets:
            time = dt.datetime.fromisoformat(event["time"]).timestamp()  # moto counts it in seconds
            _moto_send(_with_targets(rule, [target]), event | {"time": time})
    except NotImplementedError:
        _logger.warning("rule %s: the local AWS does not deliver to %s", rule.name, target["Arn"])
    except Exception:
        _logger.exception("rule %s", rule.name)


_moto_send: Any = Rule.send_to_targets


def _by_delivery(rule: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the targets that are delivered to here, and those that are moto's."""
    targets = list(rule.targets)
    return (
        [target for target in targets if is_delivered(target["Arn"])],
        [target for target in targets if not is_delivered(target["Arn"])],
    )


def _with_targets(rule: Any, targets: list[dict[str, Any]]) -> Any:
    other = copy.copy(rule)
    other.targets = targets
    return other


def _iso_time(time: dt.datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")

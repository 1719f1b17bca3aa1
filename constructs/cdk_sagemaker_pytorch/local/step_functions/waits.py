"""Pauses of the local Step Functions, Wait states and those before retries: shorter on request."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry.jitter_strategy_decl import JitterStrategyDecl
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment

from cdk_sagemaker_pytorch.local.base.moto_parts import replace, wrap
from cdk_sagemaker_pytorch.local.base.server_state import settings

_LONGEST_PAUSE_SECONDS = 0.5


def install() -> None:
    """Let moto's executions wait as AWS's do, and by the factor of the local AWS's user."""
    replace(WaitFunction, "_wait_interval", _wait)
    replace(Timestamp, "_get_wait_seconds", _seconds_until)
    wrap(JitterStrategyDecl, "_eval_body", _pause_before_retry)


def _wait(wait: WaitFunction, env: Environment, wait_seconds: float) -> None:
    """Wait; moto's way waits in whole seconds after each interruption."""
    # An instant is an instant.
    _pause(env, wait_seconds if isinstance(wait, Timestamp) else wait_seconds * settings().wait_factor)


def _pause_before_retry(evaluate: Callable[..., None], jitter: JitterStrategyDecl, env: Environment) -> None:
    """Wait for the interval that this last step works out; moto's way sleeps on in a stopped execution."""
    evaluate(jitter, env)
    _pause(env, env.stack.pop() * settings().wait_factor)
    env.stack.append(0)


def _pause(env: Environment, seconds: float) -> None:
    """Wait, or until the execution ends."""
    deadline = time.monotonic() + seconds
    while env.is_running() and (remaining := deadline - time.monotonic()) > 0:
        # The event is set and cleared at once: who comes a moment late misses it.
        env.program_state_event.wait(min(remaining, _LONGEST_PAUSE_SECONDS))


def _seconds_until(wait: Any, env: Environment) -> float:
    """Return how long it is until an instant; moto takes it for local time."""
    wait.string.eval(env=env)
    text: str = env.stack.pop()
    try:
        instant = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise FailureEventException(wait._create_failure_event(env, text))
    return (instant - dt.datetime.now(dt.UTC)).total_seconds()

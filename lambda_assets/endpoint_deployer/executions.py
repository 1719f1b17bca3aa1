"""Executions of the deployment's state machine, as Step Functions knows them."""

from typing import Any

from botocore.exceptions import ClientError


class Executions:
    """Asks for executions, and stops them.

    Parameters
    ----------
    states
        A boto3 client of Step Functions.
    """

    def __init__(self, states: Any) -> None:
        self._states = states

    def is_running(self, execution: str) -> bool:
        """Tell whether an execution can still do something."""
        try:
            status = self._states.describe_execution(executionArn=execution)["status"]
        except ClientError as error:
            if _does_not_exist(error):  # gone with its state machine
                return False
            raise
        return bool(status in ("RUNNING", "PENDING_REDRIVE"))

    def stop(self, execution: str, cause: str) -> None:
        """Stop an execution, if it runs."""
        try:
            self._states.stop_execution(executionArn=execution, error="Stopped", cause=cause)
        except ClientError as error:
            if not _does_not_exist(error):
                raise

    def running(self, state_machine: str) -> list[str]:
        """List the running executions of a state machine."""
        found: list[str] = []
        try:
            pages = self._states.get_paginator("list_executions").paginate(
                stateMachineArn=state_machine, statusFilter="RUNNING"
            )
            for page in pages:
                found += [each["executionArn"] for each in page["executions"]]
        except ClientError as error:
            if not _does_not_exist(error):
                raise
        return found


def _does_not_exist(error: ClientError) -> bool:
    return str(error.response["Error"]["Code"]).endswith("DoesNotExist")

"""The states that bring a version of a model into service, and take it back when that fails."""

from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.packaging.packaging_states import PackagingStates
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.fragment import Fragment
from cdk_sagemaker_pytorch.states.task_state import RETRY_EVERYTHING, TaskState, integration_arn

__all__ = ["DeploymentStates"]

# What no second try changes; the function's exceptions by their names.
_DEFINITE: Final = {
    "ErrorEquals": [
        "EndpointNotInServiceError",
        "EndpointNotOursError",
        "LedgerClosedError",
        "NotHolderError",
        "SampleRequestFailedError",
        "TrainingJobNotCompletedError",
        "VersionNotRetainedError",
    ],
    "MaxAttempts": 0,
}
# Waits grow with what was waited for already, so that a history stays below 5,000 events of the 25,000 that
# it may have. These are about two hours: an endpoint may be Creating for one.
_MOST_WAITS = 180
_LONGEST_WAIT_SECONDS = 60
_LONGEST_TURN_SECONDS = 120


class DeploymentStates(Fragment):
    """The steps of a deployment, in their order: announce, package, bring into service, verify, commit.

    Each step is one invocation of the endpoint's function, which may be repeated; the function's ledger knows
    what has been done. Whatever fails after the announcement leads to the way back, at whose end the endpoint
    has the version that was verified last.

    The states read the variables ``$version``, ``$order`` and ``$rolls_back``, which say what is to be
    deployed, ``$model_data`` (set by the first step where a training job is given) and ``$packaged``, which
    the packaging sets. Their own variables are

    ``$waits``
        How often the endpoint was waited for on this way.
    ``$turns``
        How often the turn was waited for.
    ``$failure``
        Why the version is taken back.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    endpoint_name : str
        The endpoint.
    function : lambda_.IFunction
        The endpoint's function.
    packaging : PackagingStates
        Packages ``$model_data``.
    requests : Mapping of str to Any
        Arguments of ``CreateModel`` and ``CreateEndpointConfig`` but for the names, by operation.
    sample : Mapping of str to Any or None
        The sample request, as the function takes it; None sends nothing.
    retain_versions : int
        How many superseded versions stay.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        function: lambda_.IFunction,
        packaging: PackagingStates,
        requests: Mapping[str, Any],
        sample: Mapping[str, Any] | None,
        retain_versions: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint_name = endpoint_name
        self._function_arn = function.function_arn

        announce = self._announce()
        deploy = self._step("Bring into service", "bring_into_service", requests=requests)
        wait_for_turn, wait = self._wait_for_turn(), self._wait("Wait for endpoint")
        verify = None if sample is None else self._step("Send sample request", "verify", sample=sample)
        commit, deployed = self._step("Commit", "commit", retain=retain_versions), self._deployed()
        commit_later = self._wait("Wait to commit")
        superseded = self._superseded()
        failed, not_settled = self._failed(), self._not_settled()
        take_back, wait_back = self._step("Take back", "take_back"), self._wait("Wait for way back")
        not_taken_back, not_deployed = self._not_taken_back(), self._not_deployed()

        announced = self._choice("Announced?")
        announce.next(announced)
        announced.when(_state_is("superseded"), superseded).when(_condition("$rolls_back"), deploy).otherwise(
            packaging
        )
        for end in packaging.end_states:
            end.next(deploy)

        verified = commit if verify is None else verify
        deploy.next(
            self._choice("In service?")
            .when(_state_is("in_service"), verified)
            .when(_state_is("superseded"), superseded)
            .when(_state_is("waiting"), wait_for_turn)
            .when(_condition(f"$waits >= {_MOST_WAITS}"), not_settled)
            .otherwise(wait)
        )
        wait_for_turn.next(deploy)
        wait.next(deploy)
        if verify is not None:
            verify.next(commit)
        commit.next(
            self._choice("Committed?")
            .when(_state_is("deployed"), deployed)
            .when(_condition(f"$waits >= {_MOST_WAITS}"), not_settled)
            .otherwise(commit_later)
        )
        commit_later.next(commit)

        packaging.failed.next(failed)
        for state in filter(None, (announce, deploy, verify, commit)):
            state.add_catch(failed, errors=["States.ALL"])
        failed.next(take_back)
        not_settled.next(take_back)
        take_back.next(
            self._choice("Taken back?")
            .when(_state_is("taken_back"), not_deployed)
            .when(_state_is("deployed"), deployed)
            .when(_condition(f"$waits >= {_MOST_WAITS}"), not_taken_back)
            .otherwise(wait_back)
        )
        wait_back.next(take_back)
        take_back.add_catch(not_taken_back, errors=["States.ALL"])
        not_taken_back.next(not_deployed)

        self._start, self._ends = announce, []

    def _announce(self) -> TaskState:
        return self._step(
            "Announce",
            "announce",
            assign={
                "waits": 0,
                "turns": 0,
                "failure": jsonata.evaluate("null"),
                "model_data": jsonata.evaluate(
                    "$exists($states.result.Payload.model_data)"
                    " ? $states.result.Payload.model_data : $model_data"
                ),
            },
            training_job_name=jsonata.evaluate("$training_job_name"),
        )

    def _step(
        self, name: str, action: str, *, assign: Mapping[str, Any] | None = None, **payload: Any
    ) -> TaskState:
        """Make a state that calls the function; its output is the function's answer."""
        deployment = {
            "execution": jsonata.evaluate("$states.context.Execution.Id"),
            **{key: jsonata.evaluate(f"${key}") for key in ("version", "order", "rolls_back")},
        }
        return TaskState(
            self,
            name,
            resource=integration_arn(self, "lambda:invoke"),
            arguments={
                "FunctionName": self._function_arn,
                "Payload": {"action": action, "deployment": deployment, **payload},
            },
            assign=assign,
            output=jsonata.evaluate("$states.result.Payload"),
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self._function_arn])
            ],
            retry=[_DEFINITE, RETRY_EVERYTHING],
        )

    def _wait(self, name: str) -> sfn.Wait:
        """Wait for one second twice, then for two, and so on: an endpoint may take minutes."""
        seconds = f"$min([{_LONGEST_WAIT_SECONDS}, 1 + $floor($waits / 2)])"
        return self._growing_wait(name, seconds, "waits")

    def _wait_for_turn(self) -> sfn.Wait:
        seconds = f"$min([{_LONGEST_TURN_SECONDS}, 1 + $floor($turns / 2)])"
        return self._growing_wait("Wait for turn", seconds, "turns")

    def _growing_wait(self, name: str, seconds: str, counter: str) -> sfn.Wait:
        return sfn.Wait.jsonata(
            self,
            name,
            time=sfn.WaitTime.seconds(jsonata.evaluate(seconds)),
            assign={counter: jsonata.evaluate(f"${counter} + 1")},
        )

    def _deployed(self) -> sfn.Pass:
        return self._succeeded(
            "Deployed",
            "deployed",
            version="$version",
            packaged="$packaged",
            warnings="$states.input.warnings",
        )

    def _superseded(self) -> sfn.Pass:
        return self._succeeded(
            "Superseded", "superseded", version="$states.input.by", packaged=None, warnings="[]"
        )

    def _succeeded(
        self, name: str, outcome: str, *, version: str, packaged: str | None, warnings: str
    ) -> sfn.Pass:
        """Say what serves now; the values are JSONata."""
        return sfn.Pass.jsonata(
            self,
            name,
            outputs={
                "outcome": outcome,
                "model_name": jsonata.evaluate(version),
                **{
                    key: jsonata.evaluate(f"{packaged}.{key}" if packaged else "null")
                    for key in ("model_data_url", "model_data_etag")
                },
                "endpoint_name": self._endpoint_name,
                "endpoint_config_name": jsonata.evaluate(version),
                "warnings": jsonata.evaluate(warnings),
            },
        )

    def _failed(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Deployment failed",
            assign={
                "waits": 0,
                "failure": jsonata.evaluate(f"$merge([$states.input, {{'Cause': {_REASON}}}])"),
            },
        )

    def _not_settled(self) -> sfn.Pass:
        cause = (
            f"endpoint {self._endpoint_name} is still changing after two hours, and cannot be changed before"
        )
        return sfn.Pass.jsonata(
            self,
            "Endpoint not settled",
            assign={"waits": 0, "failure": {"Error": "EndpointNotSettled", "Cause": cause}},
        )

    def _not_taken_back(self) -> sfn.Pass:
        cause = (
            "$failure.Cause & '; left over: ' & $version & ' is not verified, and not taken back: '"
            f" & ($exists($states.input.Cause) ? {_REASON}"
            f" : 'endpoint {self._endpoint_name} is still changing after two hours')"
            " & '; the next deployment, or the next quarter of an hour, tries again'"
        )
        return sfn.Pass.jsonata(
            self,
            "Not taken back",
            assign={"failure": jsonata.evaluate(f"{{'Error': $failure.Error, 'Cause': {cause}}}")},
        )

    def _not_deployed(self) -> sfn.Fail:
        return sfn.Fail.jsonata(
            self,
            "Not deployed",
            error=jsonata.evaluate("$failure.Error"),
            cause=jsonata.evaluate("$failure.Cause"),
        )

    def _choice(self, name: str) -> sfn.Choice:
        return sfn.Choice.jsonata(self, name)


_REASON: Final = f"({jsonata.function_error('$states.input')})"


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(jsonata.evaluate(expression))


def _state_is(state: str) -> sfn.Condition:
    return _condition(f"$states.input.state = '{state}'")

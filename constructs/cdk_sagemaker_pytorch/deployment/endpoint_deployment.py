"""The states that bring a version of a model into service, and take it back when that fails."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.container_role import sagemaker_arn
from cdk_sagemaker_pytorch.serving.production_variant import ProductionVariant
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.fragment import Fragment
from cdk_sagemaker_pytorch.states.task_state import RETRY_EVERYTHING, TaskState, integration_arn

from .endpoint_ownership import OWNER_TAG, EndpointOwnership

__all__ = ["EndpointDeployment"]

# An endpoint in any other status is changing.
_SETTLED = "['InService', 'OutOfService', 'Failed', 'UpdateRollbackFailed', 'Missing']"
_FORWARD = "$target = $version"
_ARRIVED = "$states.input.status = 'InService' and $states.input.config = $target"
_GONE = "$target = null and $states.input.status = 'Missing'"

# One way, forward or back, asks SageMaker at most so often, each time with the retries of a call.
_MOST_ATTEMPTS = 5
# Looks that fail one after the other: about six minutes.
_MOST_FAILED_LOOKS = 10
_LONGEST_WAIT_SECONDS = 60
_LONGEST_POLL_SECONDS = 15
# About an hour and a half, in fewer than 4,000 events of the execution's history.
_MOST_WAITS = 400


class EndpointDeployment(Fragment):
    """Moves an endpoint to the version that the variable ``$version`` names, or back.

    A version is a model and an endpoint configuration of that name. The states look at the endpoint, ask
    SageMaker for the configuration that it is to have, and look again until it has it: what came of a call
    that failed is seen by looking, too. Every call is tried again before it counts as failed.

    Besides ``$version`` they read ``$training`` (what the training job's states put out) and ``$packaged``
    (the packager's answer), for the output. Their own variables are

    ``$target``
        The configuration that the endpoint is to have: the version's, or, on the way back, the one before;
        null where there was no endpoint.
    ``$previous``
        The configuration that the endpoint had before, or null.
    ``$asked``, ``$attempts``
        Whether SageMaker was asked for ``$target``, and how often. Both are set before the call.
    ``$failure``
        Why the version is taken back, or null.
    ``$failed_looks``
        How many looks at the endpoint failed in a row.
    ``$waits``
        How often the endpoint was waited for.
    ``$warnings``
        What went wrong with a version that serves all the same.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    endpoint_name : str
        The endpoint: created if it does not exist, else updated.
    variant : ProductionVariant
        What serves; its model name is ``{% $version %}``.
    sample_request : Any
        JSON that the version must answer when it is in service; None sends nothing.
    ownership : EndpointOwnership
        What belongs to the endpoint.
    retain_versions : int
        How many superseded versions stay.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        variant: ProductionVariant,
        sample_request: Any,
        ownership: EndpointOwnership,
        retain_versions: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint_name = endpoint_name
        self._endpoint_arn = sagemaker_arn(self, "endpoint", endpoint_name)
        self._ownership = ownership
        create_config = self._create_config(variant)
        look, changing = self._look(), self._choice("Endpoint changing?")
        no_endpoint, look_again, not_seen = self._no_endpoint(), self._look_again(), self._not_seen()
        not_settled = self._not_settled()
        move = self._move()
        create = self._change("Create endpoint", "createEndpoint", tags=[self._owner_tag()])
        update = self._change("Update endpoint", "updateEndpoint")
        delete_failed, delete_rejected = (
            self._call(f"Delete {kind} endpoint", "deleteEndpoint", {"EndpointName": endpoint_name})
            for kind in ("failed", "rejected")
        )
        wait = self._wait()
        arrival, not_in_service = self._choice("In service?"), self._not_in_service()
        roll_back_again, not_rolled_back = self._roll_back_again(), self._not_rolled_back()
        claim, prune, self._deployed = self._claim(), self._prune(retain_versions), self._deployed_state()
        verified = (
            claim if sample_request is None else self._sample(sample_request, verified=claim, back=look)
        )
        remove_version, not_removed, not_deployed = self._remove_version(), self._not_removed(), self._fail()

        self._start, self._ends = create_config, [self._deployed]
        self._failed = self._failure_noted()
        self._failed.next(remove_version)
        self.remove_on_failure(create_config)
        create_config.next(look)

        look.next(changing)
        look.add_catch(
            self._choice("Endpoint missing?")
            .when(_condition("$contains($states.input.Cause, 'Could not find endpoint')"), no_endpoint)
            .when(_condition(f"$failed_looks < {_MOST_FAILED_LOOKS}"), look_again.next(look))
            .otherwise(not_seen.next(not_deployed)),
            errors=["States.ALL"],
            assign={"failed_looks": jsonata.evaluate("$failed_looks + 1")},
        )
        no_endpoint.next(changing)
        unsettled = f"$not($states.input.status in {_SETTLED})"
        (
            changing.when(_condition(f"{unsettled} and $waits >= {_MOST_WAITS}"), not_settled)
            .when(_condition(unsettled), wait.next(look))
            .when(_condition("$asked"), arrival)
            .otherwise(move)
        )
        not_settled.next(not_deployed)

        tried = {"attempts": jsonata.evaluate("$attempts + 1")}
        asked = {**tried, "asked": True}
        enough = f"$attempts >= {_MOST_ATTEMPTS}"
        touched = "$states.input.config in [$version, $previous]"
        (
            move.when(_condition(f"{enough} and {_FORWARD}"), not_in_service)
            .when(_condition(enough), not_rolled_back)
            # On the way back, what another hand has changed in between stays as it is.
            .when(
                _condition(f"$not({_FORWARD}) and $states.input.status != 'Missing' and $not({touched})"),
                remove_version,
            )
            .when(_condition(f"$not({_FORWARD}) and (({_ARRIVED}) or ({_GONE}))"), remove_version)
            .when(_condition("$target = null"), delete_rejected, assign=asked)
            # An endpoint that failed can only be deleted, and made again.
            .when(_condition("$states.input.status = 'Failed'"), delete_failed, assign=tried)
            .when(_condition("$states.input.status = 'Missing'"), create, assign=asked)
            .otherwise(update)
        )
        for state in (create, update, delete_failed, delete_rejected):
            state.next(wait)
            state.add_catch(
                wait,
                errors=["States.ALL"],
                assign={"failure": jsonata.evaluate("$failure ? $failure : $states.errorOutput")},
            )
        (
            arrival.when(_condition(f"{_ARRIVED} and {_FORWARD}"), verified)
            .when(_condition(f"({_ARRIVED}) or ({_GONE})"), remove_version)
            .when(_condition(_FORWARD), not_in_service)
            .otherwise(roll_back_again.next(wait))
        )
        not_in_service.next(look)
        not_rolled_back.next(not_deployed)

        # The new version serves: what could not be tidied up is no reason to take it back.
        claim.next(prune)
        claim.add_catch(prune, errors=["States.ALL"], assign=_warning("endpoint not marked as the stack's"))
        prune.next(self._deployed)
        prune.add_catch(
            self._deployed, errors=["States.ALL"], assign=_warning("superseded versions are left over")
        )
        remove_version.next(not_deployed)
        remove_version.add_catch(not_removed.next(not_deployed), errors=["States.ALL"])

    def remove_on_failure(self, state: TaskState) -> None:
        """Remove the version when a state fails before the endpoint is touched.

        Parameters
        ----------
        state : TaskState
            A state from which the version exists.
        """
        state.add_catch(self._failed, errors=["States.ALL"])

    def _create_config(self, variant: ProductionVariant) -> TaskState:
        volume_key = variant.instances.volume_key
        arguments: dict[str, Any] = {
            "EndpointConfigName": jsonata.evaluate("$version"),
            "ProductionVariants": [variant.members()],
        }
        statements = [self._allow("CreateEndpointConfig", self._ownership.version_arns("endpoint-config"))]
        if volume_key is not None:
            arguments["KmsKeyId"] = volume_key.key_arn
            statements.append(
                iam.PolicyStatement(
                    actions=["kms:CreateGrant", "kms:DescribeKey"],
                    resources=[volume_key.key_arn],
                    conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
                )
            )
        return TaskState(
            self,
            "Create endpoint configuration",
            resource=integration_arn(self, "aws-sdk:sagemaker:createEndpointConfig"),
            arguments=arguments,
            assign={
                "target": jsonata.evaluate("$version"),
                "previous": jsonata.evaluate("null"),
                "asked": False,
                "attempts": 0,
                "failure": jsonata.evaluate("null"),
                "failed_looks": 0,
                "waits": 0,
                "warnings": [],
            },
            statements=statements,
        )

    def _look(self) -> TaskState:
        return TaskState(
            self,
            "Look at endpoint",
            resource=integration_arn(self, "aws-sdk:sagemaker:describeEndpoint"),
            arguments={"EndpointName": self._endpoint_name},
            assign={"failed_looks": 0},
            output={
                "status": jsonata.evaluate("$states.result.EndpointStatus"),
                "config": jsonata.evaluate("$states.result.EndpointConfigName"),
                "failure_reason": jsonata.evaluate(jsonata.or_null("$states.result.FailureReason")),
            },
            statements=[self._allow("DescribeEndpoint", self._endpoint_arn)],
            retry=(),  # an endpoint that does not exist is an error of the same name as a throttled call
        )

    def _no_endpoint(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "No endpoint",
            assign={"failed_looks": 0},
            outputs={
                "status": "Missing",
                "config": jsonata.evaluate("null"),
                "failure_reason": jsonata.evaluate("null"),
            },
        )

    def _wait(self) -> sfn.Wait:
        """Wait for one second three times, then for two, and so on: an endpoint may take minutes."""
        seconds = f"$min([{_LONGEST_POLL_SECONDS}, 1 + $floor($waits / 3)])"
        return sfn.Wait.jsonata(
            self,
            "Wait for endpoint",
            time=sfn.WaitTime.seconds(jsonata.evaluate(seconds)),
            assign={"waits": jsonata.evaluate("$waits + 1")},
        )

    def _look_again(self) -> sfn.Wait:
        seconds = f"$min([{_LONGEST_WAIT_SECONDS}, $power(2, $failed_looks)])"
        return sfn.Wait.jsonata(
            self, "Wait for another look", time=sfn.WaitTime.seconds(jsonata.evaluate(seconds))
        )

    def _not_seen(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Endpoint not seen",
            assign=_failure(
                "'EndpointNotSeen'",
                f"'endpoint {self._endpoint_name} could not be looked at: ' & $states.input.Cause"
                " & '; left over: the endpoint may have ' & $version & ', which is not verified, instead of '"
                " & ($previous ? $previous : 'nothing')"
                " & ($failure ? '; before that: ' & $failure.Cause : '')",
            ),
        )

    def _not_settled(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Endpoint not settled",
            assign=_failure(
                "'EndpointNotSettled'",
                f"'endpoint {self._endpoint_name} is still ' & $states.input.status"
                " & ' after an hour and a half, and cannot be changed meanwhile'"
                " & '; left over: it may come to have '"
                " & $version & ', which is not verified, instead of '"
                " & ($previous ? $previous : 'nothing')"
                " & ($failure ? '; before that: ' & $failure.Cause : '')",
            ),
        )

    def _move(self) -> sfn.Choice:
        """Ask SageMaker for ``$target``; by default by an update."""
        return sfn.Choice.jsonata(
            self,
            "How to get there?",
            assign={
                "asked": True,
                "attempts": jsonata.evaluate("$attempts + 1"),
                "previous": jsonata.evaluate(f"{_FORWARD} ? $states.input.config : $previous"),
            },
        )

    def _change(self, name: str, action: str, tags: Sequence[dict[str, Any]] = ()) -> TaskState:
        return self._call(
            name,
            action,
            {
                "EndpointName": self._endpoint_name,
                "EndpointConfigName": jsonata.evaluate("$target"),
                **({"Tags": list(tags)} if tags else {}),
            },
            self._ownership.version_arns("endpoint-config"),
        )

    def _not_in_service(self) -> sfn.Pass:
        """Begin the way back. What SageMaker says of the version tells more than a call that failed."""
        return sfn.Pass.jsonata(
            self,
            "Not in service",
            assign={
                **_WAY_BACK,
                "failure": jsonata.evaluate(
                    "$failure and $not($states.input.failure_reason) ? $failure"
                    " : {'Error': 'EndpointNotInService', 'Cause':"
                    f" 'endpoint {self._endpoint_name} is ' & $states.input.status"
                    " & ($states.input.config ? ' with ' & $states.input.config : '')"
                    " & ' instead of InService with ' & $target"
                    " & ($states.input.failure_reason ? ': ' & $states.input.failure_reason : '')"
                    f" & '; logs: /aws/sagemaker/Endpoints/{self._endpoint_name}'}}"
                ),
            },
        )

    def _roll_back_again(self) -> sfn.Pass:
        return sfn.Pass.jsonata(self, "Roll back again", assign={"asked": False})

    def _not_rolled_back(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Not rolled back",
            assign=_failure(
                "$failure.Error",
                f"$failure.Cause & '; left over: endpoint {self._endpoint_name} is ' & $states.input.status"
                " & ($states.input.config ? ' with ' & $states.input.config : '') & ' instead of '"
                " & ($target ? 'InService with ' & $target : 'deleted')"
                " & ', and the model and the endpoint configuration ' & $version",
            ),
        )

    def _sample(self, request: Any, *, verified: sfn.State, back: sfn.State) -> TaskState:
        invoke = TaskState(
            self,
            "Send sample request",
            resource=integration_arn(self, "aws-sdk:sagemakerruntime:invokeEndpoint"),
            arguments={
                "EndpointName": self._endpoint_name,
                # Step Functions writes the body as JSON: a string would arrive in quotes.
                "Body": request,
                "ContentType": "application/json",
                "Accept": "application/json",
            },
            output={},
            statements=[self._allow("InvokeEndpoint", self._endpoint_arn)],
        )
        # An answer too long for Step Functions is an answer; States.ALL does not mean this error.
        invoke.next(verified)
        invoke.add_catch(verified, errors=["States.DataLimitExceeded"])
        invoke.add_catch(
            back,
            errors=["States.ALL"],
            assign={**_WAY_BACK, "failure": jsonata.evaluate("$states.errorOutput")},
        )
        return invoke

    def _claim(self) -> TaskState:
        return TaskState(
            self,
            "Mark endpoint",
            resource=integration_arn(self, "aws-sdk:sagemaker:addTags"),
            arguments={"ResourceArn": self._endpoint_arn, "Tags": [self._owner_tag()]},
            statements=[self._allow("AddTags", self._endpoint_arn)],
        )

    def _prune(self, retain_versions: int) -> TaskState:
        return self._call_cleanup(
            "Remove superseded versions",
            action="prune",
            name_prefix=self._ownership.version_prefix,
            retain=retain_versions,
        )

    def _deployed_state(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Deployed",
            outputs={
                "training_job_name": jsonata.evaluate("$training.training_job_name"),
                "metrics": jsonata.evaluate("$training.metrics"),
                "model_name": jsonata.evaluate("$version"),
                "model_data_url": jsonata.evaluate("$packaged.model_data_url"),
                "endpoint_name": self._endpoint_name,
                "endpoint_config_name": jsonata.evaluate("$version"),
                "warnings": jsonata.evaluate("$warnings"),
            },
        )

    def _failure_noted(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self, "Deployment failed", assign={"failure": jsonata.evaluate("$states.input")}
        )

    def _remove_version(self) -> TaskState:
        return self._call_cleanup(
            "Remove version", action="remove_version", version=jsonata.evaluate("$version")
        )

    def _not_removed(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Version not removed",
            assign=_failure(
                "$failure.Error",
                "$failure.Cause & '; left over: the model and the endpoint configuration ' & $version"
                " & ', whose removal failed: ' & $states.input.Cause",
            ),
        )

    def _fail(self) -> sfn.Fail:
        return sfn.Fail.jsonata(
            self,
            "Not deployed",
            error=jsonata.evaluate("$failure.Error"),
            cause=jsonata.evaluate("$failure.Cause"),
        )

    def _choice(self, name: str) -> sfn.Choice:
        return sfn.Choice.jsonata(self, name)

    def _call(self, name: str, action: str, arguments: dict[str, Any], *further_resources: str) -> TaskState:
        """Make a state that changes the endpoint."""
        operation = action[0].upper() + action[1:]
        statements = [self._allow(operation, self._endpoint_arn, *further_resources)]
        if "Tags" in arguments:
            statements.append(self._allow("AddTags", self._endpoint_arn))
        return TaskState(
            self,
            name,
            resource=integration_arn(self, f"aws-sdk:sagemaker:{action}"),
            arguments=arguments,
            statements=statements,
        )

    def _call_cleanup(self, name: str, **payload: Any) -> TaskState:
        function_arn = self._ownership.function.function_arn
        return TaskState(
            self,
            name,
            resource=integration_arn(self, "lambda:invoke"),
            arguments={
                "FunctionName": function_arn,
                "Payload": {**payload, "endpoint_name": self._endpoint_name},
            },
            output={},
            statements=[iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function_arn])],
            retry=[RETRY_EVERYTHING],  # what is removed already is no error
        )

    def _owner_tag(self) -> dict[str, str]:
        return {"Key": OWNER_TAG, "Value": self._ownership.owner}

    def _allow(self, operation: str, *resources: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(actions=[f"sagemaker:{operation}"], resources=list(resources))


_WAY_BACK = {"target": jsonata.evaluate("$previous"), "asked": False, "attempts": 0}


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(jsonata.evaluate(expression))


def _failure(error: str, cause: str) -> dict[str, str]:
    """Set ``$failure`` to two JSONata expressions."""
    return {"failure": jsonata.evaluate(f"{{'Error': {error}, 'Cause': {cause}}}")}


def _warning(what: str) -> dict[str, str]:
    """Add a caught error to ``$warnings``."""
    text = f"{jsonata.literal(f'{what}: ')} & $states.errorOutput.Cause"
    return {"warnings": jsonata.evaluate(f"$append($warnings, {text})")}

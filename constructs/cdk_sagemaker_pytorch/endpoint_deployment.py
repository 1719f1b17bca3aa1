"""The states that bring a version of a model into service, and take it back when that fails."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from . import jsonata
from .container_role import sagemaker_arn
from .endpoint_cleanup import EndpointCleanup
from .production_variant import ProductionVariant
from .task_state import TaskState, integration_arn

__all__ = ["EndpointDeployment"]


class EndpointDeployment(sfn.StateMachineFragment):
    """Moves an endpoint to the version that the variable ``$version`` names, or back.

    A version is a model and an endpoint configuration of that name. Besides it the states read the
    variables ``$training`` (what the training job's states put out) and ``$packaged`` (the
    packager's answer), for the output. They set ``$previous`` (the configuration in service before,
    or null), ``$target`` (the one that is waited for) and ``$failure``.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    endpoint_name : str
        The endpoint: created if it does not exist, else updated.
    version_prefix : str
        Prefix of the versions' names.
    variant : ProductionVariant
        What serves; its model name is ``{% $version %}``.
    volume_key : kms.IKey or None
        Key for the storage of the instances.
    sample_request : Any
        JSON that the version must answer when it is in service; None sends nothing.
    cleanup : EndpointCleanup
        Removes versions.
    retain_versions : int
        How many superseded versions stay.
    poll_interval : Duration
        How often the endpoint is looked at.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        version_prefix: str,
        variant: ProductionVariant,
        volume_key: kms.IKey | None,
        sample_request: Any,
        cleanup: EndpointCleanup,
        retain_versions: int,
        poll_interval: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        self._endpoint_name = endpoint_name
        self._endpoint_arn = sagemaker_arn(self, "endpoint", endpoint_name)
        self._config_arns = sagemaker_arn(self, "endpoint-config", f"{version_prefix}-*")
        self._cleanup = cleanup
        self._poll_interval = poll_interval
        self._failed = self._failure_states()
        self._deployed = sfn.Pass.jsonata(
            self,
            "Deployed",
            outputs={
                "training_job_name": jsonata.evaluate("$training.training_job_name"),
                "metrics": jsonata.evaluate("$training.metrics"),
                "model_name": jsonata.evaluate("$version"),
                "model_data_url": jsonata.evaluate("$packaged.model_data_url"),
                "endpoint_name": endpoint_name,
                "endpoint_config_name": jsonata.evaluate("$version"),
            },
        )
        prune = self._cleanup_state(
            "Remove superseded versions",
            {
                "action": "prune",
                "endpoint_name": endpoint_name,
                "name_prefix": version_prefix,
                "retain": retain_versions,
            },
        )
        prune.next(self._deployed)
        # The new version serves: what could not be tidied up now is tried again next time.
        prune.add_catch(self._deployed, errors=["States.ALL"])

        if sample_request is None:
            in_service = self._wait_states(prune)
        else:
            invoke, roll_back = self._sample_states(sample_request, prune)
            in_service = self._wait_states(invoke)
            roll_back.next(in_service)
        self._start = self._config_state(variant, volume_key)
        self._start.next(self._find_states(in_service))

    @property
    def id(self) -> str:
        """Id of the construct."""
        return self.node.id

    @property
    def start_state(self) -> sfn.State:
        """The state that creates the endpoint configuration."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The state after which the version serves."""
        return [self._deployed]

    def roll_back_on_failure(self, state: TaskState) -> None:
        """Remove the version when a state of the deployment fails.

        Parameters
        ----------
        state : TaskState
            A state from which the version exists.
        """
        state.add_catch(self._failed, errors=["States.ALL"])

    def _config_state(self, variant: ProductionVariant, volume_key: kms.IKey | None) -> TaskState:
        arguments: dict[str, Any] = {
            "EndpointConfigName": jsonata.evaluate("$version"),
            "ProductionVariants": [variant.render_api()],
        }
        statements = [self._allow(["CreateEndpointConfig"], self._config_arns)]
        if volume_key is not None:
            arguments["KmsKeyId"] = volume_key.key_arn
            statements.append(
                iam.PolicyStatement(
                    actions=["kms:CreateGrant", "kms:DescribeKey"],
                    resources=[volume_key.key_arn],
                    conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
                )
            )
        return self._sagemaker_state(
            "Create endpoint configuration", "createEndpointConfig", arguments, statements
        )

    def _find_states(self, in_service: sfn.State) -> sfn.State:
        """Create the endpoint, or update it once it is free, and go on to `in_service`."""
        find = self._describe_state("Find endpoint", assign={"previous": "EndpointConfigName"})
        target = {"target": jsonata.evaluate("$version")}
        arguments = {
            "EndpointName": self._endpoint_name,
            "EndpointConfigName": jsonata.evaluate("$version"),
        }
        create = self._sagemaker_state(
            "Create endpoint",
            "createEndpoint",
            arguments,
            [self._allow(["CreateEndpoint"], self._endpoint_arn, self._config_arns)],
            assign={**target, "previous": jsonata.evaluate("null")},
        )
        create.next(in_service)
        update = self._sagemaker_state(
            "Update endpoint",
            "updateEndpoint",
            arguments,
            [self._allow(["UpdateEndpoint"], self._endpoint_arn, self._config_arns)],
            assign=target,
        )
        update.next(in_service)
        # An endpoint whose creation failed can only be deleted.
        delete = self._delete_state("Delete failed endpoint")
        wait = sfn.Wait.jsonata(
            self, "Wait for free endpoint", time=sfn.WaitTime.duration(self._poll_interval)
        )
        wait.next(find)
        delete.next(wait)
        # DescribeEndpoint has no error of its own for an endpoint that does not exist.
        find_failed = sfn.Choice.jsonata(self, "Endpoint missing?")
        find_failed.when(
            sfn.Condition.jsonata("{% $contains($states.input.Cause, 'Could not find endpoint') %}"),
            create,
        ).otherwise(self._failed)
        find.add_catch(find_failed, errors=["States.TaskFailed"])
        find.next(
            sfn.Choice.jsonata(self, "Endpoint free?")
            .when(sfn.Condition.jsonata("{% $states.input.status = 'InService' %}"), update)
            .when(sfn.Condition.jsonata("{% $states.input.status = 'Failed' %}"), delete)
            .otherwise(wait)
        )
        return find

    def _wait_states(self, verified: sfn.State) -> sfn.State:
        """Wait until the endpoint serves ``$target``, and go on to `verified` if it is the version."""
        look = self._describe_state("Look at endpoint")
        wait = sfn.Wait.jsonata(self, "Wait for endpoint", time=sfn.WaitTime.duration(self._poll_interval))
        wait.next(look)
        not_in_service = sfn.Pass.jsonata(
            self,
            "Not in service",
            outputs={
                "Error": "EndpointNotInService",
                "Cause": jsonata.evaluate(
                    f"'endpoint {self._endpoint_name} is ' & $states.input.status & ' with '"
                    " & $states.input.config & ' instead of ' & $target"
                    " & ($states.input.failure_reason ? ': ' & $states.input.failure_reason : '')"
                    f" & '; logs: /aws/sagemaker/Endpoints/{self._endpoint_name}'"
                ),
            },
        )
        not_in_service.next(self._failed)
        look.next(
            sfn.Choice.jsonata(self, "In service?")
            .when(
                sfn.Condition.jsonata(
                    "{% $states.input.status = 'InService' and $states.input.config = $target"
                    " and $target = $version %}"
                ),
                verified,
            )
            .when(
                sfn.Condition.jsonata(
                    "{% $states.input.status = 'InService' and $states.input.config = $target %}"
                ),
                self._remove_version,
            )
            .when(
                sfn.Condition.jsonata(
                    "{% $states.input.status in"
                    " ['InService', 'Failed', 'OutOfService', 'UpdateRollbackFailed'] %}"
                ),
                not_in_service,
            )
            .otherwise(wait)
        )
        return look

    def _sample_states(self, request: Any, verified: sfn.State) -> tuple[TaskState, TaskState]:
        """Send the sample request, and go back to the version before if it is not answered.

        The second of the returned states has begun to go back: the endpoint is to be waited for.
        """
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
            statements=[self._allow(["InvokeEndpoint"], self._endpoint_arn)],
        )
        invoke.next(verified)
        rejected = sfn.Pass.jsonata(
            self, "Sample request failed", assign={"failure": jsonata.evaluate("$states.input")}
        )
        roll_back = self._sagemaker_state(
            "Roll back endpoint",
            "updateEndpoint",
            {
                "EndpointName": self._endpoint_name,
                "EndpointConfigName": jsonata.evaluate("$previous"),
            },
            [self._allow(["UpdateEndpoint"], self._endpoint_arn, self._config_arns)],
            assign={"target": jsonata.evaluate("$previous")},
        )
        delete = self._delete_state("Delete rejected endpoint")
        delete.next(self._remove_version)
        rejected.next(
            sfn.Choice.jsonata(self, "First version?")
            .when(sfn.Condition.jsonata("{% $previous = null %}"), delete)
            .otherwise(roll_back)
        )
        invoke.add_catch(rejected, errors=["States.ALL"])
        return invoke, roll_back

    def _failure_states(self) -> sfn.State:
        """Remove the version, and fail with the reason."""
        fail = sfn.Fail.jsonata(
            self,
            "Not deployed",
            error=jsonata.evaluate("$failure.Error"),
            cause=jsonata.evaluate("$failure.Cause"),
        )
        self._remove_version = self._cleanup_state(
            "Remove version",
            {
                "action": "remove_version",
                "endpoint_name": self._endpoint_name,
                "version": jsonata.evaluate("$version"),
            },
        )
        self._remove_version.next(fail)
        self._remove_version.add_catch(fail, errors=["States.ALL"])
        failed = sfn.Pass.jsonata(
            self, "Deployment failed", assign={"failure": jsonata.evaluate("$states.input")}
        )
        failed.next(self._remove_version)
        return failed

    def _cleanup_state(self, name: str, payload: dict[str, Any]) -> TaskState:
        function_arn = self._cleanup.function.function_arn
        return TaskState(
            self,
            name,
            resource=integration_arn(self, "lambda:invoke"),
            arguments={"FunctionName": function_arn, "Payload": payload},
            output={},
            statements=[iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function_arn])],
        )

    def _describe_state(self, name: str, assign: dict[str, str] | None = None) -> TaskState:
        return TaskState(
            self,
            name,
            resource=integration_arn(self, "aws-sdk:sagemaker:describeEndpoint"),
            arguments={"EndpointName": self._endpoint_name},
            assign={
                variable: jsonata.evaluate(f"$states.result.{field}")
                for variable, field in (assign or {}).items()
            },
            output={
                "status": jsonata.evaluate("$states.result.EndpointStatus"),
                "config": jsonata.evaluate("$states.result.EndpointConfigName"),
                "failure_reason": jsonata.evaluate(jsonata.or_null("$states.result.FailureReason")),
            },
            statements=[self._allow(["DescribeEndpoint"], self._endpoint_arn)],
        )

    def _delete_state(self, name: str) -> TaskState:
        return self._sagemaker_state(
            name,
            "deleteEndpoint",
            {"EndpointName": self._endpoint_name},
            [self._allow(["DeleteEndpoint"], self._endpoint_arn)],
        )

    def _sagemaker_state(
        self,
        name: str,
        action: str,
        arguments: dict[str, Any],
        statements: list[iam.PolicyStatement],
        assign: dict[str, Any] | None = None,
    ) -> TaskState:
        state = TaskState(
            self,
            name,
            resource=integration_arn(self, f"aws-sdk:sagemaker:{action}"),
            arguments=arguments,
            assign=assign,
            statements=statements,
        )
        self.roll_back_on_failure(state)
        return state

    def _allow(self, actions: list[str], *resources: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=[f"sagemaker:{action}" for action in actions], resources=list(resources)
        )

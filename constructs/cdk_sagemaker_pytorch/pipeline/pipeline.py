"""Train or attach, then deploy: one state machine."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.function_role import attach_policy
from cdk_sagemaker_pytorch.common.networking import Networking
from cdk_sagemaker_pytorch.common.problems import ConfigurationError, Problems
from cdk_sagemaker_pytorch.deployment.deployment import PyTorchDeployment
from cdk_sagemaker_pytorch.deployment.endpoint_ownership import executions_arn
from cdk_sagemaker_pytorch.images.framework_version import FrameworkVersion
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.packaging.model_packager import ModelPackager
from cdk_sagemaker_pytorch.serving.settings import Instances, ServingContainer
from cdk_sagemaker_pytorch.source.source_code import SourceCode
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.input_check import check_input
from cdk_sagemaker_pytorch.states.job_state import managed_rule_statement
from cdk_sagemaker_pytorch.states.names import ENTRY_SUFFIX, name_prefix
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn
from cdk_sagemaker_pytorch.training.execution_input import EXECUTION_INPUT
from cdk_sagemaker_pytorch.training.training_job import PyTorchTrainingJob

__all__ = ["PyTorchPipeline"]


class PyTorchPipeline(Construct):
    """Trains a model and serves it: `fit` and `deploy` of the SageMaker Python SDK as a state machine.

    Every execution trains, or attaches to the training job that its input names, and then starts an execution
    of its `PyTorchDeployment` and waits for it. Runs train side by side, and deploy one after the other; the
    run that began last wins, and an older one that comes late succeeds as superseded.

    The input of an execution may carry ``hyperparameters``, ``inputs`` and ``training_job_name``, see
    `PyTorchTrainingJob`; any other member, or a value that cannot be meant, is refused before anything
    starts. Its output is ``{"training_job_name", "metrics", "warnings"}`` and what the deployment says.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    training_job : PyTorchTrainingJob
        What to train.
    source_code, framework_version, image, environment, container, networking, instance_type, \
initial_instance_count, accelerator_type, instances, endpoint_name, sample_request, retain_versions, \
artifacts_bucket, timeout, adopt, removal_policy, packager
        See `PyTorchDeployment`. Where `training_job` has an output bucket of the user's, packaged models go
        there by default.

    Attributes
    ----------
    training_job : PyTorchTrainingJob
        What it trains.
    deployment : PyTorchDeployment
        What it deploys with; roll back by an execution of its state machine.
    state_machine : sfn.StateMachine
        The state machine that trains and deploys.

    Raises
    ------
    ConfigurationError
        With everything that is wrong with the parameters.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        training_job: PyTorchTrainingJob,
        source_code: SourceCode | None = None,
        framework_version: str | FrameworkVersion | None = None,
        image: PyTorchImage | None = None,
        environment: Mapping[str, str] | None = None,
        container: ServingContainer | None = None,
        networking: Networking | None = None,
        instance_type: str = "ml.m5.large",
        initial_instance_count: int = 1,
        accelerator_type: str | None = None,
        instances: Instances | None = None,
        endpoint_name: str | None = None,
        sample_request: Any = None,
        retain_versions: int = 1,
        artifacts_bucket: s3.IBucket | None = None,
        timeout: Duration | None = None,
        adopt: bool = False,
        removal_policy: RemovalPolicy = RemovalPolicy.DESTROY,
        packager: ModelPackager | str | None = None,
    ) -> None:
        problems = Problems("PyTorchPipeline")
        problems.require(training_job, PyTorchTrainingJob, "training_job")
        super().__init__(scope, construct_id)
        self.training_job = training_job
        try:
            self.deployment = PyTorchDeployment(
                self,
                "Deployment",
                training_job=training_job,
                source_code=source_code,
                framework_version=framework_version,
                image=image,
                environment=environment,
                container=container,
                networking=networking,
                instance_type=instance_type,
                initial_instance_count=initial_instance_count,
                accelerator_type=accelerator_type,
                instances=instances,
                endpoint_name=endpoint_name or name_prefix(self),
                sample_request=sample_request,
                retain_versions=retain_versions,
                artifacts_bucket=artifacts_bucket or training_job.output.bucket,
                timeout=timeout,
                adopt=adopt,
                removal_policy=removal_policy,
                packager=packager,
            )
        except ConfigurationError as error:
            scope.node.try_remove_child(construct_id)
            raise ConfigurationError("PyTorchPipeline", list(error.problems)) from None
        self.state_machine = self._new_state_machine()

    @property
    def endpoint_name(self) -> str:
        """The endpoint."""
        return self.deployment.endpoint_name

    @property
    def endpoint_arn(self) -> str:
        """ARN of the endpoint."""
        return self.deployment.endpoint_arn

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine: start an execution to train and deploy."""
        return self.state_machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` start executions."""
        return self.state_machine.grant_start_execution(grantee)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` invoke the endpoint."""
        return self.deployment.grant_invoke(grantee)

    def metric(self, metric_name: str, **options: Any) -> cloudwatch.Metric:
        """Get a metric of the endpoint's variant; see `PyTorchDeployment.metric`."""
        return self.deployment.metric(metric_name, **options)

    def _new_state_machine(self) -> sfn.StateMachine:
        trained, deploy, deployed = self._trained(), self._deploy(), self._deployed()
        not_deployed = self._not_deployed()
        deploy.add_catch(not_deployed, errors=["States.TaskFailed"])
        machine = sfn.StateMachine(
            self,
            "Resource",
            definition_body=sfn.DefinitionBody.from_chainable(
                self._check_input(
                    sfn.Chain.start(self.training_job.states()).next(trained).next(deploy).next(deployed)
                )
            ),
            comment="Trains, packages, deploys and verifies a PyTorch model",
        )
        self._stop_with_stack(machine)
        return machine

    def _check_input(self, understood: sfn.IChainable) -> sfn.Choice:
        """Refuse an input that is not understood, before anything starts; null counts as absent."""
        problems = self.training_job.input_problems("$states.input")
        given = (
            "$merge([{}, $sift($states.input, function($value, $name)"
            f" {{$name in {jsonata.literal(EXECUTION_INPUT)} and $value != null}})])"
        )
        return check_input(self, problems, understood, given)

    def _trained(self) -> sfn.Pass:
        return sfn.Pass.jsonata(self, "Trained", assign={"training": jsonata.evaluate("$states.input")})

    def _deploy(self) -> TaskState:
        machine = self.deployment.state_machine
        name = f"$substring($states.context.Execution.Name, 0, 56) & '-' & {ENTRY_SUFFIX}"
        return TaskState(
            self,
            "Deploy",
            resource=integration_arn(self, "states:startExecution.sync:2"),
            arguments={
                "StateMachineArn": machine.state_machine_arn,
                "Name": jsonata.evaluate(name),
                "Input": {
                    "model_data": jsonata.evaluate("$training.model_data"),
                    "requested_at": jsonata.evaluate("$states.context.Execution.StartTime"),
                    "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": jsonata.evaluate(
                        "$states.context.Execution.Id"
                    ),
                },
            },
            statements=[
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:StopExecution"],
                    resources=[executions_arn(machine)],
                ),
                managed_rule_statement(self, "StepFunctionsExecution"),
            ],
            output=jsonata.evaluate("$states.result.Output"),
        )

    def _deployed(self) -> sfn.Pass:
        trained = (
            "{'training_job_name': $training.training_job_name, 'metrics': $training.metrics,"
            " 'warnings': $training.warnings}"
        )
        return sfn.Pass.jsonata(
            self, "Deployed", outputs=jsonata.evaluate(f"$merge([{trained}, $states.input])")
        )

    def _not_deployed(self) -> sfn.Fail:
        """Fail as the deployment did."""
        child = "$parse($states.input.Cause)"
        is_child = "$contains($states.input.Cause, '\"ExecutionArn\"')"
        return sfn.Fail.jsonata(
            self,
            "Not deployed",
            error=jsonata.evaluate(
                f"{is_child} and $exists({child}.Error) ? {child}.Error : 'DeploymentFailed'"
            ),
            cause=jsonata.evaluate(
                f"{is_child} ? ($child := {child}; ($exists($child.Cause) ? $child.Cause"
                " : 'the deployment is ' & $child.Status) & '; execution: ' & $child.ExecutionArn)"
                " : $states.input.Cause"
            ),
        )

    def _stop_with_stack(self, machine: sfn.StateMachine) -> None:
        """Stop what runs, with the jobs that it waits for, before the state machine goes."""
        function = self.deployment.function
        stop = attach_policy(
            self,
            "Stop",
            function,
            [
                iam.PolicyStatement(actions=["states:ListExecutions"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(actions=["states:StopExecution"], resources=[executions_arn(machine)]),
            ],
        )
        executions = CustomResource(
            self,
            "Executions",
            resource_type="Custom::PyTorchExecutions",
            service_token=function.function_arn,
            properties={"StateMachine": machine.state_machine_arn},
            service_timeout=Duration.minutes(10),
        )
        executions.node.add_dependency(stop, machine)

"""The state machine of a pipeline: it trains, and hands the model to its deployment."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match, Template

from cdk_sagemaker_pytorch import (
    ConfigurationError,
    Instances,
    ModelPackager,
    OutputData,
    PyTorchImage,
    PyTorchPipeline,
    PyTorchTrainingJob,
    ServingContainer,
    SourceCode,
)
from cdk_sagemaker_pytorch.local.step_functions import jsonata

States = Callable[..., dict[str, Any]]
Statements = Callable[[str], list[dict[str, Any]]]
MakePipeline = Callable[..., PyTorchPipeline]

EXECUTION = {
    "Id": "arn:aws:states:us-east-1:123456789012:execution:Pipeline:run-1",
    "Name": "run-1",
    "StartTime": "2026-01-31T12:00:00.123Z",
    "RedriveCount": 0,
}
TRAINING = {"training_job_name": "job-1", "metrics": {"loss": 0.1}, "model_data": "s3://jobs/model.tar.gz"}


@pytest.fixture
def make_pipeline(stack: Stack, inference_code: SourceCode) -> MakePipeline:
    def make(**options: Any) -> PyTorchPipeline:
        job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
        return PyTorchPipeline(
            stack, "Pipeline", **{"training_job": job, "source_code": inference_code, **options}
        )

    return make


def evaluate(
    text: str, state_input: Any = None, *, context: dict[str, Any] | None = None, **variables: Any
) -> Any:
    """The value of a string of the state machine."""
    state = {"EnteredTime": "2026-01-31T12:30:00.000Z"}
    states = {
        "input": state_input,
        "context": {"Execution": EXECUTION, "State": state, **(context or {})},
        "result": variables.pop("result", None),
    }
    return jsonata.evaluate(text.removeprefix("{%").removesuffix("%}"), {"states": states, **variables})


# The way of an execution


def test_an_execution_trains_and_deploys(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    found = states("Pipeline")
    assert found["Train"]["Next"] == found["Attached"]["Next"] == "Trained"
    assert found["Trained"]["Next"] == "Deploy"
    assert found["Deploy"]["Next"] == "Deployed"
    assert found["Deployed"]["End"] is True


def test_it_starts_its_deployment_and_waits_for_it(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    deploy = states("Pipeline")["Deploy"]
    assert deploy["Resource"].endswith(":states:::states:startExecution.sync:2")
    assert re.match(r"\$\{PyTorchEndpoint\w+Machine\w+\}$", deploy["Arguments"]["StateMachineArn"])


def test_the_deployment_gets_the_model_and_when_the_run_began(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    arguments = states("Pipeline")["Deploy"]["Arguments"]["Input"]
    assert {name: evaluate(text, training=TRAINING) for name, text in arguments.items()} == {
        "model_data": "s3://jobs/model.tar.gz",
        "requested_at": "2026-01-31T12:00:00.123Z",
        "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": EXECUTION["Id"],
    }


def test_the_deployment_understands_what_it_gets(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    arguments = states("Pipeline")["Deploy"]["Arguments"]["Input"]
    given = {name: evaluate(text, training=TRAINING) for name, text in arguments.items()}
    (understood,) = states("PyTorchEndpoint")["Input understood?"]["Choices"]
    assert evaluate(understood["Condition"], given) is True


@pytest.mark.parametrize("execution_name", ["run-1", "x" * 80])
def test_each_entry_starts_another_execution(
    make_pipeline: MakePipeline, states: States, execution_name: str
) -> None:
    """In a Map, in a loop and after a redrive; while the retries of one entry start one."""
    make_pipeline()
    name = states("Pipeline")["Deploy"]["Arguments"]["Name"]

    def named(entered: str, redrives: int = 0, index: int | None = None) -> Any:
        execution = {**EXECUTION, "Name": execution_name, "RedriveCount": redrives}
        context: dict[str, Any] = {"Execution": execution, "State": {"EnteredTime": entered}}
        if index is not None:
            context["Map"] = {"Item": {"Index": index}}
        return evaluate(name, context=context)

    names = [named("12:00"), named("12:01"), named("12:00", 1), named("12:00", 0, 0), named("12:00", 0, 1)]
    assert len(set(names)) == 5
    assert named("12:00") == names[0]
    assert all(len(each) <= 80 and each.startswith(execution_name[:56]) for each in names)


def test_its_output_is_the_deployments_with_the_training_job(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    found = states("Pipeline")
    assert found["Trained"]["Assign"] == {"training": "{% $states.input %}"}
    deployed = {"outcome": "deployed", "model_name": "v-1", "warnings": []}
    assert evaluate(found["Deploy"]["Output"], result={"Status": "SUCCEEDED", "Output": deployed}) == deployed
    assert evaluate(found["Deployed"]["Output"], deployed, training=TRAINING) == {
        "training_job_name": "job-1",
        "metrics": {"loss": 0.1},
        **deployed,
    }


def test_a_run_that_was_overtaken_succeeds(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    superseded = {"outcome": "superseded", "model_name": "v-2", "warnings": []}
    output = evaluate(states("Pipeline")["Deployed"]["Output"], superseded, training=TRAINING)
    assert output["outcome"] == "superseded"


# The input


def test_an_input_that_is_not_understood_is_refused_before_anything_starts(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    found = states("Pipeline")
    first = found["Input understood?"]
    (understood,) = first["Choices"]
    assert understood["Next"] == "Attach?"
    assert first["Default"] == "Input refused"
    refused = found["Input refused"]
    assert refused["Error"] == "InputRefused"
    wrong = {"hyperparameter": {"epochs": 3}}
    assert evaluate(understood["Condition"], wrong) is False
    assert "unknown hyperparameter" in evaluate(refused["Cause"], wrong)


def test_null_counts_as_absent(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    (understood,) = states("Pipeline")["Input understood?"]["Choices"]
    good = {"hyperparameters": {"epochs": 3}, "inputs": None, "Comment": "by hand"}
    assert evaluate(understood["Condition"], good) is True
    assert evaluate(understood["Output"], good) == {"hyperparameters": {"epochs": 3}}
    assert evaluate(understood["Output"], {}) == {}


# Failures


def child(**changes: Any) -> dict[str, str]:
    execution = {
        "ExecutionArn": "arn:aws:states:us-east-1:123456789012:execution:Deployments:run-1-x",
        "Status": "FAILED",
        **changes,
    }
    return {"Error": "States.TaskFailed", "Cause": json.dumps(execution, separators=(",", ":"))}


@pytest.mark.parametrize(
    ("given", "error", "cause"),
    [
        (
            child(Error="SampleRequestFailedError", Cause="got 3"),
            "SampleRequestFailedError",
            "got 3; execution: arn:aws:states:us-east-1:123456789012:execution:Deployments:run-1-x",
        ),
        (
            child(Status="ABORTED"),
            "DeploymentFailed",
            (
                "the deployment is ABORTED; execution:"
                " arn:aws:states:us-east-1:123456789012:execution:Deployments:run-1-x"
            ),
        ),
        (
            {"Error": "StepFunctions.ExecutionLimitExceededException", "Cause": "too many"},
            "DeploymentFailed",
            "too many",
        ),
    ],
)
def test_a_run_fails_as_its_deployment_did(
    make_pipeline: MakePipeline, states: States, given: dict[str, str], error: str, cause: str
) -> None:
    make_pipeline()
    found = states("Pipeline")
    (catch,) = found["Deploy"]["Catch"]
    assert catch["Next"] == "Not deployed"
    assert evaluate(found["Not deployed"]["Error"], given) == error
    assert evaluate(found["Not deployed"]["Cause"], given) == cause


def test_a_deployment_that_failed_is_not_started_again(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    names = [e for retrier in states("Pipeline")["Deploy"]["Retry"] for e in retrier["ErrorEquals"]]
    assert not {"States.ALL", "States.TaskFailed"} & set(names)


def test_a_start_that_step_functions_throttled_is_tried_again(
    make_pipeline: MakePipeline, states: States
) -> None:
    """A training job of hours must not be lost to a throttled call."""
    make_pipeline()
    names = [e for retrier in states("Pipeline")["Deploy"]["Retry"] for e in retrier["ErrorEquals"]]
    assert any(name.startswith("StepFunctions.") for name in names), names


def test_a_job_that_failed_is_not_paid_for_again(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    names = [e for retrier in states("Pipeline")["Train"]["Retry"] for e in retrier["ErrorEquals"]]
    assert "SageMaker.AmazonSageMakerException" in names
    assert not {"States.ALL", "States.TaskFailed"} & set(names)


# The stack


def test_executions_are_stopped_before_their_state_machine_goes(
    stack: Stack, make_pipeline: MakePipeline, statements: Statements
) -> None:
    make_pipeline()
    template = Template.from_stack(stack)
    (resource,) = template.find_resources("Custom::PyTorchExecutions").values()
    (machine,) = (
        name
        for name in template.find_resources("AWS::StepFunctions::StateMachine")
        if name.startswith("Pipeline")
    )
    assert resource["Properties"]["StateMachine"] == {"Ref": machine}
    assert machine in resource["DependsOn"]
    stop = [s for s in statements("PyTorchEndpoint") if "states:StopExecution" in str(s["Action"])]
    assert any(machine in str(s["Resource"]) for s in stop)
    # The function may stop them until the custom resource has gone.
    assert any(name.startswith("PipelineStop") for name in resource["DependsOn"])


def test_the_endpoint_goes_with_the_stack(stack: Stack, make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    (resource,) = Template.from_stack(stack).find_resources("Custom::PyTorchEndpoint").values()
    assert resource["Properties"]["EndpointName"] == pipeline.endpoint_name
    assert resource["Properties"]["RemovalPolicy"] == "Delete"


def test_no_role_has_a_managed_policy(stack: Stack, make_pipeline: MakePipeline) -> None:
    make_pipeline()
    roles = Template.from_stack(stack).find_resources("AWS::IAM::Role")
    assert len(roles) == 6  # of the job and the pipeline, and the four of a deployment
    assert not any("ManagedPolicyArns" in role["Properties"] for role in roles.values())


def test_no_role_gets_more_than_its_own_names(stack: Stack, make_pipeline: MakePipeline) -> None:
    make_pipeline(sample_request=[[1]])
    on_everything: set[str] = set()
    for policy in Template.from_stack(stack).find_resources("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            allowed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any(action.endswith(":*") for action in allowed)
            if statement["Resource"] == "*":
                on_everything |= set(allowed)
    # Neither knows resources; PutMetricData is bounded by its namespace.
    assert on_everything == {"cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"}


def test_the_pipeline_starts_and_stops_executions_of_its_deployment_alone(
    make_pipeline: MakePipeline, statements: Statements
) -> None:
    make_pipeline()
    by_action = {str(s["Action"]): s for s in statements("PipelineRole")}
    assert re.match(r"PyTorchEndpoint\w+Machine", by_action["states:StartExecution"]["Resource"]["Ref"])
    stop = by_action["['states:DescribeExecution', 'states:StopExecution']"]
    assert re.search(r":execution:.*PyTorchEndpoint\w+Machine", str(stop["Resource"]))
    rules = [s["Resource"] for action, s in by_action.items() if "events:PutRule" in action]
    assert "StepFunctionsGetEventsForStepFunctionsExecutionRule" in str(rules)


def test_the_pipeline_itself_changes_no_endpoint(make_pipeline: MakePipeline, statements: Statements) -> None:
    make_pipeline()
    assert "Endpoint" not in str([s["Action"] for s in statements("PipelineRole")])


# Its deployment


def test_the_endpoint_is_named_after_the_pipeline(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    assert re.match(r"stack-?pipeline", pipeline.endpoint_name)
    assert pipeline.endpoint_name == pipeline.deployment.endpoint_name == pipeline.deployment.version_prefix
    assert pipeline.endpoint_arn == pipeline.deployment.endpoint_arn


def test_every_option_of_the_deployment_can_be_given(
    stack: Stack, make_pipeline: MakePipeline, states: States
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Mine", "mine")
    packager = ModelPackager(stack, "Packager")
    pipeline = make_pipeline(
        framework_version="2.6",
        instance_type="ml.c7g.large",
        initial_instance_count=2,
        instances=Instances(variant_name="Blue"),
        endpoint_name="digits",
        environment={"LOG": "1"},
        container=ServingContainer(model_server_workers=3),
        sample_request=[[1]],
        retain_versions=4,
        artifacts_bucket=bucket,
        timeout=Duration.hours(2),
        adopt=True,
        removal_policy=RemovalPolicy.RETAIN,
        packager=packager,
    )
    found = states("PyTorchEndpointdigits")
    requests = found["Bring into service"]["Arguments"]["Payload"]["requests"]
    (variant,) = requests["CreateEndpointConfig"]["ProductionVariants"]
    assert (variant["VariantName"], variant["InstanceType"]) == ("Blue", "ml.c7g.large")
    assert variant["InitialInstanceCount"] == 2
    environment = requests["CreateModel"]["PrimaryContainer"]["Environment"]
    assert (environment["LOG"], environment["SAGEMAKER_MODEL_SERVER_WORKERS"]) == ("1", "3")
    assert "Send sample request" in found
    assert found["Commit"]["Arguments"]["Payload"]["retain"] == 4
    assert pipeline.deployment.artifacts_bucket.bucket_name == "mine"
    assert pipeline.deployment.packager.node.path == packager.node.path
    Template.from_stack(stack).has_resource_properties(
        "Custom::PyTorchEndpoint", {"EndpointName": "digits", "Adopt": True, "RemovalPolicy": "Retain"}
    )


def test_packaged_models_go_into_the_jobs_bucket_where_that_is_the_users(
    stack: Stack, inference_code: SourceCode
) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Mine", "mine")
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", output=bucket)
    pipeline = PyTorchPipeline(stack, "Pipeline", training_job=job, source_code=inference_code)
    assert pipeline.deployment.artifacts_bucket.bucket_name == "mine"


def test_packaged_models_have_a_bucket_of_their_own_by_default(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    artifacts = pipeline.deployment.artifacts_bucket
    assert artifacts.node.path != pipeline.training_job.output_bucket.node.path


def test_an_uncompressed_model_stays_so(stack: Stack, inference_code: SourceCode, states: States) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", output=OutputData(compress=False))
    PyTorchPipeline(stack, "Pipeline", training_job=job, source_code=inference_code)
    train = states("Pipeline")["Train"]["Arguments"]
    assert train["OutputDataConfig"]["CompressionType"] == "NONE"
    package = states("PyTorchEndpoint")["Package model"]["Arguments"]["Payload"]
    assert package["output"].endswith("& '/model/' %}")


def test_what_the_deployment_warns_of_is_seen(
    stack: Stack, make_pipeline: MakePipeline, training_code: SourceCode
) -> None:
    repository = ecr.Repository.from_repository_name(stack, "Repository", "mine")
    job = PyTorchTrainingJob(stack, "OldTraining", framework_version="1.5.0", source_code=training_code)
    make_pipeline(
        training_job=job,
        framework_version="1.5.1",
        accelerator_type="ml.eia2.medium",
        image=PyTorchImage.from_ecr_repository(repository, "v1"),
    )
    Annotations.from_stack(stack).has_warning(
        "/Stack/Pipeline/Deployment", Match.string_like_regexp("ElasticInference.discontinued")
    )


def test_grants(stack: Stack, make_pipeline: MakePipeline, statements: Statements) -> None:
    pipeline = make_pipeline()
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    pipeline.grant_invoke(caller)
    pipeline.grant_start(caller)
    invoke, start = statements("Caller")
    assert "sagemaker:InvokeEndpoint" in invoke["Action"]
    assert f"endpoint/{pipeline.endpoint_name}" in str(invoke["Resource"])
    assert start["Action"] == "states:StartExecution"
    assert start["Resource"]["Ref"].startswith("Pipeline")
    assert pipeline.state_machine_arn == pipeline.state_machine.state_machine_arn


def test_metrics_are_the_endpoints(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    assert pipeline.metric("Invocations").dimensions == {
        "EndpointName": pipeline.endpoint_name,
        "VariantName": "AllTraffic",
    }


# What cannot work


def test_fails_when_values_cannot_work_with_all_of_them(make_pipeline: MakePipeline) -> None:
    with pytest.raises(ConfigurationError, match=r"^PyTorchPipeline: ") as raised:
        make_pipeline(
            instance_type="m5.large",
            initial_instance_count=0,
            accelerator_type="ml.eia2.medium",
            endpoint_name="Digits_1",
            container=ServingContainer(model_server_workers=0),
            retain_versions=-1,
        )
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "instance_type",
        "initial_instance_count",
        "container.model_server_workers",
        "accelerator_type",
        "retain_versions",
        "endpoint_name",
    ]


def test_what_failed_leaves_nothing_in_the_stack(
    stack: Stack, make_pipeline: MakePipeline, inference_code: SourceCode
) -> None:
    with pytest.raises(ConfigurationError):
        make_pipeline(retain_versions=-1)
    job = stack.node.find_child("Training")
    PyTorchPipeline(stack, "Pipeline", training_job=job, source_code=inference_code)  # type: ignore[arg-type]


def test_fails_when_two_pipelines_have_one_endpoint(
    stack: Stack, make_pipeline: MakePipeline, inference_code: SourceCode
) -> None:
    first = make_pipeline(endpoint_name="digits")
    with pytest.raises(ConfigurationError, match="endpoint_name must belong to one construct of a stack"):
        PyTorchPipeline(
            stack,
            "Second",
            training_job=first.training_job,
            source_code=inference_code,
            endpoint_name="digits",
        )


def test_fails_when_an_uncompressed_model_is_for_an_old_version(
    stack: Stack, inference_code: SourceCode
) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", output=OutputData(compress=False))
    with pytest.raises(ConfigurationError, match="training_job must compress its output"):
        PyTorchPipeline(
            stack, "Pipeline", training_job=job, source_code=inference_code, framework_version="1.1"
        )

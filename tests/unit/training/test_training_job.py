import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonata as interpreter
import pytest
from aws_cdk import Duration, Size, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.assertions import Annotations, Match, Template

from cdk_sagemaker_pytorch import (
    Checkpoints,
    Compute,
    ConfigurationError,
    Networking,
    OutputData,
    PyTorchImage,
    PyTorchPipeline,
    PyTorchTrainingJob,
    SourceCode,
    TrainingInput,
    UnknownFrameworkVersionError,
)
from cdk_sagemaker_pytorch.local.step_functions import jsonata as local_jsonata

States = Callable[[], dict[str, Any]]

EXECUTION = {
    "Id": "arn:aws:states:us-east-1:123456789012:execution:Machine:first",
    "StartTime": "2026-11-22T16:45:07.123Z",
    "RedriveCount": 0,
}


def evaluate(field: str, state_input: Any, **further_context: Any) -> Any:
    """Evaluate a {% … %} field as Step Functions would."""
    state = {"EnteredTime": "2026-11-22T16:45:08.000Z"}
    known = {"Execution": EXECUTION, "State": state, **further_context}
    context = json.dumps({"input": state_input, "context": known})
    expression = interpreter.Jsonata(f"($states := {context}; {field.removeprefix('{%').removesuffix('%}')})")
    expression.register_lambda("hash", lambda text, algorithm: f"{zlib.crc32(text.encode()):08x}{algorithm}")
    return expression.evaluate(None)


@pytest.fixture
def train_state(stack: Stack, run: Callable[[Any], Any], states: States) -> Callable[..., dict[str, Any]]:
    """The state that creates the training job, for the given options."""

    def make(**options: Any) -> dict[str, Any]:
        run(PyTorchTrainingJob(stack, "Training", **{"framework_version": "2.13", **options}))
        state: dict[str, Any] = states()["Train"]
        return state

    return make


Train = Callable[..., dict[str, Any]]


def test_defaults(train_state: Train) -> None:
    state = train_state()
    arguments = state["Arguments"]
    assert state["Resource"] == "arn:${AWS::Partition}:states:::sagemaker:createTrainingJob.sync"
    assert state["QueryLanguage"] == "JSONata"
    assert arguments["ResourceConfig"] == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    }
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert arguments["OutputDataConfig"]["S3OutputPath"].endswith("/training")
    assert "/pytorch:2.13.0-cpu" in arguments["AlgorithmSpecification"]["TrainingImage"]
    for absent in ("InputDataConfig", "Environment", "EnableManagedSpotTraining", "CheckpointConfig"):
        assert absent not in arguments


def test_every_option(stack: Stack, train_state: Train) -> None:
    key = kms.Key(stack, "Key")
    arguments = train_state(
        instance_type="ml.p3.2xlarge",
        instance_count=2,
        max_run=Duration.hours(2),
        compute=Compute(
            volume_size=Size.gibibytes(50),
            volume_key=key,
            use_spot_instances=True,
            max_wait=Duration.hours(5),
        ),
        checkpoints=Checkpoints(prefix="checkpoints", local_path="/opt/ml/saved"),
        environment={"NCCL_DEBUG": "INFO"},
        metric_definitions={"loss": "loss=(.*)"},
        torch_distributed=True,
        networking=Networking(encrypt_inter_container_traffic=True, enable_network_isolation=True),
        output=OutputData(
            bucket=s3.Bucket.from_bucket_name(stack, "Out", "out"), prefix="team/models", key=key
        ),
    )["Arguments"]
    assert arguments["ResourceConfig"] == {
        "InstanceType": "ml.p3.2xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 50,
        "VolumeKmsKeyId": "${Key961B73FD.Arn}",
    }
    assert arguments["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 7200,
        "MaxWaitTimeInSeconds": 18000,
    }
    assert arguments["EnableManagedSpotTraining"] is True
    assert arguments["EnableInterContainerTrafficEncryption"] is True
    assert arguments["EnableNetworkIsolation"] is True
    assert arguments["CheckpointConfig"] == {
        "S3Uri": "{% $checkpoints_uri %}",
        "LocalPath": "/opt/ml/saved",
    }
    assert arguments["Environment"] == {"NCCL_DEBUG": "INFO"}
    assert arguments["OutputDataConfig"] == {
        "S3OutputPath": "s3://out/team/models",
        "KmsKeyId": "${Key961B73FD.Arn}",
    }
    algorithm = arguments["AlgorithmSpecification"]
    assert "-cu" in algorithm["TrainingImage"]
    assert algorithm["MetricDefinitions"] == [{"Name": "loss", "Regex": "loss=(.*)"}]
    merged = evaluate(arguments["HyperParameters"], {})
    assert merged["sagemaker_torch_distributed_enabled"] == "true"
    assert merged["sagemaker_instance_type"] == '"ml.p3.2xlarge"'


def test_spot_waits_an_hour_longer_than_it_trains_by_default(train_state: Train) -> None:
    arguments = train_state(compute=Compute(use_spot_instances=True), max_run=Duration.hours(2))["Arguments"]
    assert arguments["StoppingCondition"]["MaxWaitTimeInSeconds"] == 3 * 3600


def test_hyperparameters_are_json_and_the_librarys_own_are_set(train_state: Train) -> None:
    arguments = train_state(hyperparameters={"epochs": 3, "name": "a", "flag": True})["Arguments"]
    merged = evaluate(arguments["HyperParameters"], {"hyperparameters": {"epochs": 9}})
    decoded = {name: json.loads(value) for name, value in merged.items()}
    job_name = evaluate(arguments["TrainingJobName"], {})
    assert decoded.pop("sagemaker_submit_directory").startswith("s3://")
    assert decoded == {
        "epochs": 9,
        "name": "a",
        "flag": True,
        "sagemaker_program": "train.py",
        "sagemaker_region": "${AWS::Region}",
        "sagemaker_job_name": job_name,
        "sagemaker_container_log_level": 20,
    }


def test_a_training_job_is_named_after_the_construct_and_the_start(train_state: Train) -> None:
    name = evaluate(train_state()["Arguments"]["TrainingJobName"], {})
    prefix, _, rest = name.partition("-20261122164507-")
    assert prefix.startswith("stack-training-")
    assert len(rest) == 8
    assert len(name) <= 63


def test_channels_are_declared_and_can_be_replaced(stack: Stack, train_state: Train) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Data", "data")
    arguments = train_state(inputs={"train": TrainingInput.from_bucket(bucket, "a/")})["Arguments"]
    (declared,) = evaluate(arguments["InputDataConfig"], {})
    assert declared["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data/a/"
    (replaced,) = evaluate(arguments["InputDataConfig"], {"inputs": {"train": "s3://data/b/"}})
    assert replaced["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data/b/"


def test_metrics_of_the_bundled_script_are_defined(train_state: Train) -> None:
    definitions = train_state()["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"]
    assert {definition["Name"] for definition in definitions} >= {"train_loss", "test_accuracy"}


def test_its_output_is_the_job_its_model_and_its_metrics(train_state: Train) -> None:
    assert set(train_state()["Output"]) == {"training_job_name", "model_data", "metrics", "warnings"}


def test_another_image_is_used_as_given(stack: Stack, train_state: Train) -> None:
    repository = ecr.Repository.from_repository_name(stack, "Repository", "mine")
    image = PyTorchImage.from_ecr_repository(repository, "v1")
    arguments = train_state(image=image)["Arguments"]
    assert arguments["AlgorithmSpecification"]["TrainingImage"].endswith("/mine:v1")


def test_an_input_with_a_job_name_attaches(stack: Stack, run: Callable[[Any], Any], states: States) -> None:
    run(PyTorchTrainingJob(stack, "Training", framework_version="2.13"))
    found = states()
    assert found["Attach?"]["Choices"] == [
        {
            "Condition": "{% $exists($states.input.training_job_name) %}",
            "Next": "Describe training job",
            "Assign": {"training_job_looks": 0},
        }
    ]
    assert found["Attach?"]["Default"] == "Train"
    assert found["Wait for training job"]["Assign"] == {"training_job_looks": "{% $training_job_looks + 1 %}"}
    nexts = [choice["Next"] for choice in found["Completed?"]["Choices"]]
    assert nexts == ["Attached", "Wait for training job"]
    assert found["Completed?"]["Default"] == "Training job not completed"


def test_an_attached_job_of_28_days_fits_into_the_history(
    stack: Stack, run: Callable[[Any], Any], states: States
) -> None:
    run(PyTorchTrainingJob(stack, "Training", framework_version="2.13"))
    seconds = states()["Wait for training job"]["Seconds"]
    waited, looks, waits = 0, 0, []
    while waited < 28 * 24 * 3600:
        waits.append(local_jsonata.evaluate(seconds[2:-2], {"training_job_looks": looks}))
        waited, looks = waited + waits[-1], looks + 1
    assert waits[:3] == [5, 5, 5]
    assert waits == sorted(waits)
    assert looks * 9 < 25_000  # events of one look: describe 5, choose 2, wait 2


def test_the_state_machine_may_run_its_own_jobs_alone(
    stack: Stack, run: Callable[[Any], Any], statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    run(PyTorchTrainingJob(stack, "Training", framework_version="2.13"))
    by_action = {str(statement["Action"]): statement for statement in statements("MachineRole")}
    create = next(text for text in by_action if "CreateTrainingJob" in text)
    assert "training-job/stack-training-" in str(by_action[create]["Resource"])
    assert "sagemaker:AddTags" in by_action[create]["Action"]
    assert by_action["iam:PassRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }
    assert not any(statement["Resource"] == "*" for statement in by_action.values())


def test_the_job_may_read_its_channels_and_write_its_output_alone(
    stack: Stack, statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    data = s3.Bucket.from_bucket_name(stack, "Data", "data")
    job = PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        inputs={"train": TrainingInput.from_bucket(data, "digits/")},
        output=s3.Bucket.from_bucket_name(stack, "Out", "out"),
    )
    s3.Bucket(stack, "Extra").grant_read(job)
    found = statements("TrainingRole")
    everything = [statement for statement in found if statement["Resource"] == "*"]
    assert {statement["Action"] for statement in everything} == {
        "ecr:GetAuthorizationToken",
        "cloudwatch:PutMetricData",
    }
    text = json.dumps(found)
    assert ":s3:::data/digits/*" in text
    assert ":s3:::out/training/*" in text
    assert "Extra" in text
    assert not any("*" in str(statement["Action"]).split(":")[0] for statement in found)


def test_the_job_may_encrypt_its_storage(
    stack: Stack, statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    key = kms.Key(stack, "Key")
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", compute=Compute(volume_key=key))
    (statement,) = [s for s in statements("TrainingRole") if "kms:" in str(s["Action"])]
    assert statement["Action"] == ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*"]
    assert statement["Resource"] == {"Fn::GetAtt": ["Key961B73FD", "Arn"]}


def test_a_given_role_is_used(stack: Stack, train_state: Train) -> None:
    role = iam.Role(stack, "Mine", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    assert train_state(role=role)["Arguments"]["RoleArn"].startswith("${Mine")
    Template.from_stack(stack).resource_count_is("AWS::IAM::Role", 2)


def test_spot_without_checkpoints_warns(stack: Stack) -> None:
    PyTorchTrainingJob(stack, "Training", framework_version="2.13", compute=Compute(use_spot_instances=True))
    Annotations.from_stack(stack).has_warning(
        "/Stack/Training", Match.string_like_regexp("set checkpoints.*spotWithoutCheckpoints")
    )


def test_fails_when_values_cannot_work_with_all_of_them(stack: Stack) -> None:
    with pytest.raises(ConfigurationError) as raised:
        PyTorchTrainingJob(
            stack,
            "Training",
            framework_version="2.13",
            instance_type="m5.large",
            instance_count=0,
            max_run=Duration.days(29),
            compute=Compute(volume_size=Size.gibibytes(0), max_wait=Duration.days(1)),
            hyperparameters={"sagemaker_program": "x", "long": "x" * 2500},
            output=OutputData(prefix="/x"),
        )
    assert raised.value.problems == (
        "instance_type must be a SageMaker instance type such as ml.m5.large, got m5.large",
        "instance_count must be at least 1, got 0",
        "max_run in seconds must be from 1 to 2419200, got 2505600",
        "compute.volume_size in GiB must be at least 1, got 0",
        "compute.max_wait needs use_spot_instances=True",
        "output.prefix must be a key prefix without bucket and without slashes at its ends, got '/x'",
        "hyperparameters beginning with sagemaker_ belong to the container, got sagemaker_program",
        f"hyperparameters['long'] as JSON must have at most 2500 characters, got 2502: '\"{'x' * 59}'…",
    )
    assert stack.node.try_find_child("Training") is None


def test_fails_when_there_are_too_many_hyperparameters(stack: Stack) -> None:
    many = {f"p{number}": number for number in range(96)}
    with pytest.raises(
        ConfigurationError,
        match="hyperparameters must be at most 95, for the library adds 5 of its own, got 96",
    ):
        PyTorchTrainingJob(stack, "T", framework_version="2.13", hyperparameters=many)


def test_fails_when_the_framework_version_is_unknown(stack: Stack) -> None:
    with pytest.raises(UnknownFrameworkVersionError, match=r"2\.13\.0.*got '9\.9'"):
        PyTorchTrainingJob(stack, "Training", framework_version="9.9")


def test_a_job_can_be_used_in_several_state_machines(stack: Stack) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    sfn.StateMachine(stack, "First", definition_body=sfn.DefinitionBody.from_chainable(job))
    sfn.StateMachine(stack, "Second", definition_body=sfn.DefinitionBody.from_chainable(job.states()))
    PyTorchPipeline(stack, "Third", training_job=job)
    PyTorchPipeline(stack, "Fourth", training_job=job)
    # Each pipeline has one of its deployment too.
    Template.from_stack(stack).resource_count_is("AWS::StepFunctions::StateMachine", 6)


def test_a_job_can_be_used_twice_in_one_state_machine(
    stack: Stack, run: Callable[[Any], Any], states: States
) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    again = job.states().prefix_states("Again: ")
    run(sfn.Chain.start(job).next(again))
    found = states()
    assert found["Train"]["Next"] == "Again: Attach?"
    assert found["Again: Train"]["Arguments"] == found["Train"]["Arguments"]


def test_fails_when_its_own_states_are_used_twice(stack: Stack) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    sfn.StateMachine(stack, "First", definition_body=sfn.DefinitionBody.from_chainable(job))
    with pytest.raises(
        RuntimeError, match=r"states of Stack/Training.* job\.states\(\) for each further use"
    ):
        sfn.StateMachine(stack, "Second", definition_body=sfn.DefinitionBody.from_chainable(job))


def test_fails_when_it_goes_on_twice(stack: Stack) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    job.next(sfn.Pass(stack, "One"))
    with pytest.raises((RuntimeError, ValueError), match=r"goes on to another state .* job\.states\(\)"):
        job.next(sfn.Pass(stack, "Another"))


def test_fails_when_two_jobs_have_states_of_the_same_names(stack: Stack) -> None:
    first, second = (
        PyTorchTrainingJob(stack, construct_id, framework_version="2.13") for construct_id in ("A", "B")
    )
    with pytest.raises(RuntimeError, match=r"names of states must differ.*prefix_states"):
        sfn.StateMachine(
            stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(first.next(second))
        )


def test_every_run_in_a_map_has_a_name_of_its_own(
    stack: Stack, run: Callable[[Any], Any], states: States
) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
    run(sfn.Map.jsonata(stack, "Each").item_processor(job.states()))
    name = states()["Each"]["ItemProcessor"]["States"]["Train"]["Arguments"]["TrainingJobName"]
    at = {"State": {"EnteredTime": "2026-11-22T16:46:00.000Z"}, "Map": {"Item": {"Index": 0}}}
    next_item = {**at, "Map": {"Item": {"Index": 1}}}
    later = {"State": {"EnteredTime": "2026-11-22T16:46:00.001Z"}}
    names = {evaluate(name, {}, **context) for context in ({}, at, next_item, later)}
    assert len(names) == 4


def test_source_code_comes_as_a_channel_in_network_isolation(train_state: Train) -> None:
    arguments = train_state(networking=Networking(enable_network_isolation=True))["Arguments"]
    (channel,) = evaluate(arguments["InputDataConfig"], {})
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    merged = evaluate(arguments["HyperParameters"], {})
    directory = json.loads(merged["sagemaker_submit_directory"])
    assert channel["ChannelName"] == "code"
    assert directory == f"/opt/ml/input/data/code/{uri.rpartition('/')[2]}"


def test_requirements_cannot_be_installed_in_network_isolation(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "requirements.txt").write_text("einops")
    PyTorchTrainingJob(
        stack,
        "Training",
        framework_version="2.13",
        source_code=SourceCode.from_directory(tmp_path, entry_point="train.py"),
        networking=Networking(enable_network_isolation=True),
    )
    Annotations.from_stack(stack).has_warning(
        "/Stack/Training", Match.string_like_regexp("requirements.txt cannot.*isolatedRequirements")
    )


def described_by(variables: int) -> PyTorchTrainingJob:
    """Make a job whose hyperparameters are 190 KB as JSON, and its variables one KB each."""
    return PyTorchTrainingJob(
        Stack(),
        "Job",
        framework_version="2.13",
        hyperparameters={f"text{number}": "\\" * 500 for number in range(95)},
        environment={f"TEXT{number}": "ä" * 512 for number in range(variables)},
    )


def test_a_description_that_step_functions_does_not_carry_is_refused() -> None:
    """AWS would take the job, train it, and fail the execution when it has ended."""
    described_by(variables=20)
    with pytest.raises(ConfigurationError, match=r"together must be at most 245760 bytes .* channel"):
        described_by(variables=80)

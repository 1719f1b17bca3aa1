import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Annotations, Match, Template
from constructs import Construct

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
from cdk_sagemaker_pytorch.local.step_functions import jsonata as interpreter
from cdk_sagemaker_pytorch.states.names import version_prefix

States = Callable[[], dict[str, Any]]
Statements = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def make_pipeline(stack: Stack, inference_code: SourceCode) -> Callable[..., PyTorchPipeline]:
    def make(training_version: str = "2.13", **options: Any) -> PyTorchPipeline:
        job = PyTorchTrainingJob(stack, "Training", framework_version=training_version)
        return PyTorchPipeline(
            stack, "Pipeline", **{"training_job": job, "source_code": inference_code, **options}
        )

    return make


MakePipeline = Callable[..., PyTorchPipeline]


def variant(found: dict[str, Any]) -> dict[str, Any]:
    (only,) = found["Create endpoint configuration"]["Arguments"]["ProductionVariants"]
    assert isinstance(only, dict)
    return only


def test_an_execution_trains_packages_deploys_and_verifies(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    found = states()
    assert found["Train"]["Next"] == found["Attached"]["Next"] == "Name version"
    assert found["Name version"]["Next"] == "Ask for model size"
    assert found["Package model"]["Next"] == found["Package large model"]["Next"] == "Create model"
    assert found["Create model"]["Next"] == "Create endpoint configuration"
    assert found["Create endpoint configuration"]["Next"] == "Look at endpoint"
    assert found["Create endpoint"]["Next"] == "Wait for endpoint"
    assert found["Update endpoint"]["Next"] == "Wait for endpoint"
    assert found["Wait for endpoint"]["Next"] == "Look at endpoint"
    assert found["In service?"]["Choices"][0]["Next"] == "Mark endpoint"
    assert found["Mark endpoint"]["Next"] == "Remove superseded versions"
    assert found["Remove superseded versions"]["Next"] == "Deployed"
    assert found["Deployed"]["End"] is True


def test_its_output_names_everything_that_was_made(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    assert set(states()["Deployed"]["Output"]) == {
        "training_job_name",
        "metrics",
        "model_name",
        "model_data_url",
        "endpoint_name",
        "endpoint_config_name",
        "warnings",
    }


def test_the_packager_gets_its_event(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline(training_version="2.6", framework_version="2.6")
    payload = states()["Package model"]["Arguments"]["Payload"]
    assert payload["model_data"] == "{% $training.model_data %}"
    assert payload["framework_version"] == "2.6.0"
    assert payload["entry_point"] == "inference.py"
    assert payload["source_code"].startswith("s3://")
    assert payload["output"].endswith("& '/model.tar.gz' %}")


def test_the_code_of_old_versions_lies_beside_the_model(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline(framework_version="1.1")
    packaged = states()["Package large model"]["Assign"]["packaged"]
    assert packaged["submit_directory"].endswith("& $version & '/sourcedir.tar.gz' %}")


def test_an_uncompressed_model_stays_so(
    stack: Stack, inference_code: SourceCode, states: States, statements: Statements
) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", output=OutputData(compress=False))
    PyTorchPipeline(stack, "Pipeline", training_job=job, source_code=inference_code)
    found = states()
    assert found["Train"]["Arguments"]["OutputDataConfig"]["CompressionType"] == "NONE"
    assert found["Name version"]["Next"] == "Package model"
    assert found["Package model"]["Arguments"]["Payload"]["output"].endswith("& '/model/' %}")
    primary = found["Create model"]["Arguments"]["PrimaryContainer"]
    assert "ModelDataUrl" not in primary
    assert primary["ModelDataSource"]["S3DataSource"] == {
        "S3Uri": "{% $packaged.model_data_url %}",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    # The container lists what lies below the prefix.
    assert any("s3:List*" in s["Action"] for s in statements("PyTorchEndpoint"))


def test_a_key_of_the_packager_reaches_the_model(
    make_pipeline: MakePipeline, stack: Stack, states: States, statements: Statements
) -> None:
    packager = ModelPackager(stack, "Packager", encryption_key=kms.Key(stack, "Key"))
    make_pipeline(packager=packager)
    assert states()["Package model"]["Arguments"]["Payload"]["kms_key_id"].startswith("${Key")
    assert any("kms:Decrypt" in s["Action"] for s in statements("PyTorchEndpoint"))


def test_fails_when_an_uncompressed_model_is_for_an_old_version(
    stack: Stack, inference_code: SourceCode
) -> None:
    job = PyTorchTrainingJob(stack, "Training", framework_version="2.13", output=OutputData(compress=False))
    with pytest.raises(ConfigurationError, match="training_job must compress its output for framework_ver"):
        PyTorchPipeline(
            stack, "Pipeline", training_job=job, source_code=inference_code, framework_version="1.1"
        )


def test_no_role_has_a_managed_policy(make_pipeline: MakePipeline, stack: Stack) -> None:
    make_pipeline()
    roles = Template.from_stack(stack).find_resources("AWS::IAM::Role")
    assert len(roles) == 5
    assert not any("ManagedPolicyArns" in role["Properties"] for role in roles.values())


def test_a_version_that_nothing_serves_yet_is_removed_when_a_call_fails(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    found = states()
    for name in ("Create model", "Create endpoint configuration"):
        assert found[name]["Catch"] == [{"ErrorEquals": ["States.ALL"], "Next": "Deployment failed"}]
    assert found["Deployment failed"]["Next"] == "Remove version"
    assert found["Remove version"]["Next"] == "Not deployed"
    assert found["Not deployed"]["Cause"] == "{% $failure.Cause %}"


def test_what_came_of_a_failed_change_is_seen_at_the_endpoint(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    found = states()
    for name in ("Create endpoint", "Update endpoint", "Delete failed endpoint", "Delete rejected endpoint"):
        (catcher,) = found[name]["Catch"]
        assert catcher["ErrorEquals"] == ["States.ALL"]
        assert catcher["Next"] == "Wait for endpoint"


def test_every_call_is_tried_again_with_growing_intervals_and_jitter(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline(sample_request=[[1]])
    tasks = {name: state for name, state in states().items() if state["Type"] == "Task"}
    # An endpoint that does not exist is an error like any other: looking is repeated by the states.
    assert "Retry" not in tasks.pop("Look at endpoint")
    for name, task in tasks.items():
        last = task["Retry"][-1]
        assert last["BackoffRate"] > 1, name
        assert last["JitterStrategy"] == "FULL", name
        assert last["MaxAttempts"] == 5, name


def test_a_job_that_failed_is_not_paid_for_again(make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline()
    found = states()
    for name in ("Train", "Package large model"):
        names = [error for retrier in found[name]["Retry"] for error in retrier["ErrorEquals"]]
        assert "SageMaker.AmazonSageMakerException" in names
        assert not {"States.ALL", "States.TaskFailed"} & set(names)


def test_defaults(make_pipeline: MakePipeline, states: States) -> None:
    pipeline = make_pipeline()
    found = states()
    assert variant(found) == {
        "VariantName": "AllTraffic",
        "ModelName": "{% $version %}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
    }
    assert pipeline.endpoint_name == pipeline.version_prefix
    assert pipeline.endpoint_name == pipeline.endpoint_name.lower()
    assert found["Wait for endpoint"]["Seconds"] == "{% $min([15, 1 + $floor($waits / 3)]) %}"
    assert "Send sample request" not in found
    prune = found["Remove superseded versions"]["Arguments"]["Payload"]
    assert prune["retain"] == 1


def test_an_input_that_is_not_understood_is_refused_before_anything_starts(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline()
    first = states()["Input understood?"]
    (understood,) = first["Choices"]
    assert understood["Next"] == "Attach?"
    assert first["Default"] == "Input refused"
    refused = states()["Input refused"]
    assert refused["Error"] == "InputRefused"

    def evaluate(text: str, given: Any) -> Any:
        states_variable = {"states": {"input": given}}
        return interpreter.evaluate(text.removeprefix("{%").removesuffix("%}"), states_variable)

    wrong = {"hyperparameter": {"epochs": 3}}
    assert evaluate(understood["Condition"], wrong) is False
    assert "unknown hyperparameter" in evaluate(refused["Cause"], wrong)
    good = {"hyperparameters": {"epochs": 3}, "inputs": None, "Comment": "by hand"}
    assert evaluate(understood["Condition"], good) is True
    assert evaluate(understood["Output"], good) == {"hyperparameters": {"epochs": 3}}
    assert evaluate(understood["Output"], {}) == {}


def test_every_option(stack: Stack, make_pipeline: MakePipeline, states: States) -> None:
    make_pipeline(
        framework_version="2.6",
        instance_type="ml.c7g.large",
        initial_instance_count=2,
        instances=Instances(
            variant_name="Blue",
            startup_timeout=Duration.minutes(5),
            model_data_download_timeout=Duration.minutes(10),
            volume_size=Size.gibibytes(50),
            volume_key=kms.Key(stack, "Key"),
        ),
        endpoint_name="digits",
        environment={"LOG": "1"},
        container=ServingContainer(model_server_workers=3, response_timeout=Duration.seconds(30)),
        retain_versions=4,
        packager=ModelPackager(stack, "Mine", memory_size=512),
    )
    found = states()
    assert variant(found) == {
        "VariantName": "Blue",
        "ModelName": "{% $version %}",
        "InstanceType": "ml.c7g.large",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 300,
        "ModelDataDownloadTimeoutInSeconds": 600,
        "VolumeSizeInGB": 50,
    }
    config = found["Create endpoint configuration"]["Arguments"]
    assert config["KmsKeyId"] == "${Key961B73FD.Arn}"
    container = found["Create model"]["Arguments"]["PrimaryContainer"]
    assert "pytorch-inference-arm64:2.6.0-cpu" in container["Image"]
    environment = container["Environment"]
    assert environment["LOG"] == "1"
    assert environment["SAGEMAKER_MODEL_SERVER_WORKERS"] == "3"
    assert environment["SAGEMAKER_TS_RESPONSE_TIMEOUT"] == "30"
    assert environment["SAGEMAKER_SUBMIT_DIRECTORY"] == "{% $packaged.submit_directory %}"
    for name in ("Create endpoint", "Update endpoint"):
        assert found[name]["Arguments"]["EndpointName"] == "digits"
    assert found["Remove superseded versions"]["Arguments"]["Payload"]["retain"] == 4
    Template.from_stack(stack).has_resource_properties("AWS::Lambda::Function", {"MemorySize": 512})


def test_a_sample_request_is_sent_and_its_failure_goes_back(
    make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline(sample_request=[[1]])
    found = states()
    assert found["In service?"]["Choices"][0]["Next"] == "Send sample request"
    assert found["Send sample request"]["Arguments"] == {
        "EndpointName": found["Look at endpoint"]["Arguments"]["EndpointName"],
        "Body": [[1]],
        "ContentType": "application/json",
        "Accept": "application/json",
    }
    too_long, rejected = found["Send sample request"]["Catch"]
    assert too_long == {"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Mark endpoint"}
    assert rejected["Next"] == "Look at endpoint"
    assert rejected["Assign"] == {
        "target": "{% $previous %}",
        "asked": False,
        "attempts": 0,
        "failure": "{% $states.errorOutput %}",
    }


def test_an_accelerator_is_attached_and_warned_about(
    stack: Stack, make_pipeline: MakePipeline, states: States
) -> None:
    make_pipeline(training_version="1.5.0", framework_version="1.5.1", accelerator_type="ml.eia2.medium")
    found = states()
    assert variant(found)["AcceleratorType"] == "ml.eia2.medium"
    assert "pytorch-inference-eia" in found["Create model"]["Arguments"]["PrimaryContainer"]["Image"]
    Annotations.from_stack(stack).has_warning(
        "/Stack/Pipeline", Match.string_like_regexp("ElasticInference.discontinued")
    )


def test_an_accelerator_beside_a_gpu_is_warned_about(stack: Stack, make_pipeline: MakePipeline) -> None:
    make_pipeline(
        training_version="1.5.0",
        framework_version="1.5.1",
        instance_type="ml.p3.2xlarge",
        accelerator_type="ml.eia2.medium",
        image=_any_image(stack),
    )
    Annotations.from_stack(stack).has_warning(
        "/Stack/Pipeline", Match.string_like_regexp("ElasticInference.instanceType")
    )


def test_the_endpoint_goes_with_its_stack(stack: Stack, make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    template = Template.from_stack(stack)
    ((claim, resource),) = template.find_resources("Custom::PyTorchEndpoint").items()
    properties = resource["Properties"]
    assert properties["EndpointName"] == pipeline.endpoint_name
    assert properties["NamePrefix"] == pipeline.version_prefix
    assert properties["RemovalPolicy"] == "Delete"
    ((_, machine),) = template.find_resources("AWS::StepFunctions::StateMachine").items()
    assert claim in machine["DependsOn"]
    # The endpoint goes before the role that it runs with.
    roles = template.find_resources("AWS::IAM::Role")
    assert any(name in roles and "ModelRole" in name for name in resource["DependsOn"])


@pytest.mark.parametrize("policy", [RemovalPolicy.RETAIN, RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE])
def test_the_endpoint_can_be_retained_with_what_it_needs(
    stack: Stack, make_pipeline: MakePipeline, policy: RemovalPolicy
) -> None:
    make_pipeline(removal_policy=policy)
    template = Template.from_stack(stack)
    template.has_resource_properties("Custom::PyTorchEndpoint", {"RemovalPolicy": "Retain"})
    for kind in ("AWS::IAM::Role", "AWS::IAM::Policy"):
        retained = [name for name, r in template.find_resources(kind).items() if "DeletionPolicy" in r]
        assert len(retained) == 1
        assert "ModelRole" in retained[0]


def test_a_renamed_construct_leaves_what_belongs_to_the_endpoint_as_it_is(
    stack: Stack, another_stack: Stack, inference_code: SourceCode
) -> None:
    def belongings(stack: Stack, scope: Construct, name: str) -> dict[str, Any]:
        job = PyTorchTrainingJob(stack, "Training", framework_version="2.13")
        pipeline = PyTorchPipeline(
            scope, name, training_job=job, source_code=inference_code, endpoint_name="digits"
        )
        assert pipeline.version_prefix == "digits"
        resources = Template.from_stack(stack).to_json()["Resources"]
        return {name: r for name, r in resources.items() if name.startswith("PyTorchEndpointdigits")}

    before = belongings(stack, stack, "Pipeline")
    after = belongings(another_stack, Construct(another_stack, "Moved"), "Renamed")
    assert before == after
    assert {resource["Type"] for resource in before.values()} == {
        "AWS::IAM::Role",
        "AWS::IAM::Policy",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "Custom::PyTorchEndpoint",
    }


def test_a_changed_removal_policy_changes_no_resource_but_policies(
    stack: Stack, another_stack: Stack, make_pipeline: MakePipeline, inference_code: SourceCode
) -> None:
    make_pipeline()
    job = PyTorchTrainingJob(another_stack, "Training", framework_version="2.13")
    PyTorchPipeline(
        another_stack,
        "Pipeline",
        training_job=job,
        source_code=inference_code,
        removal_policy=RemovalPolicy.RETAIN,
    )
    before, after = (Template.from_stack(s).to_json()["Resources"] for s in (stack, another_stack))
    assert before.keys() == after.keys()
    for name, resource in before.items():
        if resource["Type"] == "Custom::PyTorchEndpoint":
            resource["Properties"]["RemovalPolicy"] = "Retain"
        assert resource["Properties"] == after[name]["Properties"]


def test_names_of_versions_fit_the_longest_endpoint_name(make_pipeline: MakePipeline) -> None:
    prefix = make_pipeline(endpoint_name="a" * 63).version_prefix
    assert len(prefix) + len("-20260101000000-0a1b2c3d") == 63
    assert prefix != version_prefix("a" * 62)


def test_fails_when_two_constructs_have_one_endpoint(
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


def test_no_role_gets_more_than_its_own_names(stack: Stack, make_pipeline: MakePipeline) -> None:
    make_pipeline(sample_request=[[1]], instances=Instances(volume_key=kms.Key(stack, "Key")))
    template = Template.from_stack(stack).to_json()
    on_everything: set[str] = set()
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            actions = actions if isinstance(actions, list) else [actions]
            assert not any(action.endswith(":*") for action in actions)
            if statement["Resource"] == "*":
                on_everything |= set(actions)
    # None of these knows resources; PutMetricData is bounded by its namespace.
    assert on_everything == {
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListModels",
    }
    assert "arn:aws:iam::aws:policy/AmazonSageMaker" not in json.dumps(template)


def test_the_state_machine_may_change_its_endpoint_alone(
    make_pipeline: MakePipeline, statements: Statements
) -> None:
    pipeline = make_pipeline()
    for statement in statements("PipelineRole"):
        if "UpdateEndpoint" in str(statement["Action"]):
            text = str(statement["Resource"])
            assert f"endpoint/{pipeline.endpoint_name}" in text
            assert f"endpoint-config/{pipeline.version_prefix}-{'?' * 14}-{'?' * 8}" in text
            break
    else:
        pytest.fail("nothing allows UpdateEndpoint")


def test_grants(stack: Stack, make_pipeline: MakePipeline, statements: Statements) -> None:
    pipeline = make_pipeline()
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    pipeline.grant_invoke(caller)
    pipeline.grant_start(caller)
    invoke, start = statements("Caller")
    assert "sagemaker:InvokeEndpoint" in invoke["Action"]
    assert f"endpoint/{pipeline.endpoint_name}" in str(invoke["Resource"])
    assert start["Action"] == "states:StartExecution"


def test_metrics_are_the_endpoints(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    assert pipeline.metric("Invocations").dimensions == {
        "EndpointName": pipeline.endpoint_name,
        "VariantName": "AllTraffic",
    }


def test_fails_when_values_cannot_work_with_all_of_them(make_pipeline: MakePipeline) -> None:
    with pytest.raises(ConfigurationError) as raised:
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
        "retain_versions",
        "container.model_server_workers",
        "accelerator_type",
        "endpoint_name",
    ]


def _any_image(stack: Stack) -> PyTorchImage:
    repository = ecr.Repository.from_repository_name(stack, "Repository", "mine")
    return PyTorchImage.from_ecr_repository(repository, "v1")

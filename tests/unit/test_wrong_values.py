"""What the API would refuse, and what people bring from elsewhere, is refused at synth in words that help."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import CfnParameter, Duration, Fn, Size, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Annotations, Match, Template

from cdk_sagemaker_pytorch import (
    Checkpoints,
    Compute,
    ConfigurationError,
    Instances,
    ModelData,
    Networking,
    OutputData,
    PyTorchDeployment,
    PyTorchEndpoint,
    PyTorchModel,
    PyTorchPipeline,
    PyTorchTrainingJob,
    SampleRequest,
    ServingContainer,
    SourceCode,
    TrainingInput,
)

URI = "s3://my-bucket/train/"
NVME = "ml.g5.xlarge"


def job(stack: Stack, **options: Any) -> PyTorchTrainingJob:
    return PyTorchTrainingJob(stack, "Job", **{"framework_version": "2.13", **options})


def model(stack: Stack, **options: Any) -> PyTorchModel:
    data = ModelData.from_bucket(s3.Bucket.from_bucket_name(stack, "Models", "models"), "model.tar.gz")
    return PyTorchModel(stack, "Model", **{"model_data": data, "framework_version": "2.6", **options})


def endpoint(stack: Stack, **options: Any) -> PyTorchEndpoint:
    served = options.pop("model") if "model" in options else model(stack)
    return PyTorchEndpoint(stack, "Endpoint", model=served, **options)


def pipeline(stack: Stack, **options: Any) -> PyTorchPipeline:
    training_job = options.pop("training_job") if "training_job" in options else job(stack)
    return PyTorchPipeline(stack, "Pipeline", training_job=training_job, **options)


def deployment(stack: Stack, **options: Any) -> PyTorchDeployment:
    bucket = s3.Bucket.from_bucket_name(stack, "Models", "models")
    defaults = {"framework_version": "2.13", "model_data_bucket": bucket}
    return PyTorchDeployment(stack, "Deployment", **{**defaults, **options})


Make = Callable[..., Any]

# The API's limits: what it refuses, and the words that say so first.
OUT_OF_LIMITS: list[tuple[Make, dict[str, Any], str]] = [
    (
        job,
        {"hyperparameters": {f"p{n}": n for n in range(96)}},
        "hyperparameters must be at most 95, for the library adds 5 of its own, got 96",
    ),
    (
        job,
        {"hyperparameters": {f"p{n}": n for n in range(94)}, "torch_distributed": True},
        "hyperparameters must be at most 93, for the library adds 7 of its own, got 94",
    ),
    (
        job,
        {"hyperparameters": {"n" * 257: 1}},
        f"hyperparameter name '{'n' * 40}' must have at most 256 characters, got 257: '{'n' * 60}'…",
    ),
    (
        job,
        {"inputs": {f"c{n}": URI for n in range(21)}},
        "inputs must be at most 20 entries, got 21",
    ),
    (
        job,
        {"inputs": {"my data": URI}},
        "channel name 'my data' must be letters, digits, dots, dashes and underscores, got 'my data'",
    ),
    (
        job,
        {"inputs": {"c" * 65: URI}},
        f"channel name '{'c' * 40}' must have at most 64 characters, got 65: '{'c' * 65}'",
    ),
    (
        job,
        {"inputs": {"train": URI, "Train": URI}},
        "inputs must become different variables, got train and Train: SM_CHANNEL_TRAIN",
    ),
    (
        job,
        {"metric_definitions": {f"m{n}": "a=(.*)" for n in range(41)}},
        "metric_definitions must be at most 40 entries, got 41",
    ),
    (
        job,
        {"metric_definitions": {"m": "(" + "a" * 499 + ")"}},
        f"metric_definitions['m'] must have at most 500 characters, got 501: '({'a' * 59}'…",
    ),
    (
        job,
        {"metric_definitions": {"m": "loss=("}},
        (
            "metric_definitions['m'] must be a regular expression, got 'loss=(': missing ), unterminated"
            " subpattern at position 5"
        ),
    ),
    (
        job,
        {"metric_definitions": {"m": ""}},
        "metric_definitions['m'] must have at least 1 characters, got 0",
    ),
    (
        job,
        {"metric_definitions": {"m": "loss=.*"}},
        "metric_definitions['m'] must have a group that holds the value, such as ([0-9.]+), got 'loss=.*'",
    ),
    (job, {"metric_definitions": {"": "(.*)"}}, "name of a metric must have at least 1 characters, got 0"),
    (
        job,
        {"environment": {"1A": "x"}},
        "environment name '1A' must be letters, digits and underscores, with no digit in front, got '1A'",
    ),
    (
        job,
        {"environment": {"A": "x" * 513}},
        f"environment['A'] must have at most 512 characters, got 513: '{'x' * 60}'…",
    ),
    (
        job,
        {"environment": {f"A{n}": "x" for n in range(101)}},
        "environment must be at most 100 variables, got 101",
    ),
    (
        model,
        {"environment": {"A": "x" * 1025}},
        f"environment['A'] must have at most 1024 characters, got 1025: '{'x' * 60}'…",
    ),
    (
        model,
        {"environment": {f"A{n}": "x" for n in range(91)}},
        "environment must be at most 81 variables, for the library adds up to 19 of its own, got 91",
    ),
    (
        pipeline,
        {"environment": {"A B": "x"}},
        "environment name 'A B' must be letters, digits and underscores, with no digit in front, got 'A B'",
    ),
    (
        job,
        {"compute": Compute(keep_alive_period=Duration.hours(7))},
        "compute.keep_alive_period in seconds must be from 0 to 21600, got 25200",
    ),
    (
        job,
        {"compute": Compute(keep_alive_period=Duration.hours(1), use_spot_instances=True)},
        "compute.keep_alive_period cannot be given with use_spot_instances=True: spot instances do not wait",
    ),
    (
        job,
        {"compute": Compute(use_spot_instances=True, max_wait=Duration.hours(1))},
        "compute.max_wait must be at least max_run (86400 seconds), got 3600 seconds",
    ),
    (
        job,
        {"compute": Compute(maximum_retry_attempts=31)},
        "compute.maximum_retry_attempts must be from 1 to 30, got 31",
    ),
    (
        job,
        {"compute": Compute(volume_size=Size.mebibytes(1500))},
        "compute.volume_size must be whole GiB, got 1.46484",
    ),
    (job, {"max_run": Duration.millis(1500)}, "max_run must be whole seconds, got 1.5"),
    (job, {"max_run": Duration.seconds(0)}, "max_run in seconds must be from 1 to 2419200, got 0"),
    *(
        (
            job,
            {"output": OutputData(prefix=prefix)},
            (
                "output.prefix must be a key prefix without bucket and without slashes at its ends,"
                f" got {prefix!r}"
            ),
        )
        for prefix in ("s3://bucket/x", "x/", "/x", "")
    ),
    (
        job,
        {"checkpoints": "s3://bucket/x"},
        "prefix must be a key prefix without bucket and without slashes at its ends, got 's3://bucket/x'",
    ),
    (
        job,
        {"checkpoints": Checkpoints(prefix="x/")},
        "checkpoints.prefix must be a key prefix without bucket and without slashes at its ends, got 'x/'",
    ),
    (
        job,
        {"inputs": {"train": "s3://my-bucket"}, "instance_type": "m5.large"},
        "instance_type must be a SageMaker instance type such as ml.m5.large, got m5.large",
    ),
    (
        endpoint,
        {"instances": Instances(variant_name="My Variant")},
        (
            "instances.variant_name must be letters, digits and dashes, with no dash at its ends,"
            " got 'My Variant'"
        ),
    ),
    (
        pipeline,
        {"instances": Instances(variant_name="v" * 64)},
        f"instances.variant_name must have at most 63 characters, got 64: '{'v' * 64}'",
    ),
    (
        endpoint,
        {"endpoint_name": "My_Endpoint"},
        "endpoint_name must be letters, digits and dashes, with no dash at its ends, got 'My_Endpoint'",
    ),
    (
        pipeline,
        {"endpoint_name": "Digits"},
        "endpoint_name must be up to 63 lower-case letters, digits and dashes, got Digits",
    ),
    (
        deployment,
        {"sample_request": "x" * 100_000},
        "sample_request must be at most 100000 bytes, got 100002",
    ),
    (deployment, {"retain_versions": -1}, "retain_versions must be at least 0, got -1"),
    (deployment, {"timeout": Duration.seconds(59)}, "timeout in seconds must be from 60 to 86400, got 59"),
    (
        pipeline,
        {"instances": Instances(startup_timeout=Duration.seconds(5))},
        "instances.startup_timeout in seconds must be from 60 to 3600, got 5",
    ),
    (
        pipeline,
        {"instances": Instances(volume_size=Size.gibibytes(513))},
        "instances.volume_size in GiB must be from 1 to 512, got 513",
    ),
    (
        pipeline,
        {"container": ServingContainer(response_timeout=Duration.seconds(0))},
        "container.response_timeout in seconds must be at least 1, got 0",
    ),
    (
        job,
        {"inputs": {"code": URI}, "networking": Networking(enable_network_isolation=True)},
        (
            "inputs must have another name than code, the channel of the source code with"
            " networking.enable_network_isolation"
        ),
    ),
    (
        pipeline,
        {
            "framework_version": "1.1.0",
            "source_code": SourceCode.bundled_inference(),
            "networking": Networking(enable_network_isolation=True),
        },
        (
            "networking.enable_network_isolation needs framework_version 1.2 or newer, for the container of"
            " an older one gets its code from S3 by itself, got 1.1.0"
        ),
    ),
    (
        model,
        {"networking": Networking(encrypt_inter_container_traffic=True)},
        "networking.encrypt_inter_container_traffic has no meaning here: leave it out",
    ),
]

# What people bring from the SageMaker Python SDK and from NumPy, and cannot mean here.
WRONG_TYPES: list[tuple[Make, dict[str, Any], str]] = [
    (job, {"max_run": 3600}, "max_run must be a Duration, got 3600 (int): write Duration.seconds(3600)"),
    (
        job,
        {"compute": Compute(volume_size=30)},  # type: ignore[arg-type]
        "compute.volume_size must be a Size, got 30 (int): write Size.gibibytes(30)",
    ),
    (
        job,
        {"compute": Compute(max_wait="1h", use_spot_instances=True)},  # type: ignore[arg-type]
        "compute.max_wait must be a Duration, got '1h' (str): write Duration.seconds(...)",
    ),
    (
        job,
        {"compute": {"volume_size": 30}},
        "compute must be Compute, got {'volume_size': 30} (dict): write Compute(...)",
    ),
    (job, {"instance_count": "2"}, "instance_count must be a whole number, got '2' (str): write 2"),
    (job, {"instance_count": 1.5}, "instance_count must be a whole number, got 1.5 (float)"),
    (job, {"instance_count": True}, "instance_count must be a whole number, got True (bool)"),
    (job, {"instance_type": None}, "instance_type must be text such as ml.m5.large, got None (NoneType)"),
    (
        job,
        {"inputs": URI},
        (
            "inputs must be a dictionary from channel name to TrainingInput or S3 URI,"
            " got 's3://my-bucket/train/' (str): write {\"training\": ...}"
        ),
    ),
    (
        job,
        {"inputs": {"train": "data/train"}},
        (
            "inputs['train'] must be a TrainingInput or an S3 URI such as s3://bucket/train/,"
            " got 'data/train' (str)"
        ),
    ),
    (
        job,
        {"source_code": "train.py"},
        "source_code must be a SourceCode such as SourceCode.from_file(path), got 'train.py' (str)",
    ),
    (
        job,
        {"role": "arn:aws:iam::123456789012:role/x"},
        (
            "role must be an iam.IRole such as iam.Role.from_role_arn(scope, id, arn),"
            " got 'arn:aws:iam::123456789012:role/x' (str)"
        ),
    ),
    (
        job,
        {"output": "s3://bucket/x"},
        (
            "bucket must be an s3.IBucket such as s3.Bucket.from_bucket_name(scope, id, name),"
            " got 's3://bucket/x' (str)"
        ),
    ),
    (
        job,
        {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:v1"},
        (
            "image must be a PyTorchImage such as PyTorchImage.from_ecr_repository(repository, tag),"
            " got '123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:v1' (str)"
        ),
    ),
    (
        job,
        {"compute": Compute(volume_key="alias/mine")},  # type: ignore[arg-type]
        (
            "compute.volume_key must be a kms.IKey such as kms.Key.from_key_arn(scope, id, arn),"
            " got 'alias/mine' (str)"
        ),
    ),
    (job, {"environment": {"A": 1}}, "environment['A'] must be text, got 1 (int): write '1'"),
    (
        pipeline,
        {"environment": {"OMP_NUM_THREADS": 1}},
        "environment['OMP_NUM_THREADS'] must be text, got 1 (int): write '1'",
    ),
    (
        job,
        {"environment": ["A=1"]},
        "environment must be a dictionary from name to text, got ['A=1'] (list)",
    ),
    (
        job,
        {"hyperparameters": ["--epochs", "3"]},
        "hyperparameters must be a dictionary from name to value, got ['--epochs', '3'] (list)",
    ),
    (
        job,
        {"hyperparameters": {1: 2}},
        "hyperparameters must have names that are text, got 1 (int)",
    ),
    (
        job,
        {"hyperparameters": {"classes": {1: "a"}}},
        "hyperparameters['classes'] must have keys that are text, got 1 (int)",
    ),
    (
        job,
        {"hyperparameters": {"layers": {1, 2}}},
        (
            "hyperparameters['layers'] must be text, a number, True, False, None, a list or a dictionary,"
            " got {1, 2} (set)"
        ),
    ),
    (
        job,
        {"hyperparameters": {"lr": float("nan")}},
        "hyperparameters['lr'] must be a finite number, for JSON has no nan",
    ),
    (
        job,
        {"metric_definitions": [{"name": "loss", "regex": "loss=(.*)"}]},
        (
            "metric_definitions must be a dictionary from name to regular expression, or a list of"
            " {\"Name\": ..., \"Regex\": ...}, got {'name': 'loss', 'regex': 'loss=(.*)'} (dict)"
        ),
    ),
    (
        job,
        {"metric_definitions": {"loss": None}},
        "metric_definitions['loss'] must be a regular expression, got None (NoneType)",
    ),
    (job, {"torch_distributed": "yes"}, "torch_distributed must be True or False, got 'yes' (str)"),
    (
        pipeline,
        {"sample_request": [[float("nan")]]},
        "sample_request must be a finite number, for JSON has no nan",
    ),
    (
        pipeline,
        {"sample_request": {1, 2}},
        (
            "sample_request must be text, a number, True, False, None, a list or a dictionary,"
            " got {1, 2} (set)"
        ),
    ),
    (
        deployment,
        {"sample_request": SampleRequest(body=[[1, 2]], content_type="text/csv")},
        "sample_request must be text or bytes for text/csv, got [[1, 2]] (list)",
    ),
    (
        deployment,
        {"timeout": 3600},
        "timeout must be a Duration, got 3600 (int): write Duration.seconds(3600)",
    ),
    (
        deployment,
        {"removal_policy": "RETAIN"},
        "removal_policy must be a RemovalPolicy such as RemovalPolicy.RETAIN, got 'RETAIN' (str)",
    ),
    (
        deployment,
        {"model_data_bucket": URI},
        (
            "model_data_bucket must be an s3.IBucket such as s3.Bucket.from_bucket_name(scope, id, name),"
            " got 's3://my-bucket/train/' (str)"
        ),
    ),
    (deployment, {"training_job": "job-1"}, "training_job must be a PyTorchTrainingJob, got 'job-1' (str)"),
    (pipeline, {"retain_versions": "1"}, "retain_versions must be a whole number, got '1' (str): write 1"),
    (pipeline, {"training_job": "job-1"}, "training_job must be a PyTorchTrainingJob, got 'job-1' (str)"),
    (endpoint, {"model": "model-1"}, "model must be a PyTorchModel, got 'model-1' (str)"),
    (model, {"model_data": URI}, "model_data must be a ModelData, got 's3://my-bucket/train/' (str)"),
    (
        pipeline,
        {"packager": "mine"},
        "packager must be a ModelPackager, or \"own\" for a new one, got 'mine' (str)",
    ),
]


@pytest.mark.parametrize(("make", "options", "problem"), OUT_OF_LIMITS + WRONG_TYPES)
def test_fails_with_words_that_help(stack: Stack, make: Make, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make(stack, **options)
    assert list(raised.value.problems) == [problem]


@pytest.mark.parametrize("make", [job, endpoint, deployment, pipeline])
def test_fails_when_hardware_encrypts_the_storage_already(stack: Stack, make: Make) -> None:
    key = kms.Key(stack, "Key")
    options: dict[str, Any] = {"instances": Instances(volume_key=key)}
    if make is job:
        options = {"compute": Compute(volume_key=key)}
    if make is endpoint:
        options["model"] = PyTorchModel(
            stack,
            "Gpu",
            model_data=ModelData.from_bucket(s3.Bucket.from_bucket_name(stack, "B", "gpu"), "model.tar.gz"),
            framework_version="2.6",
            instance_type=NVME,
        )
    with pytest.raises(ConfigurationError, match=r"volume_key cannot be given for ml\.g5\.xlarge"):
        make(stack, instance_type=NVME, **options)


def test_an_instance_type_that_is_not_known_is_only_warned_of(stack: Stack) -> None:
    job(stack, instance_type="ml.m99.xlarge")
    Annotations.from_stack(stack).has_warning(
        "/Stack/Job", Match.string_like_regexp("instance_type ml.m99.xlarge.*unknownInstanceType")
    )


class _NumberOfNumpy:
    """What a number of NumPy offers of itself."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __index__(self) -> int:
        return int(self.value)

    def tolist(self) -> float:
        return self.value


def test_what_has_a_plain_meaning_works(
    stack: Stack, run: Callable[[Any], Any], states: Callable[[], dict[str, Any]]
) -> None:
    run(
        job(
            stack,
            instance_count=_NumberOfNumpy(2),
            inputs={"train": URI, "all": "s3://my-bucket"},
            hyperparameters={"lr": _NumberOfNumpy(0.5), "out": Path("a/b"), "sizes": (1, [2])},
            metric_definitions=[{"Name": "loss", "Regex": "loss=(.*)"}],
        )
    )
    arguments = states()["Train"]["Arguments"]
    assert arguments["ResourceConfig"]["InstanceCount"] == 2
    assert '"S3Uri": "s3://my-bucket/train/"' in arguments["InputDataConfig"]
    assert '"S3Uri": "s3://my-bucket"' in arguments["InputDataConfig"]
    assert r'{"lr": "0.5", "out": "\"a/b\"", "sizes": "[1, [2]]"}' in arguments["HyperParameters"]
    assert arguments["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "loss", "Regex": "loss=(.*)"}
    ]


def test_a_job_may_read_the_inputs_that_are_uris(
    stack: Stack, statements: Callable[[str], list[dict[str, Any]]]
) -> None:
    job(stack, inputs={"train": URI})
    assert ":s3:::my-bucket/train/*" in str(statements("JobRole"))


def test_tokens_reach_the_template(
    stack: Stack, run: Callable[[Any], Any], as_text: Callable[[Any], str]
) -> None:
    number = CfnParameter(stack, "Number", type="Number").value_as_number
    text = CfnParameter(stack, "Text").value_as_string
    run(
        job(
            stack,
            instance_count=number,
            max_run=Duration.seconds(number),
            compute=Compute(volume_size=Size.gibibytes(number)),
            hyperparameters={"epochs": number, "name": text, "all": [number, {"of": text}]},
            environment={"A": text},
        )
    )
    ((_, machine),) = Template.from_stack(stack).find_resources("AWS::StepFunctions::StateMachine").items()
    definition = as_text(machine["Properties"]["DefinitionString"]).replace("${Number}", "7")
    arguments = json.loads(definition)["States"]["Train"]["Arguments"]
    assert arguments["ResourceConfig"]["InstanceCount"] == 7
    assert arguments["ResourceConfig"]["VolumeSizeInGB"] == 7
    assert arguments["StoppingCondition"]["MaxRuntimeInSeconds"] == 7
    assert arguments["Environment"] == {"A": "${Text}"}
    expected = r'{"epochs": "7", "name": "\"${Text}\"", "all": "[7, {\"of\": \"${Text}\"}]"}'
    assert expected in arguments["HyperParameters"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            lambda number, text: {"max_run": Duration.minutes(number)},
            "max_run must be given in seconds where it is a token, got minutes: write Duration.seconds(...)",
        ),
        (
            lambda number, text: {
                "max_run": Duration.seconds(number),
                "compute": Compute(use_spot_instances=True),
            },
            "compute.max_wait must be given where max_run is a token, to which nothing can be added",
        ),
        (
            lambda number, text: {"compute": Compute(volume_size=Size.mebibytes(number))},
            "compute.volume_size must be given in GiB where it is a token: write Size.gibibytes(...)",
        ),
        (
            lambda number, text: {"instance_count": text},
            "instance_count must be a number, got a text token: write Token.as_number(...)",
        ),
        (
            lambda number, text: {"inputs": {"train": text}},
            (
                "inputs['train'] must name its bucket where it is a token, so that the job may read it:"
                " write TrainingInput.from_bucket(bucket, prefix)"
            ),
        ),
        (
            lambda number, text: {"hyperparameters": {"all": Fn.split(",", text)}},
            (
                "hyperparameters['all'] must be a token of text or a number, got one of a list:"
                " write Fn.join(...)"
            ),
        ),
    ],
)
def test_fails_when_a_token_would_lose_its_meaning(
    stack: Stack, options: Callable[[float, str], dict[str, Any]], problem: str
) -> None:
    number = CfnParameter(stack, "Number", type="Number").value_as_number
    text = CfnParameter(stack, "Text").value_as_string
    with pytest.raises(ConfigurationError) as raised:
        job(stack, **options(number, text))
    assert list(raised.value.problems) == [problem]


TEMPLATE = "{% if x %}a{% endif %}"


def test_text_that_looks_like_jsonata_is_never_evaluated(
    stack: Stack, states: Callable[..., dict[str, Any]]
) -> None:
    training = job(
        stack,
        environment={"PROMPT": TEMPLATE},
        metric_definitions={"m": "{% (.*) %}"},
        inputs={
            "t": TrainingInput.from_bucket(
                s3.Bucket.from_bucket_name(stack, "B", "bucket"), content_type=TEMPLATE
            )
        },
    )
    pipeline(
        stack, training_job=training, environment={"PROMPT": TEMPLATE}, sample_request=[{"text": TEMPLATE}]
    )
    literal = '{% "{% if x %}a{% endif %}" %}'
    train = states("Pipeline")["Train"]["Arguments"]
    assert train["Environment"] == {"PROMPT": literal}
    assert train["AlgorithmSpecification"]["MetricDefinitions"][0]["Regex"] == '{% "{% (.*) %}" %}'
    assert '"ContentType": "{% if x %}a{% endif %}"' in train["InputDataConfig"]
    found = states("PyTorchEndpoint")
    requests = found["Bring into service"]["Arguments"]["Payload"]["requests"]
    assert requests["CreateModel"]["PrimaryContainer"]["Environment"]["PROMPT"] == literal
    sample = found["Send sample request"]["Arguments"]["Payload"]["sample"]
    assert json.loads(base64.b64decode(sample["body"])) == [{"text": TEMPLATE}]

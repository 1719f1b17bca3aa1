"""The states that package a model: by the function, or by a processing job where it is too large for that."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_sagemaker_pytorch.common.api_request import request
from cdk_sagemaker_pytorch.states import jsonata
from cdk_sagemaker_pytorch.states.fragment import Fragment
from cdk_sagemaker_pytorch.states.job_state import job_statements
from cdk_sagemaker_pytorch.states.task_state import TaskState, integration_arn

from .settings import Processing

__all__ = ["PackagingJob", "PackagingStates"]

_CODE_FOLDER = "/opt/ml/processing/input/packager"
_MESSAGE = "/opt/ml/output/message"
# Its zip file is unpacked because compiled modules cannot be imported from one.
_SCRIPT = (
    f'd="$(mktemp -d)" && python3 -m zipfile -e {_CODE_FOLDER}/*.zip "$d" && cd "$d"'
    f' && exec python3 -m packager --message {_MESSAGE} -- "$@"'
)
# The API takes arguments of up to 256 characters, an event may have more.
_ARGUMENT_CHARACTERS = 250
# What the function answers, and what the job leaves.
_ANSWER, _EXIT_MESSAGE = "$states.result.Payload", "$states.result.ExitMessage"


class PackagingJob:
    """What a processing job needs to run the packager.

    Parameters
    ----------
    image_uri : str
        Image with Python and boto3.
    code_uri : str
        S3 URI of the packager's code, a zip file.
    role : iam.IRole
        Role of the job: the packager's own.
    processing : Processing
        Its instance type, and when it is stopped.
    network : Mapping of str to Any
        ``NetworkConfig`` of the API; empty for SageMaker's network.
    """

    def __init__(
        self,
        *,
        image_uri: str,
        code_uri: str,
        role: iam.IRole,
        processing: Processing,
        network: Mapping[str, Any],
    ) -> None:
        self.role = role
        own: dict[str, Any] = {
            "AppSpecification": {
                "ImageUri": image_uri,
                "ContainerEntrypoint": ["bash", "-c", _SCRIPT, "packager"],
            },
            "ProcessingInputs": [
                {
                    "InputName": "packager",
                    "S3Input": {
                        "S3Uri": code_uri,
                        "LocalPath": _CODE_FOLDER,
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "RoleArn": role.role_arn,
            "ProcessingResources.ClusterConfig.InstanceCount": 1,
            "ProcessingResources.ClusterConfig.VolumeSizeInGB": 10,  # packaging takes no disk
            "StoppingCondition.MaxRuntimeInSeconds": 24 * 3600,
        }
        self._request = request(
            own, processing.members(), {"NetworkConfig": dict(network)} if network else {}
        )

    def render(self, *, name: str, event: str, region: str) -> dict[str, Any]:
        """Render the arguments of ``CreateProcessingJob``.

        Parameters
        ----------
        name : str
            JSONata expression of the job's name.
        event : str
            JSONata expression of the packager's event.
        region : str
            The region.
        """
        pieces = (
            f"($event := $string({event});"
            f" [[0..$floor(($length($event) - 1) / {_ARGUMENT_CHARACTERS})]"
            f".$substring($event, $ * {_ARGUMENT_CHARACTERS}, {_ARGUMENT_CHARACTERS})])"
        )
        return {
            **self._request,
            "ProcessingJobName": jsonata.evaluate(name),
            "AppSpecification": {
                **self._request["AppSpecification"],
                "ContainerArguments": jsonata.evaluate(pieces),
            },
            "Environment": {"AWS_DEFAULT_REGION": region},
        }


class PackagingStates(Fragment):
    """Packages a model by the function, or by a processing job if it is larger than the function can take.

    The model's size in S3 decides. A function that runs out of time all the same is followed by a processing
    job too.

    The states set ``$packaged`` to ``{"model_data_url", "submit_directory", "model_data_etag"}``; the entity
    tag is that of the model in S3, null for a prefix of files. After a failure the state `failed` has the
    output ``{"Error", "Cause"}``, and goes on to what the user of the states gives it as the next.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    function_arn : str
        The packaging function.
    function_limit : Size
        Largest model, as it lies in S3, that the function gets.
    job : PackagingJob
        Takes larger ones.
    job_name : str
        JSONata expression of the processing job's name.
    job_name_prefix : str
        What that begins with, for the permission.
    event : Mapping of str to str
        The packager's event: texts, or JSONata made by `jsonata.evaluate` that reads variables only.
    model_arns : sequence of str or None
        ARN patterns of the models that the state machine may ask S3 for the size of; None where they have
        none, for they are uncompressed.
    submit_directory : str
        JSONata expression of where the code lies after packaging.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function_arn: str,
        function_limit: Size,
        job: PackagingJob,
        job_name: str,
        job_name_prefix: str,
        event: Mapping[str, str],
        model_arns: Sequence[str] | None,
        submit_directory: str,
    ) -> None:
        super().__init__(scope, construct_id)
        package = TaskState(
            self,
            "Package model",
            resource=integration_arn(self, "lambda:invoke"),
            arguments={"FunctionName": function_arn, "Payload": dict(event)},
            assign={
                "packaged": {
                    "model_data_url": jsonata.evaluate(f"{_ANSWER}.model_data_url"),
                    "submit_directory": jsonata.evaluate(f"{_ANSWER}.submit_directory"),
                    "model_data_etag": jsonata.evaluate(
                        f"$exists({_ANSWER}.model_data_etag) ? {_ANSWER}.model_data_etag : null"
                    ),
                },
            },
            output={},
            statements=[iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function_arn])],
        )
        large = TaskState(
            self,
            "Package large model",
            resource=integration_arn(self, "sagemaker:createProcessingJob.sync"),
            arguments=job.render(
                name=job_name, event=jsonata.json_object(event), region=Stack.of(self).region
            ),
            assign={
                "packaged": {
                    "model_data_url": event["output"],
                    "submit_directory": jsonata.evaluate(submit_directory),
                    "model_data_etag": jsonata.evaluate(
                        f"$exists({_EXIT_MESSAGE}) ? $parse({_EXIT_MESSAGE}).model_data_etag : null"
                    ),
                },
            },
            output={},
            statements=job_statements(self, kind="Processing", name_prefix=job_name_prefix, role=job.role),
        )
        self.failed = self._failed()
        large.add_catch(self.failed, errors=["States.ALL"])
        package.add_catch(large, errors=["DeadlineError"])
        package.add_catch(self.failed, errors=["States.ALL"])
        self._start = package
        if model_arns is not None:
            self._start = self._size_states(event["model_data"], model_arns, function_limit, package, large)
        self._ends = [package, large]

    def _failed(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            "Packaging failed",
            outputs=jsonata.evaluate(
                "$contains($states.input.Cause, '\"ProcessingJobStatus\"')"
                " ? ($job := $parse($states.input.Cause); {'Error': 'PackagingJobFailed', 'Cause':"
                " ($exists($job.ExitMessage) ? $job.ExitMessage : $job.FailureReason)"
                " & '; logs: /aws/sagemaker/ProcessingJobs, stream ' & $job.ProcessingJobName})"
                " : $states.input"
            ),
        )

    def _size_states(
        self,
        model_data: str,
        model_arns: Sequence[str],
        function_limit: Size,
        package: sfn.State,
        large: sfn.State,
    ) -> sfn.State:
        path = f"$substringAfter({jsonata.expression(model_data)}, 's3://')"
        size = TaskState(
            self,
            "Ask for model size",
            resource=integration_arn(self, "aws-sdk:s3:headObject"),
            arguments={
                "Bucket": jsonata.evaluate(f"$substringBefore({path}, '/')"),
                "Key": jsonata.evaluate(f"$substringAfter({path}, '/')"),
            },
            output={"bytes": jsonata.evaluate("$states.result.ContentLength")},
            statements=[iam.PolicyStatement(actions=["s3:GetObject"], resources=list(model_arns))],
        )
        # The packager says better than S3 what is wrong with a model that cannot be read.
        size.add_catch(package, errors=["States.ALL"])
        size.next(
            sfn.Choice.jsonata(self, "Too large for the function?")
            .when(sfn.Condition.jsonata(f"{{% $states.input.bytes > {function_limit.to_bytes()} %}}"), large)
            .otherwise(package)
        )
        return size

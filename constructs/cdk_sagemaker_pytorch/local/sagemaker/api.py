"""The SageMaker API of the local AWS: jobs really train and endpoints really answer.

Operations on training and processing jobs, models, endpoint configurations, endpoints and tags are answered
here; all others are moto's.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import moto.sagemaker.urls
from botocore.validate import ParamValidator
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import get_service_model
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from cdk_sagemaker_pytorch.local.base.constraints import constraint_problems, validation_message
from cdk_sagemaker_pytorch.local.base.moto_parts import replace
from cdk_sagemaker_pytorch.local.base.sagemaker_records import (
    Record,
    ResourceInUseError,
    ResourceNotFoundError,
    ValidationError,
    sagemaker_arn,
)
from cdk_sagemaker_pytorch.local.base.server_state import settings
from cdk_sagemaker_pytorch.local.iam.access import RoleError, role_credentials
from cdk_sagemaker_pytorch.local.serving.deployment import Deployment
from cdk_sagemaker_pytorch.local.serving.endpoints import Endpoint
from cdk_sagemaker_pytorch.local.serving.request_rules import (
    check_endpoint_config_request,
    check_model_request,
)
from cdk_sagemaker_pytorch.local.training.attempts import Interruption, is_spot
from cdk_sagemaker_pytorch.local.training.jobs import TrainingJob
from cdk_sagemaker_pytorch.local.training.processing_jobs import ProcessingJob
from cdk_sagemaker_pytorch.local.training.warm_pools import reuse_warm_pool

from .quotas import check_quotas, job_instances, variant_instances

_PAGE_SIZE = 100


def install() -> None:
    """Let moto's SageMaker answer with this module."""
    replace(moto.sagemaker.urls, "url_paths", {"{0}/$": LocalSageMakerResponse.dispatch})


def interrupt_training_job(name: str, interruption: Interruption) -> None:
    """Take the spot instances of a training job away.

    Raises
    ------
    ValidationError
        If there is no such job, or it cannot be interrupted now.
    """
    job = sagemaker_backends[settings().account][settings().region].training_jobs.get(name)
    if job is None:
        raise ValidationError(f"There is no training job {name}.")
    cast("TrainingJob", job).interrupt(interruption)


class LocalSageMakerResponse(SageMakerResponse):
    """Answers one request; each method is the operation of that name."""

    def create_training_job(self) -> ActionResult:
        """Answer CreateTrainingJob."""
        request = self._request()
        name = request["TrainingJobName"]
        if name in self._training_jobs:
            raise ResourceInUseError(
                "Training job names must be unique within an AWS account and region, but a training job "
                f"with the name {name!r} already exists ({self._training_jobs[name].arn})"
            )
        _check_role(request["RoleArn"])
        job = TrainingJob(request)
        spot = is_spot(request)
        same = [other.request for other in _running(self._training_jobs) if is_spot(other.request) == spot]
        check_quotas(
            "spot training job" if spot else "training job",
            job_instances(request["ResourceConfig"]),
            [job_instances(other["ResourceConfig"]) for other in same],
        )
        others = [other.warm_pool for other in self._training_jobs.values()]
        reuse_warm_pool(name, job.warm_pool, others)
        self._training_jobs[name] = job
        job.start()
        return ActionResult({"TrainingJobArn": job.arn})

    def describe_training_job(self) -> ActionResult:
        """Answer DescribeTrainingJob."""
        return ActionResult(self._training_job().describe())

    def update_training_job(self) -> ActionResult:
        """Answer UpdateTrainingJob: how long the instances are kept, and nothing else."""
        job, request = self._training_job(), self._request()
        if others := sorted(request.keys() - {"TrainingJobName", "ResourceConfig"}):
            raise ValidationError(f"The local AWS updates ResourceConfig alone, got {', '.join(others)}")
        if "ResourceConfig" in request:
            job.update(request["ResourceConfig"])
        return ActionResult({"TrainingJobArn": job.arn})

    def stop_training_job(self) -> ActionResult:
        """Answer StopTrainingJob."""
        self._training_job().stop()
        return EmptyResult()

    def list_training_jobs(self) -> ActionResult:
        """Answer ListTrainingJobs."""
        status = self._get_param("StatusEquals")
        summaries = [job.summary() for job in list(self._training_jobs.values())]
        summaries = [item for item in summaries if status in (None, item["TrainingJobStatus"])]
        return self._page(summaries, "TrainingJob", "TrainingJobSummaries")

    def create_processing_job(self) -> ActionResult:
        """Answer CreateProcessingJob."""
        request = self._request()
        name = request["ProcessingJobName"]
        if name in self._processing_jobs:
            raise ResourceInUseError(
                "Processing job names must be unique within an AWS account and region, but a processing job "
                f"with the name {name!r} already exists ({self._processing_jobs[name].arn})"
            )
        _check_role(request["RoleArn"])
        job = ProcessingJob(request)
        check_quotas(
            "processing job",
            job_instances(request["ProcessingResources"]["ClusterConfig"]),
            [
                job_instances(other.request["ProcessingResources"]["ClusterConfig"])
                for other in _running(self._processing_jobs)
            ],
        )
        self._processing_jobs[name] = job
        job.start()
        return ActionResult({"ProcessingJobArn": job.arn})

    def describe_processing_job(self) -> ActionResult:
        """Answer DescribeProcessingJob."""
        return ActionResult(self._processing_job().describe())

    def stop_processing_job(self) -> ActionResult:
        """Answer StopProcessingJob."""
        self._processing_job().stop()
        return EmptyResult()

    def list_processing_jobs(self) -> ActionResult:
        """Answer ListProcessingJobs."""
        status = self._get_param("StatusEquals")
        summaries = [job.summary() for job in list(self._processing_jobs.values())]
        summaries = [item for item in summaries if status in (None, item["ProcessingJobStatus"])]
        return self._page(summaries, "ProcessingJob", "ProcessingJobSummaries")

    def create_model(self) -> ActionResult:
        """Answer CreateModel."""
        request = self._request()
        check_model_request(request)
        _check_role(request["ExecutionRoleArn"])
        record = self._create_record("model", "ModelName", request, self._models)
        return ActionResult({"ModelArn": record.arn})

    def describe_model(self) -> ActionResult:
        """Answer DescribeModel."""
        record = self._find(self._models, "ModelName", "model")
        return ActionResult(
            {"EnableNetworkIsolation": False}
            | record.request
            | {"ModelArn": record.arn, "CreationTime": record.creation_time}
        )

    def delete_model(self) -> ActionResult:
        """Answer DeleteModel."""
        del self._models[self._find(self._models, "ModelName", "model").name]
        return EmptyResult()

    def list_models(self) -> ActionResult:
        """Answer ListModels."""
        return self._page(_summaries(self._models.values(), "Model"), "Model", "Models")

    def create_endpoint_config(self) -> ActionResult:
        """Answer CreateEndpointConfig."""
        request = self._request()
        check_endpoint_config_request(request)
        for variant in request["ProductionVariants"]:
            self._find_model(variant["ModelName"])
        record = self._create_record("endpoint-config", "EndpointConfigName", request, self._endpoint_configs)
        return ActionResult({"EndpointConfigArn": record.arn})

    def describe_endpoint_config(self) -> ActionResult:
        """Answer DescribeEndpointConfig."""
        record = self._endpoint_config()
        return ActionResult(
            record.request | {"EndpointConfigArn": record.arn, "CreationTime": record.creation_time}
        )

    def delete_endpoint_config(self) -> ActionResult:
        """Answer DeleteEndpointConfig."""
        del self._endpoint_configs[self._endpoint_config().name]
        return EmptyResult()

    def list_endpoint_configs(self) -> ActionResult:
        """Answer ListEndpointConfigs."""
        summaries = _summaries(self._endpoint_configs.values(), "EndpointConfig")
        return self._page(summaries, "EndpointConfig", "EndpointConfigs")

    def create_endpoint(self) -> ActionResult:
        """Answer CreateEndpoint."""
        request = self._request()
        name = request["EndpointName"]
        if name in self._endpoints:
            raise ValidationError(f'Cannot create already existing endpoint "{self._endpoints[name].arn}".')
        config = self._endpoint_config()
        self._check_endpoint_quotas(config)
        endpoint = self._endpoints[name] = Endpoint(name, request.get("Tags") or [])
        endpoint.create(Deployment(name, config, self._find_model))
        return ActionResult({"EndpointArn": endpoint.arn})

    def update_endpoint(self) -> ActionResult:
        """Answer UpdateEndpoint."""
        endpoint, request = self._endpoint(), self._request()
        retains = request.get("RetainAllVariantProperties", False)
        config = self._endpoint_config()
        self._check_endpoint_quotas(config)
        excluded = {
            item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])
        }
        endpoint.update(
            Deployment(endpoint.name, config, self._find_model),
            retain_weights=retains and "DesiredWeight" not in excluded,
            retain_counts=retains and "DesiredInstanceCount" not in excluded,
        )
        return ActionResult({"EndpointArn": endpoint.arn})

    def update_endpoint_weights_and_capacities(self) -> ActionResult:
        """Answer UpdateEndpointWeightsAndCapacities."""
        endpoint = self._endpoint()
        endpoint.change(self._request()["DesiredWeightsAndCapacities"])
        return ActionResult({"EndpointArn": endpoint.arn})

    def describe_endpoint(self) -> ActionResult:
        """Answer DescribeEndpoint."""
        return ActionResult(self._endpoint().describe())

    def delete_endpoint(self) -> ActionResult:
        """Answer DeleteEndpoint."""
        endpoint = self._endpoint()
        endpoints = self._endpoints
        endpoint.delete(on_deleted=lambda: endpoints.pop(endpoint.name, None))
        return EmptyResult()

    def list_endpoints(self) -> ActionResult:
        """Answer ListEndpoints."""
        status = self._get_param("StatusEquals")
        summaries = [endpoint.summary() for endpoint in list(self._endpoints.values())]
        summaries = [item for item in summaries if status in (None, item["EndpointStatus"])]
        return self._page(summaries, "Endpoint", "Endpoints")

    def add_tags(self) -> ActionResult:
        """Answer AddTags."""
        resource = self._tagged_resource()
        tags = {tag["Key"]: tag["Value"] for tag in [*resource.tags, *self._get_param("Tags")]}
        resource.tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        return ActionResult({"Tags": resource.tags})

    def list_tags(self) -> ActionResult:
        """Answer ListTags."""
        return ActionResult({"Tags": self._tagged_resource().tags})

    def delete_tags(self) -> ActionResult:
        """Answer DeleteTags."""
        resource = self._tagged_resource()
        resource.tags = [tag for tag in resource.tags if tag["Key"] not in self._get_param("TagKeys")]
        return EmptyResult()

    # moto's own dictionaries hold the records, so that its other services find what they need of them.

    @property
    def _training_jobs(self) -> dict[str, TrainingJob]:
        return cast("dict[str, TrainingJob]", self.sagemaker_backend.training_jobs)

    @property
    def _processing_jobs(self) -> dict[str, ProcessingJob]:
        return cast("dict[str, ProcessingJob]", self.sagemaker_backend.processing_jobs)

    @property
    def _models(self) -> dict[str, Record]:
        return cast("dict[str, Record]", self.sagemaker_backend._models)

    @property
    def _endpoint_configs(self) -> dict[str, Record]:
        return cast("dict[str, Record]", self.sagemaker_backend.endpoint_configs)

    @property
    def _endpoints(self) -> dict[str, Endpoint]:
        return cast("dict[str, Endpoint]", self.sagemaker_backend.endpoints)

    def _request(self) -> dict[str, Any]:
        """Return the parameters, checked against the API's model, as SageMaker does."""
        operation = get_service_model("sagemaker").operation_model(self._get_action())
        request = {name: value for name, value in self.params.items() if value is not None}
        report = ParamValidator().validate(request, operation.input_shape)
        if report.has_errors():
            raise ValidationError(report.generate_report())
        if problems := list(constraint_problems(operation.input_shape, request)):
            raise ValidationError(validation_message(problems))
        return request

    def _check_endpoint_quotas(self, config: Record) -> None:
        check_quotas(
            "endpoint",
            variant_instances(config.request["ProductionVariants"]),
            [endpoint.instances() for endpoint in list(self._endpoints.values())],
        )

    def _training_job(self) -> TrainingJob:
        name = self._get_param("TrainingJobName")
        if name not in self._training_jobs:
            raise ResourceNotFoundError("Requested resource not found.")
        return self._training_jobs[name]

    def _processing_job(self) -> ProcessingJob:
        name = self._get_param("ProcessingJobName")
        if name not in self._processing_jobs:
            raise ResourceNotFoundError("Requested resource not found.")
        return self._processing_jobs[name]

    def _endpoint_config(self) -> Record:
        return self._find(
            self._endpoint_configs, "EndpointConfigName", "endpoint-config", "endpoint configuration"
        )

    def _endpoint(self) -> Endpoint:
        name = self._get_param("EndpointName")
        if name not in self._endpoints:
            raise ValidationError(f'Could not find endpoint "{sagemaker_arn("endpoint", name)}".')
        return self._endpoints[name]

    def _find_model(self, name: str) -> Record:
        if name not in self._models:
            raise ValidationError(f'Could not find model "{sagemaker_arn("model", name)}".')
        return self._models[name]

    def _find(
        self, records: dict[str, Record], parameter: str, kind: str, words: str | None = None
    ) -> Record:
        name = self._get_param(parameter)
        if name not in records:
            raise ValidationError(f'Could not find {words or kind} "{sagemaker_arn(kind, name)}".')
        return records[name]

    def _create_record(
        self, kind: str, parameter: str, request: dict[str, Any], records: dict[str, Record]
    ) -> Record:
        name = request[parameter]
        if name in records:
            raise ValidationError(
                f'Cannot create already existing {kind.replace("-", " ")} "{records[name].arn}".'
            )
        tags = request.pop("Tags", [])
        record = records[name] = Record(kind, name, request, tags)
        return record

    def _tagged_resource(self) -> Any:
        arn = self._get_param("ResourceArn")
        kind, _, name = arn.split(":")[-1].partition("/")
        records: dict[str, dict[str, Any]] = {
            "training-job": self._training_jobs,
            "processing-job": self._processing_jobs,
            "model": self._models,
            "endpoint-config": self._endpoint_configs,
            "endpoint": self._endpoints,
        }
        if name not in records.get(kind, {}):
            raise ValidationError(f"Could not find resource {arn}")
        return records[kind][name]

    def _page(self, summaries: list[dict[str, Any]], kind: str, key: str) -> ActionResult:
        """Return a page of a list: filtered by NameContains and sorted, newest first unless asked."""
        part = self._get_param("NameContains")
        name_of: Callable[[dict[str, Any]], str] = lambda item: item[f"{kind}Name"]  # noqa: E731
        selected = [item for item in summaries if part is None or part.lower() in name_of(item).lower()]
        by_name = self._get_param("SortBy") == "Name"
        selected.sort(
            key=lambda item: name_of(item) if by_name else item["CreationTime"],
            reverse=self._get_param("SortOrder", "Descending") == "Descending",
        )
        start = int(self._get_param("NextToken") or 0)
        end = start + int(self._get_param("MaxResults") or _PAGE_SIZE)
        page: dict[str, Any] = {key: selected[start:end]}
        if end < len(selected):
            page["NextToken"] = str(end)
        return ActionResult(page)


def _summaries(records: Iterable[Record], kind: str) -> list[dict[str, Any]]:
    return [
        {f"{kind}Name": record.name, f"{kind}Arn": record.arn, "CreationTime": record.creation_time}
        for record in list(records)
    ]


def _running(jobs: dict[str, Any]) -> list[Any]:
    return [job for job in list(jobs.values()) if job.status in ("InProgress", "Stopping")]


def _check_role(role_arn: str) -> None:
    try:
        role_credentials(role_arn, service="sagemaker.amazonaws.com", session_name="SageMaker")
    except RoleError as error:
        raise ValidationError(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'sagemaker.amazonaws.com' to assume the role: {error}."
        ) from error

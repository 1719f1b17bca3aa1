"""The optimized integration of Step Functions with SageMaker, `arn:aws:states:::sagemaker:ACTION[.sync]`."""

from typing import Any, ClassVar

from .optimized_task import OptimizedTask

# Jobs that a task can wait for, by action: their kind in the API.
_JOBS = {"createTrainingJob": "training_job", "createProcessingJob": "processing_job"}
# What Step Functions tags the jobs with that it waits for; its role must be allowed to (aws/aws-cdk#26012).
_MANAGED_TAG = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}


class SageMakerTask(OptimizedTask):
    """A task that calls SageMaker; with `.sync` it waits for the job."""

    service = "sagemaker"
    error_prefix = "SageMaker"
    sdk_name = "AmazonSageMaker"
    resources: ClassVar[frozenset[str]] = frozenset(
        {*_JOBS, *(f"{job}.sync" for job in _JOBS)}
        | {"createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint"}
    )

    def _request(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.resource.condition is not None:
            parameters["Tags"] = [*parameters.get("Tags", []), _MANAGED_TAG]
        return parameters

    def _look(self, client: Any, parameters: dict[str, Any], started: dict[str, Any]) -> dict[str, Any]:
        description: dict[str, Any] = getattr(client, f"describe_{self._kind}")(**self._name(parameters))
        return description

    def _status(self, description: dict[str, Any]) -> str:
        status = description.get(f"{self._prefix}Status")
        if status in ("InProgress", "Stopping"):
            return "Running"
        return "Succeeded" if status == "Completed" else "Failed"

    def _stop(self, client: Any, parameters: dict[str, Any], started: dict[str, Any]) -> None:
        getattr(client, f"stop_{self._kind}")(**self._name(parameters))

    @property
    def _kind(self) -> str:
        return _JOBS[self.resource.api_action]

    @property
    def _prefix(self) -> str:
        return self._kind.title().replace("_", "")

    def _name(self, parameters: dict[str, Any]) -> dict[str, str]:
        return {f"{self._prefix}Name": parameters[f"{self._prefix}Name"]}

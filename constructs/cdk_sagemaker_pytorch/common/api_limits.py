"""Limits of the SageMaker API, by the names of its shapes.

Written by scripts/make_api_limits.py from botocore's model of the service. Change nothing here.
"""

from typing import Final, TypedDict

__all__ = ["API_LIMITS", "ApiLimits"]


class ApiLimits(TypedDict, total=False):
    """What a shape allows: bounds of a number, a length or a count, and what a text must look like.

    Attributes
    ----------
    min, max : int
        Bounds of a number, of the length of a text, or of the count of entries.
    pattern : str
        Regular expression of the whole text.
    known : str
        Values that there were when this was written, with spaces between; services get new ones.
    """

    min: int
    max: int
    pattern: str
    known: str


API_LIMITS: Final[dict[str, ApiLimits]] = {
    "AcceleratorPartitionType": {"min": 0, "max": 32, "pattern": r"mig-[0-9]+g\.[0-9]+gb([+-][a-z0-9.]+)*"},
    "AcceleratorPartitionTypeList": {"min": 0, "max": 32},
    "AdditionalModelChannelName": {"min": 1, "max": 64, "pattern": r"[A-Za-z0-9\.\-_]+"},
    "AdditionalModelDataSources": {"min": 0, "max": 5},
    "AlarmList": {"min": 1, "max": 10},
    "AlarmName": {"min": 1, "max": 255, "pattern": r"(?!\s*$).+"},
    "AlgorithmImage": {"min": 0, "max": 255},
    "ArnOrName": {
        "min": 1,
        "max": 170,
        "pattern": r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)",
    },
    "AsyncNotificationTopicTypeList": {"min": 0, "max": 2},
    "AthenaCatalog": {
        "min": 1,
        "max": 256,
        "pattern": r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*",
    },
    "AthenaDatabase": {"min": 1, "max": 255},
    "AthenaQueryString": {"min": 1, "max": 4096, "pattern": r"[\s\S]+"},
    "AthenaWorkGroup": {"min": 1, "max": 128, "pattern": r"[a-zA-Z0-9._-]+"},
    "AttributeName": {"min": 1, "max": 256, "pattern": r".+"},
    "AttributeNames": {"min": 0, "max": 16},
    "CapacitySizeValue": {"min": 1},
    "CaptureOptionList": {"min": 1, "max": 32},
    "ChannelName": {"min": 1, "max": 64, "pattern": r"[A-Za-z0-9\.\-_]+"},
    "ClarifyContentTemplate": {"min": 1, "max": 64},
    "ClarifyEnableExplanations": {"min": 1, "max": 64},
    "ClarifyFeatureHeaders": {"min": 1, "max": 256},
    "ClarifyFeatureTypes": {"min": 1, "max": 256},
    "ClarifyFeaturesAttribute": {"min": 1, "max": 64},
    "ClarifyHeader": {"min": 1, "max": 64},
    "ClarifyLabelAttribute": {"min": 1, "max": 64},
    "ClarifyLabelHeaders": {"min": 1, "max": 16},
    "ClarifyLabelIndex": {"min": 0},
    "ClarifyMaxPayloadInMB": {"min": 1, "max": 25},
    "ClarifyMaxRecordCount": {"min": 1},
    "ClarifyMimeType": {
        "min": 0,
        "max": 255,
        "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9+.])*",
    },
    "ClarifyProbabilityAttribute": {"min": 1, "max": 64},
    "ClarifyProbabilityIndex": {"min": 0},
    "ClarifyShapBaseline": {"min": 1, "max": 4096, "pattern": r"[\s\S]+"},
    "ClarifyShapNumberOfSamples": {"min": 1},
    "CollectionConfigurations": {"min": 0, "max": 20},
    "CollectionName": {"min": 1, "max": 256},
    "CollectionParameters": {"min": 0, "max": 20},
    "ConfigKey": {"min": 1, "max": 256},
    "ConfigValue": {"min": 0, "max": 256},
    "ContainerArgument": {"min": 0, "max": 256},
    "ContainerArguments": {"min": 1, "max": 100},
    "ContainerDefinitionList": {"min": 0, "max": 15},
    "ContainerEntrypoint": {"min": 1, "max": 100},
    "ContainerEntrypointString": {"min": 0, "max": 256},
    "ContainerHostname": {"min": 0, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "ContainerImage": {"min": 0, "max": 255, "pattern": r"[\S]+"},
    "ContentType": {"min": 0, "max": 256},
    "CrossRegionMaxInvocationsPerSecondPerInstance": {"min": 1, "max": 10000},
    "CrossRegionPercentPerEndpoint": {"min": 1, "max": 100},
    "CsvContentType": {
        "min": 1,
        "max": 256,
        "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*",
    },
    "CsvContentTypes": {"min": 1, "max": 10},
    "DebugRuleConfigurations": {"min": 0, "max": 20},
    "DestinationS3Uri": {"min": 0, "max": 512, "pattern": r"(https|s3)://([^/])/?(.*)"},
    "DirectoryPath": {"min": 0, "max": 4096},
    "EndpointConfigName": {"min": 0, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "EndpointName": {"min": 0, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "EnvironmentKey": {"min": 0, "max": 1024, "pattern": r"[a-zA-Z_][a-zA-Z0-9_]*"},
    "EnvironmentMap": {"min": 0, "max": 100},
    "EnvironmentValue": {"min": 0, "max": 1024, "pattern": r"[\S\s]*"},
    "ExperimentEntityName": {"min": 1, "max": 120, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}"},
    "FeatureGroupName": {"min": 1, "max": 64, "pattern": r"[a-zA-Z0-9]([_-]*[a-zA-Z0-9]){0,63}"},
    "FileSystemId": {"min": 11, "max": 21, "pattern": r"(fs-[0-9a-f]{8,})"},
    "HookParameters": {"min": 0, "max": 20},
    "HubContentArn": {"min": 0, "max": 255},
    "HubDataSetArn": {
        "min": 0,
        "max": 2048,
        "pattern": r"(arn:[a-z0-9-\.]{1,63}:sagemaker:\w+(?:-\w+)+:(\d{12}|aws):hub-content\/)[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}\/DataSet\/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}(\/\d{1,4}.\d{1,4}.\d{1,4})?",
    },
    "HyperParameterKey": {"min": 0, "max": 256},
    "HyperParameterValue": {"min": 0, "max": 2500},
    "HyperParameters": {"min": 0, "max": 100},
    "ImageUri": {"min": 0, "max": 255},
    "InferenceSpecificationName": {"min": 1, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "InitialTaskCount": {"min": 1},
    "InputDataConfig": {"min": 1, "max": 20},
    "InstanceGroupName": {"min": 1, "max": 64, "pattern": r".+"},
    "InstanceGroupNames": {"min": 0, "max": 5},
    "InstanceGroups": {"min": 0, "max": 5},
    "InstancePoolList": {"min": 1, "max": 5},
    "InstancePoolPriority": {"min": 1, "max": 5},
    "InstancePreferenceList": {"min": 1, "max": 5},
    "JsonContentType": {
        "min": 1,
        "max": 256,
        "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*",
    },
    "JsonContentTypes": {"min": 1, "max": 10},
    "KeepAlivePeriodInSeconds": {"min": 0, "max": 21600},
    "KmsKeyId": {"min": 0, "max": 2048, "pattern": r"[a-zA-Z0-9:/_-]*"},
    "ManagedInstanceScalingCooldownInMinutes": {"min": 5, "max": 1440},
    "ManagedInstanceScalingMaxInstanceCount": {"min": 1},
    "ManagedInstanceScalingMaximumStepSize": {"min": 1, "max": 100},
    "ManagedInstanceScalingMinInstanceCount": {"min": 0},
    "MaxConcurrentInvocationsPerInstance": {"min": 1, "max": 1000},
    "MaxPendingTimeInSeconds": {"min": 1800, "max": 2419200},
    "MaxRuntimeInSeconds": {"min": 1},
    "MaxWaitTimeInSeconds": {"min": 1},
    "MaximumExecutionTimeoutInSeconds": {"min": 600, "max": 28800},
    "MaximumRetryAttempts": {"min": 1, "max": 30},
    "MetricDefinitionList": {"min": 0, "max": 40},
    "MetricName": {"min": 1, "max": 255, "pattern": r".+"},
    "MetricRegex": {"min": 1, "max": 500, "pattern": r".+"},
    "MetricsEndpointList": {"min": 0, "max": 1},
    "MetricsEndpointPath": {"min": 0, "max": 256, "pattern": r"/(?!.*\.\.)[a-zA-Z0-9/_.\-]+"},
    "MlFlowResourceArn": {
        "min": 0,
        "max": 2048,
        "pattern": r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:mlflow-[a-zA-Z-]*/.*",
    },
    "MlReservationArn": {
        "min": 20,
        "max": 258,
        "pattern": r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z0-9\-]{1,14}/.*",
    },
    "MlflowExperimentName": {"min": 1, "max": 256},
    "MlflowRunName": {"min": 1, "max": 256},
    "ModelName": {"min": 0, "max": 63, "pattern": r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"},
    "ModelPackageArn": {
        "min": 1,
        "max": 2048,
        "pattern": r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]{9,16}:[0-9]{12}:model-package/[\S]{1,2048}",
    },
    "ModelPackageGroupArn": {
        "min": 1,
        "max": 2048,
        "pattern": r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]{9,16}:[0-9]{12}:model-package-group/[\S]{1,2048}",
    },
    "OptionalVolumeSizeInGB": {"min": 0},
    "PlacementSpecifications": {"min": 0, "max": 10},
    "PrefixAwareRoutingConcurrencyThreshold": {"min": 1, "max": 1024},
    "PrefixAwareRoutingPrefixLength": {"min": 1024, "max": 65536},
    "ProcessingEnvironmentKey": {"min": 0, "max": 256, "pattern": r"[a-zA-Z_][a-zA-Z0-9_]*"},
    "ProcessingEnvironmentMap": {"min": 0, "max": 100},
    "ProcessingEnvironmentValue": {"min": 0, "max": 256, "pattern": r"[\S\s]*"},
    "ProcessingInputs": {"min": 0, "max": 10},
    "ProcessingInstanceCount": {"min": 1, "max": 100},
    "ProcessingInstancePreferenceList": {"min": 1, "max": 5},
    "ProcessingInstanceType": {
        "known": (
            " ml.c4.2xlarge ml.c4.4xlarge ml.c4.8xlarge ml.c4.xlarge ml.c5.18xlarge ml.c5.2xlarge"
            " ml.c5.4xlarge ml.c5.9xlarge ml.c5.xlarge ml.c6i.12xlarge ml.c6i.16xlarge ml.c6i.24xlarge"
            " ml.c6i.2xlarge ml.c6i.32xlarge ml.c6i.4xlarge ml.c6i.8xlarge ml.c6i.xlarge"
            " ml.c7i-flex.12xlarge ml.c7i-flex.16xlarge ml.c7i-flex.2xlarge ml.c7i-flex.4xlarge"
            " ml.c7i-flex.8xlarge ml.c7i-flex.xlarge ml.c7i.12xlarge ml.c7i.16xlarge ml.c7i.24xlarge"
            " ml.c7i.2xlarge ml.c7i.48xlarge ml.c7i.4xlarge ml.c7i.8xlarge ml.c7i.large ml.c7i.xlarge"
            " ml.c8i-flex.12xlarge ml.c8i-flex.16xlarge ml.c8i-flex.2xlarge ml.c8i-flex.4xlarge"
            " ml.c8i-flex.8xlarge ml.c8i-flex.xlarge ml.c8i.12xlarge ml.c8i.16xlarge ml.c8i.24xlarge"
            " ml.c8i.2xlarge ml.c8i.32xlarge ml.c8i.48xlarge ml.c8i.4xlarge ml.c8i.8xlarge"
            " ml.c8i.96xlarge ml.c8i.xlarge ml.g4dn.12xlarge ml.g4dn.16xlarge ml.g4dn.2xlarge"
            " ml.g4dn.4xlarge ml.g4dn.8xlarge ml.g4dn.xlarge ml.g5.12xlarge ml.g5.16xlarge"
            " ml.g5.24xlarge ml.g5.2xlarge ml.g5.48xlarge ml.g5.4xlarge ml.g5.8xlarge ml.g5.xlarge"
            " ml.g6.12xlarge ml.g6.16xlarge ml.g6.24xlarge ml.g6.2xlarge ml.g6.48xlarge ml.g6.4xlarge"
            " ml.g6.8xlarge ml.g6.xlarge ml.g6e.12xlarge ml.g6e.16xlarge ml.g6e.24xlarge ml.g6e.2xlarge"
            " ml.g6e.48xlarge ml.g6e.4xlarge ml.g6e.8xlarge ml.g6e.xlarge ml.g7.12xlarge ml.g7.24xlarge"
            " ml.g7.2xlarge ml.g7.48xlarge ml.g7.4xlarge ml.g7.8xlarge ml.g7e.12xlarge ml.g7e.24xlarge"
            " ml.g7e.2xlarge ml.g7e.48xlarge ml.g7e.4xlarge ml.g7e.8xlarge ml.m4.10xlarge ml.m4.16xlarge"
            " ml.m4.2xlarge ml.m4.4xlarge ml.m4.xlarge ml.m5.12xlarge ml.m5.24xlarge ml.m5.2xlarge"
            " ml.m5.4xlarge ml.m5.large ml.m5.xlarge ml.m6i.12xlarge ml.m6i.16xlarge ml.m6i.24xlarge"
            " ml.m6i.2xlarge ml.m6i.32xlarge ml.m6i.4xlarge ml.m6i.8xlarge ml.m6i.large ml.m6i.xlarge"
            " ml.m7i-flex.12xlarge ml.m7i-flex.16xlarge ml.m7i-flex.2xlarge ml.m7i-flex.4xlarge"
            " ml.m7i-flex.8xlarge ml.m7i-flex.large ml.m7i-flex.xlarge ml.m7i.12xlarge ml.m7i.16xlarge"
            " ml.m7i.24xlarge ml.m7i.2xlarge ml.m7i.48xlarge ml.m7i.4xlarge ml.m7i.8xlarge ml.m7i.large"
            " ml.m7i.xlarge ml.m8i-flex.12xlarge ml.m8i-flex.16xlarge ml.m8i-flex.2xlarge"
            " ml.m8i-flex.4xlarge ml.m8i-flex.8xlarge ml.m8i-flex.large ml.m8i-flex.xlarge"
            " ml.m8i.12xlarge ml.m8i.16xlarge ml.m8i.24xlarge ml.m8i.2xlarge ml.m8i.32xlarge"
            " ml.m8i.48xlarge ml.m8i.4xlarge ml.m8i.8xlarge ml.m8i.96xlarge ml.m8i.large ml.m8i.xlarge"
            " ml.p2.16xlarge ml.p2.8xlarge ml.p2.xlarge ml.p3.16xlarge ml.p3.2xlarge ml.p3.8xlarge"
            " ml.p5.4xlarge ml.r5.12xlarge ml.r5.16xlarge ml.r5.24xlarge ml.r5.2xlarge ml.r5.4xlarge"
            " ml.r5.8xlarge ml.r5.large ml.r5.xlarge ml.r5d.12xlarge ml.r5d.16xlarge ml.r5d.24xlarge"
            " ml.r5d.2xlarge ml.r5d.4xlarge ml.r5d.8xlarge ml.r5d.large ml.r5d.xlarge ml.r6i.12xlarge"
            " ml.r6i.16xlarge ml.r6i.24xlarge ml.r6i.2xlarge ml.r6i.32xlarge ml.r6i.4xlarge"
            " ml.r6i.8xlarge ml.r6i.large ml.r6i.xlarge ml.r7i.12xlarge ml.r7i.16xlarge ml.r7i.24xlarge"
            " ml.r7i.2xlarge ml.r7i.48xlarge ml.r7i.4xlarge ml.r7i.8xlarge ml.r7i.large ml.r7i.xlarge"
            " ml.r8i-flex.12xlarge ml.r8i-flex.16xlarge ml.r8i-flex.2xlarge ml.r8i-flex.4xlarge"
            " ml.r8i-flex.8xlarge ml.r8i-flex.large ml.r8i-flex.xlarge ml.r8i.12xlarge ml.r8i.16xlarge"
            " ml.r8i.24xlarge ml.r8i.2xlarge ml.r8i.32xlarge ml.r8i.48xlarge ml.r8i.4xlarge"
            " ml.r8i.8xlarge ml.r8i.96xlarge ml.r8i.large ml.r8i.xlarge ml.t3.2xlarge ml.t3.large"
            " ml.t3.medium ml.t3.xlarge"
        ),
    },
    "ProcessingJobName": {"min": 1, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "ProcessingLocalPath": {"min": 0, "max": 256},
    "ProcessingMaxRuntimeInSeconds": {"min": 1, "max": 777600},
    "ProcessingOutputs": {"min": 0, "max": 10},
    "ProcessingVolumeSizeInGB": {"min": 1, "max": 16384},
    "ProductionVariantAcceleratorPartitionLayoutsList": {"min": 1, "max": 32},
    "ProductionVariantContainerStartupHealthCheckTimeoutInSeconds": {"min": 60, "max": 3600},
    "ProductionVariantInstanceType": {
        "known": (
            " ml.c4.2xlarge ml.c4.4xlarge ml.c4.8xlarge ml.c4.large ml.c4.xlarge ml.c5.18xlarge"
            " ml.c5.2xlarge ml.c5.4xlarge ml.c5.9xlarge ml.c5.large ml.c5.xlarge ml.c5d.18xlarge"
            " ml.c5d.2xlarge ml.c5d.4xlarge ml.c5d.9xlarge ml.c5d.large ml.c5d.xlarge ml.c6g.12xlarge"
            " ml.c6g.16xlarge ml.c6g.2xlarge ml.c6g.4xlarge ml.c6g.8xlarge ml.c6g.large ml.c6g.xlarge"
            " ml.c6gd.12xlarge ml.c6gd.16xlarge ml.c6gd.2xlarge ml.c6gd.4xlarge ml.c6gd.8xlarge"
            " ml.c6gd.large ml.c6gd.xlarge ml.c6gn.12xlarge ml.c6gn.16xlarge ml.c6gn.2xlarge"
            " ml.c6gn.4xlarge ml.c6gn.8xlarge ml.c6gn.large ml.c6gn.xlarge ml.c6i.12xlarge"
            " ml.c6i.16xlarge ml.c6i.24xlarge ml.c6i.2xlarge ml.c6i.32xlarge ml.c6i.4xlarge"
            " ml.c6i.8xlarge ml.c6i.large ml.c6i.xlarge ml.c6in.12xlarge ml.c6in.16xlarge"
            " ml.c6in.24xlarge ml.c6in.2xlarge ml.c6in.32xlarge ml.c6in.4xlarge ml.c6in.8xlarge"
            " ml.c6in.large ml.c6in.xlarge ml.c7g.12xlarge ml.c7g.16xlarge ml.c7g.2xlarge ml.c7g.4xlarge"
            " ml.c7g.8xlarge ml.c7g.large ml.c7g.xlarge ml.c7i.12xlarge ml.c7i.16xlarge ml.c7i.24xlarge"
            " ml.c7i.2xlarge ml.c7i.48xlarge ml.c7i.4xlarge ml.c7i.8xlarge ml.c7i.large ml.c7i.xlarge"
            " ml.c8g.12xlarge ml.c8g.16xlarge ml.c8g.24xlarge ml.c8g.2xlarge ml.c8g.48xlarge"
            " ml.c8g.4xlarge ml.c8g.8xlarge ml.c8g.large ml.c8g.medium ml.c8g.xlarge ml.dl1.24xlarge"
            " ml.g4dn.12xlarge ml.g4dn.16xlarge ml.g4dn.2xlarge ml.g4dn.4xlarge ml.g4dn.8xlarge"
            " ml.g4dn.xlarge ml.g5.12xlarge ml.g5.16xlarge ml.g5.24xlarge ml.g5.2xlarge ml.g5.48xlarge"
            " ml.g5.4xlarge ml.g5.8xlarge ml.g5.xlarge ml.g6.12xlarge ml.g6.16xlarge ml.g6.24xlarge"
            " ml.g6.2xlarge ml.g6.48xlarge ml.g6.4xlarge ml.g6.8xlarge ml.g6.xlarge ml.g6e.12xlarge"
            " ml.g6e.16xlarge ml.g6e.24xlarge ml.g6e.2xlarge ml.g6e.48xlarge ml.g6e.4xlarge"
            " ml.g6e.8xlarge ml.g6e.xlarge ml.g7.12xlarge ml.g7.24xlarge ml.g7.2xlarge ml.g7.48xlarge"
            " ml.g7.4xlarge ml.g7.8xlarge ml.g7e.12xlarge ml.g7e.24xlarge ml.g7e.2xlarge ml.g7e.48xlarge"
            " ml.g7e.4xlarge ml.g7e.8xlarge ml.inf1.24xlarge ml.inf1.2xlarge ml.inf1.6xlarge"
            " ml.inf1.xlarge ml.inf2.24xlarge ml.inf2.48xlarge ml.inf2.8xlarge ml.inf2.xlarge"
            " ml.m4.10xlarge ml.m4.16xlarge ml.m4.2xlarge ml.m4.4xlarge ml.m4.xlarge ml.m5.12xlarge"
            " ml.m5.24xlarge ml.m5.2xlarge ml.m5.4xlarge ml.m5.large ml.m5.xlarge ml.m5d.12xlarge"
            " ml.m5d.24xlarge ml.m5d.2xlarge ml.m5d.4xlarge ml.m5d.large ml.m5d.xlarge ml.m6g.12xlarge"
            " ml.m6g.16xlarge ml.m6g.2xlarge ml.m6g.4xlarge ml.m6g.8xlarge ml.m6g.large ml.m6g.xlarge"
            " ml.m6gd.12xlarge ml.m6gd.16xlarge ml.m6gd.2xlarge ml.m6gd.4xlarge ml.m6gd.8xlarge"
            " ml.m6gd.large ml.m6gd.xlarge ml.m6i.12xlarge ml.m6i.16xlarge ml.m6i.24xlarge"
            " ml.m6i.2xlarge ml.m6i.32xlarge ml.m6i.4xlarge ml.m6i.8xlarge ml.m6i.large ml.m6i.xlarge"
            " ml.m7i.12xlarge ml.m7i.16xlarge ml.m7i.24xlarge ml.m7i.2xlarge ml.m7i.48xlarge"
            " ml.m7i.4xlarge ml.m7i.8xlarge ml.m7i.large ml.m7i.xlarge ml.m8g.12xlarge ml.m8g.16xlarge"
            " ml.m8g.24xlarge ml.m8g.2xlarge ml.m8g.48xlarge ml.m8g.4xlarge ml.m8g.8xlarge ml.m8g.large"
            " ml.m8g.medium ml.m8g.xlarge ml.p2.16xlarge ml.p2.8xlarge ml.p2.xlarge ml.p3.16xlarge"
            " ml.p3.2xlarge ml.p3.8xlarge ml.p4d.24xlarge ml.p4de.24xlarge ml.p5.48xlarge ml.p5.4xlarge"
            " ml.p5e.48xlarge ml.p5en.48xlarge ml.p6-b200.48xlarge ml.p6-b300.48xlarge"
            " ml.p6e-gb200.36xlarge ml.r5.12xlarge ml.r5.24xlarge ml.r5.2xlarge ml.r5.4xlarge"
            " ml.r5.large ml.r5.xlarge ml.r5d.12xlarge ml.r5d.24xlarge ml.r5d.2xlarge ml.r5d.4xlarge"
            " ml.r5d.large ml.r5d.xlarge ml.r6g.12xlarge ml.r6g.16xlarge ml.r6g.2xlarge ml.r6g.4xlarge"
            " ml.r6g.8xlarge ml.r6g.large ml.r6g.xlarge ml.r6gd.12xlarge ml.r6gd.16xlarge"
            " ml.r6gd.2xlarge ml.r6gd.4xlarge ml.r6gd.8xlarge ml.r6gd.large ml.r6gd.xlarge"
            " ml.r6i.12xlarge ml.r6i.16xlarge ml.r6i.24xlarge ml.r6i.2xlarge ml.r6i.32xlarge"
            " ml.r6i.4xlarge ml.r6i.8xlarge ml.r6i.large ml.r6i.xlarge ml.r7gd.12xlarge ml.r7gd.16xlarge"
            " ml.r7gd.2xlarge ml.r7gd.4xlarge ml.r7gd.8xlarge ml.r7gd.large ml.r7gd.medium"
            " ml.r7gd.xlarge ml.r7i.12xlarge ml.r7i.16xlarge ml.r7i.24xlarge ml.r7i.2xlarge"
            " ml.r7i.48xlarge ml.r7i.4xlarge ml.r7i.8xlarge ml.r7i.large ml.r7i.xlarge ml.r8g.12xlarge"
            " ml.r8g.16xlarge ml.r8g.24xlarge ml.r8g.2xlarge ml.r8g.48xlarge ml.r8g.4xlarge"
            " ml.r8g.8xlarge ml.r8g.large ml.r8g.medium ml.r8g.xlarge ml.t2.2xlarge ml.t2.large"
            " ml.t2.medium ml.t2.xlarge ml.trn1.2xlarge ml.trn1.32xlarge ml.trn1n.32xlarge"
            " ml.trn2.48xlarge"
        ),
    },
    "ProductionVariantList": {"min": 1, "max": 10},
    "ProductionVariantModelDataDownloadTimeoutInSeconds": {"min": 60, "max": 3600},
    "ProductionVariantVolumeSizeInGB": {"min": 1, "max": 512},
    "ProfilerRuleConfigurations": {"min": 0, "max": 20},
    "ProfilingParameters": {"min": 0, "max": 20},
    "RedshiftClusterId": {"min": 1, "max": 63},
    "RedshiftDatabase": {"min": 1, "max": 64},
    "RedshiftQueryString": {"min": 1, "max": 4096, "pattern": r"[\s\S]+"},
    "RedshiftUserName": {"min": 1, "max": 128},
    "RepositoryCredentialsProviderArn": {"min": 1, "max": 2048},
    "RoleArn": {
        "min": 20,
        "max": 2048,
        "pattern": r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    },
    "RuleConfigurationName": {"min": 1, "max": 256},
    "RuleParameters": {"min": 0, "max": 100},
    "S3ModelUri": {"min": 0, "max": 1024, "pattern": r"(https|s3)://([^/]+)/?(.*)"},
    "S3Uri": {"min": 0, "max": 1024, "pattern": r"(https|s3)://([^/]+)/?(.*)"},
    "SamplingPercentage": {"min": 0, "max": 100},
    "SecurityGroupId": {"min": 0, "max": 32, "pattern": r"[-0-9a-zA-Z]+"},
    "SequenceLength": {"min": 1, "max": 50, "pattern": r"\d+K"},
    "ServerlessJobBaseModelArn": {
        "min": 1,
        "max": 2048,
        "pattern": r"(arn:[a-z0-9-\.]{1,63}:sagemaker:\w+(?:-\w+)+:(\d{12}|aws):hub-content\/)[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}\/Model\/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}(\/\d{1,4}.\d{1,4}.\d{1,4})?",
    },
    "ServerlessMaxConcurrency": {"min": 1, "max": 200},
    "ServerlessMemorySizeInMB": {"min": 1024, "max": 6144},
    "ServerlessProvisionedConcurrency": {"min": 1, "max": 200},
    "SnsTopicArn": {
        "min": 0,
        "max": 2048,
        "pattern": r"arn:aws[a-z\-]*:sns:[a-z0-9\-]*:[0-9]{12}:[a-zA-Z0-9_.-]+",
    },
    "String256": {"min": 0, "max": 256},
    "SubnetId": {"min": 0, "max": 32, "pattern": r"[-0-9a-zA-Z]+"},
    "Subnets": {"min": 1, "max": 16},
    "TagKey": {"min": 1, "max": 128, "pattern": r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"},
    "TagList": {"min": 0, "max": 50},
    "TagValue": {"min": 0, "max": 256, "pattern": r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"},
    "TerminationWaitInSeconds": {"min": 0, "max": 3600},
    "TrainingContainerArgument": {"min": 0, "max": 256},
    "TrainingContainerArguments": {"min": 1, "max": 100},
    "TrainingContainerEntrypoint": {"min": 1, "max": 100},
    "TrainingContainerEntrypointString": {"min": 0, "max": 256},
    "TrainingEnvironmentKey": {"min": 0, "max": 512, "pattern": r"[a-zA-Z_][a-zA-Z0-9_]*"},
    "TrainingEnvironmentMap": {"min": 0, "max": 100},
    "TrainingEnvironmentValue": {"min": 0, "max": 512, "pattern": r"[\S\s]*"},
    "TrainingInstanceCount": {"min": 0},
    "TrainingInstanceType": {
        "known": (
            " ml.c4.2xlarge ml.c4.4xlarge ml.c4.8xlarge ml.c4.xlarge ml.c5.18xlarge ml.c5.2xlarge"
            " ml.c5.4xlarge ml.c5.9xlarge ml.c5.xlarge ml.c5n.18xlarge ml.c5n.2xlarge ml.c5n.4xlarge"
            " ml.c5n.9xlarge ml.c5n.xlarge ml.c6i.12xlarge ml.c6i.16xlarge ml.c6i.24xlarge"
            " ml.c6i.2xlarge ml.c6i.32xlarge ml.c6i.4xlarge ml.c6i.8xlarge ml.c6i.xlarge"
            " ml.c7i-flex.12xlarge ml.c7i-flex.16xlarge ml.c7i-flex.2xlarge ml.c7i-flex.4xlarge"
            " ml.c7i-flex.8xlarge ml.c7i-flex.xlarge ml.c7i.12xlarge ml.c7i.16xlarge ml.c7i.24xlarge"
            " ml.c7i.2xlarge ml.c7i.48xlarge ml.c7i.4xlarge ml.c7i.8xlarge ml.c7i.large ml.c7i.xlarge"
            " ml.c8i-flex.12xlarge ml.c8i-flex.16xlarge ml.c8i-flex.2xlarge ml.c8i-flex.4xlarge"
            " ml.c8i-flex.8xlarge ml.c8i-flex.xlarge ml.c8i.12xlarge ml.c8i.16xlarge ml.c8i.24xlarge"
            " ml.c8i.2xlarge ml.c8i.32xlarge ml.c8i.48xlarge ml.c8i.4xlarge ml.c8i.8xlarge"
            " ml.c8i.96xlarge ml.c8i.xlarge ml.g4dn.12xlarge ml.g4dn.16xlarge ml.g4dn.2xlarge"
            " ml.g4dn.4xlarge ml.g4dn.8xlarge ml.g4dn.xlarge ml.g5.12xlarge ml.g5.16xlarge"
            " ml.g5.24xlarge ml.g5.2xlarge ml.g5.48xlarge ml.g5.4xlarge ml.g5.8xlarge ml.g5.xlarge"
            " ml.g6.12xlarge ml.g6.16xlarge ml.g6.24xlarge ml.g6.2xlarge ml.g6.48xlarge ml.g6.4xlarge"
            " ml.g6.8xlarge ml.g6.xlarge ml.g6e.12xlarge ml.g6e.16xlarge ml.g6e.24xlarge ml.g6e.2xlarge"
            " ml.g6e.48xlarge ml.g6e.4xlarge ml.g6e.8xlarge ml.g6e.xlarge ml.g7.12xlarge ml.g7.24xlarge"
            " ml.g7.2xlarge ml.g7.48xlarge ml.g7.4xlarge ml.g7.8xlarge ml.g7e.12xlarge ml.g7e.24xlarge"
            " ml.g7e.2xlarge ml.g7e.48xlarge ml.g7e.4xlarge ml.g7e.8xlarge ml.m4.10xlarge ml.m4.16xlarge"
            " ml.m4.2xlarge ml.m4.4xlarge ml.m4.xlarge ml.m5.12xlarge ml.m5.24xlarge ml.m5.2xlarge"
            " ml.m5.4xlarge ml.m5.large ml.m5.xlarge ml.m6i.12xlarge ml.m6i.16xlarge ml.m6i.24xlarge"
            " ml.m6i.2xlarge ml.m6i.32xlarge ml.m6i.4xlarge ml.m6i.8xlarge ml.m6i.large ml.m6i.xlarge"
            " ml.m7i-flex.12xlarge ml.m7i-flex.16xlarge ml.m7i-flex.2xlarge ml.m7i-flex.4xlarge"
            " ml.m7i-flex.8xlarge ml.m7i-flex.large ml.m7i-flex.xlarge ml.m7i.12xlarge ml.m7i.16xlarge"
            " ml.m7i.24xlarge ml.m7i.2xlarge ml.m7i.48xlarge ml.m7i.4xlarge ml.m7i.8xlarge ml.m7i.large"
            " ml.m7i.xlarge ml.m8i-flex.12xlarge ml.m8i-flex.16xlarge ml.m8i-flex.2xlarge"
            " ml.m8i-flex.4xlarge ml.m8i-flex.8xlarge ml.m8i-flex.large ml.m8i-flex.xlarge"
            " ml.m8i.12xlarge ml.m8i.16xlarge ml.m8i.24xlarge ml.m8i.2xlarge ml.m8i.32xlarge"
            " ml.m8i.48xlarge ml.m8i.4xlarge ml.m8i.8xlarge ml.m8i.96xlarge ml.m8i.large ml.m8i.xlarge"
            " ml.p2.16xlarge ml.p2.8xlarge ml.p2.xlarge ml.p3.16xlarge ml.p3.2xlarge ml.p3.8xlarge"
            " ml.p3dn.24xlarge ml.p4d.24xlarge ml.p4de.24xlarge ml.p5.48xlarge ml.p5.4xlarge"
            " ml.p5e.48xlarge ml.p5en.48xlarge ml.p6-b200.48xlarge ml.p6-b300.48xlarge"
            " ml.p6e-gb200.36xlarge ml.r5.12xlarge ml.r5.16xlarge ml.r5.24xlarge ml.r5.2xlarge"
            " ml.r5.4xlarge ml.r5.8xlarge ml.r5.large ml.r5.xlarge ml.r5d.12xlarge ml.r5d.16xlarge"
            " ml.r5d.24xlarge ml.r5d.2xlarge ml.r5d.4xlarge ml.r5d.8xlarge ml.r5d.large ml.r5d.xlarge"
            " ml.r6i.12xlarge ml.r6i.16xlarge ml.r6i.24xlarge ml.r6i.2xlarge ml.r6i.32xlarge"
            " ml.r6i.4xlarge ml.r6i.8xlarge ml.r6i.large ml.r6i.xlarge ml.r7i.12xlarge ml.r7i.16xlarge"
            " ml.r7i.24xlarge ml.r7i.2xlarge ml.r7i.48xlarge ml.r7i.4xlarge ml.r7i.8xlarge ml.r7i.large"
            " ml.r7i.xlarge ml.r8i-flex.12xlarge ml.r8i-flex.16xlarge ml.r8i-flex.2xlarge"
            " ml.r8i-flex.4xlarge ml.r8i-flex.8xlarge ml.r8i-flex.large ml.r8i-flex.xlarge"
            " ml.r8i.12xlarge ml.r8i.16xlarge ml.r8i.24xlarge ml.r8i.2xlarge ml.r8i.32xlarge"
            " ml.r8i.48xlarge ml.r8i.4xlarge ml.r8i.8xlarge ml.r8i.96xlarge ml.r8i.large ml.r8i.xlarge"
            " ml.t3.2xlarge ml.t3.large ml.t3.medium ml.t3.xlarge ml.trn1.2xlarge ml.trn1.32xlarge"
            " ml.trn1n.32xlarge ml.trn2.48xlarge"
        ),
    },
    "TrainingJobName": {"min": 1, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "TrainingPlanArn": {
        "min": 50,
        "max": 2048,
        "pattern": r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:training-plan/.*",
    },
    "TrainingPlanArnList": {"min": 1, "max": 1},
    "TrainingRepositoryCredentialsProviderArn": {
        "min": 1,
        "max": 2048,
        "pattern": r"arn:[\p{Alnum}\-]+:lambda:[\p{Alnum}\-]+:[0-9]{12}:function:.*",
    },
    "Url": {"min": 0, "max": 1024, "pattern": r"(https|s3)://([^/]+)/?(.*)"},
    "VariantInstanceProvisionTimeoutInSeconds": {"min": 300, "max": 3600},
    "VariantName": {"min": 0, "max": 63, "pattern": r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
    "VariantWeight": {"min": 0},
    "VersionedArnOrName": {
        "min": 1,
        "max": 176,
        "pattern": r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)(\/[0-9]{1,9})?",
    },
    "VpcSecurityGroupIds": {"min": 1, "max": 5},
    "WaitIntervalInSeconds": {"min": 0, "max": 3600},
}

"""The Lambda function that puts inference code into model.tar.gz, and the job that does it for large ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_sagemaker_pytorch.common.api_request import request
from cdk_sagemaker_pytorch.common.container_role import grant_logs_and_metrics
from cdk_sagemaker_pytorch.common.function_role import new_function_role
from cdk_sagemaker_pytorch.common.networking import Networking, grant_network_interfaces, vpc_members
from cdk_sagemaker_pytorch.common.problems import Problems
from cdk_sagemaker_pytorch.images.pytorch_image import PyTorchImage
from cdk_sagemaker_pytorch.source.lambda_bundling import bundled_asset, bundled_function

from .packaging_states import PackagingJob, PackagingStates
from .settings import OWN_PACKAGER, PackagerOptions, Processing

__all__ = ["ModelPackager"]

_SINGLETON_ID = "CdkSagemakerPytorchModelPackager"

_LONGEST_TIMEOUT = Duration.minutes(15)

# What one connection to S3 brings in 15 minutes, with a margin: 85 MB/s by
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
# The scan itself is several times as fast, see benchmarks/results/packaging.json.
_FUNCTION_LIMIT = Size.gibibytes(64)

# The image of processing jobs, and its Python.
_JOB_FRAMEWORK_VERSION = "2.13"
_JOB_PYTHON = "3.12"


@jsii.implements(iam.IGrantable)
class ModelPackager(Construct):
    """Packages models in the layout that the serving containers expect.

    It costs nothing while idle. Its role may do nothing but log, until a bucket grants it access. A
    processing job that packages a large model runs the same code under the same role.

    Parameters
    ----------
    scope, construct_id
        As for every construct.
    memory_size : int, optional
        Memory in MB, and with it the share of a processor. Defaults to 1769: one whole processor.
    timeout : Duration, optional
        Defaults to 15 minutes, the longest that Lambda allows.
    architecture : lambda_.Architecture, optional
        Defaults to arm64.
    reserved_concurrent_executions : int, optional
        How many models are packaged at once at most; that many are kept free for it. Defaults to no limit
        but the account's.
    encryption_key : kms.IKey, optional
        Key that encrypts what it writes (SSE-KMS). Defaults to the encryption of each bucket.
    networking : Networking, optional
        VPC in which it runs; S3, and for attached training jobs SageMaker, must be reachable from there.
        Defaults to no VPC.
    log_retention : logs.RetentionDays, optional
        Defaults to three months. The log group goes with the stack.
    log_encryption_key : kms.IKey, optional
        Key of the log group. Defaults to a key of CloudWatch Logs.
    function_limit : Size, optional
        Largest model, as it lies in S3, that a state machine gives to the function; larger ones go to a
        processing job. Defaults to 64 GiB.
    processing : Processing, optional
        The processing job. Defaults to that of `Processing`.

    Attributes
    ----------
    function : lambda_.Function
        The function.
    role : iam.Role
        Role of the function and of processing jobs.
    log_group : logs.LogGroup
        Log group of the function.

    Raises
    ------
    ConfigurationError
        When a value is outside of what Lambda or SageMaker allow.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        memory_size: int = 1769,
        timeout: Duration = _LONGEST_TIMEOUT,
        architecture: lambda_.Architecture = lambda_.Architecture.ARM_64,
        reserved_concurrent_executions: int | None = None,
        encryption_key: kms.IKey | None = None,
        networking: Networking | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        log_encryption_key: kms.IKey | None = None,
        function_limit: Size | None = None,
        processing: Processing | None = None,
    ) -> None:
        problems = Problems("ModelPackager")
        PackagerOptions(
            memory_size=memory_size,
            timeout=timeout,
            architecture=architecture,
            log_retention=log_retention,
            reserved_concurrent_executions=reserved_concurrent_executions,
            function_limit=function_limit,
            encryption_key=encryption_key,
            log_encryption_key=log_encryption_key,
        ).check(problems, "")
        networking = Networking.of(networking, problems, "networking")
        networking.check_unused(
            problems, "networking", "encrypt_inter_container_traffic", "enable_network_isolation"
        )
        self._processing = Processing.of(processing, problems, "processing")
        problems.raise_if_any()
        super().__init__(scope, construct_id)
        problems.annotate(self)
        self.encryption_key = encryption_key
        self._networking = networking
        self._function_limit = function_limit or _FUNCTION_LIMIT
        self._processing_job: PackagingJob | None = None
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            retention=log_retention,
            encryption_key=log_encryption_key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = new_function_role(
            self,
            "ServiceRole",
            log_group=self.log_group,
            in_vpc=networking.vpc is not None,
            further_services=["sagemaker.amazonaws.com"],
        )
        self.function = self._new_function(
            architecture,
            memory_size=memory_size,
            timeout=timeout,
            reserved_concurrent_executions=reserved_concurrent_executions,
        )
        if encryption_key is not None:
            encryption_key.grant_encrypt_decrypt(self.role)

    @classmethod
    def of(cls, scope: Construct, given: "ModelPackager | str | None" = None) -> "ModelPackager":
        """Get a packager: by default the stack's own, made when it is first asked for.

        The stack's packager reads the models and the code of all that use it. What must be kept apart gets
        another one: ``packager="own"``.

        Parameters
        ----------
        scope : Construct
            Any construct of the stack.
        given : ModelPackager or str, optional
            What a user gave: a packager, or ``"own"`` for a new one below `scope`. Defaults to the stack's.
        """
        if isinstance(given, ModelPackager):
            return given
        if given == OWN_PACKAGER:
            return cls(scope, "Packager")
        stack = Stack.of(scope)
        existing = stack.node.try_find_child(_SINGLETON_ID)
        return existing if isinstance(existing, ModelPackager) else cls(stack, _SINGLETON_ID)

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The role of the function and of processing jobs."""
        return self.role.grant_principal

    def grant_output(self, bucket: s3.IBucket, object_key_pattern: str) -> None:
        """Let the packager write below a prefix, and read what it wrote.

        Parameters
        ----------
        bucket : s3.IBucket
            Bucket of the packaged models.
        object_key_pattern : str
            Keys that it may write, for example ``models/*``.
        """
        bucket.grant_read(self, object_key_pattern)
        bucket.grant_put(self, object_key_pattern)
        iam.Grant.add_to_principal(
            grantee=self,
            actions=["s3:ListMultipartUploadParts"],
            resource_arns=[bucket.arn_for_objects(object_key_pattern)],
        )

    def grant_read_output(self, grantee: iam.IGrantable, bucket: s3.IBucket, object_key_pattern: str) -> None:
        """Let `grantee` read what the packager wrote.

        Parameters
        ----------
        grantee : iam.IGrantable
            Who reads, for example the role of a model.
        bucket : s3.IBucket
            Bucket of the packaged models.
        object_key_pattern : str
            Their keys, for example ``models/*``.
        """
        bucket.grant_read(grantee, object_key_pattern)
        if self.encryption_key is not None:
            self.encryption_key.grant_decrypt(grantee)

    def event(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Complete an event of the packager with what is set here for all of them.

        Parameters
        ----------
        fields : Mapping of str to str
            ``model_data``, ``source_code``, ``output`` and so on; see docs/architecture.md.
        """
        key = {} if self.encryption_key is None else {"kms_key_id": self.encryption_key.key_arn}
        return {**fields, **key}

    def package_states(
        self,
        scope: Construct,
        construct_id: str,
        *,
        event: Mapping[str, str],
        job_name: str,
        job_name_prefix: str,
        model_arns: Sequence[str] | None,
        submit_directory: str,
    ) -> PackagingStates:
        """Make the states that package a model; see `PackagingStates`.

        Parameters
        ----------
        scope, construct_id
            Where the states live.
        event : Mapping of str to str
            The event of the packager: texts, or JSONata made by `jsonata.evaluate` that reads variables only.
        job_name : str
            JSONata expression of a processing job's name.
        job_name_prefix : str
            What it begins with.
        model_arns : sequence of str or None
            ARN patterns of the models that the state machine may ask for their size; None for uncompressed
            ones.
        submit_directory : str
            JSONata expression of where the code lies after packaging.
        """
        return PackagingStates(
            scope,
            construct_id,
            function_arn=self.function.function_arn,
            function_limit=self._function_limit,
            job=self._job(),
            job_name=job_name,
            job_name_prefix=job_name_prefix,
            event=self.event(event),
            model_arns=model_arns,
            submit_directory=submit_directory,
        )

    def _new_function(self, architecture: lambda_.Architecture, **options: Any) -> lambda_.Function:
        return lambda_.Function(
            self,
            "Resource",
            description="Puts inference code into model.tar.gz",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=architecture,
            handler="index.handler",
            code=bundled_function(self, "model_packager", architecture=architecture, python_version="3.13"),
            role=self.role,
            vpc=self._networking.vpc,
            vpc_subnets=self._networking.vpc_subnets,
            security_groups=list(self._networking.security_groups) or None,
            log_group=self.log_group,
            **options,
        )

    def _job(self) -> PackagingJob:
        """Get what all processing jobs share; code and permissions are made when it is first asked for."""
        if self._processing_job is None:
            image = self._processing.image or PyTorchImage.training(_JOB_FRAMEWORK_VERSION)
            image_config = image.bind(self, instance_type=self._processing.instance_type)
            image_config.grant_pull(self.role)
            grant_logs_and_metrics(self.role, self, "/aws/sagemaker/ProcessingJobs")
            code = bundled_asset(
                self,
                "JobCode",
                "model_packager",
                architecture=lambda_.Architecture.X86_64,
                python_version=_JOB_PYTHON,
            )
            code.bucket.grant_read(self.role, code.s3_object_key)
            self._processing_job = PackagingJob(
                image_uri=image_config.image_uri,
                code_uri=code.s3_object_url,
                role=self.role,
                processing=self._processing,
                network=self._job_network(),
            )
        return self._processing_job

    def _job_network(self) -> dict[str, Any]:
        """Write ``NetworkConfig`` of the API: the function's own network."""
        vpc = self._networking.vpc
        if vpc is None:
            return {}
        grant_network_interfaces(self.role)
        security_groups = self.function.connections.security_groups
        return request(vpc_members(vpc, self._networking.vpc_subnets, security_groups))

"""Why a training job did not complete, its likely cause and what to do: JSONata over what the API says."""

from aws_cdk import Stack
from constructs import Construct

from cdk_sagemaker_pytorch.states import jsonata

__all__ = ["EXPLANATIONS", "explained_failure"]

EXPLANATIONS: dict[str, str] = {
    # SageMaker's own reasons.
    r"CapacityError|InsufficientInstanceCapacity|insufficient capacity": (
        "no instances of this type are free: start again later, or take another type or more zones"
    ),
    r"ResourceLimitExceeded": "the account's quota is used up: ask for a higher one, or start again later",
    r"InternalServerError": (
        "a fault of AWS's: start again, or let Compute(maximum_retry_attempts=...) do it by itself"
    ),
    r"MaxRuntimeExceeded": "it was stopped after max_run: raise it, or train less",
    r"MaxWaitTimeExceeded": "there were too few spot instances within compute.max_wait: raise it",
    r"No S3 objects|NoSuchKey|NoSuchBucket": "a channel or the source code is not where the job looks for it",
    r"AccessDenied|Access Denied|not authorized": "the job's role may not: grant it, bucket.grant_read(job)",
    # What ended the script.
    r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory": (
        "the memory of the GPU is full: a smaller batch, mixed precision, or an instance with more of it"
    ),
    r"ExitCode -9|SIGKILL|signal 9|exit code: 137|MemoryError|Cannot allocate memory": (
        "killed, for the memory of the instance was full: a smaller batch, fewer workers that load data, or a"
        " larger instance type"
    ),
    r"ExitCode -7|SIGBUS|exit code: 135|Bus error": (
        "the shared memory is full, which workers that load data share: fewer of them"
    ),
    r"ExitCode -11|SIGSEGV|exit code: 139": (
        "a library crashed: compare the versions in requirements.txt with those of the image"
    ),
    r"No space left on device": "the disk is full: compute=Compute(volume_size=...)",
    # What the script said.
    r"InstallRequirementsError|No matching distribution|Could not find a version|requirements cannot be": (
        "requirements.txt cannot be installed; in network isolation, or in a VPC without a way out, there is"
        " no package index"
    ),
    r"unrecognized arguments|error: argument|arguments are required": (
        "the hyperparameters do not fit the parser of the script"
    ),
    r"No module named": "a module is missing: in requirements.txt, or among dependencies=[...]",
    r"NCCL|Connection (reset|refused|closed)|Broken pipe": (
        "where several hosts train, another may have failed before: look at the logs of all"
    ),
    r"loss is (nan|not a number)|contains NaN|non-finite": (
        "the numbers overflow: a smaller learning rate, or no mixed precision"
    ),
}
"""Regular expression of a reason, to what it likely means and what to do; the first that fits is said."""


def explained_failure(scope: Construct, job: str, *, has_checkpoints: bool) -> str:
    """Write JSONata of a text that says why a job did not complete, and where to look.

    Parameters
    ----------
    scope : Construct
        Any construct of the stack.
    job : str
        Path of a ``DescribeTrainingJob`` answer.
    has_checkpoints : bool
        Whether another job can begin where this one ended.
    """
    hints = ", ".join(
        f"$contains($said, /{pattern}/i) ? {jsonata.literal(text)}" for pattern, text in EXPLANATIONS.items()
    )
    return (
        f"($job := {job};"
        " $said := $join([$job.FailureReason, $job.SecondaryStatus], ' ');"
        f" $hint := [{hints}][0];"
        " $join(["
        "$exists($job.FailureReason) ? $job.FailureReason"
        " : $job.TrainingJobName & ' is ' & $join([$job.TrainingJobStatus, $job.SecondaryStatus], ', '),"
        " $exists($hint) ? 'likely: ' & $hint,"
        f" {_resume(has_checkpoints)}"
        " 'logs: /aws/sagemaker/TrainingJobs, stream ' & $job.TrainingJobName,"
        f" {_page(scope)} & $job.TrainingJobName"
        "], '; '))"
    )


def _resume(has_checkpoints: bool) -> str:
    if not has_checkpoints:
        return ""
    begin = '\'to go on from its checkpoints start an execution with {"resume_from": "\''
    return f"{begin} & $job.TrainingJobName & '\"}}',"


def _page(scope: Construct) -> str:
    """JSONata of the address of the console's page of jobs, which is elsewhere in each partition."""
    region = Stack.of(scope).region
    return (
        f"($region := '{region}';"
        " $host := $contains($region, /^cn-/) ? 'console.amazonaws.cn'"
        " : $contains($region, /^us-gov-/) ? 'console.amazonaws-us-gov.com'"
        " : $region & '.console.aws.amazon.com';"
        " 'https://' & $host & '/sagemaker/home?region=' & $region & '#/jobs/')"
    )

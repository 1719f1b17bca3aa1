"""The input channels of a training job, from S3 to folders of its hosts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdk_sagemaker_pytorch.local.base import s3_transfer
from cdk_sagemaker_pytorch.local.base.path_parts import path_part
from cdk_sagemaker_pytorch.local.base.server_state import settings

from .failure import JobError

_FILE_MODES = ("File", "FastFile")


def download_channel(
    s3: Any, channel: Mapping[str, Any], request: Mapping[str, Any], data: Path
) -> list[Path]:
    """Download one channel; return its folder for each host in order.

    Parameters
    ----------
    s3
        Client of the job's role.
    channel
        An entry of InputDataConfig.
    request
        The parameters of CreateTrainingJob.
    data
        Folder for the channels of the job.

    Raises
    ------
    JobError
        If the channel is of a kind that the local AWS does not read, empty, or cannot be downloaded.
    """
    name = channel["ChannelName"]
    mode = channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"]
    source = channel["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] != "S3Prefix" or mode not in _FILE_MODES:
        raise JobError(
            f"ClientError: the local AWS reads channels of S3DataType S3Prefix in the modes "
            f"{' and '.join(_FILE_MODES)}; channel {name} is {mode} with {channel['DataSource']}"
        )
    uri = source["S3Uri"]
    hosts = request["ResourceConfig"].get("InstanceCount", 1)
    folder = data / path_part(name)
    try:
        keys = s3_transfer.list_keys(s3, uri)
        if not keys:
            raise JobError(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in '
                f"input data source of channel {name}. Please ensure that the bucket exists in the "
                f"selected region ({settings().region}), that objects exist under that S3 prefix, "
                f'and that the role "{request["RoleArn"]}" has "s3:ListBucket" permissions on it.'
            )
        if source.get("S3DataDistributionType") != "ShardedByS3Key" or hosts == 1:
            s3_transfer.download_keys(s3, uri, keys, folder)
            return [folder] * hosts
        shards = [folder / f"shard-{host}" for host in range(hosts)]
        for host, shard in enumerate(shards):
            s3_transfer.download_keys(s3, uri, keys[host::hosts], shard)
        return shards
    except s3_transfer.TRANSFER_ERRORS as error:
        raise JobError(
            f'ClientError: Data download failed: channel {name}, S3 URL "{uri}": {error}'
        ) from error

"""Settings of the Ray Serve application, from environment variables, all optional.

``SM_MODEL_DIR``
    The folder of the model. Defaults to ``/opt/ml/model``.
``SAGEMAKER_PROGRAM``, ``SAGEMAKER_SUBMIT_DIRECTORY``
    The user's script and its folder, see `HandlerChain.load`.
``SAGEMAKER_MODEL_SERVER_WORKERS``
    Replicas of the model. Defaults to one per GPU, or to 1 without GPUs.
``RAYSERVE_BACKEND_TIMEOUT``
    Seconds until a request that is not answered gets 504; the time after which a thread of a replica is
    stuck, see `workers`; and, but 30 at least, how long a replica may take to answer Ray Serve's own checks.
    Defaults to 300.
``CDK_SAGEMAKER_PYTORCH_NUM_GPUS``
    GPUs of a replica, fractions allowed. Defaults to an equal share of those of the machine, at most 1.
``CDK_SAGEMAKER_PYTORCH_THREADS``
    Requests, or batches, that a replica computes at once. Defaults to 1, as torch uses all cores for each.
``CDK_SAGEMAKER_PYTORCH_MAX_ONGOING_REQUESTS``
    Requests that a replica has at once, those that wait for a thread included; more get 503. Defaults to an
    equal share of 64, and at least twice the batch size. The container's adapter has 100 connections for all
    replicas and the health checks.
``CDK_SAGEMAKER_PYTORCH_MAX_BODY_BYTES``
    The largest body; more gets 413 while it is still being read. Defaults to the 25 MiB that real-time
    endpoints let through.
``CDK_SAGEMAKER_PYTORCH_MAX_BATCH_SIZE``
    Requests that are predicted together, where ``CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION`` says how, see
    `batching`. Defaults to 1.
``CDK_SAGEMAKER_PYTORCH_BATCH_WAIT_SECONDS``
    How long a request waits for others to share its batch. Defaults to 0.01.
``CDK_SAGEMAKER_PYTORCH_CHECK_MODEL``
    ``false`` deploys without loading the model once beforehand. Defaults to true.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

from .batching import VARIABLE as BATCH_DIMENSION
from .batching import batch_dimension
from .check_model import checks_model

logger = logging.getLogger(__name__)

_PREFIX = "CDK_SAGEMAKER_PYTORCH_"
#: Of all replicas, where nothing else is said.
MAX_ONGOING_REQUESTS = 64
_MAX_BODY_BYTES = 25 * 1024 * 1024


class Settings(NamedTuple):
    """The environment variables of the module's text, read."""

    model_dir: str
    replicas: int
    num_gpus: float
    timeout: float
    threads: int
    max_ongoing_requests: int
    max_batch_size: int
    batch_wait_seconds: float
    check_model: bool
    max_body_bytes: int

    @property
    def torch_threads(self) -> int | None:
        """How many cores each replica computes with; None leaves it to ``OMP_NUM_THREADS``.

        Ray sets that variable to 1 in the processes of replicas where it is not set: ask where it was not.
        """
        if os.environ.get("OMP_NUM_THREADS"):
            return None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.replicas)

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings.

        Raises
        ------
        ValueError
            A variable is no number, or too small.
        """
        gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
        replicas = int(_number("SAGEMAKER_MODEL_SERVER_WORKERS", max(gpus, 1), 1))
        max_batch_size = int(_number(_PREFIX + "MAX_BATCH_SIZE", 1, 1))
        if max_batch_size > 1 and batch_dimension() is None:
            logger.warning("%sMAX_BATCH_SIZE does nothing without %s", _PREFIX, BATCH_DIMENSION)
            max_batch_size = 1
        return cls(
            model_dir=os.environ.get("SM_MODEL_DIR") or "/opt/ml/model",
            replicas=replicas,
            num_gpus=_number(_PREFIX + "NUM_GPUS", min(1, gpus / replicas), 0),
            timeout=_number("RAYSERVE_BACKEND_TIMEOUT", 300, 0.001),
            threads=int(_number(_PREFIX + "THREADS", 1, 1)),
            max_ongoing_requests=int(
                _number(
                    _PREFIX + "MAX_ONGOING_REQUESTS",
                    max(MAX_ONGOING_REQUESTS // replicas, 2 * max_batch_size),
                    max_batch_size,
                )
            ),
            max_batch_size=max_batch_size,
            batch_wait_seconds=_number(_PREFIX + "BATCH_WAIT_SECONDS", 0.01, 0),
            check_model=checks_model(),
            max_body_bytes=int(_number(_PREFIX + "MAX_BODY_BYTES", _MAX_BODY_BYTES, 1)),
        )


def _number(name: str, default: float, least: float) -> float:
    text = os.environ.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not value >= least:
        raise ValueError(f"environment variable {name} must be a number of at least {least}, got {text!r}")
    return value

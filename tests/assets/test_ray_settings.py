import pytest
from serving.ray_settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "must be a number of at least 1, got '0'"),
        ("RAYSERVE_BACKEND_TIMEOUT", "soon", "must be a number of at least 0.001, got 'soon'"),
        ("CDK_SAGEMAKER_PYTORCH_NUM_GPUS", "-1", "must be a number of at least 0, got '-1'"),
    ],
)
def test_fails_when_a_setting_is_no_number(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=f"environment variable {name} {message}"):
        Settings.from_environment()


def test_settings_follow_the_environment(monkeypatch):
    defaults = Settings.from_environment()
    assert (defaults.model_dir, defaults.timeout, defaults.max_batch_size) == ("/opt/ml/model", 300, 1)
    # The adapter of the container has 100 connections for all of them, and for health checks.
    assert defaults.max_ongoing_requests == 64
    assert defaults.max_body_bytes == 25 * 1024 * 1024

    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_MAX_BATCH_SIZE", "32")
    assert Settings.from_environment().max_batch_size == 1  # nothing says how
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_BATCH_DIMENSION", "0")
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "2")
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_NUM_GPUS", "0.5")
    monkeypatch.setenv("SM_MODEL_DIR", "/somewhere")
    settings = Settings.from_environment()

    assert settings.max_ongoing_requests == 64  # two batches
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_MAX_BATCH_SIZE", "1")
    assert Settings.from_environment().max_ongoing_requests == 32  # an equal share
    assert (settings.replicas, settings.num_gpus, settings.model_dir) == (2, 0.5, "/somewhere")


def test_replicas_share_the_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert Settings.from_environment().torch_threads == 2

    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "16")
    assert Settings.from_environment().torch_threads == 1

    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert Settings.from_environment().torch_threads is None

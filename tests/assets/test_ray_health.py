"""The container's health: what replicas say, and what the health check makes of it."""

import asyncio

import pytest
from serving import ray_health
from serving.ray_health import HEALTH_PATH, Heartbeat, TrueHealth, middlewares, why_unhealthy


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Return the hands of the clock, and have the files of replicas in a folder of the test."""
    hands = [1000.0]
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_HEALTH_DIR", str(tmp_path / "health"))
    monkeypatch.setattr(ray_health.time, "monotonic", lambda: hands[0])
    return hands


def ask(path):
    """Ask for a path behind the middleware; return the statuses."""
    statuses = []

    async def inside(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def send(message):
        statuses.append(message.get("status"))

    [middleware] = middlewares()
    asyncio.run(middleware.cls(inside)({"type": "http", "path": path}, None, send))
    return statuses[0]


def test_nothing_is_healthy_before_a_model_is_loaded(clock):
    assert why_unhealthy() == "no replica has loaded its model yet"
    assert ask(HEALTH_PATH) == 503


def test_health_lasts_as_long_as_a_replica_takes_to_be_replaced(clock):
    Heartbeat(load_seconds=20).beat()

    clock[0] += 60 + 2 * 20
    assert why_unhealthy() is None
    assert ask(HEALTH_PATH) == 200

    clock[0] += 1
    assert why_unhealthy() == "no replica could answer for 101 s"
    assert ask(HEALTH_PATH) == 503
    # Requests are let through: whether they can be answered is not for the middleware to say.
    assert ask("/") == 200


def test_one_replica_is_enough(clock, monkeypatch):
    ours = Heartbeat(load_seconds=0)
    monkeypatch.setattr(ray_health.os, "getpid", lambda: 4242)
    theirs = Heartbeat(load_seconds=0)
    ours.beat()
    theirs.beat()

    clock[0] += 100
    assert why_unhealthy()
    theirs.beat()
    assert why_unhealthy() is None


def test_how_long_is_a_setting(clock, monkeypatch):
    monkeypatch.setenv("CDK_SAGEMAKER_PYTORCH_UNHEALTHY_AFTER_SECONDS", "5")
    Heartbeat(load_seconds=1).beat()

    clock[0] += 6.9
    assert why_unhealthy() is None
    clock[0] += 0.2
    assert why_unhealthy()


def test_files_of_others_in_the_folder_mean_nothing(clock, tmp_path):
    Heartbeat(load_seconds=0).beat()
    (tmp_path / "health" / "12.new").write_text("half")
    (tmp_path / "health" / "notes").write_text("x")

    assert why_unhealthy() is None


def test_starting_and_stopping_pass(clock):
    reached = []

    async def inside(scope, receive, send):
        reached.append(scope["type"])

    asyncio.run(TrueHealth(inside)({"type": "lifespan"}, None, None))
    assert reached == ["lifespan"]

import asyncio
import subprocess
import sys
import threading
import time

import pytest
from serving import workers
from serving.workers import Workers

from waiting import HANG_SECONDS


def raise_(error):
    raise error


def test_a_call_returns_and_raises_to_the_loop():
    pool = Workers(1, 60)

    assert asyncio.run(pool.run(divmod, 7, 3)) == (2, 1)
    with pytest.raises(KeyError):
        asyncio.run(pool.run(raise_, KeyError("x")))
    assert pool.stuck == 0


def test_a_call_is_stuck_until_it_comes_back(monkeypatch):
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0)
    pool, released = Workers(2, 0.01), threading.Event()

    async def scenario():
        call = asyncio.ensure_future(pool.run(released.wait, HANG_SECONDS))
        deadline = time.monotonic() + HANG_SECONDS
        while not pool.stuck:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        assert await pool.run(abs, -1) == 1
        released.set()
        await call
        assert pool.stuck == 0

    asyncio.run(scenario())


def test_where_a_call_is_can_be_told():
    pool, released = Workers(1, 60), threading.Event()

    async def scenario():
        call = asyncio.ensure_future(pool.run(released.wait, HANG_SECONDS))
        deadline = time.monotonic() + HANG_SECONDS
        while "wait" not in pool.where():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        released.set()
        await call
        assert pool.where() == ""

    asyncio.run(scenario())


WATCHED = """
import asyncio, ctypes, os, sys, threading
sys.path.insert(0, sys.argv[1])
from serving import workers
workers.GRACE_SECONDS, workers._WATCH_SECONDS = 2, 0.05
pool = workers.Workers(int(sys.argv[3]), 0)

def endless():
    while True:
        pass

def holds_the_interpreter():
    ctypes.PyDLL(None).sleep(600)

def condemn():
    pool.condemn("the GPU is lost")
    pool.condemn("another fault")

def replace():
    print("replaced", flush=True)
    os._exit(7)

async def main():
    pool.watch(replace)
    calls = [asyncio.ensure_future(pool.run(globals()[name])) for name in sys.argv[2].split(",")]
    await asyncio.wait(calls, timeout=float(sys.argv[4]))
    print("waited", flush=True)
    os._exit(0)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("calls", "threads", "wait", "code", "printed", "logged"),
    [
        ("endless", 1, 60, 7, "replaced\n", "no thread came back after 2 s: this process is replaced"),
        ("endless,endless", 2, 60, 7, "replaced\n", "in endless"),
        ("endless", 2, 1, 0, "waited\n", ""),
        ("condemn,endless", 2, 60, 7, "replaced\n", "the GPU is lost: this process is replaced"),
        ("holds_the_interpreter", 1, 60, 1, "", "in holds_the_interpreter"),
    ],
)
def test_a_process_is_replaced_once_all_threads_are_stuck(
    assets, calls, threads, wait, code, printed, logged
):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, assets / "inference_assets", calls, str(threads), str(wait)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )

    assert (done.returncode, done.stdout) == (code, printed)
    assert logged in done.stderr

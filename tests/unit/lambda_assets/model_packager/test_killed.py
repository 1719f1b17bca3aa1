"""The function is killed again and again in the middle of its work, and then run once more."""

import multiprocessing
import os
import random

import pytest
from index import handler


@pytest.fixture(scope="module")
def processes(aws_environment):
    """Processes that have the function loaded already, so that a kill hits its work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["index"])
    return context


@pytest.mark.parametrize(("strategy", "kills"), [("splice", 35), ("rewrite", 15)])
def test_killed_runs_leave_nothing_that_a_sweep_does_not_remove(
    strategy, kills, processes, event, archives, s3, aws_requests
):
    files = {"model.pth": os.urandom(17 * 1024**2)}
    if strategy == "rewrite":
        files = {"code/inference.py": b"old"} | files
    code = archives.tar_gz({"inference.py": b"pass\n"})
    request = event(archives.tar_gz(files, level=1), code)
    before = aws_requests.count
    assert handler(request, None)["strategy"] == strategy
    requests = aws_requests.count - before
    expected = s3.get(request["output"])
    s3.client.delete_object(Bucket="models", Key="out/model.tar.gz")

    chance = random.Random(strategy)  # noqa: S311 - moments, not secrets
    killed = 0
    for _ in range(kills):
        process = processes.Process(target=handler, args=(request, None))
        moment = aws_requests.count + chance.randint(1, requests)
        process.start()
        aws_requests.wait_for(moment, or_until=lambda process=process: process.exitcode is not None)
        process.kill()
        process.join()
        killed += process.exitcode != 0
        if "out/model.tar.gz" in s3.names():
            assert s3.get(request["output"]) == expected
            s3.client.delete_object(Bucket="models", Key="out/model.tar.gz")
    assert killed > kills // 2  # the last request may be the end of it

    orphans = s3.uploads()
    assert handler(request, None)["strategy"] == strategy
    assert s3.get(request["output"]) == expected
    swept = handler({"sweep": "s3://models/out/", "older_than": 0}, None)
    assert len(swept["aborted"]) == len(orphans)
    assert s3.uploads() == []
    assert s3.names() == {"in/model.tar.gz", "in/0123abcd.gz", "out/model.tar.gz"}

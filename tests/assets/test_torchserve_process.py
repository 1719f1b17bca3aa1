import os
import subprocess
import sys

import pytest
from serving import torchserve_process

# A parent whose command line looks like TorchServe's, and a worker of its own that ends it.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
while True:
    input()
"""
WORKER = """
from serving import torchserve_process
torchserve_process._LOGGING_SECONDS = 0
torchserve_process.end_torchserve()
"""

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only Linux has /proc")


@needs_proc
def test_the_server_above_is_ended_and_no_other_process():
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    server = subprocess.Popen(
        [sys.executable, "-c", PARENT, WORKER, "org.pytorch.serve.ModelServer"],
        env=environment,
        stdin=subprocess.PIPE,
    )
    try:
        assert server.wait(60) == -15
    finally:
        server.kill()
        server.wait()


@needs_proc
def test_nothing_is_ended_where_there_is_no_server(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something was ended"))
    torchserve_process.end_torchserve()


def test_a_process_that_is_gone_has_no_server():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert torchserve_process._find_server(gone.pid) is None

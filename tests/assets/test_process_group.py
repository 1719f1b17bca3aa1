import os
import subprocess
import sys

import pytest

from cdk_sagemaker_pytorch.local.base.processes import free_port

# Trains a step, and tells which of gloo's threads are left after the processes have parted.
SCRIPT = """
import os, sys
import torch
import process_group

process = process_group.join_processes("auto", 0)
model = torch.nn.Linear(2, 1)
model(torch.ones(3, 2)).sum().backward()
for parameter in model.parameters():
    process_group.summed(parameter.grad, process)
torch.optim.Adam(model.parameters()).step()
process_group.leave_processes(process)
names = [open(f"/proc/self/task/{thread}/comm").read() for thread in os.listdir("/proc/self/task")]
print(process.rank, [name.strip() for name in names if "gloo" in name])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are found in /proc")
def test_nothing_of_the_group_is_left_when_the_processes_have_parted(container_environment):
    port = str(free_port())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=dict(
                container_environment,
                PYTHONPATH=os.pathsep.join(sys.path),
                SM_HOSTS='["algo-1", "algo-2"]',
                SM_CURRENT_HOST=f"algo-{number}",
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
                GLOO_SOCKET_IFNAME="lo",
            ),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    try:
        printed = [process.communicate(timeout=120)[0].strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert printed == ["0 []", "1 []"]
    assert [process.returncode for process in processes] == [0, 0]

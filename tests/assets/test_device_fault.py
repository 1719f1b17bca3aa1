"""A GPU that is lost to a process; no GPU is needed, for what torch says of one is what counts."""

import sys
import types

import pytest
from serving.device_fault import device_fault


class AcceleratorError(RuntimeError):
    pass


def torch_with(initialized, error=None):
    def synchronize():
        if error is not None:
            raise error

    cuda = types.SimpleNamespace(is_initialized=lambda: initialized, synchronize=synchronize)
    return types.SimpleNamespace(cuda=cuda)


@pytest.mark.parametrize(
    ("torch", "fault"),
    [
        (None, None),
        (torch_with(False, AcceleratorError("not asked")), None),
        (torch_with(True), None),
        (
            torch_with(True, AcceleratorError("CUDA error: device-side assert triggered")),
            "the GPU is lost to this process: CUDA error: device-side assert triggered",
        ),
    ],
)
def test_a_gpu_is_lost_when_it_cannot_be_waited_for(monkeypatch, torch, fault):
    monkeypatch.setitem(sys.modules, "torch", torch)

    assert device_fault() == fault


def test_torch_of_this_machine_has_no_fault():
    pytest.importorskip("torch")

    assert device_fault() is None

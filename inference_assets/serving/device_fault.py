"""Whether the GPU of this process is still usable: some errors of CUDA make every later call fail."""

from __future__ import annotations

import sys


def device_fault() -> str | None:
    """Return what keeps this process from using its GPU, or None where it can, or uses none.

    An assertion that fails on the device, an illegal address or a device that is gone spoil the context of
    the process, for good: only a new process gets another. Memory that is used up does not.
    """
    torch = sys.modules.get("torch")
    try:
        if torch is None or not torch.cuda.is_initialized():
            return None
        torch.cuda.synchronize()
    except Exception as error:
        return f"the GPU is lost to this process: {error}"
    return None

"""In which numbers the model is multiplied."""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager

import torch


class Precision:
    """Runs the model in a shorter kind of number than its weights have, where that was asked for.

    Parameters
    ----------
    name
        ``float32``, ``bfloat16``, ``float16`` (GPUs alone), or ``auto``: what the device is fastest with.
    device
        The device of the process.
    is_large
        Whether a layer is large enough for a CPU to gain from it.

    Attributes
    ----------
    name
        What is used.
    scaler
        Keeps gradients above the smallest float16; it lets other numbers pass unchanged.

    Raises
    ------
    ValueError
        The device, or this version of PyTorch, cannot do it.
    """

    def __init__(self, name: str, device: torch.device, is_large: bool) -> None:
        self.name = _best_for(device, is_large) if name == "auto" else name
        self._device = device
        if self.name == "float16" and device.type != "cuda":
            raise ValueError("--precision float16 needs a GPU: use bfloat16 or float32")
        if self.name != "float32" and not hasattr(torch, "autocast"):
            raise ValueError(f"--precision {self.name} needs PyTorch 1.10 or newer, got {torch.__version__}")
        enabled = self.name == "float16"
        if hasattr(torch, "amp") and hasattr(torch.amp, "GradScaler"):
            self.scaler: Any = torch.amp.GradScaler(device.type, enabled=enabled)
        else:  # before PyTorch 2.3
            self.scaler = torch.cuda.amp.GradScaler(enabled=enabled)

    def autocast(self) -> ContextManager[Any]:
        """Enter this to run the model."""
        if self.name == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, getattr(torch, self.name))


def _best_for(device: torch.device, is_large: bool) -> str:
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    # Without units for it a CPU takes longer for bfloat16 than for float32.
    has_units = getattr(getattr(torch, "cpu", None), "_is_amx_tile_supported", lambda: False)
    return "bfloat16" if is_large and has_units() else "float32"

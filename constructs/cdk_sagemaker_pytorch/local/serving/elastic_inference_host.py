"""Serve as `asgi_host` does, with the call that sends a model to an Elastic Inference accelerator.

A program of its own, see `model_server`. The accelerator's build of torch takes a second argument of
`torch.jit.optimized_execution`, which names the accelerator; an instance has one, ``eia:0``. There is none
on this machine: the call checks what it is given, and the CPU runs the model.
"""

import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

_ACCELERATOR = "eia:0"
_on_the_cpu = torch.jit.optimized_execution  # type: ignore[attr-defined]


@contextmanager
def optimized_execution(should_optimize: bool, options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Run TorchScript on the CPU where an accelerator would run it.

    Parameters
    ----------
    should_optimize
        As in torch.
    options
        ``{"target_device": "eia:0"}``, or None for the CPU.

    Raises
    ------
    RuntimeError
        If the device is not the accelerator that an instance has.
    """
    device = _ACCELERATOR if options is None else options.get("target_device")
    if device != _ACCELERATOR:
        raise RuntimeError(
            f"target_device must be {_ACCELERATOR}, the accelerator of the instance, got {device!r}"
        )
    with _on_the_cpu(should_optimize):
        yield


def main() -> None:
    """Serve a model until SIGTERM."""
    torch.jit.optimized_execution = optimized_execution  # type: ignore[attr-defined]
    runpy.run_path(str(Path(__file__).with_name("asgi_host.py")), run_name="__main__")


if __name__ == "__main__":
    main()

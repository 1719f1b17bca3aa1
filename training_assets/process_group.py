"""The processes that train together."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch.nn import functional


class Process(NamedTuple):
    """One process among those that train together; `device` is the one it trains on."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    host: str
    device: torch.device


def join_processes(backend: str, num_gpus: int) -> Process:
    """Meet the other processes: those that torchrun started, otherwise one per host of the job.

    Parameters
    ----------
    backend
        Of `torch.distributed`; ``auto`` is nccl on GPUs and gloo on CPUs.
    num_gpus
        GPUs of this host; 0 trains on the CPU.
    """
    environment = os.environ
    hosts = json.loads(environment.get("SM_HOSTS") or "[]")
    host = environment.get("SM_CURRENT_HOST") or "localhost"
    if "RANK" in environment and "WORLD_SIZE" in environment:
        rank, world_size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    else:
        rank, world_size = (hosts.index(host), len(hosts)) if host in hosts else (0, 1)
    local_rank = int(environment.get("LOCAL_RANK", 0))
    local_world_size = int(environment.get("LOCAL_WORLD_SIZE", 1))
    gpu = num_gpus > 0 and torch.cuda.is_available()
    device = torch.device("cuda", local_rank % num_gpus) if gpu else torch.device("cpu")
    if world_size > 1:
        if backend == "auto":
            backend = "nccl" if gpu else "gloo"
        # Optimizers import this at their first step. Imported after the processes have met it keeps their
        # group alive until the interpreter ends, where gloo's threads can abort it (seen with torch 2.13).
        with contextlib.suppress(ImportError):  # before torch 2.0
            importlib.import_module("torch._dynamo")
        # The container sets MASTER_ADDR and MASTER_PORT.
        dist.init_process_group(backend, init_method="env://", rank=rank, world_size=world_size)
    return Process(rank, world_size, local_rank, local_world_size, host, device)


def leave_processes(process: Process) -> None:
    """Part from the other processes."""
    if process.world_size > 1:
        dist.destroy_process_group()


def summed(values: torch.Tensor, process: Process) -> torch.Tensor:
    """Sum a tensor over all processes, in place."""
    if process.world_size > 1:
        dist.all_reduce(values)
    return values


def broadcast(content: bytes, process: Process) -> bytes:
    """Give all processes the bytes that the first one has."""
    if process.world_size == 1:
        return content
    length = torch.tensor([len(content)], device=process.device)
    dist.broadcast(length, 0)
    values = torch.zeros(int(length), dtype=torch.uint8, device=process.device)
    if process.rank == 0 and content:
        values.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    dist.broadcast(values, 0)
    return values.cpu().numpy().tobytes()


def gathered(values: torch.Tensor, process: Process) -> torch.Tensor:
    """Concatenate the 1-D tensors of all processes, which may differ in length."""
    if process.world_size == 1:
        return values
    length = torch.tensor([len(values)], device=values.device)
    lengths = [torch.zeros_like(length) for _ in range(process.world_size)]
    dist.all_gather(lengths, length)
    longest = int(max(lengths))
    padded = [values.new_zeros(longest) for _ in lengths]
    dist.all_gather(padded, functional.pad(values, (0, longest - len(values))))
    return torch.cat([part[: int(size)] for part, size in zip(padded, lengths)])

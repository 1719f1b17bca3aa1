"""Adds up the ranks of all hosts with gloo."""

import json
import os

import torch
import torch.distributed as dist

if __name__ == "__main__":
    hosts = json.loads(os.environ["SM_HOSTS"])
    os.environ["WORLD_SIZE"] = str(len(hosts))
    rank = hosts.index(os.environ["SM_CURRENT_HOST"])
    dist.init_process_group("gloo", rank=rank)
    total = torch.tensor([rank + 1])
    dist.all_reduce(total)
    print(f"rank {rank} of {len(hosts)} on {os.environ['SM_CURRENT_HOST']}: sum={total.item()}", flush=True)
    dist.destroy_process_group()

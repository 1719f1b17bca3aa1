# check: training {}
"""Helpers that are imported and start nothing."""
import torch

TABLE = {name: getattr(torch.optim, name) for name in ("SGD", "Adam")}


def step(model, optimizer):
    model(torch.zeros(1)).backward()
    optimizer.step()
    save = torch.save
    save(model, "checkpoint.pth")


class Loop:
    def fit(self, model_dir):
        self.model.fit()

"""How far a run has got, and which of its epochs was the best."""

from __future__ import annotations

from typing import Any

import torch

# Of these metrics more is better.
HIGHER_IS_BETTER = ("test_accuracy",)


class Progress:
    """Where a run is, between two changes of the weights.

    Attributes
    ----------
    epoch
        The current epoch, from 1.
    steps_of_epoch, steps
        Changes of the weights, in this epoch and in all.
    loss
        Sum of the losses of the epoch in this process.
    history
        The metrics of the epochs that have ended.
    best_epoch, best_value, best_weights
        The best of them; the weights are known in the process that needs them.
    """

    def __init__(self, device: torch.device) -> None:
        self.epoch = 1
        self.steps_of_epoch = 0
        self.steps = 0
        self.loss = torch.zeros((), device=device)
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_value = 0.0
        self.best_weights: dict[str, torch.Tensor] = {}

    def end_epoch(self, metrics: dict[str, float], metric: str, weights: dict[str, torch.Tensor]) -> None:
        """Add the metrics of an epoch, remember its weights if it is the best so far, and begin the next."""
        value = metrics[metric]
        gain = value - self.best_value if metric in HIGHER_IS_BETTER else self.best_value - value
        if not self.best_epoch or gain > 0:
            self.best_epoch, self.best_value = self.epoch, value
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        self.history.append(metrics)
        self.epoch += 1
        self.steps_of_epoch = 0
        self.loss = torch.zeros_like(self.loss)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it: all but the loss, which differs between processes."""
        return {name: value for name, value in vars(self).items() if name != "loss"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        vars(self).update(state)

"""A running average of the weights (EMA), which is what gets exported when `ema_decay` is set.

The last steps of a run wander around a point that is better than any of them; the average w' = d w' + (1 - d) w sits
nearer to it. Early on, d is held below (1 + step) / (10 + step), so that the random start is forgotten. Merged public
records use about 0.997 and report -0.001 to -0.005 bits per byte beside a long warm-down.
"""

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages of all parameters, kept beside the model. With decay 0 there are none, and every call does nothing."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.values: dict[str, Tensor] = {}
        if decay:
            self.values = {name: p.detach().float().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the present weights; `step` counts from 0."""
        if not self.values:
            return
        keep = min(self.decay, (1 + step) / (10 + step))
        params = [p.float() for p in self.model.parameters()]
        torch._foreach_lerp_(list(self.values.values()), params, 1.0 - keep)

    @torch.no_grad()
    def put(self) -> None:
        """Make the averages the model's weights."""
        for name, p in self.model.named_parameters():
            if self.values:
                p.copy_(self.values[name])

    def tensors(self) -> dict[str, Tensor]:
        """The averages under names for a checkpoint."""
        return {f"average.{name}": value for name, value in self.values.items()}

    def restore(self, saved: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take the averages out of a checkpoint's tensors; returns the rest."""
        for name, value in self.values.items():
            if (kept := saved.get(f"average.{name}")) is not None:
                value.copy_(kept)
        return {name: value for name, value in saved.items() if not name.startswith("average.")}

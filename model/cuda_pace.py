"""A step's loss and time, read when they are there: on a GPU one step late, so that it never waits for its host.

Reading a loss waits for the step that makes it, and meanwhile the GPU has nothing to do. Here the loss of a step goes
to pinned memory behind that step, and is read when the next step has been handed to the GPU. On a CPU it is read at
once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that is over, as this rank saw it."""

    step: int
    loss: float
    scale: float  # of the rates


@dataclass(frozen=True, slots=True)
class StepUnderWay:
    """A step handed to the device; `wait` returns its loss once it is there."""

    step: int
    scale: float
    wait: Callable[[], float]


def loss_on_its_way(loss: Tensor) -> Callable[[], float]:
    """Send a GPU's number to the host behind the work in flight; what is returned waits for it."""
    host = torch.empty((), dtype=loss.dtype, pin_memory=True)
    host.copy_(loss, non_blocking=True)
    there = torch.cuda.Event()
    there.record()

    def wait() -> float:
        there.synchronize()
        return float(host)

    return wait


class Pace:
    """Steps handed in, and handed back when they are over: at once, or `late` by one."""

    def __init__(self, late: bool, send: Callable[[Tensor], Callable[[], float]] = loss_on_its_way) -> None:
        self.late, self.send = late, send
        self.under_way: list[StepUnderWay] = []

    def step(self, step: int, loss: Tensor, scale: float) -> list[StepDone]:
        """A step was handed to the device; those that are over now."""
        if not self.late:
            return [StepDone(step, float(loss), scale)]
        self.under_way.append(StepUnderWay(step, scale, self.send(loss)))
        return self.over(1)

    def rest(self) -> list[StepDone]:
        """Wait for all steps; those that are over now."""
        return self.over(0)

    def over(self, leave: int) -> list[StepDone]:
        """Wait for all but so many of the last steps."""
        ready, self.under_way = self.under_way[: len(self.under_way) - leave], self.under_way[-leave:] if leave else []
        return [StepDone(one.step, one.wait(), one.scale) for one in ready]

"""A step's loss and time, read when they are there: on a GPU one step late, so that it never waits for its host.

Reading a loss waits for the step that makes it, and meanwhile the GPU has nothing to do. Here the loss of a step goes
to pinned memory behind that step, and is read when the next step has been handed to the GPU. On a CPU it is read at
once.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .cuda_clock import Mark

SLOW = 1.05


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that is over, as this rank saw it."""

    step: int
    loss: float
    scale: float  # of the rates
    work_ms: float  # of this rank alone, until it met the others


@dataclass(frozen=True, slots=True)
class StepUnderWay:
    """A step handed to the device; `wait` returns its loss once it is there, and `work` then its milliseconds."""

    step: int
    scale: float
    wait: Callable[[], float]
    work: Callable[[], float]


class HostMark:
    """A moment of the host's clock, with a CUDA event's methods."""

    def record(self) -> None:
        """Now."""
        self.at = time.perf_counter()

    def elapsed_time(self, end: "HostMark") -> float:
        """Milliseconds to a later mark."""
        return 1000.0 * (end.at - self.at)


class WorkClock:
    """A rank's own work in a step, from its begin to where the ranks meet.

    All ranks end a step together, because they wait for the slowest: which one that is shows only here.
    """

    def __init__(self, make: Callable[[], Mark]) -> None:
        self.make, self.marks = make, (make(), make())

    def begin(self) -> None:
        """A step begins."""
        self.marks = (self.make(), self.make())
        self.marks[0].record()

    def meet(self) -> None:
        """The gradients are there; what follows waits for other ranks."""
        self.marks[1].record()

    def work(self) -> Callable[[], float]:
        """What gives the milliseconds of the step that met last, once the device has done it."""
        begin, end = self.marks
        return lambda: begin.elapsed_time(end)


def slow_rank_words(work_ms: Sequence[float]) -> str:
    """A line about the rank that keeps the others waiting, empty where none needs 5% more than the median."""
    middle, slowest = statistics.median(work_ms), max(work_ms)
    if slowest <= SLOW * middle:
        return ""
    return f"slow_rank:{work_ms.index(slowest)} work:{slowest:.2f}ms median:{middle:.2f}ms"


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

    def step(self, step: int, loss: Tensor, scale: float, work: Callable[[], float]) -> list[StepDone]:
        """A step was handed to the device; those that are over now."""
        if not self.late:
            return [StepDone(step, float(loss), scale, work())]
        self.under_way.append(StepUnderWay(step, scale, self.send(loss), work))
        return self.over(1)

    def rest(self) -> list[StepDone]:
        """Wait for all steps; those that are over now."""
        return self.over(0)

    def over(self, leave: int) -> list[StepDone]:
        """Wait for all but so many of the last steps."""
        ready, self.under_way = self.under_way[: len(self.under_way) - leave], self.under_way[-leave:] if leave else []
        return [StepDone(one.step, one.wait(), one.scale, one.work()) for one in ready]

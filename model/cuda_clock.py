"""Milliseconds of work on a GPU, by events on the device: warmed up, repeated, the median, the cache swept between."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

SWEEP_BYTES = 1 << 28  # written between rounds, several times what a GPU's cache holds


class Mark(Protocol):
    """A CUDA event, or what stands for one."""

    def record(self) -> object:
        """Now, in the order of the device's work."""

    def elapsed_time(self, end: Any) -> float:
        """Milliseconds to a later mark."""


def device_mark() -> Mark:
    """An event that keeps time."""
    return torch.cuda.Event(enable_timing=True)


@dataclass(slots=True)
class DeviceClock:
    """Times work on the current GPU. `mark` and `settle` are the device's; `sweep` runs before each round, untimed."""

    mark: Callable[[], Mark] = device_mark
    settle: Callable[[], object] = field(default=lambda: torch.cuda.synchronize())
    sweep: Callable[[], object] | None = None
    warm: int = 3
    rounds: int = 15

    def milliseconds(self, work: Callable[[], object]) -> float:
        """The median of the rounds; the first ones, in which kernels are made ready, do not count."""
        for _ in range(self.warm):
            work()
        pairs = []
        for _ in range(self.rounds):
            if self.sweep is not None:
                self.sweep()
            begin, end = self.mark(), self.mark()
            begin.record()
            work()
            end.record()
            pairs.append((begin, end))
        self.settle()
        return statistics.median(begin.elapsed_time(end) for begin, end in pairs)

    def sustained(self, work: Callable[[], object]) -> float:
        """Milliseconds of one round when all follow each other without a pause, as steps of a run do."""
        for _ in range(self.warm):
            work()
        begin, end = self.mark(), self.mark()
        begin.record()
        for _ in range(self.rounds):
            work()
        end.record()
        self.settle()
        return begin.elapsed_time(end) / self.rounds


def sweeping_clock(device: torch.device, rounds: int = 15) -> DeviceClock:
    """A clock before whose rounds the GPU's cache is filled with something else."""
    room = torch.empty(SWEEP_BYTES, dtype=torch.uint8, device=device)
    return DeviceClock(sweep=room.zero_, rounds=rounds)

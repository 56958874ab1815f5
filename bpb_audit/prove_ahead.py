"""Several units at a time, each with scorer processes of its own; results come in order, and few are held.

Threads are enough: the scorers do most of the work, in their own processes, and numpy lets go of the lock.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

from .prove_frames import Scorer

Job = TypeVar("Job")
Result = TypeVar("Result")


def workers_for(asked: int) -> int:
    """How many units to work on at a time: as asked, or one a processor, four at most."""
    return asked or min(os.cpu_count() or 1, 4)


def in_order(
    jobs: Iterable[Job], work: Callable[[Job], Result], workers: int, stop: Callable[[], None]
) -> Iterator[Result]:
    """work(job) of each job in order, at most `workers` of them begun and not yet handed on. `stop` ends what is under
    way, when one of them fails or nobody wants the rest."""
    with ThreadPoolExecutor(workers) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                begun.append(pool.submit(work, job))
                if len(begun) >= workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        except BaseException:
            for waiting in begun:
                waiting.cancel()
            stop()
            raise


class Scorers:
    """Scorer processes to borrow, started when there is none at rest. A context manager that ends them all."""

    def __init__(self, start: Callable[[], Scorer]) -> None:
        self.start, self.resting, self.all = start, SimpleQueue[Scorer](), list[Scorer]()

    def __enter__(self) -> "Scorers":
        return self

    def __exit__(self, *_: object) -> None:
        for scorer in self.all:
            scorer.close()

    @contextmanager
    def borrow(self) -> Iterator[Scorer]:
        """A scorer for a while. Raises AuditError when a new one does not start."""
        try:
            scorer = self.resting.get_nowait()
        except Empty:
            scorer = self.start()
            self.all.append(scorer)
        yield scorer
        self.resting.put(scorer)

    def stop(self) -> None:
        """End them now: whoever waits for one meets its end."""
        for scorer in self.all:
            scorer.process.kill()

"""Progress on stderr, only where somebody is looking: a bar over bytes with MB/s, the time gone and the time left.

Work inside a library that cannot say how far it is leaves the bar where it stands; the spinner and the time go on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Advance(Protocol):
    """Says that `size` more bytes are done."""

    def __call__(self, size: int) -> None: ...


def nobody(size: int) -> None:
    """For callers that show nothing."""


@contextmanager
def bytes_bar(line: str, total: int) -> Iterator[Advance]:
    """A bar over `total` bytes; silent unless stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield nobody
        return
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    columns = (SpinnerColumn(), TextColumn(line), BarColumn(), TransferSpeedColumn(), *times)
    waiting, step = 0, max(total // 1000, 1)  # a call for each line of a large file would cost more than the line

    def advance(size: int) -> None:
        nonlocal waiting
        waiting += size
        if waiting >= step:
            progress.update(task, advance=waiting)
            waiting = 0

    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(line, total=total or None)
        yield advance

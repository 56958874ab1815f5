"""Progress on stderr, only where somebody is looking: a bar over bytes, or a word that work goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


class Advance(Protocol):
    """Says that `size` more bytes are done."""

    def __call__(self, size: int) -> None: ...


@contextmanager
def bytes_bar(line: str, total: int) -> Iterator[Advance]:
    """A bar over `total` bytes with MB/s and the time left; silent unless stderr is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn(line), BarColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(line, total=total)
        yield lambda size: progress.update(task, advance=size)


@contextmanager
def working(line: str) -> Iterator[None]:
    """A spinner for work that cannot say how far it is; silent unless stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(line):
        yield

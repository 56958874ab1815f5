"""How far work on weights is, on stderr; nothing at all where stderr is no terminal."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


class Rate(ProgressColumn):
    """Millions of weights a second."""

    def render(self, task: Task) -> Text:
        """Nothing before the first are done."""
        return Text(f"{task.speed / 1e6:.2f} M weights/s" if task.speed else "")


class Bar:
    """Told how many weights are done of how many; without a `Progress` it says nothing."""

    def __init__(self, shown: Progress | None = None) -> None:
        self.shown = shown
        self.task = shown.add_task("", total=None) if shown else None

    def begin(self, says: str, total: int) -> None:
        """A new piece of work over so many weights."""
        if self.shown and self.task is not None:
            self.shown.reset(self.task, description=says, total=total)

    def __call__(self, count: int) -> None:
        """So many more are done."""
        if self.shown and self.task is not None:
            self.shown.advance(self.task, count)


@contextmanager
def weights_bar() -> Iterator[Bar]:
    """A bar over weights with their rate and the time left."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        yield Bar(shown)


@contextmanager
def working(says: str) -> Iterator[None]:
    """A spinner with the time so far for work that cannot say how far it is."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(says), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        shown.add_task(says, total=None)
        yield


def progress(items: Iterable[T], says: str) -> Iterator[T]:
    """The items, with a bar that says which one is at work, how many there are, and the time left."""
    console, known = Console(stderr=True), list(items)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(says, total=len(known))
        for item in known:
            shown.update(task, description=f"{says}: {item}" if isinstance(item, str) else says)
            yield item
            shown.advance(task)

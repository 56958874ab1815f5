"""A progress bar on stderr for work that takes seconds; nothing at all where stderr is no terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a bar that says `what`, how many of how many, and the time left."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    if not console.is_terminal or len(items) < 4:
        return items
    return _shown(rich_track(items, description=what, console=console, transient=True))


def _shown(items: Iterable[T]) -> Iterator[T]:
    yield from items

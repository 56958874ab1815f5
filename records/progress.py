"""How far work on many records is, on stderr; nothing at all where stderr is no terminal.

The auditor's line is used, so that its own (the recount of one folder) and this one never draw over each other.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from bpb_audit.progress import Progress

T = TypeVar("T")


def track(items: Sequence[T], what: str, unit: str = "records") -> Iterator[T]:
    """The items, with a line that says `what`, how many of how many, the rate and the time left."""
    tell = Progress(what, unit, len(items))
    try:
        for item in items:
            yield item
            tell(1)
    finally:
        tell.wipe()

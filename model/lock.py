"""One training in a run folder at a time: a file lock that the system itself lets go when its holder ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ModelError


@contextmanager
def folder_lock(place: Path, patience: float) -> Iterator[None]:
    """Hold the lock file `place` for the block; waits up to `patience` seconds for one who is leaving. ModelError."""
    try:
        import fcntl
    except ModuleNotFoundError:  # a system without file locks; go without
        yield
        return
    until = time.monotonic() + patience
    with place.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until:
                    raise ModelError(
                        f"{place.parent.resolve()}: another training is at work there. Wait for it, or pass --out."
                    ) from None
                time.sleep(0.25)
        yield

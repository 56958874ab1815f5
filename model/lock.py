"""One training in a run folder at a time: a file lock that the system itself lets go when its holder ends."""

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import ModelError

HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}


@contextmanager
def folder_lock(place: Path, patience: float) -> Iterator[None]:
    """Hold the lock file `place` for the block; waits up to `patience` seconds for one who is leaving. ModelError."""
    until = time.monotonic() + patience
    with place.open("w") as file:
        while True:
            try:
                take(file)
                break
            except OSError as error:
                if error.errno not in HELD:  # a file system without locks; go without
                    break
                if time.monotonic() >= until:
                    raise ModelError(
                        f"{place.parent.resolve()}: another training is at work there. Wait for it, or pass --out."
                    ) from None
                time.sleep(0.25)
        yield


def take(file: IO[str]) -> None:
    """Lock an open file until it is closed. OSError when another process holds it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

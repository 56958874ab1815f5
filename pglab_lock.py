"""A lock file that one process at a time holds; it imports no room, so that every room may use it.

    with held(folder / ".lock", wait) as inherited:
        subprocess.Popen(words, pass_fds=inherited)

Where there is `flock` the system lets go of it when the last process that has the descriptor ends: a child that
inherits it keeps the lock, whatever becomes of its parent. Elsewhere (Windows) the `filelock` library holds it, and a
child that outlives its parent does not.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(place: Path, wait: Callable[[], None]) -> Iterator[tuple[int, ...]]:
    """Hold the lock file `place`. Yields the descriptors that a child must inherit to keep it: one, or none.

    wait: called once when somebody else holds it, before waiting for him; what it raises ends the attempt. The file may
    be removed by who holds it. Raises OSError.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        with held_by_library(place, wait):
            yield ()
        return
    told = False
    while True:
        with place.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    wait()
                told = True
                fcntl.flock(file, fcntl.LOCK_EX)
            if same_file(file.fileno(), place):  # else it was removed while we waited, and holds nobody off
                yield (file.fileno(),)
                return


def same_file(descriptor: int, place: Path) -> bool:
    """Whether the open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


@contextmanager
def held_by_library(place: Path, wait: Callable[[], None]) -> Iterator[None]:
    """`held` where there is no `flock`."""
    from filelock import FileLock, Timeout

    lock = FileLock(place)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

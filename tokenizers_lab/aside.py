"""Files that are either whole or not there: written under another name, flushed to the disk, then renamed.

A run that is killed leaves at most a `NAME.aside` file, which the next run overwrites; nobody ever meets half a shard
under the name of a shard. Two runs in one folder would take each other's files away, so the second is refused.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from pglab_lock import held_by_library

from .errors import VocabError


@contextmanager
def aside(path: Path, settled: bool = True) -> Iterator[BinaryIO]:
    """A binary file that appears as `path` only when the block ends without an exception. Raises OSError.

    settled: its name is safe on the disk as well when the block ends; else after sync_folder, or some seconds.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe is written to, never replaced
        with path.open("wb") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(path.name + ".aside")
    try:
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
        if settled:
            sync_folder(path.parent)
    finally:
        hidden.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, settled: bool = True) -> None:
    """Write `data` as the whole of `path`, atomically. Raises OSError."""
    with aside(path, settled) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON with a last newline, atomically. Raises OSError."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder where there is none and hold it for this process, however that ends; an empty one is not left.

    The folder itself is locked, so that a killed run leaves no lock file among the shards; where a system cannot do
    that (Windows), a file `.lock` in it is. Raises VocabError when another process holds it, OSError.
    """
    fresh = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder):
            yield
    finally:
        if fresh:
            with suppress(OSError):  # not empty, as it should be
                folder.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    def refuse() -> None:
        raise VocabError(f"{folder}: another command is writing into this folder. Wait for it, or use --out.") from None

    try:
        import fcntl
    except ModuleNotFoundError:
        with held_by_library(folder / ".lock", refuse):
            yield
        (folder / ".lock").unlink(missing_ok=True)
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        refuse()
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make renames themselves durable, where the system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)

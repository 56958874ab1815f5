"""Files that are either whole or not there: written under another name, flushed to the disk, then renamed.

A run that is killed leaves at most a `NAME.aside` file, which the next run overwrites; nobody ever meets half a shard
under the name of a shard.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def aside(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears as `path` only when the block ends without an exception. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(path.name + ".aside")
    try:
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
        _sync_folder(path.parent)
    finally:
        hidden.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` as the whole of `path`, atomically. Raises OSError."""
    with aside(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON with a last newline, atomically. Raises OSError."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened."""
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

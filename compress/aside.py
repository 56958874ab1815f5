"""Writing a file so that nobody ever sees half of it.

Bytes go to a temporary neighbour, are forced to the disk, and only then take the final name. A run that is killed
leaves the old file or the new one, never a torn one.
"""

import contextlib
import errno
import os
import tempfile
from pathlib import Path


def hold_place(path: str | os.PathLike[str]) -> None:
    """FileNotFoundError, before any work, where `write_aside` would find no folder to write to."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


def write_aside(path: str | os.PathLike[str], data: bytes) -> int:
    """Write `data` to `path` in one visible step; returns the size in bytes of the file as it lies there.

    Raises OSError when the folder cannot be written.
    """
    place = Path(path)
    hold_place(place)
    if (
        place.exists() and not place.is_file() and not place.is_dir()
    ):  # a device or a pipe is written to, never replaced
        with place.open("wb") as device:
            device.write(data)
        return len(data)
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return place.stat().st_size

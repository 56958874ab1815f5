"""Writing a file so that nobody ever sees half of it: a temporary neighbour, forced to the disk, then renamed."""

import os
import tempfile
from pathlib import Path


def write_aside(place: Path, data: bytes, mode: int = 0o644) -> int:
    """Write `data` to `place` in one visible step; returns its size in bytes. Raises OSError."""
    if (
        place.exists() and not place.is_file() and not place.is_dir()
    ):  # a device or a pipe is written to, never replaced
        with place.open("wb") as device:
            device.write(data)
        return len(data)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return len(data)

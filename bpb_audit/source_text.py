"""Reads a stranger's script as text: any bytes give a string, nothing is executed."""

from pathlib import Path

from .errors import AuditError

MAX_BYTES = 16 << 20


def read_source(path: Path) -> str:
    """The text of a script; undecodable bytes become U+FFFD. Raises AuditError when it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AuditError(f"{path}: above {MAX_BYTES:,} bytes; no script needs that.")
        return path.read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError as error:
        raise AuditError(f"{path}: cannot be read ({error.strerror}); give a readable script.") from error

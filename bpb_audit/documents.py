"""The raw documents: JSON lines with a `text`, one document a line, plain or gzipped, read one line at a time.

The text is never stripped, normalised or repaired: its UTF-8 bytes are what bits per byte divides by. A line that
cannot be read is an error with its number, not a document of zero bytes.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import AuditError

LONGEST_LINE = 1 << 28


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its line in the file (from 1), its text, and the UTF-8 of it, which is what counts."""

    line: int
    text: str
    raw: bytes


def read_documents(path: Path) -> Iterator[Document]:
    """Every document of a `.jsonl` or `.jsonl.gz`, in file order; blank lines are skipped.

    A line is an object with a string under "text", or a bare string. Raises AuditError with the line number for JSON
    that is broken, bytes that are not UTF-8, a missing text, a lone surrogate, a line above 256 MiB, a torn gzip.
    """
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        file = gzip.GzipFile(fileobj=plain) if packed else plain
        number = 0
        while True:
            number += 1
            try:
                line = file.readline(LONGEST_LINE + 1)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise AuditError(
                    f"{path}:{number}: the gzip is damaged or cut off ({error}). Fetch it again."
                ) from None
            if not line:
                return
            if len(line) > LONGEST_LINE:
                raise AuditError(f"{path}:{number}: a line above {LONGEST_LINE:,} bytes; wanted one document a line.")
            if not line.isspace():
                yield _document(line, number, path)


def _document(line: bytes, number: int, path: Path) -> Document:
    where = f"{path}:{number}"
    try:
        entry = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        bad = line[error.start : error.start + 4]
        raise AuditError(
            f"{where}: byte {error.start + 1:,} of the line is not UTF-8 ({bad!r}). Convert the file to UTF-8 first."
        ) from None
    except (ValueError, RecursionError) as error:
        raise AuditError(f'{where}: not JSON ({str(error)[:80]}); wanted {{"text": "..."}} on each line.') from None
    text = entry.get("text") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise AuditError(f'{where}: no string under "text"; wanted {{"text": "..."}} on each line.')
    try:
        return Document(number, text, text.encode("utf-8"))
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise AuditError(
            f"{where}: character {error.start + 1:,} is the lone surrogate U+{code:04X}, which has no UTF-8. "
            "Repair or drop the document on both sides."
        ) from None

"""The reader of documents: JSON lines with a `text`, parquet, or plain text; also gzipped (.gz) or zstandard (.zst).

What kind of file it is follows from its name: `.jsonl`/`.json`/`.ndjson` hold one document a line, `.parquet` one a
row, every other file is one document, and a folder is the `.txt` files in it (without any, the `.parquet` files) in the
order of their names. Text is handed on exactly as published: nothing is stripped, normalised or repaired, because its
UTF-8 bytes are what bits per byte divides by. A line or row that cannot be read is an error with its number, never a
document of zero bytes.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from .errors import VocabError

LONGEST_LINE = 1 << 28  # bytes; a 100 MB document fits, a file without newlines does not eat the memory
LINES = (".jsonl", ".ndjson", ".json")
_DECODE = json.JSONDecoder().raw_decode
COLUMN = "text"  # where the challenge's documents have their text


@dataclass(frozen=True, slots=True)
class Document:
    """One document: where it stands (`file:line`), its text, `size`, the bytes of its UTF-8; `raw`, these, or b""."""

    where: str
    text: str
    size: int
    raw: bytes = field(default=b"", compare=False, repr=False)


def read_documents(path: Path, skipped: list[str] | None = None, column: str = COLUMN) -> Iterator[Document]:
    """Every document of a file or folder, in order, one at a time. Blank lines are skipped.

    column: the key of a line, or the column of a parquet file, that holds the text.

    Raises VocabError (naming file:line) for broken JSON, bytes that are not UTF-8, a line without a string under
    "text", a lone surrogate, a line above 256 MiB, a torn archive; OSError when the file cannot be opened. With a list
    for `skipped`, a line that is no document is left out and its sentence appended to the list.
    """
    if path.is_dir():
        files = sorted(path.glob("*.txt")) or sorted(path.glob("*.parquet"))
        if not files:
            raise VocabError(f"{path}: a folder without .txt or .parquet files; wanted documents. Name a .jsonl file.")
        for member in files:
            yield from read_documents(member, skipped, column)
        return
    if path.name.endswith(".parquet"):
        yield from _rows(path, skipped, column)
        return
    plain_name = path.name.removesuffix(".gz").removesuffix(".zst")
    with unpacked(path) as file:
        if plain_name.endswith(LINES):
            yield from _lines(file, path, skipped, column)
        else:
            yield _whole(file, path)


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked when it is an archive; errors in it become VocabError inside the block."""
    with path.open("rb") as raw:
        try:
            yield _unpacked(raw, path)
        except _torn_errors() as error:
            raise VocabError(f"{path}: the archive is damaged or cut off ({error}). Fetch it again.") from None


def _torn_errors() -> tuple[type[Exception], ...]:
    import zstandard

    return (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError)


def _unpacked(raw: BinaryIO, path: Path) -> BinaryIO:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_Frames(raw), 1 << 17)
    if path.suffix in (".gz", ".zst"):
        raise VocabError(f"{path}: starts with {magic!r}, not as {path.suffix} does. Rename or fetch it again.")
    return raw


class _Frames(io.RawIOBase):
    """zstandard frames one after another; its own reader ends quietly when a file is cut off, this one raises."""

    def __init__(self, raw: BinaryIO) -> None:
        import zstandard

        self._raw, self._ready = raw, b""
        self._fresh = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._fresh()
        self._begun = False  # inside a frame whose end was not seen yet

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            packed = packed or self._raw.read(1 << 14)
            if not packed:
                if self._begun:
                    raise EOFError("the last frame has no end")
                return 0
            if self._frame.eof:
                self._frame = self._fresh()
            self._ready = self._frame.decompress(packed)
            self._begun = not self._frame.eof
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _lines(file: BinaryIO, path: Path, skipped: list[str] | None, column: str) -> Iterator[Document]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise VocabError(f"{path}:{number}: a line above {LONGEST_LINE:,} bytes; wanted one document a line.")
        if line.isspace():
            continue
        try:
            document = parse_line(line, number, path, column)
        except VocabError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        yield document


def _rows(path: Path, skipped: list[str] | None, column: str) -> Iterator[Document]:
    from .document_parquet import parquet_rows

    for number, text in enumerate(parquet_rows(path, column), 1):
        where = f"{path}:{number}"
        try:
            if isinstance(text, VocabError):
                raise text
            if text is None:
                raise VocabError(f'{where}: an empty cell under "{column}"; wanted a string in each row.')
            document = Document(where, text, utf8_size(text, where))
        except VocabError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        yield document


def parse_line(line: bytes, number: int, path: Path, column: str = COLUMN, keep: bool = False) -> Document:
    """The document in line `number` (from 1) of a JSONL file; keep: its `raw` too.

    Raises VocabError for whatever is not one.
    """
    where = f"{path}:{number}"
    try:
        entry = _json(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        bad = line[error.start : error.start + 4]
        raise VocabError(
            f"{where}: byte {error.start + 1:,} of the line is not UTF-8 ({bad!r}). Convert the file first."
        ) from None
    except (ValueError, RecursionError) as error:
        raise VocabError(f'{where}: not JSON ({str(error)[:80]}); wanted {{"text": "..."}} on each line.') from None
    text = entry.get(column) if isinstance(entry, dict) else None
    if not isinstance(text, str):
        keys = ", ".join(map(str, entry)) if isinstance(entry, dict) else type(entry).__name__
        raise VocabError(
            f'{where}: no string under "{column}" among {keys!r:.60}; wanted {{"{column}": "..."}} on each line, or '
            "another --column."
        )
    raw = utf8(text, where) if keep else b""
    return Document(where, text, len(raw) if keep else utf8_size(text, where), raw)


def _json(text: str) -> Any:
    """json.loads, whose way to its decoder costs as much as a short line. Raises what it raises."""
    try:
        entry, end = _DECODE(text)
    except ValueError:
        return json.loads(text)
    return entry if text[end:] in ("", "\n", "\r\n") else json.loads(text)


def _whole(file: BinaryIO, path: Path) -> Document:
    data = file.read()
    try:
        return Document(f"{path}:1", data.decode("utf-8"), len(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        bad = data[error.start : error.start + 4]
        raise VocabError(f"{path}:{line}: byte {error.start + 1:,} is not UTF-8 ({bad!r}). Convert it first.") from None


def utf8_size(text: str, where: str) -> int:
    """Bytes of the UTF-8 of `text`. Raises VocabError for a lone surrogate, naming it and `where`."""
    return len(text) if text.isascii() else len(utf8(text, where))


def utf8(text: str, where: str) -> bytes:
    """The UTF-8 of `text`. Raises VocabError as utf8_size."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VocabError(
            f"{where}: character {error.start + 1:,} is the lone surrogate U+{ord(text[error.start]):04X}, which has "
            "no UTF-8. Repair or drop the document before building anything from it."
        ) from None

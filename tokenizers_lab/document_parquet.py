"""Documents out of a parquet file, as FineWeb is published: one column (`text`), one row a document, in order.

pyarrow reads it (extra `[parquet]`), a batch of rows at a time. A row that cannot be a document is an error with its
number, as a line of JSON would be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import VocabError

ROWS = 256  # read at once


def parquet_rows(path: Path, column: str) -> Iterator[str | VocabError | None]:
    """The texts of a parquet file in order, None for an empty cell, VocabError for bytes that are not UTF-8.

    Raises VocabError when pyarrow is missing, the file is no parquet file or damaged, or has no such column of text;
    OSError when it cannot be opened.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise VocabError(
            f"{path}: reading parquet needs pyarrow, which is not installed. "
            "Run: pip install 'parameter-golf-lab[parquet]'"
        ) from None
    row = 0
    with path.open("rb") as raw:
        try:
            file = parquet.ParquetFile(raw)
            _check(file.schema_arrow, pyarrow, path, column)
            for batch in file.iter_batches(ROWS, columns=[column], use_threads=False):
                for cell in batch.column(0):
                    row += 1
                    yield _text(cell, f"{path}:{row}")
        except (pyarrow.ArrowException, OSError, EOFError) as error:
            line = " ".join(str(error).split())
            raise VocabError(
                f"{path}: no whole parquet file, after {row:,} rows ({line[:100]}). Fetch it again."
            ) from None


def _check(schema: Any, pyarrow: Any, path: Path, column: str) -> None:
    if column not in schema.names:
        names = ", ".join(map(str, schema.names[:6])) or "none"
        raise VocabError(
            f"{path}: no column {column!r} among its columns ({names:.120}). Name the one with the text: --column NAME"
        )
    kind = schema.field(column).type
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        raise VocabError(f"{path}: column {column!r} holds {kind!s:.40}; wanted strings. Convert it first.")


def _text(cell: Any, where: str) -> str | VocabError | None:
    try:
        text: str | None = cell.as_py()
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 4]
        return VocabError(
            f"{where}: byte {error.start + 1:,} of the text is not UTF-8 ({bad!r}). Convert the file first."
        )
    return text

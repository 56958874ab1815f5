"""Open whatever file says what tokens mean, by what is in it and not by its name.

A zip is a byte table, `{` begins a JSON tokenizer, base64 lines are tiktoken ranks, everything else must be a
SentencePiece model. A byte table cannot decode; it is returned as such and compared with a vocabulary elsewhere.
"""

import re
from pathlib import Path

from .errors import AuditError
from .hf_json import read_tokenizer_json
from .meta_npz import LENGTHS, byte_table, read_npy, read_npz
from .spm_model import MAX_BYTES, read_spm_model
from .spm_vocabulary import spm_vocabulary
from .tiktoken_ranks import read_ranks
from .vocabulary import ByteTable, Vocabulary

NAMES = ("tokenizer.model", "tokenizer.json", "*.model", "*tokenizer*.json", "*pure_byte*.json", "*.tiktoken")
TABLES = ("token_table.npz", "*.meta.npz", "*meta*.npz")


def read_bytes(path: Path) -> bytes:
    """The whole of a small file. Raises AuditError when it is above 256 MiB or a folder."""
    if path.is_dir():
        raise AuditError(f"{path}: a folder, wanted a tokenizer file. Try: --tokenizer {path}/tokenizer.model")
    if path.stat().st_size > MAX_BYTES:
        raise AuditError(f"{path}: {path.stat().st_size:,} bytes is too large for a tokenizer. Name another file.")
    return path.read_bytes()


def parse_tokenizer(data: bytes, where: str) -> Vocabulary | ByteTable:
    """What the bytes hold: a vocabulary that decodes, or a table that only counts. Raises AuditError otherwise."""
    if data[:2] == b"PK":
        return byte_table(read_npz(data, where), where)
    if data[:6] == b"\x93NUMPY":
        return byte_table({LENGTHS[0]: read_npy(data, where)}, where)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return read_tokenizer_json(data.removeprefix(b"\xef\xbb\xbf"), where)
    if re.match(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n", data):
        return read_ranks(data, where)
    return spm_vocabulary(read_spm_model(data, where), where)


def open_tokenizer(path: Path) -> Vocabulary | ByteTable:
    """`parse_tokenizer` of a file. Raises AuditError, or OSError when the file cannot be opened."""
    return parse_tokenizer(read_bytes(path), str(path))


def find_tokenizer(folder: Path) -> Path | None:
    """The tokenizer file in a shards folder; None without one. A file named like the lab's own comes first."""
    return _first(folder, NAMES)


def find_table(folder: Path) -> Path | None:
    """The byte table in a shards folder (`token_table.npz`, or a public `*.meta.npz`); None without one."""
    return _first(folder, TABLES)


def _first(folder: Path, patterns: tuple[str, ...]) -> Path | None:
    if not folder.is_dir():
        return None
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()), None)

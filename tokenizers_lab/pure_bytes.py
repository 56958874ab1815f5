"""The vocabulary without training: 256 bytes after the four special ids, 260 in all (`byte260`).

Its file is the JSON that the challenge's public exporter writes for `pure_byte`, byte for byte.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .byte_counts import ends_from_table, sizes_of
from .byte_table import ByteTable
from .errors import VocabError
from .tokenizer import BOS, EOS, PAD, UNK, Encoded, Lossless

OFFSET, SIZE = 4, 260
CONFIG: dict[str, Any] = {
    "bos_id": BOS,
    "byte_count": 256,
    "byte_offset": OFFSET,
    "eos_id": EOS,
    "pad_id": PAD,
    "unk_id": UNK,
}


class PureBytes:
    """byte260: a document's tokens are its UTF-8 bytes plus 4."""

    size = SIZE
    bos, unk = BOS, UNK
    lossless: Lossless = "exact"

    def __init__(self) -> None:
        ordinary = np.arange(SIZE) >= OFFSET
        self.token_bytes: np.ndarray | None = ordinary.astype(np.int64)
        self.table = ByteTable.of(ordinary.astype(np.int64), np.zeros(SIZE, bool), ~ordinary)

    def __repr__(self) -> str:
        return "PureBytes()"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes = sizes_of(texts)
        data = "".join(texts).encode("utf-8")
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        return Encoded(np.frombuffer(data, np.uint8).astype(np.uint16) + np.uint16(OFFSET), offsets)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        assert self.token_bytes is not None
        return ends_from_table(self.token_bytes, encoded, sizes_of(texts))

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        ids = np.asarray(ids)
        return (ids[ids >= OFFSET] - OFFSET).astype(np.uint8).tobytes().decode("utf-8", errors="replace")

    def fallback(self) -> np.ndarray:
        """(260,) bool: none; bytes are what this vocabulary is made of, nothing fell back."""
        return np.zeros(SIZE, bool)


def to_file() -> bytes:
    """The bytes of its tokenizer.json."""
    content = {"tokenizer_type": "pure_byte", "config": CONFIG, "vocab_size": SIZE}
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode("ascii")


def from_file(data: bytes, where: str) -> PureBytes:
    """PureBytes if `data` says so. Raises VocabError for another layout of bytes."""
    try:
        config = json.loads(data.decode("utf-8"))["config"]
    except (ValueError, TypeError, KeyError, RecursionError):
        config = None
    if config != CONFIG:
        raise VocabError(f"{where}: no byte260 file; wanted bytes from id {OFFSET}. Run: pglab vocab train bytes")
    return PureBytes()

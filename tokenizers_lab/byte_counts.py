"""Bytes per token that are proven against the document, not assumed from a table.

Every wrong score this challenge has seen came from a table about tokens that nobody compared with the text. Here the
comparison is the interface: ends or lengths are only handed out when, for each document, they sum to its UTF-8.
"""

from collections.abc import Sequence

import numpy as np

from .document import utf8_size
from .errors import VocabError
from .tokenizer import BOS, Encoded, Tokenizer

SIDECAR_LIMIT = 0xFFFF


def sizes_of(texts: Sequence[str]) -> np.ndarray:
    """(D,) int64: bytes of UTF-8 of each document. Raises VocabError for a lone surrogate."""
    return np.fromiter((utf8_size(t, f"document {i} of the batch") for i, t in enumerate(texts)), np.int64, len(texts))


def ends_from_table(token_bytes: np.ndarray, encoded: Encoded, sizes: np.ndarray) -> np.ndarray:
    """(n,) int64 byte ends when a token always stands for the same bytes.

    token_bytes: (V,) int64; sizes: (D,) int64. Raises VocabError unless each document sums exactly.
    """
    prove_sums(token_bytes, encoded, sizes)
    running = np.cumsum(token_bytes[encoded.ids])
    return running - np.repeat(np.cumsum(sizes) - sizes, np.diff(encoded.offsets))


def prove_sums(token_bytes: np.ndarray, encoded: Encoded, sizes: np.ndarray) -> None:
    """Raise VocabError unless the tokens of each document sum to its bytes; arguments as in ends_from_table."""
    small = token_bytes.astype(np.uint32)  # of one token; half the memory to go through
    found = np.zeros(encoded.documents, np.int64)
    some = np.diff(encoded.offsets) > 0
    if some.any():
        found[some] = np.add.reduceat(small[encoded.ids], encoded.offsets[:-1][some], dtype=np.int64)
    wrong = np.flatnonzero(found != sizes)
    if len(wrong):
        first = int(wrong[0])
        raise VocabError(
            f"{len(wrong):,} of {encoded.documents:,} documents do not sum: document {first} of the batch has "
            f"{int(sizes[first]):,} bytes and its tokens {int(found[first]):,}; the vocabulary "
            "loses text. Use a lossless kind, as: pglab vocab train bpe"
        )


def lengths_from_ends(ends: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(n,) int64 bytes per token from byte ends within each document."""
    lengths = np.diff(ends, prepend=0)
    firsts = offsets[:-1][np.diff(offsets) > 0]
    lengths[firsts] = ends[firsts]
    return lengths


def byte_lengths(tokenizer: Tokenizer, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
    """(n,) int64 original bytes per token. Raises VocabError unless each document with tokens sums to its UTF-8."""
    ends = tokenizer.byte_ends(encoded, texts)
    lengths = lengths_from_ends(ends, encoded.offsets)
    some = np.diff(encoded.offsets) > 0
    last = ends[encoded.offsets[1:][some] - 1]
    if len(lengths) and (int(lengths.min()) < 0 or not np.array_equal(last, sizes_of(texts)[some])):
        raise VocabError("byte ends do not tile the documents; this is a fault of the vocabulary's byte_ends.")
    return lengths


def with_bos(encoded: Encoded, bos: int = BOS) -> np.ndarray:
    """(n + D,) ids as they stand in a shard: BOS, then the document, no EOS."""
    return np.insert(encoded.ids, encoded.offsets[:-1], np.asarray(bos, encoded.ids.dtype))


def sidecar_values(lengths: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(n + D,) uint16 as they stand in a byte sidecar: 0 at BOS, then the bytes of each token.

    Two cases a uint16 at BOS 0 cannot hold are settled so that the sum over the document stays its raw bytes: a
    document of which the vocabulary kept nothing has its bytes at BOS; bytes above 65,535 at one token (a long run of
    dropped white space) move to the tokens around it. Raises VocabError when a document cannot hold its bytes at all.
    """
    values = np.insert(lengths, offsets[:-1], 0)
    begins = offsets[:-1] + np.arange(len(sizes))
    empty = np.diff(offsets) == 0
    values[begins[empty]] = sizes[empty]
    if len(values) and int(values.max()) > SIDECAR_LIMIT:
        ends = offsets[1:] + np.arange(1, len(sizes) + 1)
        for document in np.unique(np.searchsorted(begins, np.flatnonzero(values > SIDECAR_LIMIT), "right") - 1):
            part = slice(int(begins[document]), int(ends[document]))
            values[part] = _levelled(values[part], f"document {document} of the batch")
    return values.astype(np.uint16)


def _levelled(values: np.ndarray, where: str) -> np.ndarray:
    """One document's values with every excess moved first to later, then to earlier tokens."""
    values = values.copy()
    for order in (range(len(values)), range(len(values) - 1, -1, -1)):
        excess = 0
        for i in order:
            total = int(values[i]) + excess
            values[i] = min(total, SIDECAR_LIMIT)
            excess = total - int(values[i])
        if excess:
            values[order[-1]] += excess
    if int(values.max()) > SIDECAR_LIMIT:
        raise VocabError(
            f"{where}: {int(values.sum()):,} bytes became {len(values):,} tokens; a sidecar holds 65,535 a token. "
            "Drop the document or use a lossless kind, as: pglab vocab train bpe"
        )
    return values

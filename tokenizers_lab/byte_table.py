"""The official byte table of a vocabulary: three columns per token id, by which the challenge counts bytes.

The rule, from the challenge's public script: a target token counts `base_bytes`, and one byte more when it has a
leading space and the token before it is no boundary. Control, unknown and unused pieces are boundaries of zero bytes;
byte pieces count 1; every other piece counts the UTF-8 of its text without a leading U+2581.

The table speaks about tokens, never about documents: for a vocabulary that normalises, its sum is not the raw bytes.
"""

import io
from dataclasses import dataclass

import numpy as np

from .errors import VocabError


@dataclass(frozen=True, slots=True, eq=False)
class ByteTable:
    """base_bytes (V,) uint16, has_leading_space (V,) bool, is_boundary (V,) bool."""

    base_bytes: np.ndarray
    has_leading_space: np.ndarray
    is_boundary: np.ndarray

    @staticmethod
    def of(base: np.ndarray, spaced: np.ndarray, boundary: np.ndarray) -> "ByteTable":
        """Checked and cast. Raises VocabError for a token above 65,535 bytes."""
        if len(base) and int(base.max()) > 0xFFFF:
            token = int(base.argmax())
            raise VocabError(f"token {token} stands for {int(base[token]):,} bytes; the table holds at most 65,535.")
        return ByteTable(base.astype(np.uint16), spaced.astype(bool), boundary.astype(bool))

    def count(self, tokens: np.ndarray) -> np.ndarray:
        """(n,) int64: bytes a stream (n,) counts per token; the first counts 0, as nothing predicts it."""
        bytes_ = np.zeros(len(tokens), np.int64)
        target = tokens[1:]
        bytes_[1:] = self.base_bytes[target]
        bytes_[1:] += self.has_leading_space[target] & ~self.is_boundary[tokens[:-1]]
        return bytes_

    def to_npz(self) -> bytes:
        """The bytes of `token_table.npz`; the same table gives the same bytes."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            base_bytes=self.base_bytes,
            has_leading_space=self.has_leading_space,
            is_boundary=self.is_boundary,
        )
        return buffer.getvalue()

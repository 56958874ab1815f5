"""A vocabulary of transformed text: the transform in front of any engine, the bytes of the document behind it.

The engine inside never sees the document, only its CaseOps form, and proves its bytes against that. `original_ends`
then carries each end back to the document, where they are proven again.

The transform has an inverse, so on an engine that changes nothing the whole is exact. On one that normalises it is
lossy, although the records call it lossless: NFKC makes letters out of signs, and "ABª", folded to "<caps>abª",
comes back as "ABA".
"""

from collections.abc import Sequence

import numpy as np

from . import caseops
from .byte_counts import sizes_of
from .byte_table import ByteTable
from .errors import VocabError
from .spm_engine import SentencePieceTokenizer
from .tokenizer import Encoded, Lossless


class CaseOpsTokenizer:
    """`inner`, reading CaseOps. A token's bytes depend on its neighbours, so `token_bytes` is None.

    `table` is the inner vocabulary's: it counts the transformed text, operators and all, as the challenge's script
    would; on real text that is several percent too many. Use the byte sidecar.
    """

    token_bytes: np.ndarray | None = None

    def __init__(self, inner: SentencePieceTokenizer) -> None:
        self.inner = inner
        self.size: int = inner.size
        self.bos: int = inner.bos
        self.unk: int = inner.unk
        self.lossless: Lossless = "exact" if inner.lossless == "exact" else "lossy"
        self.table: ByteTable = inner.table

    def __repr__(self) -> str:
        return f"CaseOpsTokenizer({self.inner!r})"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        return self.inner.encode_batch(caseops.encode_all(texts))

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        sizes = sizes_of(texts)
        transformed = caseops.encode_all(texts)
        ends = self.inner.byte_ends(encoded, transformed)
        for index, text in enumerate(transformed):
            part = slice(int(encoded.offsets[index]), int(encoded.offsets[index + 1]))
            back = caseops.original_ends(text)
            ends[part] = back[ends[part]]
            if int(back[-1]) != int(sizes[index]):
                raise VocabError(f"document {index} of the batch: CaseOps lost count. Please report this document.")
        return ends

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer. Ids whose operators make no text come back as they are, in CaseOps."""
        text = self.inner.decode(ids)
        try:
            return caseops.decode(text)
        except VocabError:
            return text

    def fallback(self) -> np.ndarray:
        """See Tokenizer."""
        return self.inner.fallback()


def open_caseops(data: bytes, where: str) -> CaseOpsTokenizer:
    """The CaseOps vocabulary in the bytes of a `.model`. Raises VocabError."""
    return CaseOpsTokenizer(SentencePieceTokenizer(data, where))

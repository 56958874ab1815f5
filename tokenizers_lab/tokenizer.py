"""What every vocabulary of this room can do, whatever made it: encode, say its bytes, decode.

`Encoded` holds a batch as two flat arrays, never lists of lists. `Tokenizer` is the interface that stands between the
engines (SentencePiece, Hugging Face, plain bytes) and everything that uses tokens. The promise the room keeps is about
bytes: for every document the bytes of its tokens sum to the UTF-8 of the document as published, or VocabError is
raised; see byte_counts.py.

Special ids 0..3 are pad, bos, eos, unk. No text can produce them: a document that contains `<s>` is a document with
three characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from .byte_table import ByteTable
from .errors import VocabError

Lossless = Literal["exact", "normalised", "lossy"]
# exact: every document comes back. normalised: equal up to NFKC, white space and invisible characters (SentencePiece
# also takes U+2581 and U+FFFD for spaces; a document with one of them comes back lossy). lossy: anything may be lost.
LEVELS: tuple[Lossless, ...] = ("exact", "normalised", "lossy")  # from best to worst

PAD, BOS, EOS, UNK = range(4)
SPECIAL_NAMES = ("<pad >", "<bos >", "<eos >", "<unk >")  # a space: no token made from a GPT-2 alphabet contains one

SMALLEST, LARGEST = 256 + len(SPECIAL_NAMES), 1 << 16  # ids of a vocabulary in which every byte is a token


def check_size(size: int) -> None:
    """Raises VocabError for a number of ids that no vocabulary over bytes can have in a shard."""
    if not SMALLEST <= size <= LARGEST:
        raise VocabError(f"--size {size:,}: a byte-level vocabulary has {SMALLEST} to {LARGEST:,} ids.")


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A batch of D documents as n tokens, no BOS among them.

    ids: (n,) uint16, or uint32 for vocabularies above 65,536. offsets: (D + 1,) int64, document d is
    ids[offsets[d]:offsets[d + 1]].
    """

    ids: np.ndarray
    offsets: np.ndarray

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    def document(self, index: int) -> np.ndarray:
        """The ids of one document, (length,)."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @staticmethod
    def of(parts: Sequence[np.ndarray], size: int) -> "Encoded":
        """Join ids document by document, for a vocabulary of `size` tokens."""
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        dtype = np.uint16 if size <= 1 << 16 else np.uint32
        ids = np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(0, dtype)
        return Encoded(ids, offsets)


class Tokenizer(Protocol):
    """A vocabulary with its engine.

    size: number of ids. bos: the id that begins a document. unk: the id of what no token
    covers, -1 for none. lossless: what decoding gives back at worst.
    token_bytes: (size,) int64, the original bytes a token stands for, or None when that depends on its neighbours or
    on the normaliser. table: the official byte table of the same vocabulary.
    """

    size: int
    bos: int
    unk: int
    lossless: Lossless
    token_bytes: np.ndarray | None
    table: ByteTable

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """Ids of the documents. Raises VocabError for a lone surrogate."""
        ...

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """(n,) int64: where each token ends in the original UTF-8 of its document; the last is the document's size.

        Raises VocabError when the tokens do not sum to a document.
        """
        ...

    def decode(self, ids: np.ndarray) -> str:
        """The text of one document's ids; special ids are silent, bytes that are no UTF-8 become U+FFFD."""
        ...

    def fallback(self) -> np.ndarray:
        """(size,) bool: tokens that stand for a single raw byte because no piece covered it."""
        ...

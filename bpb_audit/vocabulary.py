"""One view of any vocabulary: which bytes each token id stands for, and how many the official table charges for it.

Whatever file a submission ships (SentencePiece, Hugging Face, tiktoken, byte tables), the counters of this room see a
`Vocabulary`: V byte strings laid end to end, the three columns of the challenge's own byte table, and the few rules
that hold between tokens (a leading space dropped at the start of a document, case operators). Decoding a million
tokens is then one gather, not a million calls.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from .case_signs import restore_signs
from .caseops import OPERATOR_BYTES, restore_case
from .errors import AuditError

StartSpace = Literal["keep", "first", "all"]
MAX_IDS = 1 << 20
Token = TypeVar("Token", str, bytes)


@dataclass(frozen=True, slots=True)
class ByteTable:
    """The official byte table: what a token counts in the denominator.

    base_bytes: (V,) int64. has_leading_space, is_boundary: (V,) bool. A token counts base_bytes, and one more for its
    leading space unless the token before it is a boundary. Source: `build_sentencepiece_luts` in the challenge's
    train_gpt.py.
    """

    base_bytes: np.ndarray
    has_leading_space: np.ndarray
    is_boundary: np.ndarray

    def __len__(self) -> int:
        return len(self.base_bytes)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """V tokens: token i is flat[ends[i] : ends[i + 1]]. flat: (total,) uint8. ends: (V + 1,) int64."""

    kind: str  # "sentencepiece bpe", "hf bpe byte-level", ...
    flat: np.ndarray
    ends: np.ndarray
    table: ByteTable
    silent: np.ndarray  # (V,) bool: stands for no text (control, unknown, unused)
    bos: int | None
    unknown: int | None
    start_space: StartSpace = "keep"  # leading spaces that decoding drops at the start of a document
    transform: Literal["", "caseops", "case signs"] = ""
    normaliser: str = "identity"
    merges: np.ndarray | None = None  # (m,) int64, left * V + right: neighbours that the encoder would have merged
    merges_exact: bool = False  # True: such neighbours cannot occur at all; False: only rarely

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def sizes(self) -> np.ndarray:
        """(V,) int64: bytes of each token, its leading space included."""
        return np.diff(self.ends)

    def token(self, token_id: int) -> bytes:
        """The bytes of one token."""
        return self.flat[self.ends[token_id] : self.ends[token_id + 1]].tobytes()

    def decode(self, ids: np.ndarray) -> bytes:
        """The text of one document's tokens, BOS or not, as UTF-8 bytes; transforms are undone.

        Raises AuditError for an id outside the vocabulary, and where case operators stand in impossible places.
        """
        flat, _ = gather(self, ids)
        return finish(self, flat.tobytes())


def build(
    kind: str,
    tokens: list[bytes],
    table: ByteTable,
    silent: np.ndarray,
    *,
    bos: int | None,
    unknown: int | None,
    start_space: StartSpace = "keep",
    normaliser: str = "identity",
    merges: np.ndarray | None = None,
    merges_exact: bool = False,
) -> Vocabulary:
    """A Vocabulary from its V byte strings. Tokens that are case operators switch the CaseOps transform on."""
    sizes = np.array([len(token) for token in tokens], np.int64)
    ends = np.concatenate(([0], np.cumsum(sizes)))
    flat = np.frombuffer(b"".join(tokens), np.uint8)
    caseops = sum(token in OPERATOR_BYTES for token in tokens) == len(OPERATOR_BYTES)
    return Vocabulary(
        kind,
        flat,
        ends,
        table,
        silent,
        bos,
        unknown,
        start_space,
        "caseops" if caseops else "",
        normaliser,
        merges,
        merges_exact,
    )


def merges_of(ids: Mapping[Token, int], size: int) -> np.ndarray:
    """(m,) int64, sorted: left * size + right for every pair of tokens whose concatenation is a token as well.

    ids: token -> its id below `size`. A token is cut only where a token is as long as what stands before the cut, so
    that one of a million bytes costs no more than its few cuts.
    """
    lengths = sorted(set(map(len, ids)))
    pairs = []
    for token in ids:
        for cut in lengths[: bisect_left(lengths, len(token))]:
            left = ids.get(token[:cut])
            right = ids.get(token[cut:]) if left is not None else None
            if left is not None and right is not None:
                pairs.append(left * size + right)
    return np.unique(np.array(pairs, np.int64))


def widen(vocabulary: Vocabulary, size: int) -> Vocabulary:
    """The same vocabulary with ids up to `size`; those it does not have stand for nothing. For counting only."""
    extra = max(size - len(vocabulary), 0)
    return replace(vocabulary, ends=np.append(vocabulary.ends, np.repeat(vocabulary.ends[-1], extra)))


def gather(vocabulary: Vocabulary, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of `ids` laid end to end, (bytes,) uint8, and where each token ends, (len(ids),) int64.

    Rules between tokens are not applied yet. Raises AuditError for an id outside the vocabulary.
    """
    if len(ids) and int(ids.max()) >= len(vocabulary):
        raise AuditError(
            f"token id {int(ids.max())} in a vocabulary of {len(vocabulary):,}: these shards were made with another "
            "tokenizer. Name the right one with --tokenizer FILE."
        )
    sizes = vocabulary.sizes[ids]
    out = np.cumsum(sizes)
    if not len(out) or not out[-1]:
        return np.zeros(0, np.uint8), out
    source = np.arange(out[-1])
    source += np.repeat(vocabulary.ends[ids] - (out - sizes), sizes)
    return vocabulary.flat[source], out


def finish(vocabulary: Vocabulary, text: bytes) -> bytes:
    """Apply the rules between tokens to the gathered bytes of ONE document: start space, case operators."""
    if vocabulary.start_space == "all":
        text = text.lstrip(b" ")
    elif vocabulary.start_space == "first" and text.startswith(b" "):
        text = text[1:]
    if vocabulary.transform == "caseops":
        restored = restore_case(text.decode("utf-8", "surrogateescape"))
        if restored is None:
            raise AuditError("case operators stand where the transform never writes them; the text cannot be restored.")
        text = restored.encode("utf-8", "surrogateescape")
    elif vocabulary.transform == "case signs":
        raised = restore_signs(text)
        if raised is None:
            raise AuditError("a case sign stands before no small letter; the text cannot be restored.")
        text = raised
    return text

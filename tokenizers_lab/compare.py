"""Vocabularies beside each other, on the same documents: what each costs and what it gives back.

Everything here is measured on documents the vocabularies were not trained on. `bytes_per_token` divides raw UTF-8 by
tokens without BOS; the lossless level is not what a vocabulary says of itself but the worst that decoding gave back.
"""

import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .builders import open_vocabulary
from .byte_counts import sizes_of
from .corpus import read_corpus
from .document import read_documents
from .errors import VocabError
from .progress import Advance, bytes_bar, nobody
from .tokenizer import LEVELS, Encoded, Lossless, Tokenizer

SAMPLE_BYTES = 8_000_000  # of validation text at most; enough for four digits of bytes per token
BATCH = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One vocabulary on the sample. exact, normalised, lossy: documents by what decoding gave back."""

    name: str
    kind: str
    size: int
    bytes_per_token: float
    lossless: Lossless
    exact: int
    normalised: int
    lossy: int
    embedding_bytes: int
    fallback_share: float
    unknown: int
    encode_mb_s: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """documents, bytes: the sample; rows in the order of the call."""

    docs: str
    split: str
    documents: int
    bytes: int
    width: int
    bits: int
    rows: list[Row]

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return asdict(self)


def squeezed(text: str) -> str:
    """The text as the second level compares it: NFKC, no white space, none of the invisible format characters."""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(c for c in plain if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf"))


def level_of(original: str, decoded: str) -> Lossless:
    """What one document came back as."""
    if decoded == original:
        return "exact"
    return "normalised" if squeezed(decoded) == squeezed(original) else "lossy"


def sample(docs: Path, limit: int = SAMPLE_BYTES) -> tuple[str, list[str]]:
    """The validation documents, or all where there is no corpus.json, up to `limit` bytes; and which they are.

    Raises VocabError when there are none.
    """
    corpus = read_corpus(docs)
    last = corpus.validation_documents if corpus else None
    texts: list[str] = []
    size = 0
    for index, document in enumerate(read_documents(docs)):
        if (last is not None and index >= last) or (texts and size + document.size > limit):
            break
        texts.append(document.text)
        size += document.size
    if not texts or not size:
        raise VocabError(f"{docs}: no text to compare on. Name documents with --docs FILE.")
    return "validation" if corpus else "all", texts


def compare(folders: Sequence[Path], docs: Path, width: int = 512, bits: int = 8) -> Comparison:
    """Measure each vocabulary in `folders`. width, bits: of the embedding. Raises VocabError."""
    if width < 1 or not 1 <= bits <= 32:
        raise VocabError(f"--width {width} --bits {bits}: wanted a width of at least 1, and 1 to 32 bits.")
    split, texts = sample(docs)
    size = int(sizes_of(texts).sum())
    with bytes_bar("measuring", size * len(folders)) as advance:
        rows = [measure(folder, texts, size, width, bits, advance) for folder in folders]
    return Comparison(str(docs), split, len(texts), size, width, bits, rows)


def measure(folder: Path, texts: Sequence[str], size: int, width: int, bits: int, advance: Advance = nobody) -> Row:
    """One row; `size` is the bytes of `texts`."""
    spec, tokenizer, _ = open_vocabulary(folder)
    tokenizer.encode_batch(texts[:1])  # the first call pays for tables; it is not what encoding costs
    encoded, seconds = [], 0.0
    for at in range(0, len(texts), BATCH):
        began = time.process_time()
        encoded.append(tokenizer.encode_batch(texts[at : at + BATCH]))
        seconds += time.process_time() - began
        advance(int(sizes_of(texts[at : at + BATCH]).sum()))
    ids = np.concatenate([part.ids for part in encoded])
    levels = dict.fromkeys(LEVELS, 0)
    for text, decoded in zip(texts, _decoded(tokenizer, encoded), strict=True):
        levels[level_of(text, decoded)] += 1
    return Row(
        name=spec.name,
        kind=spec.kind,
        size=spec.size,
        bytes_per_token=size / max(len(ids), 1),
        lossless=next(level for level in reversed(LEVELS) if levels[level]),
        exact=levels["exact"],
        normalised=levels["normalised"],
        lossy=levels["lossy"],
        embedding_bytes=-(-spec.size * width * bits // 8),
        fallback_share=float(tokenizer.fallback()[ids].mean()) if len(ids) else 0.0,
        unknown=int(np.count_nonzero(ids == tokenizer.unk)),
        encode_mb_s=size / 1e6 / max(seconds, 1e-9),
        tokens=len(ids),
    )


def _decoded(tokenizer: Tokenizer, encoded: Sequence[Encoded]) -> Iterator[str]:
    for part in encoded:
        for index in range(part.documents):
            yield tokenizer.decode(part.document(index))

"""Which vocabulary is worth training a model with: bits per raw byte of an n-gram model over its tokens.

Bytes per token always prefers the larger vocabulary, Renyi efficiency always the smaller one. This score has its best
point in between, since it is what the challenge measures, on a model that fits in seconds: the code length of held-out
text, in bits per raw byte of UTF-8, under a model that may use a fixed number of bytes. The vocabulary pays for its
embedding first, out of the artifact's 16,000,000 bytes; the share that is left is the share of `budget` that
may be filled with n-grams (see kneser_ney.py). It needs no GPU and no random number.

It is a proxy: it knows four tokens of history, and the text it is trained on is small. A vocabulary that does not give
the text back exactly is scored too, but marked: bits for text that was thrown away are not in its code.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from .bootstrap import Difference, paired
from .builders import open_vocabulary
from .byte_counts import sizes_of
from .corpus import read_corpus
from .document import read_documents
from .errors import VocabError
from .kneser_ney import TOKEN_BYTES, fit
from .progress import Advance, bytes_bar, nobody
from .tokenizer import Encoded, Tokenizer

STAGES = 3  # encoding, all n-grams, those within the budget
ARTIFACT = 16_000_000  # bytes
BUDGET = 4_000_000  # bytes of n-grams for a vocabulary without an embedding; about what 12 MB of text can fill
TRAIN_LIMIT = 32_000_000  # bytes of training text; more would not change the order of vocabularies, only the time
BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One vocabulary. bits: (D,) float64 per held-out document, None when its embedding leaves no room for a model.

    bpb: bits per raw byte within the budget; bpb_unlimited: with every n-gram stored; room: bytes for n-grams; stored:
    n-grams in them; restored: held-out documents that came back exactly.
    """

    name: str
    size: int
    embedding_bytes: int
    room: int
    stored: int
    bpb: float | None
    bpb_unlimited: float
    bits: np.ndarray | None
    restored: int

    def restores(self, documents: int) -> bool:
        return self.restored == documents


@dataclass(frozen=True, slots=True)
class Scores:
    """All vocabularies on the same text; `differences` are against the best that restores, None where not scored."""

    documents: int
    bytes: int
    train_documents: int
    train_bytes: int
    terms: "Terms"
    rows: list[Score]
    best: int | None
    differences: list[Difference | None]


def split_documents(docs: Path, limit: int = TRAIN_LIMIT) -> tuple[list[str], list[str]]:
    """(held-out, training) texts: validation documents as in corpus.json; without one, every tenth is held out.

    Training text ends at `limit` bytes. Raises VocabError when a side is empty.
    """
    corpus = read_corpus(docs)
    held: list[str] = []
    train: list[str] = []
    size = 0
    for index, document in enumerate(read_documents(docs)):
        out = index < corpus.validation_documents if corpus else index % 10 == 0
        if out:
            held.append(document.text)
        elif size + document.size <= limit or not train:
            train.append(document.text)
            size += document.size
    if not any(held) or not any(train):
        raise VocabError(
            f"{docs}: {len(held):,} documents to score on and {len(train):,} to count in; wanted some of both."
        )
    return held, train


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Encoded:
    """All texts at once, encoded in batches."""
    source = iter(texts)
    parts: list[Encoded] = []
    while batch := list(islice(source, BATCH)):
        parts.append(tokenizer.encode_batch(batch))
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    offsets = [part.offsets[1:] + start for part, start in zip(parts, starts, strict=False)]
    return Encoded(np.concatenate([part.ids for part in parts]), np.concatenate([np.zeros(1, np.int64), *offsets]))


def embedding_room(size: int, width: int, weight_bits: int, budget: int, artifact: int = ARTIFACT) -> tuple[int, int]:
    """(embedding bytes, bytes left for n-grams out of `budget` by the embedding's share of the artifact)."""
    embedding = -(-size * width * weight_bits // 8)
    return embedding, budget * max(artifact - embedding, 0) // artifact


def score(
    name: str,
    tokenizer: Tokenizer,
    held: Sequence[str],
    train: Sequence[str],
    budget: int,
    width: int,
    weight_bits: int,
    artifact: int = ARTIFACT,
    advance: Advance = nobody,
) -> Score:
    """Fit on `train`, score `held`. advance: told of all their bytes after each of STAGES stages.

    Raises VocabError for a vocabulary too large for n-grams of order 4.
    """
    embedding, room = embedding_room(tokenizer.size, width, weight_bits, budget, artifact)
    seen, wanted = encode(tokenizer, train), encode(tokenizer, held)
    raw = int(sizes_of(held).sum())
    stage = raw + int(sizes_of(train).sum())
    advance(stage)
    document = np.repeat(np.arange(len(held)), np.diff(wanted.offsets))

    def bits_under(limit: int | None) -> tuple[np.ndarray, int]:
        model = fit(seen.ids, seen.offsets, tokenizer.size, 4, limit)
        bits = -np.log2(model.probabilities(wanted.ids, wanted.offsets))
        return np.bincount(document, weights=bits, minlength=len(held)), model.stored

    unlimited, _ = bits_under(None)
    advance(stage)
    fits = room >= TOKEN_BYTES * tokenizer.size
    bits, stored = bits_under(room) if fits else (None, 0)
    advance(stage)
    restored = sum(tokenizer.decode(wanted.document(i)) == text for i, text in enumerate(held))
    bpb = None if bits is None else float(bits.sum()) / raw
    return Score(name, tokenizer.size, embedding, room, stored, bpb, float(unlimited.sum()) / raw, bits, restored)


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what a vocabulary is scored; see score_vocabularies. Raises VocabError for numbers that make no sense."""

    budget: int = BUDGET
    width: int = 512
    weight_bits: int = 6
    artifact: int = ARTIFACT

    def __post_init__(self) -> None:
        if self.width < 1 or not 1 <= self.weight_bits <= 32 or self.budget < 1 or self.artifact < 1:
            raise VocabError(
                f"--width {self.width} --bits {self.weight_bits} --budget {self.budget} --artifact {self.artifact}: "
                "wanted all above 0, 32 bits at most."
            )


@lru_cache(maxsize=1)
def _read(docs: Path, size: int, changed: int) -> tuple[list[str], list[str]]:
    return split_documents(docs)


def score_folder(folder: Path, docs: Path, terms: Terms, advance: Advance = nobody) -> Score:
    """One vocabulary, in any process that sees both. Raises VocabError."""
    stat = docs.stat()
    held, train = _read(docs, stat.st_size, stat.st_mtime_ns)
    spec, tokenizer, _ = open_vocabulary(folder)
    paid = terms.budget, terms.width, terms.weight_bits, terms.artifact
    return score(spec.name, tokenizer, held, train, *paid, advance)


def score_vocabularies(
    folders: Sequence[Path], docs: Path, terms: Terms | None = None, executor: Executor | None = None
) -> Scores:
    """Score each folder on the same documents; differences by paired bootstrap. Raises VocabError.

    executor: does it folder by folder, on whatever sees the same paths.
    """
    terms = terms or Terms()
    stat = docs.stat()
    whole = STAGES * sum(int(sizes_of(part).sum()) for part in _read(docs, stat.st_size, stat.st_mtime_ns))
    with bytes_bar("scoring", whole * len(folders)) as advance:
        if executor is None:
            rows = [score_folder(folder, docs, terms, advance) for folder in folders]
        else:
            tasks = [executor.submit(score_folder, folder, docs, terms) for folder in folders]
            rows = []
            for task in tasks:
                rows.append(task.result())
                advance(whole)
    held, train = _read(docs, stat.st_size, stat.st_mtime_ns)
    fair = [i for i, row in enumerate(rows) if row.bpb is not None and row.restores(len(held))]
    best = min(fair, key=lambda i: rows[i].bpb or 0.0) if fair else None
    reference = rows[best].bits if best is not None else None
    differences = [None if reference is None or row.bits is None else paired(row.bits, reference) for row in rows]
    sizes = int(sizes_of(held).sum()), int(sizes_of(train).sum())
    return Scores(len(held), sizes[0], len(train), sizes[1], terms, rows, best, differences)

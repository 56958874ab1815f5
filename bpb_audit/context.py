"""Which text and vocabulary did a run use? Decides the reference that its numbers may be held against.

Given documents and shards come first: then the recount is the reference and the published table is silent. Otherwise
a run is on the real split when the number of validation tokens in its log says so, or the names of the published data
together with a known vocabulary. A run that is neither is not judged by the table.
"""

from dataclasses import dataclass

from .evidence import Evidence
from .inversion import Reference, of_metric, published
from .log_reader import Log
from .reference import SPLIT_BYTES, Split, by_name, by_tokens
from .submission import Submission

PUBLISHED = (
    "fineweb10b",
    "datasets/fineweb",
    "fineweb_1024_bpe",
    "fineweb_4096_bpe",
    "fineweb_8192_bpe",
    "willdepueoai",
)
FULL = 0.98  # a smaller share of the split's tokens is partial coverage
LEAST_FULL = 20_000_000


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about one run. `tokens` as the log states them; `reference` None when nothing applies."""

    tokens: int | None
    vocab_size: int | None
    seq_len: int
    split: Split | None
    reference: Reference | None
    real: bool
    partial: float | None = None  # share of the split that was scored, when it is too small
    why: str = ""


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and text.isascii() and len(text) <= 15 else None


def facts(log: Log | None) -> tuple[int | None, int | None, int, str]:
    """(validation tokens, vocabulary size, sequence length, words about the data) that a log states."""
    if log is None:
        return None, None, 4096, ""
    words = " ".join(one.value for one in log.facts if one.name not in ("val_tokens", "vocab_size"))
    lengths = [_number(log.fact(name)) for name in ("train_seq_len", "eval_seq_len")]
    seq_len = max((n for n in lengths if n), default=4096)
    return _number(log.fact("val_tokens")), _number(log.fact("vocab_size")), min(seq_len, 1 << 16), words.lower()


def context_of(log: Log | None, submission: Submission) -> Context:
    """What one log and the words of its submission say. Raises nothing."""
    tokens, vocab, seq_len, words = facts(log)
    exact = by_tokens(tokens, seq_len) if tokens else None
    if exact is not None and tokens is not None:
        return Context(tokens, vocab, seq_len, exact, published(exact, tokens, seq_len), True)
    said_public = any(word in words for word in PUBLISHED)
    split = by_name(words, vocab) or by_name(f"{words} {submission.words}", vocab)
    if not said_public:
        why = "the log does not state its validation tokens"
        if tokens is not None:
            why = f"{tokens:,} validation tokens are not those of the published split"
        return Context(tokens, vocab, seq_len, split, None, False, why=why)
    if tokens is None:
        reference = published(split, None, seq_len) if split else None
        return Context(None, vocab, seq_len, split, reference, split is not None, why="which vocabulary is not stated")
    share = coverage(log, tokens, split)
    if share is not None:
        return Context(
            tokens, vocab, seq_len, split, None, True, partial=share, why="only a part of the split is scored"
        )
    if tokens < LEAST_FULL:
        why = f"{tokens:,} validation tokens of an unlisted vocabulary"
        return Context(tokens, vocab, seq_len, split, None, False, why=why)
    custom = Split(f"an unlisted vocabulary ({tokens:,} tokens)", vocab or 0, tokens, SPLIT_BYTES)
    return Context(tokens, vocab, seq_len, custom, published(custom, tokens, seq_len), True)


def coverage(log: Log | None, tokens: int, split: Split | None) -> float | None:
    """The share of the published split that was scored, when the log shows that it is only a part.

    Fewer tokens than the split has may also mean another vocabulary of the same size. The implied bytes tell: with the
    published vocabulary bytes per token stay as they are, with another one the total stays.
    """
    if split is None or log is None or tokens > FULL * split.tokens:
        return None
    share = tokens / split.tokens
    implied = [interval.middle for one in log.metrics if (interval := of_metric(one)) is not None]
    if not implied:
        return share if share < 0.5 else None
    ratio = sorted(implied)[len(implied) // 2] / split.bytes_per_token
    return share if abs(ratio - 1) < abs(ratio * share - 1) else None


def recounted(evidence: Evidence) -> list[tuple[str, Reference]]:
    """References from the given text: (denominator's name, reference) for raw, table and sidecar bytes."""
    truth = evidence.truth
    if truth is None or not truth.targets:
        return []
    found = []
    for name, count in (("raw", truth.bytes_raw), ("table", truth.bytes_table), ("sidecar", truth.bytes_sidecar)):
        if count:
            each = count / truth.targets
            room = max(2.0, 2e-6 * count) / truth.targets
            basis = f"{count:,} {name} bytes over {truth.targets:,} targets, recounted"
            found.append((name, Reference(each, each - room, each + room, basis)))
    return found

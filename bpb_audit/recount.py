"""The bytes of the validation text counted three ways, and what the audit takes as the truth.

Three denominators stand side by side and none is ever called just "bytes":

- raw: UTF-8 of the documents as published;
- normalised: what the tokens decode to, which is less (or more) when the tokenizer normalises first;
- table: the official per-token table over the shards (and a sidecar, where the submission ships one).
"""

from dataclasses import dataclass

import numpy as np

from .case_signs import count_signs
from .counting import Meter
from .errors import AuditError
from .evidence import Evidence, Truth
from .inputs import Inputs, Recount, recount
from .round_trip import Level
from .survey import Survey
from .vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Effect:
    """One token id that is counted otherwise than it stands for: occurrences, bytes each, and the sum of it all."""

    token_id: int
    token: bytes
    times: int
    total: int  # counted minus true, in bytes over all occurrences


def text_sizes(vocabulary: Vocabulary) -> np.ndarray:
    """(65536,) int64: bytes of the document each id stands for; case operators stand for none."""
    sizes = np.zeros(1 << 16, np.int64)
    usable = min(len(vocabulary), 1 << 16)
    sizes[:usable] = vocabulary.sizes[:usable]
    if vocabulary.transform == "caseops":
        from .caseops import OPERATOR_BYTES

        for token_id in range(usable):
            if vocabulary.token(token_id) in OPERATOR_BYTES:
                sizes[token_id] = 0
    elif vocabulary.transform == "case signs":
        sizes[:usable] -= count_signs(vocabulary.flat, vocabulary.ends)[:usable]
    return sizes


def ranked(vocabulary: Vocabulary, counts: np.ndarray, difference: np.ndarray, top: int = 5) -> list[Effect]:
    """The ids with the largest total effect. difference: (65536,) bytes over all occurrences, counted minus true."""
    order = np.argsort(-np.abs(difference), kind="stable")[:top]
    return [
        Effect(int(i), vocabulary.token(int(i)) if i < len(vocabulary) else b"", int(counts[i]), round(difference[i]))
        for i in order.tolist()
        if round(difference[i])
    ]


def table_effects(vocabulary: Vocabulary, survey: Survey) -> list[Effect]:
    """Ids that the official table charges otherwise than the bytes they decode to."""
    difference = survey.counts * (Meter(vocabulary.table).full - text_sizes(vocabulary))
    return ranked(vocabulary, survey.counts, difference.astype(np.float64))


def sidecar_effects(vocabulary: Vocabulary, survey: Survey) -> list[Effect]:
    """Ids to which the sidecar gives other bytes, in sum, than they decode to."""
    return ranked(vocabulary, survey.counts, survey.sidecar_sums - survey.counts * text_sizes(vocabulary))


def say_effects(effects: list[Effect]) -> str:
    """`token 4 '\\ue001' 1,234 times, +3,702 bytes; ...`, or an empty text."""
    return "; ".join(
        f"token {e.token_id} {e.token.decode('utf-8', 'replace')!r} {e.times:,} times, {e.total:+,} bytes"
        for e in effects
    )


def complete(survey: Survey) -> bool:
    """True when every document of the shards has its raw document, whole and in place."""
    return survey.raw_documents is not None and survey.paired == survey.documents and not survey.headless


IMPOSSIBLE_SHARE = 0.001  # a regex pre-split keeps some neighbours apart: up to 0.00001 seen, wrong pairs from 0.008


def allowed_neighbours(vocabulary: Vocabulary) -> float:
    """The share of neighbours this encoder would have merged that its own shards may hold."""
    return 1e-5 if vocabulary.merges_exact else IMPOSSIBLE_SHARE


def wrong_pair(found: Recount) -> bool:
    """True when this tokenizer cannot have made these shards, so that nothing it decodes means anything.

    Where most documents decode to the raw ones in their place it did make them: a pre-split may then keep any share of
    neighbours apart (runs of spaces before words, in a small text), and only an encoder without one is held to none.
    """
    survey, vocabulary = found.survey, found.inputs.vocabulary
    if vocabulary is None:
        return False
    agreed = survey.levels[Level.EXACT] + survey.levels[Level.LOOSE]
    if not vocabulary.merges_exact and 2 * agreed > survey.documents:
        return False
    return survey.pairs_impossible > allowed_neighbours(vocabulary) * max(survey.pairs_seen, 1)


def scored_targets(tokens: int, seq_len: int | None) -> int:
    """Targets of a plain evaluation: every token but the first, in whole sequences when their length is known."""
    return max(tokens - 1, 0) if seq_len is None else max((tokens - 1) // seq_len * seq_len, 0)


@dataclass(frozen=True, slots=True)
class Tail:
    """Bytes of the tokens behind the last scored target, each way it can be counted."""

    tokens: int
    table: int | None
    decoded: int | None
    sidecar: int | None


def tail_bytes(inputs: Inputs, targets: int) -> Tail:
    """What a plain evaluation drops at the end of the stream. Streams the tail only."""
    table = decoded = sidecar = None
    tokens = inputs.stream.total - targets - 1
    if inputs.vocabulary is not None:
        sizes, meter = text_sizes(inputs.vocabulary), Meter(inputs.vocabulary.table)
        table, decoded, before = 0, 0, None
        skip = 1
        for ids in inputs.stream.chunks(start=targets):
            table += int(meter.each(ids, before)[skip:].sum())
            decoded += int(sizes[ids[skip:]].sum())
            before, skip = int(ids[-1]), 0
    if inputs.sidecar is not None:
        sidecar = sum(int(part.sum()) for part in inputs.sidecar.chunks(start=targets + 1))
    return Tail(tokens, table, decoded, sidecar)


SHIFT = 16  # bytes that a sidecar may give to the other side of the scored boundary: a space, half a character


def exact(found: Recount) -> bool:
    """True when every document decodes to its raw bytes and the ids' own sizes sum to them: offsets are then known."""
    survey, vocabulary = found.survey, found.inputs.vocabulary
    if vocabulary is None or not complete(survey) or survey.levels[Level.EXACT] != survey.documents:
        return False
    return int(survey.counts @ text_sizes(vocabulary)) == survey.paired_raw


def tail_raw(found: Recount, tail: Tail) -> int | None:
    """Bytes of the raw documents behind the last scored target, by what its tokens decode to; None where nothing tells.

    A sidecar's word is taken only where no tokenizer can decode the tail: bytes moved from the unscored tail to scored
    targets leave every document's sum as it was. Under a normaliser the decoded tail is some bytes off the raw one.
    """
    if tail.decoded is None and not found.survey.sidecar_wrong:
        return tail.sidecar
    return tail.decoded


def boundary_shift(found: Recount, seq_len: int | None) -> int:
    """Bytes of the tail's text that the sidecar gives to scored targets (negative: the other way round).

    0 up to the small difference that an honest sidecar may have there, and where the text's own offsets are not known:
    behind a normaliser a sidecar can only spread a document's bytes.
    """
    tail = tail_bytes(found.inputs, scored_targets(found.survey.tokens, seq_len))
    if tail.decoded is None or tail.sidecar is None or not tail.tokens or not exact(found) or wrong_pair(found):
        return 0
    moved = tail.decoded - tail.sidecar
    return moved if abs(moved) > SHIFT else 0


def truth_of(found: Recount, seq_len: int | None) -> Truth:
    """The counts over the scored targets, with words for what stands behind each."""
    survey, inputs = found.survey, found.inputs
    targets = scored_targets(survey.tokens, seq_len)
    tail = tail_bytes(inputs, targets)
    whole = complete(survey)
    lost = tail_raw(found, tail)
    right = not wrong_pair(found)
    raw = survey.paired_raw if whole and right else None
    basis = f"{targets:,} targets of {survey.tokens:,} tokens in {survey.documents:,} documents"
    if tail.tokens:
        basis += f", {tail.tokens:,} tokens of the tail dropped"
    return Truth(
        tokens=survey.tokens,
        documents=survey.documents,
        targets=targets,
        bytes_raw=None if raw is None or lost is None else raw - lost,
        bytes_table=None if survey.table is None or tail.table is None or not right else survey.table - tail.table,
        bytes_sidecar=None if survey.sidecar is None or tail.sidecar is None else survey.sidecar - tail.sidecar,
        bytes_raw_all=raw,
        basis=basis,
    )


def sequence_length(evidence: Evidence) -> int | None:
    """The evaluation's sequence length, tokens: as given, else as the submission's logs state it, else None."""
    if evidence.seq_len is not None:
        return evidence.seq_len
    try:
        logs = evidence.submission.logs
    except AuditError:
        return None
    for name in ("eval_seq_len", "train_seq_len"):
        for log in logs:
            told = log.fact(name) or ""
            if told.isdecimal() and 0 < len(told) < 8:
                return int(told) or None
    return None


def measure_truth(evidence: Evidence) -> Truth | None:
    """The recounted bytes for other rules, or None without shards. Raises AuditError on broken files."""
    found = recount(evidence)
    return None if found is None else truth_of(found, sequence_length(evidence))

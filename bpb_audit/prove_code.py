"""A unit of lanes coded with a scorer, and decoded with one.

Coding may use the scorer's pass over whole windows, or its steps of one token; decoding has only steps, because it
knows no token before it has decoded it. That is the whole of the proof: a distribution that depends on what comes
after cannot be made again here, one that differs between the two ways gives other symbols, and either shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import AuditError
from .prove_frames import GO_ON, IDLE, RESTART, Scorer
from .prove_plan import restarts
from .prove_rans import Decoder, encode
from .prove_tables import SLOT_BITS, Tables, even_find, even_span

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """What both sides know beforehand: vocabulary size, document mark, context length, and where scorers restart."""

    vocab: int
    bos: int
    context: int
    by_document: bool

    def seam(self, first: bool) -> bool:
        """Whether a lane's first token must be coded; `first`: it is the stream's first lane."""
        return not first and not self.by_document


@dataclass(frozen=True, slots=True)
class Coded:
    """A unit. lanes: bytes each. bits: (n,) float64 each, what its targets cost by their tables. nats: (windows,) each,
    as the scorer evaluates them; empty when coded by steps. starts, freqs: (1 + n, L), target t of a lane at 1 + t."""

    lanes: list[bytes]
    bits: list[np.ndarray]
    nats: list[np.ndarray]
    starts: np.ndarray
    freqs: np.ndarray


def code_unit(
    scorer: Scorer, tables: Tables, rules: Rules, lanes: list[np.ndarray], first: bool, by_step: bool, tell: Progress
) -> Coded:
    """Code lanes, one a row. lanes: (n + 1,) uint16 each, the last only a target. first: they begin the stream."""
    longest = max(map(len, lanes)) - 1
    starts = np.zeros((longest + 1, len(lanes)), np.uint32)
    freqs = np.ones((longest + 1, len(lanes)), np.uint32)
    if by_step:
        nats: list[np.ndarray] = []
        _by_steps(scorer, tables, rules, lanes, starts, freqs, tell)
    else:
        nats = _by_windows(scorer, tables, rules, lanes, starts, freqs, tell)
    lengths = np.array([len(lane) - 1 for lane in lanes], np.int64)
    bits = [SLOT_BITS - np.log2(freqs[1 : n + 1, row]) for row, n in enumerate(lengths)]
    seams = [rules.seam(first and row == 0) for row in range(len(lanes))]
    starts[0], freqs[0] = even_span(rules.vocab, np.array([lane[0] for lane in lanes]))
    coded = encode(starts, freqs, lengths + 1)
    if not all(seams):
        bare = encode(starts[1:], freqs[1:], lengths)
        coded = [one if seam else other for one, other, seam in zip(coded, bare, seams, strict=True)]
    return Coded(coded, bits, nats, starts, freqs)


def compare_windows(
    scorer: Scorer, rules: Rules, tables: Tables, lanes: list[np.ndarray], coded: Coded, windows: Sequence[int | None]
) -> list[bool]:
    """Whether a window of each lane (its number; None for none), by steps, gives the tables it was coded with.

    The steps are given the true tokens one at a time, so equal tables show that no answer looked ahead.
    """
    spans = _spans(_begins(rules, lanes), windows)
    longest = max(stop - start for start, stop in spans)
    starts, freqs = np.zeros((longest + 1, len(lanes)), np.uint32), np.ones((longest + 1, len(lanes)), np.uint32)
    parts = [lane[start : stop + 1] if stop else lane[:1] for lane, (start, stop) in zip(lanes, spans, strict=True)]
    _by_steps(scorer, tables, rules, parts, starts, freqs, lambda _: None)
    same = []
    for row, (start, stop) in enumerate(spans):
        if stop:
            here, there = slice(1, stop - start + 1), slice(start + 1, stop + 1)
            equal = np.array_equal(starts[here, row], coded.starts[there, row])
            same.append(equal and np.array_equal(freqs[here, row], coded.freqs[there, row]))
    return same


def _begins(rules: Rules, lanes: list[np.ndarray]) -> list[np.ndarray]:
    """Where the windows of each lane begin, (windows + 1,) each, the last is its end."""
    return [restarts(lane[:-1], rules.bos, rules.context, rules.by_document) for lane in lanes]


def _spans(begins: list[np.ndarray], numbers: Sequence[int | None]) -> list[tuple[int, int]]:
    """(start, stop) of one window of each lane, by its number; (0, 0) where there is none of that number."""
    return [
        (0, 0) if number is None or number >= len(begin) - 1 else (int(begin[number]), int(begin[number + 1]))
        for begin, number in zip(begins, numbers, strict=True)
    ]


def _by_windows(
    scorer: Scorer,
    tables: Tables,
    rules: Rules,
    lanes: list[np.ndarray],
    starts: np.ndarray,
    freqs: np.ndarray,
    tell: Progress,
) -> list[np.ndarray]:
    """Fill starts and freqs (1 + n, L) by passes over a window a row; returns each window's nats, by lane."""
    rows = scorer.hello.rows
    begins = _begins(rules, lanes)
    nats = [np.zeros(len(one) - 1) for one in begins]
    for w in range(max(map(len, nats))):
        spans = _spans(begins, [w] * len(lanes))
        lengths = np.zeros(rows, np.int64)
        lengths[: len(lanes)] = [stop - start for start, stop in spans]
        tokens = np.zeros((rows, int(lengths.max()) + 1), np.uint16)
        for row, (start, stop) in enumerate(spans):
            if stop:
                tokens[row, : stop - start + 1] = lanes[row][start : stop + 1]
        at = 0
        for distances in scorer.bulk(tokens, lengths):
            count = distances.shape[1]
            some, position = np.nonzero(at + np.arange(count) < lengths[:, None])  # what is real, padding left out
            where = (np.array([start for start, _ in spans])[some] + at + position + 1, some)
            starts[where], freqs[where] = tables.spans(distances[some, position], tokens[some, at + position + 1])
            at += count
        for row in range(len(lanes)):
            if w < len(nats[row]):
                nats[row][w] = scorer.nats[row]
        tell(int(lengths.sum()))
    return nats


def _by_steps(
    scorer: Scorer,
    tables: Tables,
    rules: Rules,
    lanes: list[np.ndarray],
    starts: np.ndarray,
    freqs: np.ndarray,
    tell: Progress,
) -> None:
    """Fill starts and freqs (1 + n, L) by steps of one token, exactly as a decoder takes them."""
    walk = _Walk(scorer, rules, [len(lane) - 1 for lane in lanes])
    for t in range(walk.longest):
        live = np.flatnonzero(walk.lengths > t)
        distances = walk.step(np.array([lanes[row][t] for row in live]), live, t)
        targets = np.array([int(lanes[row][t + 1]) for row in live])
        starts[t + 1, live], freqs[t + 1, live] = tables.spans(distances, targets)
        tell(len(live))


def decode_unit(
    scorer: Scorer,
    tables: Tables,
    rules: Rules,
    lanes: list[bytes | None],
    lengths: list[int],
    first: bool,
    tell: Progress,
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Lanes back, one a row; None where a lane is not wanted, and its row stays idle.

    Returns the tokens (n + 1,) uint16 and the bits (n,) float64 of each lane, and whether each ended well, (L,) bool.
    """
    wanted = np.flatnonzero([lane is not None for lane in lanes])
    decoder = Decoder([lane or b"" for lane in lanes])
    walk = _Walk(scorer, rules, [n if lane is not None else 0 for n, lane in zip(lengths, lanes, strict=True)])
    tokens = np.zeros((walk.longest + 1, len(lanes)), np.uint16)
    freqs = np.ones((walk.longest + 1, len(lanes)), np.uint32)
    tokens[0] = rules.bos
    seams = wanted if not first else wanted[wanted > 0]
    if len(seams) and rules.seam(False):
        symbols = even_find(rules.vocab, decoder.slots(seams))
        decoder.take(seams, *even_span(rules.vocab, symbols))
        tokens[0, seams] = symbols
    for t in range(walk.longest):
        live = np.flatnonzero(walk.lengths > t)
        ends = tables.ends(walk.step(tokens[t, live], live, t))
        symbols = tables.find(ends, decoder.slots(live))
        start, freq = tables.cut(ends, symbols)
        decoder.take(live, start, freq)
        tokens[t + 1, live], freqs[t + 1, live] = symbols, freq
        tell(len(live))
    counts = walk.lengths.tolist()
    bits = [SLOT_BITS - np.log2(freqs[1 : n + 1, row]) for row, n in enumerate(counts)]
    return [tokens[: n + 1, row].copy() for row, n in enumerate(counts)], bits, decoder.done()


class _Walk:
    """Rows fed one token at a time, each told when to start afresh."""

    def __init__(self, scorer: Scorer, rules: Rules, lengths: list[int]) -> None:
        if len(lengths) > scorer.hello.rows:
            raise AuditError(f"{len(lengths)} lanes for {scorer.hello.rows} rows of the scorer. Please report this.")
        self.scorer, self.rules = scorer, rules
        self.lengths = np.array(lengths, np.int64)
        self.longest = int(self.lengths.max(initial=0))
        self.since = np.zeros(len(lengths), np.int64)  # tokens each row has read since it began afresh
        self.tokens = np.zeros(scorer.hello.rows, np.uint16)
        self.flags = np.zeros(scorer.hello.rows, np.uint8)

    def step(self, tokens: np.ndarray, live: np.ndarray, t: int) -> np.ndarray:
        """(k, V) uint16 distances after one token for each of the k live rows; t counts the steps."""
        fresh = self.since[live] == (self.rules.context or -1)
        if t == 0:
            fresh[:] = True
        if self.rules.by_document:
            fresh |= tokens == self.rules.bos
        self.since[live] = np.where(fresh, 1, self.since[live] + 1)
        self.flags[:] = IDLE
        self.flags[live] = np.where(fresh, RESTART, GO_ON)
        self.tokens[live] = tokens
        distances = self.scorer.step(self.tokens, self.flags)
        return distances[live] if len(live) < len(distances) else distances

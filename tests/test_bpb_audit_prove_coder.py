"""The proof's integer tables and its rANS coder, each against a slow reference that is written another way."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.errors import AuditError
from bpb_audit.prove_rans import Decoder, encode
from bpb_audit.prove_tables import SLOTS, Tables, even_find, even_span, weights


def slow_table(distances: list[int]) -> list[int]:
    """Frequencies by whole numbers and fractions, rounded to float64 where, and only where, the definition divides or
    multiplies."""
    weight = [int(weights()[d]) for d in distances]
    scale = Fraction((SLOTS - len(weight)) / sum(weight))  # int / int is correctly rounded in Python
    freq = []
    for one in weight:
        exact = one * scale
        freq.append(1 + math.floor(Fraction(exact.numerator / exact.denominator)))
    freq[distances.index(0)] += SLOTS - sum(freq)
    return freq


def slow_encode(symbols: list[tuple[int, int]]) -> bytes:
    """One lane with Python's whole numbers. symbols: (start, frequency), in order."""
    state, words = 0, []
    for start, freq in reversed(symbols):
        if state >= freq << 40:
            words.append(state & 0xFFFF_FFFF)
            state >>= 32
        state = (state // freq << 24) + state % freq + start
    head = state.to_bytes((state.bit_length() + 7) // 8, "little")
    return head + b"".join(word.to_bytes(4, "little") for word in reversed(words))


def test_weights_are_the_rounded_exponential() -> None:
    want = np.rint(2.0**30 * np.exp(-np.arange(1 << 16) / 256))
    assert np.array_equal(weights(), want)


@given(
    st.lists(st.lists(st.one_of(st.integers(0, 65535), st.integers(0, 900)), min_size=5, max_size=5), min_size=1),
    st.integers(0, 4),
)
def test_tables_are_the_references(rows: list[list[int]], best: int) -> None:
    for row in rows:
        row[best] = 0
    made = np.diff(Tables(5).ends(np.array(rows, np.uint16)), prepend=0).reshape(-1, 5)
    assert made.tolist() == [slow_table(row) for row in rows]


def test_large_tables_are_the_references_and_full() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 1024, 8192, 65536):
        some = np.minimum(rng.exponential(1500, (3, size)), 65535).astype(np.uint16)
        some -= some.min(axis=1, keepdims=True)
        made = np.diff(Tables(size).ends(some), prepend=0).reshape(3, size)
        assert (made >= 1).all()
        assert (made.sum(axis=1) == SLOTS).all()
        assert made[0].tolist() == slow_table(some[0].tolist())


def test_a_scorer_that_does_not_normalise_gains_nothing() -> None:
    """Logits with anything added give the same distances; all as likely costs log2 V; and no row sums above one."""
    flat = Tables(1024).ends(np.zeros((1, 1024), np.uint16))
    assert np.diff(flat, prepend=0).tolist() == [SLOTS // 1024] * 1024
    with pytest.raises(AuditError, match="no 0 in a row"):
        Tables(4).ends(np.array([[0, 5, 5, 5], [7, 7, 7, 7]], np.uint16))
    for size in (0, 1, 65537):
        with pytest.raises(AuditError, match="cannot be coded"):
            Tables(size)


def test_find_and_cut_agree_with_the_table() -> None:
    rng = np.random.default_rng(1)
    some = rng.integers(0, 3000, (40, 300)).astype(np.uint16)
    some[:, 17] = 0
    made = Tables(300)
    ends = made.ends(some)
    slots = rng.integers(0, SLOTS, 40).astype(np.uint64)
    symbols = made.find(ends, slots)
    start, freq = made.cut(ends, symbols)
    assert ((start <= slots) & (slots < start + freq)).all()
    assert np.array_equal(np.stack(made.spans(some, symbols)), np.stack((start, freq)))


@given(st.integers(2, 70000).filter(lambda v: v <= 65536), st.data())
def test_even_spans_cover_every_slot_once(size: int, data: st.DataObject) -> None:
    slot = data.draw(st.integers(0, SLOTS - 1))
    symbol = even_find(size, np.array([slot]))
    start, freq = even_span(size, symbol)
    assert start[0] <= slot < start[0] + freq[0]
    assert 0 <= symbol[0] < size


spans = st.integers(1, SLOTS - 1).flatmap(lambda f: st.tuples(st.integers(0, SLOTS - f), st.just(f)))


@given(st.lists(st.lists(spans, max_size=60), min_size=1, max_size=5))
def test_lanes_are_the_references_and_come_back(lanes: list[list[tuple[int, int]]]) -> None:
    longest = max(map(len, lanes))
    starts, freqs = np.zeros((longest, len(lanes)), np.uint32), np.ones((longest, len(lanes)), np.uint32)
    for row, lane in enumerate(lanes):
        for t, (start, freq) in enumerate(lane):
            starts[t, row], freqs[t, row] = start, freq
    lengths = np.array([len(lane) for lane in lanes])
    coded = encode(starts, freqs, lengths)
    assert coded == [slow_encode(lane) for lane in lanes]
    decoder = Decoder(coded)
    for t in range(longest):
        live = np.flatnonzero(lengths > t)
        slots = decoder.slots(live)
        assert ((starts[t, live] <= slots) & (slots < starts[t, live].astype(np.uint64) + freqs[t, live])).all()
        decoder.take(live, starts[t, live].astype(np.uint64), freqs[t, live].astype(np.uint64))
    assert decoder.done().all()


def test_a_long_lane_costs_hardly_more_than_its_symbols() -> None:
    """65,536 symbols of about five bits: what a million tokens are cut into. Target: 0.02%."""
    rng = np.random.default_rng(2)
    freqs = (SLOTS / rng.integers(4, 200, (1 << 16, 2))).astype(np.uint32)
    starts = rng.integers(0, SLOTS - freqs.astype(np.int64)).astype(np.uint32)
    cost = float((24 - np.log2(freqs)).sum())
    size = 8 * sum(map(len, encode(starts, freqs, np.full(2, 1 << 16))))
    assert cost > 600_000
    assert 0 < size - cost < 0.0001 * cost


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_whatever_bytes_come_in_lanes_are_read_to_their_end(lanes: list[bytes]) -> None:
    decoder = Decoder(lanes)
    every = np.arange(len(lanes))
    for _ in range(20):
        slots = decoder.slots(every)
        decoder.take(every, slots >> np.uint64(10) << np.uint64(10), np.full(len(lanes), 1024, np.uint64))
    assert decoder.done().shape == (len(lanes),)

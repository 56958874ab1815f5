"""The order-0 coders against the entropy they are named for, and against a reader in plain Python."""

import numpy as np
import pytest

from compress.errors import CodecError
from compress.measure import order0_bits
from compress.mix_lanes import lane_count
from compress.order0 import Order0
from compress.order0_decode import unadapt, unorder
from compress.stage import Parts

FULL = 1 << 18


def slow_spans(counts: list[int]) -> list[tuple[int, int]]:
    """Start and frequency by hand: a share of 2^18 - 256, one more for each, what is left to the first largest."""
    parts = [c * (FULL - 256) // sum(counts) + 1 for c in counts]
    parts[parts.index(max(parts))] += FULL - sum(parts)
    return [(sum(parts[:i]), parts[i]) for i in range(256)]


def slow_adaptive(data: bytes, count: int) -> list[int]:
    """The adaptive stream of one array, symbol by symbol, on Python's integers."""
    lanes = lane_count(count)
    states = [int.from_bytes(data[5 * i : 5 * i + 5], "little") for i in range(lanes)]
    words = [int.from_bytes(data[i : i + 2], "little") for i in range(5 * lanes, len(data), 2)]
    counts, out, due = [1] * 256, [], 0
    for step in range(-(-count // lanes)):
        if step == due:
            table, due = slow_spans(counts), step + 1 + step // 8
        here = min(lanes, count - step * lanes)
        got = []
        for lane in range(here):
            place = states[lane] % FULL
            symbol = next(s for s in range(256) if table[s][0] <= place < sum(table[s]))
            states[lane] = table[symbol][1] * (states[lane] // FULL) + place - table[symbol][0]
            got.append(symbol)
        while low := [lane for lane in range(here) if states[lane] < 1 << 24]:
            for lane in low:
                states[lane] = states[lane] << 16 | words.pop(0)
        for symbol in got:
            counts[symbol] += 32
        out += got
    assert not words
    assert states == [1 << 24] * lanes
    return [s - 256 if s > 127 else s for s in out]


def test_a_reader_in_plain_python_agrees() -> None:
    q = np.rint(np.random.default_rng(1).normal(0, 5, 700)).astype(np.int8)
    assert slow_adaptive(Order0(adaptive=True).encode([q]), 700) == q.tolist()


@pytest.mark.parametrize("adaptive", [False, True])
def test_close_to_the_entropy(adaptive: bool) -> None:
    rng = np.random.default_rng(2)
    arrays = [np.rint(rng.normal(0, size, (128, 256))).astype(np.int8) for size in (1.0, 9.0)]
    entropy = order0_bits([Parts("", "float32", a.shape, "one", [a]) for a in arrays])[0] / 8
    size = len(Order0(adaptive).encode(arrays))
    assert entropy < size < 1.015 * entropy


def test_an_empty_table_is_refused() -> None:
    data = Order0().encode([np.zeros((0, 3), np.int8)])
    with pytest.raises(CodecError, match="table of frequencies is empty"):
        unorder(data, [("int8", (4,))])


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(CodecError, match="int8 only, met \\['float16'\\]"):
        Order0().encode([np.zeros(3, np.float16)])
    with pytest.raises(CodecError, match="int8 only"):
        unadapt(b"", [("float16", (3,))])

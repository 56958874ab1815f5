"""rANS: symbols to bytes and back, many lanes at a time. Each lane is a byte string of its own.

A lane's state is one 64-bit number. To code a symbol that owns `freq` of 2^24 slots from `start` on, the state x
becomes (x / freq) 2^24 + start + x mod freq, which grows it by log2(2^24 / freq) bits; before it could pass 2^64, its
low 32 bits are moved out as a word. Decoding undoes this, last symbol first, so lanes are coded from their end.

Two things make short lanes cheap. The state begins at 0, so a lane pays for no empty state; after the last symbol a
decoder must find 0 again and all words used up, which a damaged lane does not. And the state is written in as few
bytes as hold it: 5 to 8 where words follow (their number modulo 4 tells which), 0 to 8 alone.

Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; word-wise renormalisation as F. Giesen describes it.
"""

import numpy as np

from .prove_tables import SLOT_BITS, SLOTS

WORD = np.uint64(32)
LOW = np.uint64(1 << 32)  # a state below this takes a word while there are any
SHIFT, MASK = np.uint64(SLOT_BITS), np.uint64(SLOTS - 1)
ROOM = np.uint64(64 - SLOT_BITS)


def encode(starts: np.ndarray, freqs: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    """The bytes of L lanes. starts, freqs: (n, L), symbol t of lane l at [t, l], freq 1 to 2^24 - 1; lengths: (L,)."""
    steps, lanes = starts.shape
    state = np.zeros(lanes, np.uint64)
    words = np.zeros((lanes, steps * SLOT_BITS // 32 + 2), "<u4")
    used = np.zeros(lanes, np.int64)
    for t in range(steps - 1, -1, -1):
        live = np.flatnonzero(lengths > t)
        x, freq = state[live], freqs[t, live].astype(np.uint64)
        full = x >> ROOM >= freq
        if full.any():
            out = live[full]
            words[out, used[out]] = x[full] & np.uint64(0xFFFF_FFFF)
            used[out] += 1
            x[full] >>= WORD
        whole = x // freq
        state[live] = (whole << SHIFT) + (x - whole * freq) + starts[t, live].astype(np.uint64)
    return [
        int(x).to_bytes((int(x).bit_length() + 7) // 8, "little") + row[:count][::-1].tobytes()
        for x, row, count in zip(state, words, used, strict=True)
    ]


class Decoder:
    """L lanes read side by side. Whatever bytes it is given, it gives symbols; `done` says whether they were right."""

    def __init__(self, lanes: list[bytes]) -> None:
        heads = [len(lane) if len(lane) <= 8 else (len(lane) - 5) % 4 + 5 for lane in lanes]
        self.state = np.array([int.from_bytes(b[:h], "little") for b, h in zip(lanes, heads, strict=True)], np.uint64)
        self.left = np.array([(len(b) - h) // 4 for b, h in zip(lanes, heads, strict=True)], np.int64)
        self.words = np.frombuffer(b"".join(b[h:] for b, h in zip(lanes, heads, strict=True)), "<u4").astype(np.uint64)
        self.next = np.concatenate(([0], np.cumsum(self.left)))[:-1]

    def slots(self, lanes: np.ndarray) -> np.ndarray:
        """(k,) uint64: the slot that the next symbol of each of these lanes owns."""
        return self.state[lanes] & MASK

    def take(self, lanes: np.ndarray, start: np.ndarray, freq: np.ndarray) -> None:
        """Go on behind one symbol of each of these lanes. start, freq: (k,) uint64, of the symbol at `slots`."""
        x = self.state[lanes]
        x = freq * (x >> SHIFT) + (x & MASK) - start
        short = (x < LOW) & (self.left[lanes] > 0)
        if short.any():
            more = lanes[short]
            x[short] = (x[short] << WORD) | self.words[self.next[more]]
            self.next[more] += 1
            self.left[more] -= 1
        self.state[lanes] = x

    def done(self) -> np.ndarray:
        """(L,) bool: the lane ended exactly where its encoder began."""
        return (self.state == 0) & (self.left == 0)

"""Trellis-coded quantisation: the decode half, and the rule both halves share.

A scalar quantiser at high rate wastes 0.25 bit a weight against the rate-distortion bound. A trellis wins most of it
back: the values are multiples j of a step, split by j mod 4 into four subsets; at each weight the state allows only
even or only odd j (its lowest bit), so the stored integer is j >> 1, and the bit of j above the lowest moves the
state on. The encoder looks for the best path through the states (Viterbi); the decoder only walks. Each row starts in
state 0, so rows are decoded side by side. The codes are Ungerboeck's for amplitude modulation (IEEE Trans. IT 28,
1982, table I).
"""

import numpy as np

from .errors import CodecError

UNGERBOECK = {4: (5, 2), 8: (11, 4), 16: (19, 4), 32: (37, 8), 64: (67, 20), 128: (157, 86), 256: (333, 242)}


def next_states(states: int) -> np.ndarray:
    """`(states, 2) int64`: where each state goes for each bit. Raises CodecError for an unknown number of states."""
    if states not in UNGERBOECK:
        raise CodecError(f"no trellis of {states} states; there are {', '.join(map(str, UNGERBOECK))}")
    back, forth = UNGERBOECK[states]
    s = np.arange(states)[:, None]
    return (s >> 1) ^ (np.arange(2)[None, :] * (forth >> 1)) ^ ((s & 1) * (back >> 1))


def walk_trellis(k: np.ndarray, states: int) -> np.ndarray:
    """The multiples j of the step that the stored integers mean. `(R, C) int -> (R, C) int64`."""
    moves, state = next_states(states), np.zeros(k.shape[0], np.int64)
    out = np.empty(k.shape, np.int64)
    for c in range(k.shape[1]):
        j = 2 * k[:, c].astype(np.int64) + (state & 1)
        out[:, c] = j
        state = moves[state, (j >> 1) & 1]
    return out

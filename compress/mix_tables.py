"""Tables of the mixing coder, made with integers only, so that every machine has the same.

Probabilities are 16-bit integers; their logits ("stretched") are in 1/256, from -2047 to 2047. A residual d is coded
as a class of |d| (four binary decisions down a tree), the place within the class (one decision a bit), and a sign.
What each decision is worth at first, for 81 levels of expected magnitude (eight an octave), is a Gaussian's; counters
learn the rest. The normal distribution comes from the logistic one by a cubic (logit = 1.5976 x + 0.07056 x^3, error
1.4e-4).
"""

import numpy as np

LEVELS_OF_SIZE = 81
CLASS_BITS = (
    0,
    0,
    0,
    0,
    0,
    1,
    1,
    2,
    2,
    3,
    3,
    4,
    4,
    5,
    5,
    7,
)  # 2**bits magnitudes a class: 0, 1, 2, 3, 4, 5-6, 7-8, ...
E_256TH = 18518942588666869714  # e^(1/256) * 2^64


def logistic_tables() -> tuple[np.ndarray, np.ndarray]:
    """`squash (4096,)`: logit + 2048 -> probability; `stretch (4096,)`: probability >> 4 -> logit."""
    squash, power = np.zeros(4096, np.int64), 1 << 64
    for x in range(2048):
        up = (power << 16) // (power + (1 << 64))
        squash[2048 + x], squash[2048 - x] = up, 65536 - up
        power = power * E_256TH >> 64
    squash[0] = squash[1]
    stretch = np.searchsorted(squash[1:], np.arange(4096) * 16 + 8).clip(0, 4094) - 2047
    return squash, stretch


def size_levels() -> np.ndarray:
    """`(4096,)`: expected magnitude in sixteenths -> level, eight levels an octave."""
    return np.array([((4 + e) ** 8 >> 16).bit_length() - 1 for e in range(4096)], np.int64)


def class_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Class of each magnitude `(257,)`; for each class `(16,)` its first magnitude, its bits, its first tree node."""
    bits = np.array(CLASS_BITS)
    first = np.concatenate([[0], np.cumsum(1 << bits)])[:16]
    node = 15 + np.concatenate([[0], np.cumsum((1 << bits) - 1)])[:16]
    return np.repeat(np.arange(16), 1 << bits), first, bits, node


def gaussian_prior(squash: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Probability that a decision is 1, `(81, nodes)`: nodes 1 to 15 the class tree, then each class's own tree."""
    _, first, bits, node = class_tables()
    ends = np.arange(1, 515, 2, dtype=np.int64)  # twice the upper end of each magnitude's interval
    out = np.full((LEVELS_OF_SIZE, int(node[15]) + (1 << 7)), 32768, np.int64)
    for level in range(LEVELS_OF_SIZE):
        low, high = np.searchsorted(levels, level), np.searchsorted(levels, level + 1)
        x = np.minimum(ends * 40960000 // (12533 * max(int(low + high), 1)), 4096)
        logit = (15976 * x + 7056 * x**3 // 65536) // 10000
        inside = 2 * squash[2048 + np.minimum(logit, 2047)] - 65536  # of |d| up to each magnitude
        inside[-1] = 65536
        mass = np.concatenate([[0], inside])
        edges = np.append(first, 257)
        for n in range(1, 16):
            deep = n.bit_length() - 1
            at, half = (n - (1 << deep)) << (4 - deep), 1 << (3 - deep)
            out[level, n] = share(mass, edges[at], edges[at + half], edges[at + 2 * half])
        for c in range(16):
            for n in range(1, 1 << bits[c]):
                deep = n.bit_length() - 1
                half = 1 << (int(bits[c]) - deep - 1)
                at = int(first[c]) + (n - (1 << deep)) * 2 * half
                out[level, int(node[c]) + n] = share(mass, at, at + half, at + 2 * half)
    return out


def share(mass: np.ndarray, low: int, mid: int, high: int) -> int:
    """The upper half's part of the mass between two ends, 16 bits, kept off 0 and 1."""
    whole = int(mass[high] - mass[low])
    upper = (int(mass[high] - mass[mid]) << 16) // whole if whole > 0 else 16384
    return min(max(upper, 64), 65472)

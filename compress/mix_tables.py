"""Tables of the mixing coder, made with integers only, so that every machine has the same.

One bell curve (the normal distribution, from the logistic one by a cubic: logit = 1.5976 x + 0.07056 x^3, error 1.4e-4)
is all that is needed: seven shapes of it, narrower, wider and flatter, to be mixed, and the mean magnitude of integers
that it rounds to, which tells how wide a bell must be for the magnitude that is expected.
"""

from functools import cache

import numpy as np

E_2048TH = 18455753472345505796  # e^(1/2048) * 2^64
FINE = 512  # table entries a standard deviation
REACH = 6 * FINE  # a shape's table ends six standard deviations out
# inverse width (256 is the expected one, 128 twice as wide) and distance of two such bells from the middle, in 1/512
SHAPES = ((128, 0), (184, 0), (256, 0), (360, 0), (640, 0), (320, 297), (512, 399))
FULL = 1 << 30  # probability one of a shape's table


@cache
def bell_curve() -> np.ndarray:
    """Phi(x / 512) * 2**30 for x from -12 to 12 standard deviations, `(12289,) int64`."""
    grown, power = [], 1 << 64
    for _ in range(20 * 2048):
        grown.append((power << 30) // (power + (1 << 64)))
        power = power * E_2048TH >> 64
    x = np.arange(2 * REACH + 1)
    logit = np.minimum((4 * (159760 * x + 7056 * x**3 // FINE**2) + 50000) // 100000, len(grown) - 1)
    upper = np.array(grown, np.int64)[logit]
    return np.concatenate([FULL - upper[:0:-1], upper])


@cache
def shape_tables() -> np.ndarray:
    """`(7, 6145) int64`: distribution functions of the shapes, times 2**30."""
    x, bell = np.arange(-REACH, REACH + 1), bell_curve()

    def at(place: np.ndarray, inverse: int) -> np.ndarray:
        return bell[np.clip(place * inverse // 256, -2 * REACH, 2 * REACH) + 2 * REACH]

    return np.stack([(at(x - off, inverse) + at(x + off, inverse)) // 2 for inverse, off in SHAPES])


@cache
def width_tables() -> tuple[np.ndarray, np.ndarray]:
    """`bounds` between mean magnitudes of rounded bells, twelve an octave; `inverse` table entries per integer step."""
    bell, widths, width = bell_curve(), [], 12288  # standard deviations in 1/65536
    while width < 160 << 16:
        widths.append(width)
        width = width * 69433 >> 16
    steps = (2 * np.arange(256) + 1) * (FINE << 15)
    means = [2 * int((FULL - bell[2 * REACH + np.minimum(steps // w, 2 * REACH)]).sum()) / FULL for w in widths]
    return (np.array(means[1:]) + means[:-1]) / 2, FINE * 65536 / np.array(widths, np.float64)

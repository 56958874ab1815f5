"""What only the encoder of the mixing coder needs: lanes to bytes, and plans to bytes.

A range coder of this kind works like a stack, so the encoder keeps all that the model said and runs over it backwards.
"""

import numpy as np

from .mix_lanes import BITS, LEAST
from .mix_model import Mixture
from .mix_plan import Copies, Plan
from .mix_regress import STEPS
from .mix_tables import REACH

MARGIN = 1e-10  # how far a coefficient must stay from where rounding turns


class Unsure(Exception):
    """A coefficient lies where another machine might round it the other way."""


class LaneWriter:
    """Takes `(start, frequency)` of the symbols step by step; `finish` gives the bytes."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.kept: list[tuple[np.ndarray, np.ndarray]] = []

    def keep(self, start: np.ndarray, frequency: np.ndarray) -> None:
        """The symbols of one step, `(count,) int64` each, count up to the lanes."""
        self.kept.append((start.astype(np.int32), frequency.astype(np.int32)))

    def finish(self) -> bytes:
        """States, five bytes a lane, then the words."""
        states, words = np.full(self.lanes, LEAST, np.int64), []
        for start, frequency in reversed(self.kept):
            x = states[: len(start)].copy()
            full = np.flatnonzero(x >= frequency.astype(np.int64) << 22)
            twice = full[x[full] >> 38 >= frequency[full]]  # frequencies below four may need a second word
            words.append(x[twice].astype(np.uint16))
            x[twice] >>= 16
            words.append(x[full].astype(np.uint16))
            x[full] >>= 16
            whole = (x / frequency).astype(np.int64)  # exact: below 2^22, and at least 2^-18 from the next integer
            states[: len(start)] = (whole << BITS) + x - whole * frequency + start
        head = states.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :5].tobytes()
        return head + b"".join(w.astype("<u2").tobytes() for w in reversed(words))


class WritingMixture(Mixture):
    """The model that tells a `LaneWriter` what each integer is, instead of asking a reader."""

    def code(self, k: np.ndarray, middle: np.ndarray, scale: np.ndarray, kind: np.ndarray, low: int, high: int) -> None:
        start, end = self.ends(k, middle, scale, kind * (2 * REACH + 1) + REACH, low, high)
        self.coder.keep(start, end - start)

    def rounded(self, a: np.ndarray) -> np.ndarray:
        """Raises Unsure for coefficients too near the middle between two steps."""
        if (np.abs(a - np.floor(a) - 0.5) < MARGIN * STEPS).any():
            raise Unsure
        return super().rounded(a)


def plan_bytes(plan: Plan) -> bytes:
    """A plan as bytes: four, then six for each matrix."""
    head = bytes(
        [len(plan.levels), int(plan.turned) + 2 * (plan.states.bit_length() - 1), plan.low & 255, plan.high & 255]
    )
    codes = np.zeros((len(plan.levels), 6), np.uint8)
    codes[:, :2] = np.rint(plan.levels * 256).astype("<u2").view(np.uint8).reshape(-1, 2)
    codes[:, 2:5] = np.rint(2 * np.log2(plan.priors))
    codes[:, 5] = np.rint(4 * np.log2(np.maximum(plan.ridges, 1)))
    return head + codes.tobytes()


def copies_bytes(copies: Copies | None) -> bytes:
    """A count of roots (0 for no copies), the roots, the rows as bits, then one byte for each copying row."""
    if copies is None:
        return b"\0\0"
    which = copies.which.astype(np.uint8).tobytes() if len(copies.roots) > 1 else b""
    roots = copies.roots.astype("<u4").tobytes()
    return len(copies.roots).to_bytes(2, "little") + roots + np.packbits(copies.rows).tobytes() + which

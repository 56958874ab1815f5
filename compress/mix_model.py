"""The mixing model: how likely each integer of a matrix is, many at a time, the same for writer and reader.

*How far off?* An entry's expected magnitude is its row's level times its column's share, both learned from what came
before and shrunk towards the whole matrix. *In what shape?* Seven bells, narrower, wider and flatter, are mixed with
weights that each octave of width learns for itself. *Around what?* Nothing, the column's mean, or, where it pays, a
linear regression on the entries to the left, its coefficients from the covariance of all rows above (`mix_regress`).

A matrix without regression is taken by diagonals, so that each entry knows its whole row and column so far; one with
regression goes by batches of rows, each as large as all before it, column by column. Matrices of one shape go side by
side. Arithmetic is on integers and single IEEE operations, so that every machine computes the same.
"""

from typing import Any

import numpy as np

from .mix_lanes import BITS, TOTAL
from .mix_regress import STEPS, coefficients, normalised
from .mix_tables import FULL, REACH, shape_tables, width_tables
from .trellis import next_states

CLASSES = 10  # octaves of width
PRIOR = (60, 300, 2800, 300, 36, 400, 200)  # weights of the shapes at first, of 4,096
GUESSES = 4096  # of where a position within 2**18 may lie, so that few need a search
SHIFT = BITS - 12
EVERY = 256  # steps at first in which integers vote on the shapes; later those of every fourth
VOTES = 1024  # of a step, or fewer than twice as many
FIRST_ROWS = 8  # of the first batch
MOST_ROWS = 1024  # of any batch


class Mixture:
    """The adaptive distribution: seven shapes, weighed for each octave of width, and the coder behind it."""

    def __init__(self, coder: Any) -> None:
        self.coder = coder
        self.shapes = shape_tables()
        self.bounds, self.inverse = width_tables()
        self.weights = np.tile(np.array(PRIOR, np.float64) / 4096, (CLASSES, 1))
        self.votes = np.zeros_like(self.weights)
        self.steps = self.due = 0

    def mix(self) -> None:
        """Refresh the weights from the votes since last time, and the mixed tables from the weights."""
        count = self.votes.sum(1, keepdims=True)
        ratio = np.where(count > 0, self.votes / np.maximum(count, 1) / self.weights, 1)
        wanted = self.weights * (ratio * ratio) * (ratio * ratio)  # four steps of EM at once: shapes overlap
        wanted /= sum(wanted.T)[:, None]
        self.weights += (wanted - self.weights) * (count / (count + 500))
        self.weights = np.maximum(np.rint(self.weights * 2.0**20), 2.0**11) / 2.0**20
        self.votes[:] = 0
        part = np.floor(self.weights / self.weights.sum(1, keepdims=True) * 4096)
        part[:, 2] += 4096 - part.sum(1)
        self.mixed = np.floor(part @ self.shapes / 4096).astype(np.int64)
        self.flat = (self.mixed + (np.arange(CLASSES) << 31)[:, None]).reshape(-1)
        middles = (np.arange(GUESSES) * 2 + 1) * (FULL // GUESSES // 2)
        self.guess = np.stack([np.searchsorted(row, middles) for row in self.mixed]).reshape(-1) - float(REACH)
        self.due = self.steps + 4 + self.steps // 8

    def step(
        self, q: np.ndarray, centre: np.ndarray, size: np.ndarray, low: int, high: int, odd: np.ndarray
    ) -> np.ndarray:
        """Code the integers `q` of any shape, or decode them when there is a reader; returns them as int64.

        centre, size: where the values are expected and how large |value - centre|, float64 of the same shape; a value
        is its integer, and half a step more where the trellis stands in an `odd` (1, else 0) state.
        """
        if self.steps >= self.due:
            self.mix()
        level = np.searchsorted(self.bounds, size.ravel())
        scale, kind = self.inverse[level], np.minimum(level // 12, CLASSES - 1)
        middle = centre.ravel() + 0.5 - odd.ravel() / 2
        k, lanes = q.ravel().astype(np.int64), self.coder.lanes
        for a in range(0, q.size, lanes):
            part = slice(a, a + lanes)
            self.code(k[part], middle[part], scale[part], kind[part], low, high)
        if self.steps < EVERY or not self.steps % 4:
            few = slice(None, None, 1 + q.size // VOTES)
            self.vote(k[few], middle[few], scale[few], kind[few])
        self.steps += 1
        return k.reshape(q.shape)

    def ends(
        self, k: np.ndarray, middle: np.ndarray, scale: np.ndarray, base: np.ndarray, low: int, high: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where integers start and end within 2**18; base: where their class's table has its middle."""
        room, table = TOTAL - (high - low + 1), self.mixed.reshape(-1)
        start = table[places(k, middle, scale) + base]
        end = table[places(k + 1, middle, scale) + base]
        start[k == low] = 0
        end[k == high] = FULL
        return (start * room >> 30) + k - low, (end * room >> 30) + k - (low - 1)

    def code(self, k: np.ndarray, middle: np.ndarray, scale: np.ndarray, kind: np.ndarray, low: int, high: int) -> None:
        """`step` for at most one integer a lane: fills in `k`. The writer has its own."""
        base = kind * (2 * REACH + 1) + REACH
        wanted = self.coder.peek(len(k))
        at = self.guess[kind * GUESSES + (wanted >> SHIFT)]
        np.clip(np.floor(at / scale + middle), low, high, out=k, casting="unsafe")
        start, end = self.ends(k, middle, scale, base, low, high)
        wrong = np.flatnonzero((wanted < start) | (wanted >= end))
        if len(wrong):  # search once, then go step by step
            aim = wanted[wrong] * FULL // (TOTAL - (high - low + 1))
            at = np.searchsorted(self.flat, aim.clip(0, FULL - 1) + (kind[wrong] << 31))
            k[wrong] = np.clip(np.floor((at - base[wrong]) / scale[wrong] + middle[wrong]), low, high)
        while len(wrong):
            start[wrong], end[wrong] = self.ends(k[wrong], middle[wrong], scale[wrong], base[wrong], low, high)
            off = (wanted[wrong] >= end[wrong]).astype(np.int64) - (wanted[wrong] < start[wrong])
            k[wrong] += off
            wrong = wrong[off != 0]
        self.coder.take(wanted, start, end - start)

    def rounded(self, a: np.ndarray) -> np.ndarray:
        """Coefficients of regression as whole numbers. The writer has its own, and refuses some."""
        return np.rint(a)

    def vote(self, k: np.ndarray, middle: np.ndarray, scale: np.ndarray, kind: np.ndarray) -> None:
        """Let each integer say how well each shape foresaw it."""
        before, after = places(k, middle, scale) + REACH, places(k + 1, middle, scale) + REACH
        share = (self.shapes[:, after] - self.shapes[:, before] + 16) * self.weights.T[:, kind]
        share = np.rint(share / sum(share) * 256)
        for z in range(len(share)):
            self.votes[:, z] += np.bincount(kind, share[z], CLASSES) / 256


def places(k: np.ndarray, middle: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Where the lower ends of integers lie in a shape's table, from -REACH to REACH, `int64`."""
    at = (k - middle) * scale
    np.rint(at, out=at)
    np.maximum(at, -REACH, out=at)
    return np.minimum(at, REACH, out=at).astype(np.int64)


def code_diagonals(
    model: Mixture, q: np.ndarray, low: int, high: int, level: np.ndarray, priors: np.ndarray, moves: np.ndarray
) -> None:
    """Code `q (m, n, d) int8` (filled in when decoding) by diagonals.

    level `(m,)`: mean magnitudes; priors `(m, 3)`; moves `(states, 2)`: of the trellis that each row walks.
    """
    m, n, d = q.shape
    flat, stride = q.reshape(m, n * d), max(d - 1, 1)
    row, column, usual = priors[:, :1], priors[:, 1:2], priors[:, 2:3]
    hit, seen = np.tile(column, d), np.tile(column, d)
    total, state = np.zeros((m, d)), np.zeros((m, n), np.int64)
    got, due = np.zeros((m, n)), np.zeros((m, n))
    all_got, all_due = level[:, None] * row, row.copy()
    for s in range(n + d - 1):
        top, last = max(0, s - d + 1), min(n - 1, s)
        rows, columns = slice(top, last + 1), slice(s - last, s - top + 1)
        cells = slice(s + top * stride, s + last * stride + 1, stride)
        hits, times = hit[:, columns][:, ::-1], seen[:, columns][:, ::-1]
        share = np.rint(hits / times * 4096) / 4096
        centre = np.rint(total[:, columns][:, ::-1] / (times - column + usual) * 16) / 16
        height = (got[:, rows] + all_got / all_due * row) / (due[:, rows] + row)
        odd = state[:, rows] & 1
        k = model.step(flat[:, cells], centre, height * share, low, high, odd)
        flat[:, cells], value = k, k + odd / 2
        state[:, rows] = moves[state[:, rows], k & 1]
        off = np.abs(value - centre)
        got[:, rows] += off
        due[:, rows] += share
        all_got += off.sum(1, keepdims=True)
        all_due += share.sum(1, keepdims=True)
        hits += off / height
        times += 1
        total[:, columns][:, ::-1] += value


def code_batches(
    model: Mixture,
    q: np.ndarray,
    low: int,
    high: int,
    level: np.ndarray,
    priors: np.ndarray,
    moves: np.ndarray,
    ridges: np.ndarray,
) -> None:
    """Code `q` as above by batches of rows, with regression on the entries to the left; ridges `(m,)`, 0 for none."""
    m, n, d = q.shape
    unit = 1 + (len(moves) > 1)  # values in whole numbers, halves of a step with a trellis
    row, column = priors[:, :1], priors[:, 1:2]
    level = level[:, None]
    hit, seen = np.tile(column * level, d), np.repeat(column * level, d, 1)
    moments = np.zeros((m, d + 1, d + 1))
    a, b = 0, min(FIRST_ROWS, n)
    while a < n:
        by = np.zeros((m, d + 1, d + 1))  # no regression yet
        for z in np.flatnonzero(ridges) if a else ():
            by[z] = model.rounded(coefficients(moments[z], a, ridges[z]))
        hope = np.rint(by[:, 1:, 0] * (2 * unit * level + 1))[:, None] + np.zeros((m, b - a, d))
        share = np.rint(np.clip(hit / seen, 1 / 64, 64) * 4096) / 4096
        got, due = row * level + np.zeros((m, b - a)), row + np.zeros((m, b - a))
        off = np.zeros((m, d))
        values, state = np.zeros((m, b - a, d)), np.zeros((m, b - a), np.int64)
        for j in range(d):
            start = j - j % 32
            if j and j == start:  # the last 32 columns all at once
                hope[:, :, j:] += values[:, :, j - 32 : j] @ by[:, j + 1 :, j - 31 : j + 1].transpose(0, 2, 1)
            centre = hope[:, :, j] + (values[:, :, start:j] @ by[:, j + 1, start + 1 : j + 1, None])[:, :, 0]
            centre, odd = np.clip(np.rint(centre * (16 / STEPS / unit)) / 16, low, high), state & 1
            k = model.step(q[:, a:b, j], centre, got / due * share[:, j : j + 1], low, high, odd)
            q[:, a:b, j], values[:, :, j] = k, unit * k + odd
            state = moves[state, k & 1]
            miss = np.abs(k + odd / 2 - centre)
            got += miss
            due += share[:, j : j + 1]
            off[:, j] = miss.sum(1)
        height = np.rint(got / due * 65536).sum(1, keepdims=True) / 65536
        hit, seen = hit + off, seen + height
        level = height / (b - a)
        for z in np.flatnonzero(ridges) if b < n else ():
            y = normalised(values[z])
            moments[z] += y.T @ y
        a, b = b, min(b + min(b, MOST_ROWS), n)


def code_block(model: Mixture, q: np.ndarray, plan: Any) -> None:
    """Code or fill in `q (m, n, d) int8` as its plan says."""
    moves = next_states(plan.states) if plan.states > 1 else np.zeros((1, 2), np.int64)
    args = (model, q, plan.low, plan.high, plan.levels, plan.priors, moves)
    if plan.ridges.any():
        code_batches(*args, plan.ridges)
    else:
        code_diagonals(*args)

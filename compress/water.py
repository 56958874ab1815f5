"""Steps by sensitivity: a fine grid where an error hurts, a coarse one where it does not (reverse water-filling).

With error feedback on both sides, what is left of a rounding error at row r and column c costs `d_r b_c` (`feedback`),
so all weights of all tensors cost the same when the step is `S / sqrt(d_r b_c)`; behind an entropy coder that is the
best allocation at a given size, and S alone sets size and damage: about `S^2 / 24` nats a token for each weight.
Without statistics every step is S, and this is one uniform step for the whole model.

A trellis of 8 states on the same grid hurts about 0.8 as much at the same size (`feedback_trellis`).

S is counted in what hurts, so the same S means the same trade in every tensor: nothing else needs to be chosen.
"""

import numpy as np

from .errors import CodecError
from .feedback import FARTHEST, factors, fast_round
from .feedback_trellis import bit_prices, fast_paths
from .grid import octaves
from .quantizers import Made, MatrixQuantizer, keep
from .stage import Parts
from .statistics import Metric
from .trellis import next_states

INT8 = 127
EXPONENT = 100  # of a row or column, in quarter octaves; 2^25 either way
MANY = 0.02  # of the integers; with more beyond int8, a coarser grid is cheaper than listing them


class Water(MatrixQuantizer):
    """Steps of rows and columns by what an error there costs; needs statistics, else one step for all."""

    def __init__(
        self, step: float, states: int = 1, row_damp: float = 0.1, column_damp: float = 0.03, min_size: int = 1024
    ) -> None:
        """states: 1 for scalar rounding, else those of a trellis.

        Damping: share of a moment's mean diagonal added, since moments of little text are too sure of themselves.
        """
        if states != 1:
            next_states(states)
        if not 1e-12 < step < 1e4 or not 0 <= row_damp <= 1 or not 0 <= column_damp <= 1:
            raise CodecError(f"a step lies above 1e-12 and below 10,000, damping in 0 to 1; met {step}.")
        self.step, self.states, self.min_size = step, states, min_size
        self.row_damp, self.column_damp = row_damp, column_damp
        self.name = f"water{states if states > 1 else ''}-{step:g}"

    def small(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None) -> Parts:
        return rounded(name, values, dtype, metric, self.step)

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        x = matrix.astype(np.float64)
        rows, columns = metric or (np.ones(x.shape[0]), np.ones(x.shape[1]))
        damps = (self.row_damp, self.column_damp) if metric else (0.0, 0.0)
        turned = self.states > 1 and uneven(x, rows, columns)
        if turned:
            x, rows, columns, damps = np.ascontiguousarray(x.T), columns, rows, damps[::-1]
        row_lower, d = factors(rows, damps[0])
        column_lower, b = factors(columns, damps[1], backwards=self.states > 1)
        base, row_e, column_e = grid_of(self.step, d, b, np.abs(x))
        row_step, column_step = base * octaves(row_e).astype(np.float64), octaves(column_e).astype(np.float64)
        if self.states > 1:
            squares = np.square(x / row_step[:, None] / column_step)
            power = squares.mean(axis=1), squares.mean(axis=0) / max(float(squares.mean()), 1e-30)
            grid = row_step, column_step, *power, next_states(self.states), bit_prices()
            q, _ = fast_paths()(x, row_lower, column_lower, *grid)
            base /= 2  # the trellis works on twice as fine a grid, of which each state sees half
        else:
            q = fast_round()(x, row_lower, column_lower, row_step, column_step, float(FARTHEST))
        if turned:
            q, row_e, column_e = np.ascontiguousarray(q.T), column_e, row_e
        return grid_made(q, row_e, column_e, np.float32(base), self.states, turned)


def uneven(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether weights differ more from column to column than from row to row, counted in what they weigh.

    A path had better not cross from live weights into dead ones: in half its states zero is no choice.
    """
    spread = []
    for side, moment in ((1, rows), (0, columns)):
        hurt = np.square(x).mean(axis=side) * (moment if moment.ndim == 1 else np.diag(moment))
        octave = np.log2(np.maximum(hurt, 1e-300))
        spread.append(float(np.clip(octave - np.median(octave), -8, 8).std()))
    return spread[1] > spread[0]


def rounded(name: str, values: np.ndarray, dtype: str, metric: Metric | None, step: float) -> Parts:
    """A small tensor as halves, rounded to a power of two that hurts no more a number than `step` does a weight.

    The low bits are zeros then, which any coder takes for nothing. Without a metric, or where halves are too coarse, it
    is kept as any quantiser keeps it.
    """
    kept = keep(name, values, dtype)
    power = float(metric.rows.mean()) if metric and values.size == metric.rows.size else 0.0
    if power <= 0 or dtype not in ("float32", "bfloat16"):
        return kept
    fine = 2.0 ** np.floor(np.log2(step / np.sqrt(power)))
    near = np.rint(values.astype(np.float64) / fine) * fine
    with np.errstate(over="ignore"):
        half = near.astype(np.float16)
    if not np.abs(half.astype(np.float64) - values).max(initial=0) <= 0.75 * fine:
        return kept
    return Parts(name, dtype, values.shape, "raw float16", [half])


def grid_of(step: float, d: np.ndarray, b: np.ndarray, size: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Base step and the exponents (R,), (C,) int8 of a grid with steps near `step / sqrt(d_r b_c)`.

    Exponents are counted from their median, so that most are small. size (R, C): magnitudes, which decide whether the
    grid is so fine that integers would overflow; then the whole grid is made coarser.
    """
    fine = [-2.0 * np.log2(np.maximum(v, 1e-300)) for v in (d, b)]  # of 1 / sqrt, in quarter octaves
    middle = [float(np.median(v)) if v.size else 0.0 for v in fine]
    exponents = [np.rint(v - m).clip(-EXPONENT, EXPONENT).astype(np.int8) for v, m in zip(fine, middle, strict=True)]
    base = float(np.float32(step * 2.0 ** (sum(middle) / 4)))
    while size.size:
        reach = size / octaves(exponents[0])[:, None] / octaves(exponents[1]) / base
        if (reach > INT8).mean() <= MANY and reach.max() < FARTHEST / 4:
            break
        base = float(np.float32(base * 1.25))
    return base, exponents[0], exponents[1]


def grid_made(
    q: np.ndarray, rows: np.ndarray, columns: np.ndarray, base: np.float32, states: int, turned: bool = False
) -> Made:
    """Scheme and arrays of a grid; what int8 cannot hold goes beside it. turned: the trellis walks down columns."""
    near = q.clip(-INT8 - 1, INT8).astype(np.int8)
    places = np.flatnonzero(near != q).astype(np.int32)
    amounts = (q.reshape(-1)[places] - near.reshape(-1)[places]).astype(np.int32)
    beside = [places, amounts] if places.size else []
    scheme = "grid int8 int8 int8 float32" + " int32" * len(beside) + f" {states} {places.size}" + " 1" * turned
    return scheme, [near, rows, columns, np.asarray(base), *beside]

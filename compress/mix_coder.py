"""The encoder's half of the mixing coder: what goes side by side, which row copies which, what regression pays.

Nothing here is tried by coding it. How far rows and columns differ, and whether their means do, are moments; what a
regression would gain is the evidence of its Gaussian model, a determinant.
"""

import zlib
from copy import deepcopy

import numpy as np

from .errors import CodecError
from .mix_lanes import lane_count
from .mix_model import Mixture, code_block
from .mix_plan import LARGEST, Copies, Plan, matrix_shape, quarter_power
from .mix_writer import LaneWriter, copies_bytes, plan_bytes
from .stage import Coder

RIDGES = (16, 64, 256)
SIDE_BY_SIDE = 8  # matrices of a block
MARGIN = 1e-10  # how far a coefficient must stay from where rounding turns


class Unsure(Exception):
    """A coefficient lies where another machine might round it the other way."""


class Mix(Coder):
    """Mixed bells over rows and columns, regression on earlier rows, copied rows; parallel range coders."""

    name = "mix"
    chain = "mix"

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        return mix(arrays)


def mix(arrays: list[np.ndarray]) -> bytes:
    """int8 arrays to the coder's bytes. Raises CodecError for another dtype."""
    if any(array.dtype != np.int8 for array in arrays):
        raise CodecError(f"the mixing coder holds int8 only, met {sorted({a.dtype.name for a in arrays})}.")
    matrices = [as_matrix(array) for array in arrays]
    writer = LaneWriter(lane_count(sum(a.size for a in matrices)))
    model, text, at = Mixture(writer), b"", 0
    while at < len(matrices):
        first = matrices[at]
        copies = find_copies(first)
        side = 1
        while not copies and side < SIDE_BY_SIDE and at + side < len(matrices):
            after = matrices[at + side]
            if after.shape != first.shape or find_copies(after):
                break
            side += 1
        if copies:
            own = first[~copies.rows]
            off = first[copies.rows] - first[copies.roots][copies.which]
            text += copies_bytes(copies) + encode_block(model, writer, own[None])
            text += encode_block(model, writer, off[None])
        elif first.size:
            text += copies_bytes(None) + encode_block(model, writer, np.stack(matrices[at : at + side]))
        at += side
    plans = zlib.compress(text, 9)
    return len(plans).to_bytes(3, "little") + plans + writer.finish()


def as_matrix(array: np.ndarray) -> np.ndarray:
    """The matrix that an array is coded as, padded with zeros where it must be."""
    rows, columns = matrix_shape(array.shape)
    flat = array.reshape(-1)
    return np.pad(flat, (0, rows * columns - flat.size)).reshape(rows, columns)


def encode_block(model: Mixture, writer: LaneWriter, q: np.ndarray) -> bytes:
    """Code matrices side by side `(m, n, d)`; returns their plan's bytes."""
    plan = best_plan(q)
    q = np.ascontiguousarray(q.transpose(0, 2, 1)) if plan.turned else q
    kept, before = len(writer.kept), deepcopy({k: v for k, v in vars(model).items() if k != "coder"})
    while True:
        try:
            code_block(model, q.copy(), plan, hold_margin)
            return plan_bytes(plan)
        except Unsure:  # another ridge, a fifth larger, and from the start
            del writer.kept[kept:]
            vars(model).update(deepcopy(before))
            codes = np.rint(4 * np.log2(np.maximum(plan.ridges, 1))).astype(np.int64) + 1
            plan = plan._replace(ridges=np.where(plan.ridges, quarter_power(codes), 0))


def hold_margin(a: np.ndarray) -> None:
    """Refuse coefficients too near the middle between two steps."""
    if (np.abs(a - np.floor(a) - 0.5) < MARGIN * 512).any():
        raise Unsure


def moments_of(q: np.ndarray) -> tuple[float, list[float]]:
    """A matrix's mean magnitude, and the weights that shrink its rows' levels, columns' shares and columns' means."""
    x = np.abs(q).astype(np.float64)
    n, d = x.shape
    mean = max(float(x.mean()), 1 / 256)
    rows, columns = np.maximum(x.mean(1) / mean, 0.02), np.maximum(x.mean(0) / mean, 0.02)
    spread = float(np.square(x / rows[:, None] / columns / mean - 1).mean())
    out = []
    for part, count in ((rows, d), (columns, n)):
        real = float(np.square(part - 1).mean()) - spread / count
        out.append(min(max(spread / max(real, 1e-9), 2), 4096))
    means, noise = q.mean(0), float(q.var())
    real = float(np.square(means).mean()) - noise / n
    sure = real > 2 * noise / n * (2 / d) ** 0.5
    return mean, [*out, min(max(noise / max(real, 1e-9), 1), 4096) if sure else 2.0**100]


def best_plan(q: np.ndarray) -> Plan:
    """How to code `(m, n, d)`."""
    found = [moments_of(a) for a in q]
    m = len(q)
    gains = {t: [best_ridge(a.T if t else a, m) for a in q] for t in (False, True)}
    turned = sum(g for g, _ in gains[True]) > sum(g for g, _ in gains[False])
    ridges = np.array([r for _, r in gains[turned]], np.float64)
    turned = turned and bool(ridges.any())
    priors = np.array([p for _, p in found])
    if turned:
        priors[:, :2] = priors[:, 1::-1]
    priors = quarter_power(2 * np.rint(2 * np.log2(priors)).astype(np.int64))
    levels = np.maximum(np.rint(np.array([p for p, _ in found]) * 256) / 256, 1 / 64)
    return Plan(turned, int(q.min()), int(q.max()), levels, priors, ridges)


def best_ridge(q: np.ndarray, m: int) -> tuple[float, float]:
    """Bits that regression on earlier rows gains by its evidence, and the ridge; `(0, 0)` where it pays nothing."""
    n, d = q.shape
    if n < 32 or (d + 1) ** 2 * m > LARGEST:
        return 0.0, 0.0
    x = q.astype(np.float64)
    x /= np.sqrt(np.square(x).mean(1, keepdims=True)) + 0.3
    x /= np.sqrt(np.square(x).mean(0)) + 1e-3
    best = (0.004 * q.size, 0.0)
    x = x[:: max(1, n // 4096)]
    weight = n / len(x)
    own = x.T @ x if d <= len(x) else x @ x.T
    for ridge in RIDGES:
        value = evidence(own, ridge, *x.shape) * weight
        best = max(best, (value, float(ridge)))
    return best if best[1] else (0.0, 0.0)


def evidence(own: np.ndarray, ridge: float, n: int, d: int) -> float:
    """log2 of the evidence of a covariance with an inverse Wishart prior of that weight, over that of unit variance."""
    from math import lgamma, log, pi

    def gamma_ratio(nu: float) -> float:
        return sum(lgamma((nu + n - i) / 2) - lgamma((nu - i) / 2) for i in range(d))

    nu = ridge + d + 1
    _, logdet = np.linalg.slogdet(np.eye(len(own)) + own / ridge)
    told = gamma_ratio(nu) - n * d / 2 * log(pi) - n * d / 2 * log(ridge) - (nu + n) / 2 * logdet
    return (told + n * d / 2 * log(2 * pi * 2.718281828)) / log(2)


def find_copies(q: np.ndarray) -> Copies | None:
    """Rows that all but repeat others, when at least eight do."""
    n, d = q.shape
    if n < 16 or d < 16:
        return None
    x = q[:, :: max(1, d // 64)].astype(np.int16)
    own = np.abs(x).mean(1)
    roots: list[int] = []
    free = np.ones(n, bool)
    which = np.full(n, -1)
    for _ in range(16):
        left = np.flatnonzero(free[:4096])
        best = np.zeros(0, np.int64)
        for i in left[:: max(1, len(left) // 192)]:
            near = np.flatnonzero((np.abs(x - x[i]).mean(1) < own / 2) & free)
            if len(near) > len(best):
                best, root = near, int(i)
        best = best[best != root] if len(best) else best
        far = np.abs(q[best].astype(np.int16) - q[root]).max(1) > 127 if len(best) else best
        best = best[~far] if len(best) else best
        if len(best) < 8:
            break
        which[best] = len(roots)
        roots.append(root)
        free[best] = False
        free[root] = False
    if not roots:
        return None
    rows = which >= 0
    return Copies(np.array(roots), rows, which[rows])

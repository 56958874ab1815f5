"""The encoder's half of the mixing coder: matrices side by side, each block in the cheapest of the ways it may go."""

import zlib
from copy import deepcopy
from typing import Any

import numpy as np

from .errors import CodecError
from .mix_choose import NONE, find_copies, find_trellis, likely_plans
from .mix_lanes import lane_count
from .mix_model import Mixture, code_block
from .mix_plan import matrix_shape, quarter_power
from .mix_writer import LaneWriter, Unsure, WritingMixture, copies_bytes, plan_bytes
from .stage import Coder

SIDE_BY_SIDE = 8  # matrices of a block


class Mix(Coder):
    """Mixed bells over rows and columns, regression on earlier rows, copied rows; parallel range coders."""

    name = "mix"
    chain = "mix"

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        return mix(arrays)

    def smallest(self, arrays: list[np.ndarray], states: int = 1) -> tuple[str, bytes]:
        return self.chain, mix(arrays, states)


def mix(arrays: list[np.ndarray], states: int = 1) -> bytes:
    """int8 arrays to the coder's bytes; states: of the trellis that made them. Raises CodecError for another dtype."""
    if any(array.dtype != np.int8 for array in arrays):
        raise CodecError(f"the mixing coder holds int8 only, met {sorted({a.dtype.name for a in arrays})}.")
    matrices = [as_matrix(array) for array in arrays]
    trellises = [
        find_trellis(m, states if m.shape[:1] == a.shape[:1] else 1) for m, a in zip(matrices, arrays, strict=True)
    ]
    writer = LaneWriter(lane_count(sum(a.size for a in matrices)))
    model, text, at = WritingMixture(writer), b"", 0
    while at < len(matrices):
        first = matrices[at]
        copies = find_copies(first)
        side = 1
        while not copies and side < SIDE_BY_SIDE and at + side < len(matrices):
            after = matrices[at + side]
            if after.shape != first.shape or trellises[at + side] != trellises[at] or find_copies(after):
                break
            side += 1
        if copies:
            trellis = NONE if trellises[at][1] else trellises[at]  # down columns, a row taken out would break it
            own = first[~copies.rows]
            off = first[copies.rows] - first[copies.roots][copies.which]
            text += copies_bytes(copies) + encode_block(model, writer, own[None], trellis)
            text += encode_block(model, writer, off[None], NONE)
        elif first.size:
            text += copies_bytes(None) + encode_block(model, writer, np.stack(matrices[at : at + side]), trellises[at])
        at += side
    plans = zlib.compress(text, 9)
    return len(plans).to_bytes(3, "little") + plans + writer.finish()


def as_matrix(array: np.ndarray) -> np.ndarray:
    """The matrix that an array is coded as, padded with zeros where it must be."""
    rows, columns = matrix_shape(array.shape)
    flat = array.reshape(-1)
    return np.pad(flat, (0, rows * columns - flat.size)).reshape(rows, columns)


def encode_block(model: Mixture, writer: LaneWriter, q: np.ndarray, trellis: tuple[int, bool]) -> bytes:
    """Code matrices side by side `(m, n, d)`, of one trellis, in the cheapest likely way; returns their plan."""
    kept, before = len(writer.kept), deepcopy({k: v for k, v in vars(model).items() if k != "coder"})
    done: list[tuple[float, Any, Any, Any]] = []
    for plan in likely_plans(q, trellis):
        while True:
            del writer.kept[kept:]
            vars(model).update(deepcopy(before))
            try:
                code_block(model, np.array(q.transpose(0, 2, 1) if plan.turned else q, order="C"), plan)
                break
            except Unsure:  # another ridge, a fifth larger, and from the start
                codes = np.rint(4 * np.log2(np.maximum(plan.ridges, 1))).astype(np.int64) + 1
                plan = plan._replace(ridges=np.where(plan.ridges, quarter_power(codes), 0))
        after = {k: v for k, v in vars(model).items() if k != "coder"}
        bits = -sum(float(np.log2(f).sum()) for _, f in writer.kept[kept:])
        done.append((bits, plan, after, writer.kept[kept:]))
    _, plan, after, steps = min(done, key=lambda way: way[0])
    writer.kept[kept:] = steps
    vars(model).update(after)
    return plan_bytes(plan)

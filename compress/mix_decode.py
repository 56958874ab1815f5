"""Decoding a stream of the mixing coder: shapes in, integers out, in numpy alone.

The stream is the length of the plans (three bytes), the plans (a zlib stream), and the lanes.
"""

import zlib

import numpy as np

from .errors import CodecError
from .layouts import Specs
from .mix_lanes import LaneReader, lane_count
from .mix_model import Mixture, code_block
from .mix_plan import PlanReader, matrix_shape


def unmix(data: bytes, specs: Specs) -> list[np.ndarray]:
    """int8 arrays of these shapes back from the coder's bytes.

    Raises CodecError, or zlib's error or ValueError for a forged plan.
    """
    if any(dtype != "int8" for dtype, _ in specs):
        raise CodecError("the mixing coder holds int8 only")
    shapes = [matrix_shape(shape) for _, shape in specs]
    end = 3 + int.from_bytes(data[:3], "little")
    opener = zlib.decompressobj()
    text = opener.decompress(data[3:end], 64 * len(shapes) + 8 * sum(r for r, _ in shapes) + 64)
    if not opener.eof or opener.unused_data:
        raise CodecError("the plan of the mixing coder is damaged")
    plans, reader = PlanReader(text), LaneReader(data[end:], lane_count(sum(r * c for r, c in shapes)))
    found: list[np.ndarray] = []
    model = Mixture(reader)
    while len(found) < len(shapes):
        rows, columns = shapes[len(found)]
        if not rows * columns:
            found.append(np.zeros((rows, columns), np.int8))
            continue
        copies = plans.copies(rows)
        if copies:
            whole = np.zeros((rows, columns), np.int8)
            whole[~copies.rows] = one_block(model, plans, 1, rows - int(copies.rows.sum()), columns)[0]
            whole[copies.rows] = one_block(model, plans, 1, int(copies.rows.sum()), columns)[0]
            whole[copies.rows] += whole[copies.roots][copies.which]
            found.append(whole)
        else:
            side = max(int(plans.data[plans.at]) if plans.at < len(text) else 0, 1)
            if shapes[len(found) : len(found) + side] != [(rows, columns)] * side:
                raise CodecError("the plan of the mixing coder does not fit its matrices")
            found.extend(one_block(model, plans, side, rows, columns))
    reader.finish()
    if plans.at != len(text):
        raise CodecError("the plan of the mixing coder is longer than its matrices need")
    back = []
    for matrix, (_, shape) in zip(found, specs, strict=True):
        back.append(matrix.reshape(-1)[: int(np.prod(shape, dtype=np.int64))].reshape(shape))
    return back


def one_block(model: Mixture, plans: PlanReader, matrices: int, rows: int, columns: int) -> np.ndarray:
    """A block's integers, `(matrices, rows, columns) int8`."""
    plan = plans.plan(matrices, rows, columns)
    q = np.zeros((matrices, columns, rows) if plan.turned else (matrices, rows, columns), np.int8)
    code_block(model, q, plan)
    return q.transpose(0, 2, 1) if plan.turned else q

"""A step in the first rows of every matrix and twice that step in the others: a size between two that one step jumps.

Weights that lie on a grid already make sizes jump where a step passes twice theirs: all that are one unit large vanish
at once. Half of such a step is their own grid, which loses next to nothing, so a share of the rows kept at half of it
takes a size from one side of the jump to the other as finely as there are rows. Where a share is not of whole rows, a
matrix' name decides whether it has one more. The first rows are kept: in a table of embeddings those of the commonest
tokens.
"""

from zlib import crc32

import numpy as np

from .errors import CodecError
from .quantizers import Made, MatrixQuantizer
from .statistics import Metric


class TwoSteps(MatrixQuantizer):
    """One step for all tensors, and half of it for the first `share` of each matrix's rows."""

    def __init__(self, step: float, share: float, min_size: int = 1024) -> None:
        if not 0 < step < 1e4 or not 0 <= share <= 1:
            raise CodecError(f"a step lies above 0 and below 10,000, a share in 0 to 1; met {step}, {share}.")
        self.step, self.share, self.min_size = step, share, min_size
        self.name = f"steps-{step:.9g}-{share:.9g}"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        scale = np.full(len(matrix), self.step, np.float32)
        scale[: int(self.share * len(matrix) + crc32(name.encode("utf-8", "replace")) / 2**32)] /= 2
        q = np.rint(matrix.astype(np.float32) / scale[:, None]).clip(-127, 127).astype(np.int8)
        return "row int8 float32", [q, scale]

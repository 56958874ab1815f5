"""Per-row integers rounded with error feedback: GPTQ (Frantar et al., arXiv:2210.17323), the records' own quantiser.

A column is rounded, and what it lost is made up by the columns not yet rounded, weighed by how the layer's inputs go
together: H = X^T X over calibration inputs X. The loss that falls is the layer's output error tr(E H E^T), not the
weights' own. Rows share no feedback here and have a step each; `water` does more with the same statistics.
"""

import numpy as np

from .errors import CodecError
from .feedback import factors, fast_round
from .quantizers import Made, RowInt, row_reach, row_scales
from .statistics import Metric


class Gptq(RowInt):
    """Per-row integers with error feedback over the columns; without statistics, plain rounding."""

    def __init__(
        self, bits: int, sigma: float = 0.0, table_bits: int = 0, damp: float = 0.01, min_size: int = 1024
    ) -> None:
        """table_bits: of embedding tables (names with `emb` in them), which records give a bit more; 0 for no more."""
        super().__init__(bits, sigma, min_size)
        if not 0 <= damp <= 1 or table_bits not in (0, *range(2, 9)):
            raise CodecError(f"damping lies in 0 to 1, tables have 2 to 8 bits; met {damp}, {table_bits}.")
        self.damp, self.table_bits = damp, table_bits
        self.name = f"gptq{bits}{f'.{table_bits}' if table_bits else ''}-{f'sigma{sigma:g}' if sigma else 'row'}"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        if metric is None:
            return super().quantise(name, matrix, metric)
        if self.table_bits and "emb" in name:
            return Gptq(self.table_bits, self.sigma, 0, self.damp, self.min_size).quantise(name, matrix, metric)
        x, top = matrix.astype(np.float64), (1 << (self.bits - 1)) - 1
        scale = row_scales(name, row_reach(x.astype(np.float32), self.sigma) / top)
        lower, _ = factors(metric.columns, self.damp)
        q = fast_round()(x, np.zeros((0, 0)), lower, scale.astype(np.float64), np.ones(x.shape[1]), float(top))
        return "row int8 float16", [q.astype(np.int8), scale]

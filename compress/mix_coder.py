"""The encoder's half of the mixing coder: which row copies which, then the model in the other direction."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .errors import CodecError
from .mix_decode import fast_mix, matrix_sizes, mix_decoders
from .mix_model import model_tables
from .stage import Coder

REACH = 255  # a row may copy one of so many rows before it


class Mix(Coder):
    """Context mixing over rows, columns, neighbours and the previous matrix, with integer logistic mixing."""

    name = "mix"
    chain = "mix"

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        return mix(arrays)

    def decoders(self) -> Mapping[str, Any]:
        return mix_decoders()

    def decoder_modules(self) -> tuple[str, ...]:
        return "mix_tables", "mix_model", "mix_decode"


def mix(arrays: list[np.ndarray], run: Callable[..., int] | None = None) -> bytes:
    """int8 arrays to the coder's bytes. Raises CodecError for another dtype."""
    if any(array.dtype != np.int8 for array in arrays):
        raise CodecError(f"the mixing coder holds int8 only, met {sorted({a.dtype.name for a in arrays})}.")
    sizes = matrix_sizes([("int8", array.shape) for array in arrays])
    q = np.concatenate([a.reshape(-1) for a in arrays] or [np.zeros(0, np.int8)]).astype(np.int64)
    lags = np.concatenate([best_lags(a.reshape(r, c)) for a, (r, c, _) in zip(arrays, sizes, strict=True)] or [q[:0]])
    room = q.size + 4096
    kernel = run or fast_mix()
    while True:
        code = np.zeros(room, np.uint8)
        used = kernel(q, sizes, lags, code, False, *model_tables())
        if used >= 0:
            return code[:used].tobytes()
        room *= 2


def best_lags(matrix: np.ndarray) -> np.ndarray:
    """For each row, how far up the row lies that it all but repeats; 0 where none does. `(R, C) int8 -> (R,) int64`."""
    rows, columns = matrix.shape
    lags = np.zeros(rows, np.int64)
    if columns < 8:
        return lags
    sample = matrix[:, :: max(1, columns // 64)].astype(np.int16)
    own = np.abs(matrix.astype(np.int16)).mean(axis=1)
    for i in range(1, rows):
        window = sample[max(0, i - REACH) : i]
        off = np.abs(window - sample[i]).mean(axis=1)
        best = int(off.argmin())
        if off[best] < 0.45 * own[i]:
            lags[i] = len(window) - best
    return lags

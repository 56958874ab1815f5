"""The largest loss of bytes that a budget allows: one step for the whole model, as fine as fits.

With an entropy coder behind it, one uniform step for every weight loses least squared error at a given size (reverse
water-filling), so the budget sets a single number. It is sought by the size of written bytes, not of estimates: a
secant on log2(step), a bit a weight an octave, until the artifact (code, decoder and container) lies within 0.1%
below the budget.
"""

from collections.abc import Callable
from math import exp2, log2
from typing import Any

import numpy as np

from .container_write import pack_parts, quantize_all
from .decoder_source import GENERAL, decoder_bytes
from .errors import CodecError
from .measure import weight_error
from .recipes import Recipe, parse_coder
from .sources import Weights
from .stage import Parts, Quantizer
from .trellis_search import Trellis, Uniform

TRIES = 12
CLOSE = 0.001  # of the budget


def fit_step(
    weights: Weights, budget: int, code_bytes: int, states: int = 0, coder: str = "mix"
) -> tuple[bytes, dict[str, Any]]:
    """The container that fills a budget, and what it took: step, sizes, what each tensor costs and loses.

    states: 0 for scalar rounding, else a trellis of so many. Raises CodecError when no step tried fits.
    """
    rest = parse_coder(["shuffle", "brotli11"])
    recipe_coder = parse_coder([coder])
    decoder = decoder_bytes(GENERAL + recipe_coder.decoder_modules())
    room = budget - code_bytes - decoder

    def make(step: float) -> Recipe:
        quantizer: Quantizer = Trellis(step, states) if states else Uniform(step)
        return Recipe(quantizer, recipe_coder, rest)

    def pack(step: float) -> bytes:
        return pack_parts(quantize_all(weights.tensors, make(step), weights.dtypes), recipe_coder, rest)

    step, data = seek(pack, weights, room)
    parts = quantize_all(weights.tensors, make(step), weights.dtypes)
    total = len(data) + code_bytes + decoder
    answer = {
        "recipe": make(step).name, "step": step, "bytes": len(data), "code": code_bytes, "decoder": decoder,
        "total": total, "budget": budget, "filled": total / budget, "rows": tensor_rows(weights, parts, len(data)),
        "mse": weight_error(weights.tensors, {p.name: p.restore() for p in parts}),
    }  # fmt: skip
    return data, answer


def seek(pack: Callable[[float], bytes], weights: Weights, room: int) -> tuple[float, bytes]:
    """The step whose bytes come within 0.1% below `room`, or the finest useful one."""
    floats = [v for v in weights.tensors.values() if v.dtype.kind == "f" and v.ndim >= 2]
    count = max(sum(v.size for v in floats), 1)
    top = max((float(np.abs(v).max()) for v in floats if v.size), default=1.0) or 1.0
    finest = top / 127  # finer, and the largest weights would be cut off
    x, below, above = log2(finest), None, None
    best: tuple[float, bytes] | None = None
    for _ in range(TRIES):
        data = pack(float(f"{exp2(x):.6g}"))
        spare = room - len(data)
        if spare >= 0:
            best, above = (float(f"{exp2(x):.6g}"), data), x
            if spare <= CLOSE * max(room, 1) or x <= log2(finest):
                break
        else:
            below = x
        x = max(x - 8 * (spare - CLOSE / 3 * room) / count, log2(finest))
        if below is not None and above is not None and not below < x < above:
            x = (below + above) / 2
    if best is None:
        raise CodecError(
            f"the weights do not fit {room:,} bytes at any step tried; raise the budget or shrink the model."
        )
    return best


def tensor_rows(weights: Weights, parts: list[Parts], size: int) -> list[dict[str, Any]]:
    """What each tensor costs (its share of the bytes, by entropy) and loses (squared error, share of all)."""
    rows: list[dict[str, Any]] = []
    total_bits = total_error = 0.0
    for part in parts:
        bits = 0.0
        for array in part.arrays:
            flat = array.reshape(-1)
            if part.scheme.startswith("raw"):
                bits += 8.0 * array.nbytes
            elif flat.size:
                _, n = np.unique(flat, return_counts=True)
                bits += float((n * -np.log2(n / n.sum())).sum())
        exact = weights.tensors[part.name]
        error = float(np.square(exact.astype(np.float64) - part.restore()).sum()) if exact.dtype.kind == "f" else 0.0
        rows.append({"tensor": part.name, "weights": int(exact.size), "bytes": bits, "hurt": error})
        total_bits, total_error = total_bits + bits, total_error + error
    for row in rows:
        row["bits"] = row["bytes"] / max(row["weights"], 1)
        row["bytes"] = round(row["bytes"] * size / max(total_bits, 1.0))
        row["hurt"] = row["hurt"] / total_error if total_error else 0.0
    return rows

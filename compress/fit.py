"""The least damage that a budget allows: one number, the price of a step, as fine as the written bytes permit.

Behind an entropy coder, damage at a given size is least when every weight of every tensor hurts alike (`water`), so
statistics of a model leave one number to seek; without them one uniform step does the same for squared error. It is
sought by the size of written bytes, decoder and code counted, not by estimates: false position on log2(step), until
the artifact lies within 0.1% below the budget. What needs no loss gets none: weights that fit exactly, or as halves,
are stored so, and the answer says it.
"""

from collections.abc import Callable
from math import exp2, log2
from typing import Any

import numpy as np

from .container_write import pack_parts, quantize_all
from .decoder_source import decoder_bytes
from .errors import CodecError
from .feedback import factors
from .measure import weight_error
from .progress import Bar
from .quantizers import Exact, Half, Official, check_finite
from .recipes import Recipe, parse_coder, rest_of
from .sources import Weights
from .stage import Parts, Quantizer
from .statistics import Metric, Statistics
from .trellis import next_states
from .trellis_search import Trellis, Uniform
from .two_steps import TwoSteps
from .water import INT8, MANY, Water

TRIES = 24
NARROW = 0.001  # of log2(step)
CHANCES = 14  # tries among steps as near as that
CLOSE = 0.001  # of the budget, below it
FILLS = 8  # tries of a share of rows
LIKELY = 0.6  # of plain floats' bytes; no coder of ours takes trained weights below it without loss

Packed = tuple[list[Parts], bytes, Recipe]
Pack = Callable[[Quantizer], Packed]


def fit_budget(
    weights: Weights,
    budget: int,
    code_bytes: int,
    statistics: Statistics | None = None,
    states: int = 0,
    coder: str = "mix",
    bar: Bar | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """The container that fills a budget, and what it took: recipe, sizes, what each tensor costs and hurts.

    states: 0 for scalar rounding, else a trellis of so many; bar: told how far each try is. Raises CodecError when no
    step tried fits.
    """
    if code_bytes < 0:
        raise CodecError(f"code takes 0 bytes or more; met {code_bytes:,}.")
    if states:
        next_states(states)
    chosen, bar = parse_coder([coder]), bar or Bar()
    rest = rest_of(chosen)

    for name, values in weights.tensors.items():
        check_finite(name, values)

    def room(quantizer: Quantizer) -> int:
        return budget - code_bytes - decoder_bytes(Recipe(quantizer, chosen, rest).needs())

    def pack(quantizer: Quantizer) -> Packed:
        recipe = Recipe(quantizer, chosen, rest)
        bar.begin(recipe.name, 2 * sum(v.size for v in weights.tensors.values()))  # quantised, then coded
        parts = quantize_all(weights.tensors, recipe, weights.dtypes, statistics, bar)
        return parts, pack_parts(parts, chosen, rest, bar), recipe

    def stepped(step: float) -> Quantizer:
        if statistics:
            return Water(step, states or 1)
        return Trellis(step, states) if states else Uniform(step)

    says = ""
    found = own_integers(weights, Recipe(Official(), chosen, rest), room) or plain_fit(weights, pack, room)
    if found is None:
        left = room(stepped(1.0))
        if left <= 0:
            raise CodecError(f"code and decoder leave {left:,} of {budget:,} bytes for weights; raise the budget.")
        steps = useful_steps(weights, statistics, left)
        found, finest = seek(lambda step: pack(stepped(step)), steps, weights.parameters, left, budget)
        if not statistics and not states and not finest and left - len(found[1]) > CLOSE * budget:
            left = room(TwoSteps(1.0, 0.5))
            found = fill(found, lambda step, share: pack(TwoSteps(step, share)), left, budget)
        if finest:
            says = "finer steps would leave int8; the rest of the budget is of no use to this recipe"
        elif left - len(found[1]) > CLOSE * budget:
            says = "no step tried comes nearer: sizes jump where weights lie on a grid already"
    else:
        says = "no step is needed"
    parts, data, recipe = found
    decoder = decoder_bytes(recipe.needs())
    total = len(data) + code_bytes + decoder
    back = {p.name: p.restore() for p in parts}
    nats = statistics.nats(weights.tensors, back) if statistics else None
    answer = {
        "recipe": recipe.name, "bytes": len(data), "code": code_bytes, "decoder": decoder, "total": total,
        "budget": budget, "filled": total / budget, "says": says, "mse": weight_error(weights.tensors, back),
        "predicted_nats": None if nats is None else sum(nats.values()),
        "rows": tensor_rows(weights, parts, back, nats, len(data)),
    }  # fmt: skip
    return data, answer


def own_integers(weights: Weights, recipe: Recipe, room: Callable[[Quantizer], int]) -> Packed | None:
    """The integers of a file that was quantised before, coded as they lie, where they fit: nothing is lost."""
    if weights.parts is None:
        return None
    data = pack_parts(weights.parts, recipe.coder, recipe.rest)
    recipe.name = f"same{recipe.name.removeprefix(recipe.quantizer.name)}"
    return (weights.parts, data, recipe) if len(data) <= room(recipe.quantizer) else None


def plain_fit(weights: Weights, pack: Pack, room: Callable[[Quantizer], int]) -> Packed | None:
    """The weights exactly, else as halves, where that fits; None where it does not."""
    floats = sum(v.size for v in weights.tensors.values() if v.dtype.kind == "f")
    plain = sum(v.nbytes for v in weights.tensors.values())
    for quantizer, size in ((Exact(), plain), (Half(), 2 * floats)):
        if LIKELY * size <= room(quantizer):
            found = pack(quantizer)
            if len(found[1]) <= room(quantizer):
                return found
    return None


def useful_steps(weights: Weights, statistics: Statistics | None, room: int) -> tuple[float, float, float]:
    """log2 of the finest step that means anything in int8, of one that should about fill the room, and of the coarsest.

    The guess is the entropy of Gaussian numbers whose sizes are those of their row and column.
    """
    variances, ends = [np.full(1, 1e-300)], []
    for name, values in weights.tensors.items():
        if values.dtype.kind == "f" and values.ndim >= 2 and values.size:
            x = np.abs(values.astype(np.float64)).reshape(values.shape[0], -1)
            metric = statistics.metrics.get(name) if statistics else None
            x = x * unit_sizes(metric, x.shape) if metric else x
            ends.append((float(np.quantile(x, 1 - MANY) if statistics else x.max()) / INT8, float(x.max())))
            row, column = np.square(x).mean(axis=1), np.square(x).mean(axis=0)
            variances.append((row[:, None] * column / max(float(row.mean()), 1e-300)).reshape(-1))
    if not any(top for _, top in ends):
        return -1.0, 0.0, 1.0
    finest = log2(min(low for low, top in ends if top) or 1e-12)
    low, high = max(finest, -39.0), log2(max(top for _, top in ends)) + 1
    every = np.concatenate(variances)
    around = [low, high]
    for _ in range(40):
        middle = sum(around) / 2
        bits = 0.5 * np.log2(1 + 17.08 * every / exp2(2 * middle)).sum()  # 2 pi e
        around[0 if bits > 8 * room else 1] = middle
    return low, around[1], max(high, low)


def unit_sizes(metric: Metric, shape: tuple[int, ...]) -> np.ndarray:
    """What turns weights into multiples of a step of 1, `(R, C)`; ones where the metric has another shape."""
    if metric.rows.shape[0] != shape[0] or metric.columns.shape[0] != shape[1]:
        return np.ones(shape)
    d, b = (factors(moment, 0.05)[1] for moment in metric)
    return np.sqrt(d[:, None] * b)


def seek(
    pack: Callable[[float], Packed], steps: tuple[float, float, float], count: int, room: int, budget: int
) -> tuple[Packed, bool]:
    """What comes within 0.1% of the budget below `room`, or the finest useful step (and then True).

    steps: log2 of the finest, the first tried and the coarsest; count: weights.
    """
    finest, x, coarsest = steps
    over: tuple[float, float] | None = None  # log2(step) and spare bytes (negative) of the coarsest that is too large
    fits: tuple[float, float] | None = None  # the same of the finest that fits
    best: tuple[int, Packed] | None = None
    aim, same, chances = CLOSE / 2 * budget, 0, CHANCES
    for number in range(TRIES):
        packed = pack(float(f"{exp2(x):.9g}"))
        spare = room - len(packed[1])
        if spare >= 0:
            best = (spare, packed) if best is None or spare < best[0] else best
            if spare <= CLOSE * budget or x <= finest:
                return packed, spare > CLOSE * budget
        elif x >= coarsest:
            break
        # sizes are not quite monotonic in the step; a side that stands still counts half, then less (Illinois)
        same = max(same, 0) + 1 if spare >= 0 else min(same, 0) - 1
        if spare >= 0:
            fits = x, spare
            over = (over[0], over[1] / 2) if over and same > 1 else over
        else:
            over = x, spare
            fits = (fits[0], fits[1] / 2) if fits and same < -1 else fits
        if fits is None or over is None:
            x = min(max(x - 8 * (spare - aim) / max(count, 1), finest), coarsest)
        else:
            share = (aim - over[1]) / max(fits[1] - over[1], 1e-9)
            x = over[0] + (fits[0] - over[0]) * min(max(share, 0.05), 0.95)
            if abs(fits[0] - over[0]) < NARROW:  # steps this near differ by chance alone: try about
                chances -= 1
                if not chances:
                    break
                x = fits[0] + 20 * NARROW * ((number * 0.618034) % 1 - 0.5)
    if best is None:
        raise CodecError(
            f"the weights do not fit {room:,} bytes at any step tried; raise the budget or shrink the model."
        )
    return best[1], False


def fill(found: Packed, pack: Callable[[float, float], Packed], room: int, budget: int) -> Packed:
    """What comes nearer to `room` than one step did, with a share of the rows at half that step; else `found`.

    pack(step, share); found: of a `Uniform`, the finest that fits.
    """
    step = found[2].quantizer.config()["step"]
    low, high, small, large = 0.0, 1.0, len(found[1]), len(pack(step, 1.0)[1])
    for _ in range(FILLS):
        if large <= room or room - len(found[1]) <= CLOSE * budget:
            break
        share = low + (high - low) * min(max((room - CLOSE / 2 * budget - small) / max(large - small, 1), 0.02), 0.98)
        tried = pack(step, float(f"{share:.6f}"))
        if len(tried[1]) > room:
            high, large = share, len(tried[1])
            continue
        low, small = share, len(tried[1])
        found = tried if len(tried[1]) > len(found[1]) else found
    return found


def tensor_rows(
    weights: Weights, parts: list[Parts], back: dict[str, np.ndarray], nats: dict[str, float] | None, size: int
) -> list[dict[str, Any]]:
    """What each tensor costs (its share of the bytes, by entropy) and hurts (share of predicted nats, or of error)."""
    rows: list[dict[str, Any]] = []
    for part in parts:
        bits = 0.0
        for array in part.arrays:
            flat = array.reshape(-1)
            if flat.size:
                _, n = np.unique(flat, return_counts=True)
                bits += float((n * -np.log2(n / n.sum())).sum())
        exact = weights.tensors[part.name]
        hurt = float(np.square(exact.astype(np.float64) - back[part.name]).sum()) if exact.dtype.kind == "f" else 0.0
        if nats is not None:
            hurt = nats.get(part.name, 0.0)
        step = float(part.arrays[3]) if part.scheme.startswith("grid") else None
        rows.append({
            "tensor": part.name, "weights": int(exact.size), "scheme": part.scheme.split(" ")[0], "step": step,
            "bytes": bits, "hurt": hurt,
        })  # fmt: skip
    total_bits, total_hurt = sum(r["bytes"] for r in rows), sum(r["hurt"] for r in rows)
    for row in rows:
        row["bytes"] = round(row["bytes"] * size / max(total_bits, 1.0))
        row["bits"] = 8 * row["bytes"] / max(row["weights"], 1)
        row["hurt"] = row["hurt"] / total_hurt if total_hurt else 0.0
    return rows

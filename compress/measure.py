"""One recipe on one checkpoint, measured on a file: written, read back, compared, and only then a row of a table.

Seconds are process CPU seconds. A row's `bytes` is the size of the file; `payload`, `scales` and `rest` are its
streams, `header` everything else. `order0` is what an ideal coder that knows only how often each integer occurs in
each tensor would need for the integers; `bits` is what the integers took, per weight.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from .container_read import read_table, unpack_container
from .container_write import pack_parts, quantize_all, write_packed
from .decoder_source import OFFICIAL, decoder_bytes
from .decoders import array_decoders
from .errors import CodecError
from .official import dequantize_official, quantize_official
from .recipes import Recipe
from .sources import Weights
from .stage import Parts

CAP = 16_000_000


def order0_bits(parts: list[Parts]) -> tuple[float, int]:
    """`(bits of the order-0 entropy, number of integers)` of the quantised tensors, one table for each tensor."""
    bits, count = 0.0, 0
    for part in parts:
        if not part.scheme.startswith("raw"):
            _, n = np.unique(part.arrays[0], return_counts=True)
            bits += float((n * -np.log2(n / n.sum())).sum()) if n.size else 0.0
            count += int(part.arrays[0].size)
    return bits, count


def weight_error(tensors: dict[str, np.ndarray], back: dict[str, np.ndarray]) -> float:
    """Mean squared error over all float weights, over their mean square: 0 is exact, 1 is all lost."""
    error = power = 0.0
    for name, values in tensors.items():
        if values.dtype.kind == "f":
            x = values.astype(np.float64)
            error += float(np.square(x - back[name]).sum())
            power += float(np.square(x).sum())
    return error / power if power else 0.0


def gaussian_bound(tensors: dict[str, np.ndarray], back: dict[str, np.ndarray], names: set[str]) -> float | None:
    """Bits per weight of the rate-distortion bound: Gaussian tensors of these variances at the errors they came to.

    None where nothing was lost. Trained tensors are no plain noise: a coder that knows rows and columns may go below.
    """
    bits, count = 0.0, 0
    for name in names:
        x = tensors[name].astype(np.float64)
        lost = float(np.square(x - back[name]).mean()) if x.size else 0.0
        if lost > 0:
            bits += x.size * max(0.5 * np.log2(max(float(x.var()), lost) / lost), 0.0)
            count += x.size
    return bits / count if count else None


def measure_recipe(weights: Weights, recipe: Recipe, folder: Path, recode: bool = False) -> dict[str, Any]:
    """A row: sizes of a written file, bits per weight, error, CPU seconds. Raises CodecError if it does not come back.

    With `recode`, the integers that the file already held are coded again as they are.
    """
    start = time.process_time()
    if recode and weights.parts is not None:
        parts, name = weights.parts, "same" + recipe.name.removeprefix(recipe.quantizer.name)
    else:
        parts, name = quantize_all(weights.tensors, recipe, weights.dtypes), recipe.name
    quantized = time.process_time()
    path = folder / f"{name}.pgc"
    size = write_packed(path, pack_parts(parts, recipe.coder, recipe.rest))
    coded = time.process_time()
    data = path.read_bytes()
    back = {n: v for n, v, _ in unpack_container(data, decoders=array_decoders())}
    read = time.process_time()
    for part in parts:
        if not np.array_equal(part.restore(), back[part.name]):
            raise CodecError(f"{name}: {part.name} did not come back as it was written; report it with the file.")
    table = read_table(data)[0]
    sizes = [row[1] for row in table["streams"]]
    roles = {s: min(i, 1) for r in table["tensors"] for i, s in enumerate(r[4]) if not r[3].startswith("raw")}
    payload = sum(n for s, n in enumerate(sizes) if roles.get(s) == 0)
    scales = sum(n for s, n in enumerate(sizes) if roles.get(s) == 1)
    bits, count = order0_bits(parts)
    needs = recipe.needs()
    decoder = decoder_bytes(needs)
    return {
        "recipe": name, "bytes": size, "payload": payload, "scales": scales, "rest": sum(sizes) - payload - scales,
        "header": size - sum(sizes), "decoder": decoder, "quantized_weights": count,
        "bits": 8 * payload / count if count else None, "order0": bits / count if count else None,
        "bound": gaussian_bound(weights.tensors, back, {p.name for p in parts if not p.scheme.startswith("raw")}),
        "mse": weight_error(weights.tensors, back), "encode_s": coded - start, "decode_s": read - coded,
        "coder_s": coded - quantized, "margin": CAP - size - decoder,
    }  # fmt: skip


def measure_ptz(weights: Weights, folder: Path) -> dict[str, Any]:
    """The same row for the challenge's own file, `torch.save` and zlib. Needs torch."""
    from .torch_file import read_ptz, write_ptz

    start = time.process_time()
    saved = quantize_official(weights.tensors, weights.dtypes)
    path = folder / "official.int8.ptz"
    size = write_ptz(path, saved)
    coded = time.process_time()
    again = read_ptz(path)
    back = dequantize_official(again)
    read = time.process_time()
    wanted = dequantize_official(saved)
    if any(not np.array_equal(wanted[n], back[n]) for n in wanted):
        raise CodecError("official.int8.ptz did not come back as it was written; report it with the file.")
    count = sum(q.size for q in saved["quantized"].values())
    parts = [Parts(n, "", q.shape, "row", [q]) for n, q in saved["quantized"].items()]
    decoder = decoder_bytes(OFFICIAL)
    return {
        "recipe": "official .int8.ptz", "bytes": size, "payload": None, "scales": None, "rest": None, "header": None,
        "decoder": decoder, "quantized_weights": count, "bits": None, "coder_s": None,
        "bound": gaussian_bound(weights.tensors, back, set(saved["quantized"])),
        "order0": order0_bits(parts)[0] / count if count else None, "mse": weight_error(weights.tensors, back),
        "encode_s": coded - start, "decode_s": read - coded, "margin": CAP - size - decoder,
    }  # fmt: skip


def random_like(weights: Weights, seed: int = 0) -> Weights:
    """The untrained control: every float tensor replaced by Gaussian noise of its own mean and deviation."""
    rng = np.random.default_rng(seed)
    out = {}
    for name, v in weights.tensors.items():
        noise = rng.standard_normal(v.shape) * (v.std(dtype=np.float64) if v.size else 0) + (v.mean() if v.size else 0)
        out[name] = noise.astype(v.dtype) if v.dtype.kind == "f" else v
    return Weights(weights.path + " (untrained control)", out, weights.dtypes, None)

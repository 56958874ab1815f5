"""Writing `final_model.pgc`: tensors through a recipe into one file, as FORMAT.md says.

The order of tensors is fixed by their names, the same kind from all layers side by side, so that equal input makes
equal bytes and a compressor sees like beside like. Integers make one stream, scales and leftovers one more for each
dtype.
"""

import json
import os
import re
import zlib
from collections.abc import Callable, Mapping

import numpy as np

from .aside import write_aside
from .container_read import HEAD, MAGIC, VERSION
from .errors import CodecError
from .recipes import Recipe
from .stage import Coder, Parts
from .statistics import Statistics


def file_order(name: str) -> tuple[str, list[int], str]:
    """Sort key of a tensor's name: its kind (the name without numbers), then its numbers."""
    numbers = re.findall(r"\d{1,4000}", name)  # Python makes no number of more than 4,300 digits
    return re.sub(r"\d+", "#", name), [int(n) for n in numbers], name


def quantize_all(
    tensors: Mapping[str, np.ndarray],
    recipe: Recipe,
    dtypes: Mapping[str, str] | None = None,
    statistics: Statistics | None = None,
    tell: Callable[[int], None] = lambda count: None,
) -> list[Parts]:
    """Every tensor through the recipe's quantiser, in the file's order; `tell` hears how many weights are done.

    Raises CodecError.
    """
    out = []
    for name in sorted(tensors, key=file_order):
        values = np.asarray(tensors[name])
        metric = statistics.metrics.get(name) if statistics else None
        out.append(recipe.quantizer.encode(name, values, (dtypes or {}).get(name, values.dtype.name), metric))
        tell(int(values.size))
    return out


def stream_of(scheme: str, index: int, array: np.ndarray) -> tuple[int, str]:
    """Which stream an array goes to: integers of a quantiser first, then scales, then leftovers, each by dtype."""
    role = 2 if scheme.startswith("raw") else min(index, 1)
    return role, array.dtype.name


def pack_parts(
    parts: list[Parts], coder: Coder, rest: Coder, tell: Callable[[int], None] = lambda count: None
) -> bytes:
    """Quantised tensors to a container's bytes; `tell` hears how many numbers are coded, stream by stream.

    Raises CodecError for names or parts that cannot be stored.
    """
    groups: dict[tuple[int, str], list[np.ndarray]] = {}
    for part in parts:
        for index, array in enumerate(part.arrays):
            groups.setdefault(stream_of(part.scheme, index, array), []).append(array)
    order, states = sorted(groups), max((part.states for part in parts), default=1)
    streams, bodies = [], []
    for key in order:
        chosen = coder if key[0] == 0 else rest
        chain, coded = chosen.smallest(groups[key], states if key[0] == 0 else 1)
        inner = 0
        for array in groups[key]:
            inner = zlib.crc32(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes(), inner)
        streams.append([chain, len(coded), zlib.crc32(coded), inner])
        bodies.append(coded)
        tell(sum(int(array.size) for array in groups[key]))
    rows = []
    for part in parts:
        places = [order.index(stream_of(part.scheme, i, a)) for i, a in enumerate(part.arrays)]
        rows.append([part.name, part.dtype, list(part.shape), part.scheme, places])
    return assemble({"streams": streams, "tensors": rows}, b"".join(bodies))


def assemble(table: dict[str, object], body: bytes) -> bytes:
    """Head, table and body as one byte string."""
    try:
        text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CodecError("a tensor's name is not valid Unicode and cannot be stored. Rename it.") from None
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9)
    packed = packer.compress(text) + packer.flush()
    numbers = VERSION, 0, len(packed), len(text), len(body)
    crc = zlib.crc32(packed, zlib.crc32(HEAD.pack(MAGIC, *numbers, 0)[:26]))
    return HEAD.pack(MAGIC, *numbers, crc) + packed + body


def pack_tensors(
    tensors: Mapping[str, np.ndarray],
    recipe: Recipe,
    dtypes: Mapping[str, str] | None = None,
    statistics: Statistics | None = None,
    tell: Callable[[int], None] = lambda count: None,
) -> bytes:
    """A state dict to the bytes of a container; `tell` hears of every weight twice, quantised and coded."""
    return pack_parts(quantize_all(tensors, recipe, dtypes, statistics, tell), recipe.coder, recipe.rest, tell)


def write_packed(path: str | os.PathLike[str], data: bytes) -> int:
    """Write a container's bytes aside and rename; returns the size of the file."""
    return write_aside(path, data)

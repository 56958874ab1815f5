"""The two calls most users need: weights into `final_model.pgc`, and out of it.

`write_container` quantises, codes, writes aside and renames; `read_container` reads any container of this version. The
decode half that ships inside a submission is `container_read` (and, for the mixing coder, `mix_decode`) alone.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .container_read import DECODE_LIMIT, unpack_container
from .container_write import pack_tensors, write_packed
from .decoders import array_decoders
from .recipes import Recipe, parse_recipe
from .statistics import Statistics


def write_container(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    recipe: str | Recipe,
    dtypes: Mapping[str, str] | None = None,
    statistics: Statistics | None = None,
    tell: Callable[[int], None] = lambda count: None,
) -> int:
    """Code a state dict by a recipe ("int6-row+brotli11") into a file; returns the file's size in bytes.

    `dtypes` names tensors whose dtype numpy lacks: "bfloat16", given as float32; `statistics` say what errors cost, for
    the quantisers that ask; `tell` hears of every weight twice, quantised and coded. Raises CodecError or OSError.
    """
    chosen = parse_recipe(recipe) if isinstance(recipe, str) else recipe
    return write_packed(path, pack_tensors(tensors, chosen, dtypes, statistics, tell))


def read_container(path: str | os.PathLike[str], limit: int = DECODE_LIMIT) -> dict[str, np.ndarray]:
    """Tensors by name, in the file's order; bfloat16 comes as float32 holding bfloat16 values.

    Raises CodecError for a file that is no container, is damaged, or declares more than `limit` bytes.
    """
    return {name: values for name, values, _ in unpack_container(Path(path).read_bytes(), limit, array_decoders())}


def container_dtypes(path: str | os.PathLike[str], limit: int = DECODE_LIMIT) -> dict[str, str]:
    """The dtype of each tensor as it was given, "bfloat16" included."""
    return {name: dtype for name, _, dtype in unpack_container(Path(path).read_bytes(), limit, array_decoders())}

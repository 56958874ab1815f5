"""Checkpoints of llama2.c (karpathy/llama2.c, version 0): seven integers and then floats, nothing else.

The file has no magic; it is one when its length is exactly what its sizes ask for. The two tables of rotations behind
the last norm are worked out from the sizes by whoever runs the model, and are left out, as `run.c` passes them over.
"""

from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import CodecError


class Sizes(NamedTuple):
    """The head of the file, `int32` each; a vocabulary below 0 says that the classifier is a matrix of its own."""

    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int
    length: int


HEAD = 4 * len(Sizes._fields)


def read_sizes(start: bytes) -> Sizes | None:
    """The sizes that a head names, None where they cannot be those of a model."""
    if len(start) < HEAD:
        return None
    found = Sizes(*np.frombuffer(start, "<i4", len(Sizes._fields)).tolist())
    wrong = min(*found[:5], abs(found.vocab), found.length) < 1 or found.dim % (2 * found.heads)
    return None if wrong or found.kv_heads > found.heads else found


def tables(sizes: Sizes) -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape of what the file holds, in its order; those of all layers lie in one array, `(layers, ...)`."""
    dim, hidden, layers, heads, kv_heads, vocab, length = sizes
    narrow, half = dim // heads * kv_heads, dim // heads // 2
    found: list[tuple[str, tuple[int, ...]]] = [("tok_embeddings.weight", (abs(vocab), dim))]
    for name, shape in (
        ("attention_norm", (dim,)), ("attention.wq", (dim, dim)), ("attention.wk", (narrow, dim)),
        ("attention.wv", (narrow, dim)), ("attention.wo", (dim, dim)), ("ffn_norm", (dim,)),
        ("feed_forward.w1", (hidden, dim)), ("feed_forward.w2", (dim, hidden)), ("feed_forward.w3", (hidden, dim)),
    ):  # fmt: skip
        found.append((f"layers.#.{name}.weight", (layers, *shape)))
    found += [("norm.weight", (dim,)), ("", (length, half)), ("", (length, half))]
    return found + ([("output.weight", (abs(vocab), dim))] if vocab < 0 else [])


def is_llama2c(path: str | Path, start: bytes) -> bool:
    """Whether a file that starts so has the length of such a checkpoint."""
    sizes = read_sizes(start)
    if sizes is None:
        return False
    return Path(path).stat().st_size == HEAD + 4 * sum(prod(shape) for _, shape in tables(sizes))


def read_llama2c(path: str | Path, limit: int) -> dict[str, np.ndarray]:
    """The tensors by the names that Llama's own checkpoints have, float32. Raises CodecError above `limit` bytes."""
    if Path(path).stat().st_size > limit:
        raise CodecError(f"{path}: more than {limit:,} bytes.")
    data = Path(path).read_bytes()
    sizes = read_sizes(data)
    if sizes is None:
        raise CodecError(f"{path}: no checkpoint of llama2.c.")
    out: dict[str, np.ndarray] = {}
    at = HEAD
    for name, shape in tables(sizes):
        values = np.frombuffer(data, "<f4", prod(shape), at).reshape(shape).astype(np.float32)
        at += values.nbytes
        if "#" in name:
            out |= {name.replace("#", str(layer)): values[layer] for layer in range(sizes.layers)}
        elif name:
            out[name] = values
    return out

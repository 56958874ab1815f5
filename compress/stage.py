"""What a stage of a codec is, in prose first.

A stage turns something into something smaller and back. It has a `name`, a `config()` of plain values, `encode` and
`decode`; its `repr` is the call that makes it, and two stages with equal name and config are equal. **Same name and
config means the same bytes, for ever**: a stage that would write other bytes gets another name. The decode half knows
stages by the short names in a container (`decode_bytes`, `layouts`, `dequantize`) and carries no class.

There are two kinds. A `Quantizer` turns a float tensor into the arrays of a *scheme* (see `dequantize`); `decode` is
the same for all. A `Coder` turns the arrays of one stream into bytes. To register a stage is to have it tested: the
shared tests run over `registry()` and compare each stage's bytes with a golden file.
"""

from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from .container_read import open_stream
from .decoders import array_decoders
from .dequantize import dequantize
from .layouts import Specs
from .statistics import Metric


class Parts(NamedTuple):
    """A tensor as its quantiser left it: what the container stores of it."""

    name: str
    dtype: str  # of the tensor that comes back, "bfloat16" included
    shape: tuple[int, ...]
    scheme: str
    arrays: list[np.ndarray]

    @property
    def states(self) -> int:
        """Of the trellis that its integers walk; 1 for none."""
        word, *rest = self.scheme.split(" ")
        return next((int(w) for w in rest if w.isdecimal()), 1) if word in ("grid", "trellis") else 1

    def restore(self) -> np.ndarray:
        """The tensor that a reader will get."""
        return dequantize(self.scheme, list(self.arrays), self.shape, self.dtype)


class Stage:
    """Name, config, repr and equality, shared by every stage."""

    name: str = ""

    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, each the attribute of that name; plain values only."""
        return {name: getattr(self, name) for name in signature(type(self)).parameters}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class Quantizer(Stage):
    """Float tensors to small integers and what is needed to undo it."""

    def encode(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None = None) -> Parts:
        """One tensor to its parts. `dtype` is the tensor's own; `metric` says what errors in it cost, where known.

        Raises CodecError for values that are not finite.
        """
        raise NotImplementedError

    def decode(self, parts: Parts) -> np.ndarray:
        """The tensor back, within the quantiser's error."""
        return parts.restore()


class Coder(Stage):
    """The arrays of one stream (one dtype) to bytes, without loss."""

    chain: str = ""  # what a container's table says of it

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        """Arrays of one dtype to bytes; deterministic."""
        raise NotImplementedError

    def decode(self, data: bytes, specs: Specs) -> list[np.ndarray]:
        """The arrays of these dtypes and shapes back, equal bit for bit. Raises CodecError for any other bytes."""
        return open_stream(self.chain, data, specs, array_decoders())

    def smallest(self, arrays: list[np.ndarray], states: int = 1) -> tuple[str, bytes]:
        """A stream's chain and its bytes; a coder that is several chooses among them.

        states: of the trellis that made the integers, for a coder that can see it.
        """
        return self.chain, self.encode(arrays)

    def needs(self) -> set[str]:
        """The names of the coders and layouts that its streams may need."""
        *layouts, coder = self.chain.split("+")
        return {coder, *(layout.rstrip("12345678") for layout in layouts)}

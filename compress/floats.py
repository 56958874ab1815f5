"""The coder of floats: what can be foreseen of a float goes through the mixing coder, the rest as it is.

The step 2^e of the heads is the finest that leaves them int8, and p is the shortest mantissa that holds every number of
the array: bfloat16 inside float32 or float16 costs what bfloat16 costs. See `floats_decode` for the split itself.
"""

import zlib

import numpy as np

from .errors import CodecError
from .floats_decode import ABOUT, AT_ONCE, BOTTOM, FINER, tail_bits
from .mix_coder import mix
from .stage import Coder

KEEP = 24  # bits of a head, before the middle is taken away


class Floats(Coder):
    """Float16 and float32 as heads of eight bits, mixed, and the rest of their mantissas."""

    name = "floats"
    chain = "floats"

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        return code_floats(arrays)

    def needs(self) -> set[str]:
        return {"floats", "mix"}


class BitWriter:
    """What `BitReader` reads."""

    def __init__(self) -> None:
        self.kept: list[np.ndarray] = []

    def put(self, numbers: np.ndarray, widths: np.ndarray) -> None:
        """Numbers of so many bits each, `(n,) int64` both."""
        for plane in range(int(widths.max(initial=0))):
            where = widths > plane
            self.kept.append((numbers[where] >> (widths[where] - 1 - plane) & 1).astype(np.uint8))

    def finish(self) -> bytes:
        """All bits, the last byte filled with zeros."""
        return np.packbits(np.concatenate([np.zeros(0, np.uint8), *self.kept])).tobytes()


def code_floats(arrays: list[np.ndarray]) -> bytes:
    """Arrays of float16 or float32 to the coder's bytes. Raises CodecError for other or infinite numbers."""
    if any(a.dtype.name not in BOTTOM or not np.isfinite(a).all() for a in arrays):
        met = sorted({a.dtype.name for a in arrays})
        raise CodecError(f"the coder of floats holds finite float16 and float32 only, met {', '.join(met)}.")
    tails, heads, about = BitWriter(), [], np.zeros(len(arrays), ABOUT)
    for array, head in zip(arrays, about, strict=True):
        bottom = BOTTOM[array.dtype.name]
        k, e = split(array, bottom)
        low, high = (int(k.min()), int(k.max())) if k.size else (0, 0)
        middle = int(np.clip(np.rint(k.mean()) if k.size else 0, high - 127, low + 128))
        p = mantissa_bits(array)
        head["exponent"], head["middle"], head["mantissa"] = e, middle, p
        heads.append((k - middle).astype(np.int8).reshape(array.shape))
        sizes = np.abs(array.astype(np.float64)).ravel()
        for a in range(0, k.size, AT_ONCE):
            put_tails(sizes[a : a + AT_ONCE], e, p, bottom, tails)
    mixed = mix(heads)
    text = zlib.compress(len(mixed).to_bytes(4, "little") + about.tobytes(), 9)
    return len(text).to_bytes(3, "little") + text + mixed + tails.finish()


def split(array: np.ndarray, bottom: int) -> tuple[np.ndarray, int]:
    """Heads `(n,) int64`, no wider than eight bits apart, and the finest exponent that allows it."""
    sizes, minus = np.abs(array.astype(np.float64)).ravel(), np.signbit(array).ravel()
    e = max(bottom, int(np.frexp(sizes.max(initial=0))[1]) - KEEP)
    while True:
        whole = np.floor(np.ldexp(sizes, -e)).astype(np.int64)
        k = np.where(minus, -1 - whole, whole)
        if not k.size or k.max() - k.min() < 255:
            return k, e
        e += 1


def mantissa_bits(array: np.ndarray) -> int:
    """Bits below the highest that the longest mantissa of an array needs, 0 to 23."""
    whole = (np.frexp(np.abs(array.astype(np.float64)))[0] * 2.0**24).astype(np.int64)
    used = int(np.bitwise_or.reduce(whole, axis=None)) if whole.size else 0
    return 24 - (used & -used).bit_length() if used else 0


def put_tails(sizes: np.ndarray, exponent: int, mantissa: int, bottom: int, tails: BitWriter) -> None:
    """Write what heads of that exponent leave of these magnitudes."""
    e = np.full(len(sizes), exponent, np.int64)
    heads = np.floor(np.ldexp(sizes, -e)).astype(np.int64)
    while len(low := np.flatnonzero((heads == 0) & (e > bottom))):
        width = np.minimum(e[low] - bottom, FINER)
        e[low] -= width
        heads[low] = np.floor(np.ldexp(sizes[low], -e[low])).astype(np.int64)
        tails.put(heads[low], width)
    width = tail_bits(heads, e, mantissa, bottom)
    tails.put(np.ldexp(np.ldexp(sizes, -e) - heads, width).astype(np.int64), width)

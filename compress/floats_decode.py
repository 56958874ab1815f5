"""Floats back from heads and tails: the decode half of the `floats` coder.

A float is `(K + tail) * 2^e` and a sign: K is a whole number and the tail, in [0, 1), is the mantissa below it. Heads k
(K with a plus, -1 - K with a minus, less the array's middle) are int8 in the tensor's own shape and go through the
mixing coder, which sees rows and columns. Within a step all floats are all but equally likely, so tails are bits as
they are: as many as a mantissa of p bits has left below K. Where K is 0, the seven bits
below it come first, again and again.
"""

import zlib

import numpy as np

from .errors import CodecError
from .layouts import Specs
from .mix_decode import unmix

BOTTOM = {"float16": -24, "float32": -149}  # the exponent of the smallest float
FINER = 7  # bits that are looked at next where a head is 0
AT_ONCE = 1 << 20  # floats of one round
ABOUT = np.dtype([("exponent", "<i2"), ("middle", "<i4"), ("mantissa", "u1")])  # of each array


class BitReader:
    """Bits of several numbers, the highest of all first. Raises CodecError."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = np.frombuffer(data, np.uint8), 0

    def take(self, widths: np.ndarray) -> np.ndarray:
        """Numbers of so many bits each, `(n,) int64`."""
        out = np.zeros(len(widths), np.int64)
        for plane in range(int(widths.max(initial=0))):
            where = np.flatnonzero(widths > plane)
            end = self.at + len(where)
            if end > 8 * len(self.data):
                raise CodecError("the tails of the floats are cut short")
            bits = np.unpackbits(self.data[self.at >> 3 : (end + 7) >> 3])[self.at & 7 :][: len(where)]
            out[where] = out[where] << 1 | bits
            self.at = end
        return out


def tail_bits(heads: np.ndarray, exponents: np.ndarray, mantissa: int, bottom: int) -> np.ndarray:
    """Bits of the tails of these heads K, none for K = 0; `(n,) int64`."""
    inside = np.frexp(heads.astype(np.float64))[1].astype(np.int64) - 1
    return np.where(heads > 0, np.clip(np.minimum(mantissa - inside, exponents - bottom), 0, None), 0)


def unfloat(data: bytes, specs: Specs) -> list[np.ndarray]:
    """float16 or float32 arrays of these shapes back from the coder's bytes. Raises CodecError."""
    if any(dtype not in BOTTOM for dtype, _ in specs):
        raise CodecError("the coder of floats holds float16 and float32 only")
    end, opener = 3 + int.from_bytes(data[:3], "little"), zlib.decompressobj()
    text = opener.decompress(data[3:end], 5 + ABOUT.itemsize * len(specs))
    if not opener.eof or opener.unused_data or len(text) != 4 + ABOUT.itemsize * len(specs):
        raise CodecError("the heads of the coder of floats are damaged")
    middle = end + int.from_bytes(text[:4], "little")
    tails = BitReader(data[middle:])
    found, heads = [], unmix(data[end:middle], [("int8", shape) for _, shape in specs])
    for head, k, (dtype, _) in zip(np.frombuffer(text, ABOUT, offset=4), heads, specs, strict=True):
        e, p, bottom = int(head["exponent"]), int(head["mantissa"]), BOTTOM[dtype]
        if not bottom <= e <= 128 or p > 23:
            raise CodecError("a head of the coder of floats says what no float can be")
        out = np.empty(k.size, dtype)
        for a in range(0, k.size, AT_ONCE):
            near = k.reshape(-1)[a : a + AT_ONCE] + np.int64(head["middle"])
            out[a : a + AT_ONCE] = with_tails(near, e, p, dtype, tails)
        found.append(out.reshape(k.shape))
    if tails.at + 7 >> 3 != len(tails.data):
        raise CodecError("the tails of the floats do not end where their bytes end")
    return found


def with_tails(k: np.ndarray, exponent: int, mantissa: int, dtype: str, tails: BitReader) -> np.ndarray:
    """The floats of these heads, `(n,)` of that dtype."""
    bottom, minus, heads, e = BOTTOM[dtype], k < 0, np.where(k < 0, -1 - k, k), np.full(len(k), exponent, np.int64)
    while len(low := np.flatnonzero((heads == 0) & (e > bottom))):
        width = np.minimum(e[low] - bottom, FINER)
        heads[low], e[low] = tails.take(width), e[low] - width
    width = tail_bits(heads, e, mantissa, bottom)
    with np.errstate(all="ignore"):
        value = np.ldexp(heads + np.ldexp(tails.take(width).astype(np.float64), -width), e)
        return np.where(minus, -value, value).astype(dtype)

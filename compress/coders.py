"""The general compressors as coders: zlib, bz2, lzma, zstd and brotli at their strongest settings, behind any layout.

`ByteCoder("brotli", level=11, layout=("columns",))` writes what `decode_bytes` and `layouts` read. These are the
field's own tools and our yardstick; none of them knows what a weight is.
"""

import bz2
import lzma
import zlib

import numpy as np

from .decode_bytes import LZMA_FILTERS
from .errors import CodecError
from .layouts import lay_out
from .stage import Coder

LEVELS = {"store": (0, 0), "zlib": (1, 9), "bz2": (1, 9), "lzma": (0, 9), "zstd": (1, 22), "brotli": (0, 11)}
LZMA_CHOICES = ((3, 0), (0, 0), (4, 0))  # literal context bits, position bits: weights like none, halves like some


class ByteCoder(Coder):
    """One general compressor over one layout."""

    def __init__(self, coder: str, level: int, layout: tuple[str, ...] = ()) -> None:
        low, high = LEVELS.get(coder, (1, 0))
        if not low <= level <= high:
            raise CodecError(f"no coder {coder!r:.40} at level {level}; there are {known_coders()}.")
        self.coder, self.level, self.layout = coder, level, tuple(layout)
        self.chain = "+".join((*self.layout, coder))
        self.name = "+".join((*self.layout, coder + (str(level) if high else "")))

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        data = lay_out(list(self.layout), arrays)
        return compress_bytes(self.coder, self.level, data)


def known_coders() -> str:
    """The coders and their highest levels, for a sentence."""
    return ", ".join(f"{name}{high or ''}" for name, (_, high) in LEVELS.items())


def compress_bytes(coder: str, level: int, data: bytes) -> bytes:
    """`data` compressed by one of the general coders; deterministic for one version of its library."""
    if coder == "zlib":
        return zlib.compress(data, level)
    if coder == "bz2":
        return bz2.compress(data, level)
    if coder == "lzma":
        tries = []
        for lc, pb in LZMA_CHOICES:
            filters = [{**LZMA_FILTERS[0], "preset": level | lzma.PRESET_EXTREME, "lc": lc, "pb": pb}]
            tries.append(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))
        return min(tries, key=len)
    if coder == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True).compress(data)
    if coder == "brotli":
        import brotli

        return brotli.compress(data, quality=level, lgwin=24)
    return data

"""Byte strings back from the five general compressors, never one byte more than was declared.

This is the decode half that ships in `train_gpt.py`. A function takes the coded bytes and the exact size that must
come out. Each stops as soon as more would come, so a bomb costs no memory; each refuses bytes left over after its
stream.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from .errors import CodecError

LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]


def unstore(data: bytes, size: int) -> bytes:
    """Bytes that were stored as they are."""
    return data


def inflate(data: bytes, size: int) -> bytes:
    """A zlib stream."""
    return take_all(zlib.decompressobj(), data, size)


def unbzip(data: bytes, size: int) -> bytes:
    """A bzip2 stream."""
    return take_all(bz2.BZ2Decompressor(), data, size)


def unlzma(data: bytes, size: int) -> bytes:
    """A raw LZMA2 stream with a window of 16 MiB."""
    return take_all(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=LZMA_FILTERS), data, size)


def take_all(opener: Any, data: bytes, size: int) -> bytes:
    """What a decompressor of the standard library gives, cut off one byte above `size`."""
    out = opener.decompress(data, size + 1)
    if not opener.eof or opener.unused_data:
        raise CodecError("the stream does not end where its bytes end")
    return out


def unzstd(data: bytes, size: int) -> bytes:
    """One zstd frame whose header states its content size."""
    import zstandard

    if zstandard.frame_content_size(data) > size:
        raise CodecError("the zstd frame states a larger size")
    opener = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    return opener.decompress(data, max_output_size=size, allow_extra_data=False)


def unbrotli(data: bytes, size: int) -> bytes:
    """A brotli stream."""
    import brotli

    opener = brotli.Decompressor()
    out = opener.process(data, output_buffer_limit=size + 1)  # gives a block more at most
    if not opener.is_finished():
        raise CodecError("the brotli stream is cut short or longer than declared")
    return out


def byte_decoders() -> dict[str, Callable[[bytes, int], bytes]]:
    """Decoder by the name that stands in a container."""
    return {"store": unstore, "zlib": inflate, "bz2": unbzip, "lzma": unlzma, "zstd": unzstd, "brotli": unbrotli}

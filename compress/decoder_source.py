"""What a codec's decoder costs: the source of its decode half, joined and compressed as it would ship.

A submission's bytes are code plus container, so a smaller payload that needs a larger decoder may be no gain. Counted
here is the text of the decode modules as it stands, comments and all, compressed by lzma alone; a bundle shares one
stream with the model's own source and comes out a little smaller.
"""

import lzma
from functools import cache
from importlib.resources import files

GENERAL = ("errors", "decode_bytes", "dequantize", "grid", "trellis", "layouts", "container_read")


@cache
def decoder_bytes(modules: tuple[str, ...] = GENERAL) -> int:
    """Bytes of these modules' source, joined and compressed."""
    text = "".join(files("compress").joinpath(f"{name}.py").read_text(encoding="utf-8") for name in modules)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    return len(lzma.compress(text.encode(), lzma.FORMAT_RAW, filters=filters))

"""How long one artifact of full size takes to write and to read: `pglab bench codecs --megabytes 16`."""

import sys
import time
from math import ceil
from typing import Any

from pglab_report import Column, Report, Table

from .bench import integers_of
from .container_read import unpack_container
from .container_write import pack_parts
from .decoders import array_decoders
from .progress import progress
from .recipes import parse_recipe
from .sources import Weights
from .stage import Parts

COLUMNS = [
    Column("path", "weights"),
    Column("copies", "copies", "", ",d"),
    Column("weights", "weights", "", ",d"),
    Column("bytes", "file", "", ",d"),
    Column("quantize_s", "quantise s", "", ".2f"),
    Column("coder_s", "write s", "", ".2f"),
    Column("decode_s", "read s", "", ".2f"),
    Column("peak_mb", "peak", "MB", ",.0f"),
]
NOTE = (
    "CPU seconds of all threads, so no more than one core's clock. The weights stand there as often as the size wants; "
    "the coder looks for nothing across matrices, so repeats cost as much as new ones."
)


def large_row(weights: Weights, quantizer: str, megabytes: float) -> dict[str, Any]:
    """One container of at least so many million bytes, written to memory, read back and compared."""
    recipe = parse_recipe("exact+mix")
    start = time.process_time()
    parts = integers_of(weights, quantizer)
    quantized = time.process_time() - start
    wanted, copies, data, coded = megabytes * 1e6, 1, b"", 0.0
    for _ in progress(range(3), f"writing {megabytes:g} MB"):
        if len(data) < wanted:
            copies = max(ceil(copies * wanted / len(data)), copies + 1) if data else copies
            many = [Parts(f"{n}.{p.name}", *p[1:]) for p in parts for n in range(copies)]
            start = time.process_time()
            data = pack_parts(many, recipe.coder, recipe.rest)
            coded = time.process_time() - start
    start = time.process_time()
    count = sum(v.size for _, v, _ in unpack_container(data, decoders=array_decoders()))
    read = time.process_time() - start
    return {
        "path": weights.path, "copies": copies, "weights": count, "bytes": len(data), "quantize_s": quantized * copies,
        "coder_s": coded, "decode_s": read, "peak_mb": peak_megabytes(),
    }  # fmt: skip


def peak_megabytes() -> float | None:
    """The most memory this process had at once; None where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def large_report(rows: list[dict[str, Any]]) -> Report:
    """The report of `large_row` for each checkpoint."""
    says = [
        f"{row['bytes']:,} bytes: {row['quantize_s'] + row['coder_s']:.1f} s to write, {row['decode_s']:.1f} s to read."
        for row in rows
    ]
    return Report(
        "An artifact of full size", says, [Table("sizes", "", COLUMNS, rows)], notes=[NOTE], data={"rows": rows}
    )

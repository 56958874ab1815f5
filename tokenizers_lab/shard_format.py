"""The challenge's token shard, and the byte sidecar that has the same shape.

256 little-endian int32 of header (magic 20240520, version 1, count of values, zeros), then the values as little-endian
uint16: token ids in a shard, original UTF-8 bytes per token in a sidecar. Shards are `fineweb_{train,val}_%06d.bin`;
the sidecar of a shard has the same name with `.bytes`, which the shards' own glob `fineweb_val_*.bin` cannot match (the
public name `fineweb_val_bytes_*.bin` does match it: a trap that has been met).
"""

from pathlib import Path

import numpy as np

from .errors import VocabError

MAGIC, VERSION, HEADER_INTS = 20240520, 1, 256
HEADER_BYTES = HEADER_INTS * 4
SPLITS = ("val", "train")  # in the order of the documents
LARGEST = (1 << 31) - 1


def shard_name(split: str, index: int) -> str:
    """File name of a token shard."""
    return f"fineweb_{split}_{index:06d}.bin"


def sidecar_name(shard: str) -> str:
    """File name of the byte sidecar beside a shard."""
    return shard.removesuffix(".bin") + ".bytes"


def header(count: int) -> bytes:
    """The 1,024 bytes before `count` values. Raises VocabError above 2**31 - 1, which the field cannot hold."""
    if not 0 <= count <= LARGEST:
        raise VocabError(f"{count:,} tokens in one shard; wanted at most {LARGEST:,}. Use a smaller --shard-tokens.")
    ints = np.zeros(HEADER_INTS, "<i4")
    ints[:3] = MAGIC, VERSION, count
    return ints.tobytes()


def read_values(path: Path) -> np.ndarray:
    """(count,) uint16 of a shard or sidecar, mapped, not loaded. Raises VocabError for anything that is not one."""
    size = path.stat().st_size
    fix = "Write it again: pglab shards write"
    if size < HEADER_BYTES:
        raise VocabError(f"{path}: {size:,} bytes, shorter than a shard's header of {HEADER_BYTES:,}. {fix}")
    with path.open("rb") as file:
        ints = np.frombuffer(file.read(HEADER_BYTES), "<i4")
    if int(ints[0]) != MAGIC or int(ints[1]) != VERSION:
        raise VocabError(f"{path}: magic {ints[0]}, version {ints[1]}; wanted {MAGIC} and {VERSION}. {fix}")
    count = int(ints[2])
    if count < 0 or size != HEADER_BYTES + 2 * count:
        raise VocabError(
            f"{path}: {size:,} bytes, but {count:,} values take {HEADER_BYTES + 2 * count:,}; it is cut off or "
            f"has something behind it. {fix}"
        )
    if not count:
        return np.empty(0, np.uint16)
    return np.memmap(path, "<u2", "r", HEADER_BYTES, (count,))

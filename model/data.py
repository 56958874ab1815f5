"""Token shards, read and batched: reading them, and cutting the stream of tokens into batches as the challenge does.

A shard is 256 little-endian int32 (magic 20240520, version 1, the token count, zeros) and then uint16 tokens; the
byte sidecar `fineweb_val_*.bytes` has the same shape and holds, for each token, the bytes of the original text it
stands for. Training reads the shards in order of name, round and round. A batch takes (its tokens + 1) for each rank
from the one stream; rank r gets the r-th piece, so that ranks read disjoint text and any number of them reads the
same text.

Nothing here needs torch.
"""

import json
from pathlib import Path

import numpy as np

from .errors import ModelError

BOS = 1  # the begin of a document, in every vocabulary of the challenge
SHARD_MAGIC, SHARD_VERSION, SHARD_HEAD = 20240520, 1, 256  # the head's length is in int32


def shard_count(path: Path) -> int:
    """The number of tokens a shard holds, its head and its size checked. Raises ModelError or OSError."""
    if not path.is_file():
        raise ModelError(f"{path}: no file, though it is named as a shard. Write or fetch it again.")
    head = np.fromfile(path, dtype="<i4", count=SHARD_HEAD)
    if head.size < SHARD_HEAD:
        raise ModelError(
            f"{path}: {path.stat().st_size:,} bytes, shorter than a shard's head of 1,024. Write it again."
        )
    magic, version, count = (int(v) for v in head[:3])
    if magic != SHARD_MAGIC or version != SHARD_VERSION:
        raise ModelError(
            f"{path}: starts with magic {magic} and version {version}; wanted {SHARD_MAGIC} and {SHARD_VERSION}. "
            "Is it a token shard?"
        )
    size = path.stat().st_size
    if count < 0 or size != 4 * SHARD_HEAD + 2 * count:
        raise ModelError(
            f"{path}: the head declares {count:,} tokens, which is a file of {4 * SHARD_HEAD + 2 * count:,} bytes; "
            f"it has {size:,}. Write or fetch it again."
        )
    return count


def read_shard(path: Path, vocab_size: int = 65_536) -> np.ndarray:
    """The tokens of a shard, uint16 `(n,)`, each below `vocab_size`. Raises ModelError or OSError."""
    count = shard_count(path)
    tokens = np.fromfile(path, dtype="<u2", count=count, offset=4 * SHARD_HEAD)
    if tokens.size != count:
        raise ModelError(f"{path}: {tokens.size:,} of {count:,} tokens could be read; the file is being changed.")
    if count and int(tokens.max()) >= vocab_size:
        at = int(np.argmax(tokens >= vocab_size))
        raise ModelError(
            f"{path}: token {int(tokens[at]):,} at position {at:,} is not below vocab_size {vocab_size:,}. The shards "
            "belong to another vocabulary; set vocab_size, or give other shards."
        )
    return tokens


def check_begin(path: Path, vocab_size: int) -> None:
    """ModelError unless the first 65,536 tokens of a shard are below `vocab_size`."""
    some = np.fromfile(path, dtype="<u2", count=65_536, offset=4 * SHARD_HEAD)
    if some.size and int(some.max()) >= vocab_size:
        raise ModelError(
            f"{path}: token {int(some.max()):,} is not below vocab_size {vocab_size:,}. The shards belong to another "
            "vocabulary; set vocab_size, or give other shards."
        )


def shard_files(folder: Path, split: str) -> list[Path]:
    """The shards `fineweb_<split>_*.bin` of a folder in order, each head checked. Raises ModelError when there is none.

    Files named `fineweb_val_bytes_*` are sidecars under the public records' name, not shards.
    """
    pattern = f"fineweb_{split}_*.bin"
    files = [path for path in sorted(folder.glob(pattern)) if "_bytes_" not in path.name]
    if not files:
        raise ModelError(f"{folder}: no {pattern} there. Make shards with: pglab shards write")
    for path in files:
        shard_count(path)
    return files


def read_split(folder: Path, split: str, vocab_size: int) -> np.ndarray:
    """All tokens of a split, uint16 `(n,)`. Raises ModelError or OSError."""
    return np.concatenate([read_shard(path, vocab_size) for path in shard_files(folder, split)])


def read_sidecar(folder: Path) -> np.ndarray | None:
    """Original bytes of each validation token, uint16 `(n,)`; None when no shard has a sidecar. Raises ModelError.

    Read from `fineweb_val_%06d.bytes`, or from the public records' `fineweb_val_bytes_%06d.bin`.
    """
    parts: list[np.ndarray] = []
    for path in shard_files(folder, "val"):
        ours = path.with_suffix(".bytes")
        theirs = path.with_name(path.name.replace("fineweb_val_", "fineweb_val_bytes_"))
        found = next((side for side in (ours, theirs) if side.exists()), None)
        if found is None:
            if parts:
                raise ModelError(f"{path}: no byte sidecar, though the shards before it have one. Write it again.")
            return None
        part = read_shard(found)
        if part.size != shard_count(path):
            raise ModelError(
                f"{found}: {part.size:,} byte counts for {shard_count(path):,} tokens; they belong to other shards."
            )
        parts.append(part)
    return np.concatenate(parts)


def check_manifest(folder: Path, vocab_size: int) -> None:
    """ModelError when there is no such folder, or its manifest.json, if any, names a vocabulary of another size."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder of shards. Make one with: pglab shards write, or set data_path.")
    path = folder / "manifest.json"
    if not path.exists():
        return
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        size = said["vocabulary"]["size"] if isinstance(said, dict) and "vocabulary" in said else vocab_size
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({str(error)[:80]}). Write the shards again.") from None
    if size != vocab_size:
        raise ModelError(f"{path}: the shards' vocabulary has {size} tokens, vocab_size is {vocab_size:,}; set it so.")


def check_shards(folder: Path, vocab_size: int) -> None:
    """What can be said of a folder of shards at once: it is there, heads are right, sizes agree. Raises ModelError."""
    check_manifest(folder, vocab_size)
    for split in ("train", "val"):
        for path in shard_files(folder, split):
            check_begin(path, vocab_size)


class TokenStream:
    """The training shards as one endless stream, and batches out of it. Holds one shard at a time."""

    def __init__(self, folder: Path, vocab_size: int) -> None:
        self.files = shard_files(folder, "train")
        self.vocab_size = vocab_size
        self.total = sum(shard_count(path) for path in self.files)
        for path in self.files[1:]:  # a later shard of another vocabulary shall not end a run half way
            check_begin(path, vocab_size)
        if self.total < 2:
            raise ModelError(f"{folder}: the training shards hold {self.total} tokens together; wanted at least 2.")
        self.seek(0, 0)

    def seek(self, file: int, position: int) -> None:
        """Go to a place in the stream, as `place` gave it. Raises ModelError when it is not there."""
        if not 0 <= file < len(self.files):
            raise ModelError(f"the checkpoint stands in training shard {file}, there are {len(self.files)}.")
        self.file, self.position = file, position
        self.tokens = self.shard(file)

    def shard(self, file: int) -> np.ndarray:
        """The tokens of a shard by its index."""
        return read_shard(self.files[file], self.vocab_size)

    @property
    def place(self) -> tuple[int, int]:
        """Index of the shard and position in it of the next token."""
        return self.file, self.position

    def take(self, count: int) -> np.ndarray:
        """The next `count` tokens, uint16 `(count,)`."""
        pieces = []
        while count > 0:
            if self.position >= self.tokens.size:
                self.seek((self.file + 1) % len(self.files), 0)
                continue
            piece = self.tokens[self.position : self.position + count]
            self.position += piece.size
            count -= piece.size
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def batch(self, tokens: int, length: int, rank: int, world: int) -> tuple[np.ndarray, np.ndarray]:
        """A rank's inputs and targets for one micro-step, int64 `(tokens / world / length, length)` each.

        tokens: targets of all ranks together; advances the stream by tokens + world.
        """
        span = tokens // world + 1
        own = self.take(span * world)[rank * span : (rank + 1) * span].astype(np.int64)
        return own[:-1].reshape(-1, length), own[1:].reshape(-1, length)

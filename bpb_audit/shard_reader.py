"""The auditor's own reader of token shards and byte sidecars: streamed, so a file of any size takes the same memory.

Both have 256 little-endian int32 of header (magic 20240520, version 1, count) and then `count` uint16: token ids in a
shard, bytes per token in a sidecar. Several files are one stream in name order; a document may run from one file into
the next. A sidecar is `fineweb_val_*.bytes` (ours) or `fineweb_val_bytes_*.bin` (public; the shards' own pattern
matches it too, so it is taken out of that).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .errors import AuditError

HEADER_BYTES, MAGIC, VERSION = 1024, 20240520, 1
CHUNK = 1 << 20  # tokens read at a time, 2 MiB
LONGEST = 1 << 22  # tokens of one document; a longer stretch without a mark is torn, to keep memory small


@dataclass(frozen=True, slots=True)
class Stream:
    """Files read as one: `counts` values in each, `total` in all."""

    files: tuple[Path, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)

    def place(self, position: int) -> str:
        """`file:token` of a position in the stream, for people."""
        for path, count in zip(self.files, self.counts, strict=True):
            if position < count:
                return f"{path.name}:{position}"
            position -= count
        return f"{self.files[-1].name}:end"

    def chunks(self, size: int = CHUNK, start: int = 0) -> Iterator[np.ndarray]:
        """Values from `start` on, (at most size,) uint16 at a time. Each array is good until the next is asked for."""
        buffer = bytearray(2 * size)
        view = memoryview(buffer)
        values = np.frombuffer(buffer, "<u2")
        for path, count in zip(self.files, self.counts, strict=True):
            skip = min(start, count)
            start -= skip
            left = 2 * (count - skip)
            with path.open("rb", buffering=0) as file:
                file.seek(HEADER_BYTES + 2 * skip)
                while left:
                    got = _fill(file.readinto, view[: min(left, 2 * size)])
                    if got == 0 or got % 2:
                        raise AuditError(f"{path}: became shorter while it was read. Run the audit again.")
                    left -= got
                    yield values[: got // 2]


def _fill(readinto: Callable[[memoryview], int | None], view: memoryview) -> int:
    """Read until `view` is full or the file ends; returns the bytes read."""
    got = 0
    while got < len(view):
        more = readinto(view[got:])
        if not more:
            break
        got += more
    return got


def read_header(path: Path) -> int:
    """How many values the file holds. Raises AuditError when magic, version, count or size are wrong."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        size = file.seek(0, 2)
    if len(head) < HEADER_BYTES:
        raise AuditError(
            f"{path}: {size:,} bytes, wanted a header of {HEADER_BYTES:,}. Write or fetch the shard again."
        )
    magic, version, count = (int(word) for word in np.frombuffer(head, "<i4")[:3])
    if (magic, version) != (MAGIC, VERSION):
        raise AuditError(
            f"{path}: magic {magic} and version {version}, wanted {MAGIC} and {VERSION}; not a token shard."
        )
    if count < 0 or size != HEADER_BYTES + 2 * count:
        raise AuditError(
            f"{path}: the header says {count:,} tokens, which takes {HEADER_BYTES + 2 * count:,} bytes; the file has "
            f"{size:,}. It is cut off or damaged; write or fetch it again."
        )
    return count


def open_stream(files: list[Path]) -> Stream:
    """The files as one stream, in the order given. Raises AuditError for a bad header or no file at all."""
    if not files:
        raise AuditError("no shard to read; give the folder that holds fineweb_val_*.bin with --shards DIR.")
    return Stream(tuple(files), tuple(read_header(path) for path in files))


def find_shards(place: Path, split: str) -> list[Path]:
    """The shards of `split` ("val" or "train") in a folder, without byte sidecars; or `place` itself, a file."""
    if place.is_file():
        return [place] if split == "val" else []
    found = place.glob(f"fineweb_{split}_*.bin")
    return sorted(path for path in found if not path.name.startswith(f"fineweb_{split}_bytes_"))


def find_sidecars(place: Path) -> list[Path]:
    """The byte sidecars of the validation shards in a folder, under either name; empty for a file."""
    if place.is_file():
        return []
    return sorted(place.glob("fineweb_val_*.bytes")) or sorted(place.glob("fineweb_val_bytes_*.bin"))


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole documents cut from a stream.

    ids: (n,) uint16. starts: (d + 1,) int64, document j is ids[starts[j]:starts[j+1]]. first: position of ids[0] in the
    stream. headless: the first document does not begin with BOS (only at the head of a stream, or behind a tear).
    torn: the last document is too long and goes on in the next batch.
    """

    ids: np.ndarray
    starts: np.ndarray
    first: int
    headless: bool
    torn: bool = False


def documents(stream: Stream, bos: int, chunk: int = CHUNK) -> Iterator[Batch]:
    """Whole documents, many at a time; each begins with `bos`, but perhaps the very first.

    A document above 4,194,304 tokens is torn into pieces: a stream of those has no documents, or another mark.
    """
    carry = np.zeros(0, np.uint16)
    first = 0
    for values in stream.chunks(chunk):
        marks = np.flatnonzero(values == bos)
        joined = np.concatenate((carry, values))
        marks = marks + len(carry)
        cut = int(marks[-1]) if len(marks) else 0
        if cut:
            yield _batch(joined[:cut], bos, first)
            first += cut
        carry = joined[cut:]
        if len(carry) > LONGEST:
            yield replace(_batch(carry, bos, first), torn=True)
            first += len(carry)
            carry = carry[:0]
    if len(carry):
        yield _batch(carry, bos, first)


def _batch(ids: np.ndarray, bos: int, first: int) -> Batch:
    marks = np.flatnonzero(ids == bos)
    headless = not len(marks) or marks[0] != 0
    starts = np.concatenate(([0], marks, [len(ids)])) if headless else np.append(marks, len(ids))
    return Batch(ids, starts.astype(np.int64), first, headless)

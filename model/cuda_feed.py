"""Batches on a GPU before they are asked for: the next one is copied from pinned memory while the present one is used.

A shard of 100 million tokens takes a good tenth of a second to read, several steps of eight GPUs; so the shard that
comes next is read by a thread as soon as one is begun. On a CPU nothing is done ahead.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data import TokenStream, read_shard


class ReadingAhead(TokenStream):
    """A `TokenStream` whose next shard is being read while this one is used."""

    def __init__(self, folder: Path, vocab_size: int) -> None:
        self.reader = ThreadPoolExecutor(1, "next shard")
        self.coming: tuple[int, Future[np.ndarray]] | None = None
        super().__init__(folder, vocab_size)

    def shard(self, file: int) -> np.ndarray:
        """As in `TokenStream`, from the thread where it has begun. What the thread raised is raised here."""
        tokens = self.coming[1].result() if self.coming and self.coming[0] == file else super().shard(file)
        after = (file + 1) % len(self.files)
        self.coming = (after, self.reader.submit(read_shard, self.files[after], self.vocab_size))
        return tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch on the device, or on its way there."""

    wanted: tuple[int, int, int, int]
    x: Tensor
    y: Tensor
    after: tuple[int, int]  # the stream's place behind it
    arrived: torch.cuda.Event | None


class Feed:
    """The stream's batches as int64 tensors on a device, one ahead where that is a GPU.

    `place` and `seek` are the stream's, as far as batches were handed out: what was only fetched ahead does not count.
    """

    def __init__(self, folder: Path, vocab_size: int, device: torch.device, ahead: bool | None = None) -> None:
        gpu = device.type == "cuda"
        self.ahead = gpu if ahead is None else ahead
        self.device, self.side = device, torch.cuda.Stream(device) if gpu else None
        self.stream = ReadingAhead(folder, vocab_size) if self.ahead else TokenStream(folder, vocab_size)
        self.coming: Batch | None = None
        self.place = self.stream.place

    def seek(self, file: int, position: int) -> None:
        """Go to a place in the stream. Raises ModelError when it is not there."""
        self.stream.seek(file, position)
        self.coming, self.place = None, (file, position)

    def batch(self, tokens: int, length: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        """As `TokenStream.batch`: inputs and targets, `(tokens / world / length, length)` each."""
        wanted = (tokens, length, rank, world)
        if self.coming is not None and self.coming.wanted != wanted:
            self.seek(*self.place)
        now = self.coming or self.fetch(wanted)
        self.place = now.after
        if now.arrived is not None:
            here = torch.cuda.current_stream(self.device)
            here.wait_event(now.arrived)
            now.x.record_stream(here)
            now.y.record_stream(here)
        self.coming = self.fetch(wanted) if self.ahead else None
        return now.x, now.y

    def fetch(self, wanted: tuple[int, int, int, int]) -> Batch:
        """Take a batch out of the stream and send it on its way."""
        ids, targets = (torch.from_numpy(part) for part in self.stream.batch(*wanted))
        if self.side is None:
            return Batch(wanted, ids.to(self.device), targets.to(self.device), self.stream.place, None)
        with torch.cuda.stream(self.side):
            x, y = (part.pin_memory().to(self.device, non_blocking=True) for part in (ids, targets))
            arrived = torch.cuda.Event()
            arrived.record()
        return Batch(wanted, x, y, self.stream.place, arrived)

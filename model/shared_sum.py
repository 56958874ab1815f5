"""What the ranks of one machine's CPU exchange: they read each other's numbers in shared memory, nobody sends them.

Over loopback sockets the gradients of even a small model take longer to travel than some of its layers to compute. Here
each rank copies its own into a place that all can see, waits until all have, and reads; sums are made in the order of
ranks, so that every rank gets the same bits. Two places are used in turn: a rank can only write to one again when all
have met once more, and so have read it.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor


class SharedPlaces:
    """Where ranks show each other tensors of one size and dtype. Made and called by all ranks together."""

    def __init__(self, like: Tensor, place: str, rank: int, world: int) -> None:
        self.rank, self.turn = rank, 0
        size = 2 * world * like.numel()
        self.all = torch.from_file(place, shared=True, size=size, dtype=like.dtype).view(2, world, -1)

    def gather(self, flat: Tensor) -> Tensor:
        """What each rank gave, `(world, n)`, itself: it holds until the next but one is asked for."""
        self.turn = 1 - self.turn
        parts = self.all[self.turn]
        parts[self.rank].copy_(flat)
        dist.barrier()
        return parts

    def add(self, flat: Tensor) -> None:
        """The sum over all ranks, in place of what was given."""
        torch.sum(self.gather(flat), 0, out=flat)


def shared_places(like: Tensor, environment: Mapping[str, str]) -> SharedPlaces | None:
    """Places in memory for tensors as `like`, or None: other devices, ranks elsewhere, no room. By all together."""
    world = dist.get_world_size()
    if like.device.type != "cpu" or environment.get("LOCAL_WORLD_SIZE") != str(world):
        return None
    place = [reserved(2 * world * like.numel() * like.element_size()) if dist.get_rank() == 0 else ""]
    dist.broadcast_object_list(place)
    if not place[0]:
        return None
    found = SharedPlaces(like, place[0], dist.get_rank(), world)
    dist.barrier()  # all have it open
    if dist.get_rank() == 0:
        Path(place[0]).unlink()  # the memory stays until the last of them ends, however it ends
    return found


def reserved(size: int) -> str:
    """A new file of so many bytes that are really there, in memory; empty where there is no such place."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or not hasattr(os, "posix_fallocate"):
        return ""
    place = ""
    try:
        number, place = tempfile.mkstemp(prefix="pglab-", dir=folder)
        try:
            os.posix_fallocate(number, 0, size)
        finally:
            os.close(number)
    except OSError:
        if place:
            Path(place).unlink(missing_ok=True)
        return ""
    return place

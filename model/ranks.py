"""The processes of one run: who am I, on which device, in what precision, and what we tell each other.

A run is one process, or several that torchrun started (RANK, WORLD_SIZE, LOCAL_RANK): one a GPU over nccl, or on a CPU
one thread each over gloo, where two such ranks beat two OpenMP threads. Everything a decision hangs on (the clock, a
request to stop) is shared before it is used, so that all ranks take the same steps at the same rates.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist

from .config import RunConfig
from .errors import ModelError
from .memory import keep_memory


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the run."""

    rank: int
    world: int
    device: torch.device
    dtype: torch.dtype  # of matrix products: float32 or bfloat16

    def gather(self, values: list[float]) -> list[list[float]]:
        """Every rank's values, `[rank][value]`, float64."""
        if self.world == 1:
            return [values]
        own = torch.tensor(values, dtype=torch.float64)  # on the CPU: a GPU's work in flight is not waited for
        out = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(out, own)
        return torch.stack(out).tolist()

    def wait(self) -> None:
        """Until every rank is here."""
        if self.world > 1:
            dist.barrier()

    def settle(self) -> None:
        """Until this device has done all it was given, so that a clock can be read."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def rank_numbers(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """RANK, WORLD_SIZE and LOCAL_RANK of torchrun, or (0, 1, 0). Raises ModelError."""
    try:
        numbers = [int(environment.get(k, d)) for k, d in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))]
    except ValueError as error:
        raise ModelError(f"RANK, WORLD_SIZE or LOCAL_RANK is no number ({error}); start with torchrun.") from None
    if not 0 <= numbers[0] < numbers[1]:
        raise ModelError(f"RANK {numbers[0]} of WORLD_SIZE {numbers[1]} cannot be; start with torchrun.")
    return numbers[0], numbers[1], numbers[2]


def check_world(config: RunConfig, world: int) -> None:
    """ModelError unless a step's batch can be shared out over `world` ranks as the baseline does."""
    if world < 1 or config.micro_batches % world:
        fits = [n for n in range(1, config.micro_batches + 1) if config.micro_batches % n == 0]
        raise ModelError(
            f"{world} ranks do not divide micro_batches {config.micro_batches}; wanted one of {fits}, or set "
            "micro_batches to a multiple of the ranks."
        )


def open_ranks(config: RunConfig, environment: Mapping[str, str]) -> Ranks:
    """Join the other ranks and choose device and precision. Raises ModelError when the device is not there."""
    rank, world, local = rank_numbers(environment)
    check_world(config, world)
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ModelError("device is cuda, but this torch finds no GPU; set device = auto or cpu, or see pglab doctor.")
    if config.device != "cpu" and there:
        if local >= torch.cuda.device_count():
            raise ModelError(f"{world} ranks, but {torch.cuda.device_count()} GPUs; start one rank a GPU.")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    else:
        device = torch.device("cpu")
        keep_memory()
        if world > 1 or "OMP_NUM_THREADS" not in environment:
            torch.set_num_threads(1)  # several spin while they wait, and share this machine's cores badly
        keep_to_a_core(local, world, environment)
    if world > 1:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        try:
            dist.init_process_group(backend, rank=rank, world_size=world)
        except (ValueError, RuntimeError) as error:
            why = (str(error).splitlines() or [""])[0]
            raise ModelError(f"{world} ranks cannot meet ({why:.120}); start them with torchrun.") from None
    dtype = products_dtype(config, device)
    ranks = Ranks(rank, world, device, dtype)
    if config.precision == "auto" and device.type == "cpu":  # all ranks must agree, so the slowest has the word
        pays = min(row[0] for row in ranks.gather([float(dtype == torch.bfloat16)])) > 0
        ranks = Ranks(rank, world, device, torch.bfloat16 if pays else torch.float32)
    return ranks


def keep_to_a_core(local: int, world: int, environment: Mapping[str, str]) -> None:
    """Where this machine has as many cores for us as we are ranks, each of several stays on its own (Linux)."""
    if world > 1 and environment.get("LOCAL_WORLD_SIZE") == str(world) and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == world:
            os.sched_setaffinity(0, {cores[local]})


def products_dtype(config: RunConfig, device: torch.device) -> torch.dtype:
    """The dtype of matrix products on that device: as configured, or by what the device has."""
    wish = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(config.precision)
    if wish is None:
        wish = torch.bfloat16 if device.type == "cuda" or bfloat16_units() else torch.float32
    return wish


def bfloat16_units() -> bool:
    """Whether this CPU says that it multiplies bfloat16 itself: the same answer however busy it is."""
    has: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has.get(name) is True for name in ("amx_bf16", "avx512_bf16"))


class StopRequest:
    """Whether somebody asked this process to leave: SIGTERM, SIGINT, or the end of the command that started it.

    `watched` is the process id of that command (0: nobody). Only a flag is set; the loop saves and leaves at a step's
    end.
    """

    def __init__(self, watched: int) -> None:
        self.asked, self.watched = False, watched
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self.take_signal)

    def take_signal(self, number: int, frame: object) -> None:
        """Remember it."""
        self.asked = True

    def check(self) -> bool:
        """Whether to leave now."""
        if self.watched and not self.asked and sys.platform != "win32":  # where signal 0 would interrupt it
            try:
                os.kill(self.watched, 0)
            except OSError:
                self.asked = True
        return self.asked

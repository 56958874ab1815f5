"""Run the units of an export: here, in spawned processes, or on whatever offers `concurrent.futures.Executor`.

The executor is the one seam: a process pool on this machine, or `dask.distributed.Client.get_executor()` on many. A
worker that dies takes its unfinished units with it and nothing else; the same command continues.
"""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice

from .errors import VocabError
from .progress import Advance, nobody
from .shard_units import Job, encode_unit


def run_jobs(
    jobs: Iterable[Job], executor: Executor | None = None, in_flight: int = 4, advance: Advance = nobody
) -> Iterator[Job]:
    """Run every job and yield each when it is done, in any order; at most `in_flight` wait at an executor.

    advance: told of each unit's bytes of the file, on the way where the work is done here.

    Raises the first error of a job (VocabError, OSError), and VocabError when the workers themselves died.
    """
    waiting = iter(jobs)
    if executor is None:
        for job in waiting:
            left = [job.unit.end - job.unit.begin]

            def some(size: int, left: list[int] = left) -> None:
                size = min(size, left[0])  # text is shorter than the line it stands in, or longer without its escapes
                left[0] -= size
                advance(size)

            encode_unit(job, some)
            advance(left[0])
            yield job
        return
    running: dict[Future[int], Job] = {}
    try:
        while True:
            for job in islice(waiting, in_flight - len(running)):
                running[executor.submit(encode_unit, job)] = job
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                job = running.pop(future)
                future.result()
                advance(job.unit.end - job.unit.begin)
                yield job
    except BrokenExecutor:
        raise VocabError(
            "a worker process died (killed, or out of memory). Finished units are kept; run the same command again, "
            "with fewer --workers if memory was short."
        ) from None
    finally:
        for future in running:
            future.cancel()


@contextmanager
def process_pool(workers: int) -> Iterator[Executor | None]:
    """`workers` spawned processes, each encoding with one thread; None (work here) for one worker."""
    if workers <= 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    """Tell the engines of a worker to leave the other cores to the other workers."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"

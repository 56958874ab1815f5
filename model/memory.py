"""Memory that a step is done with stays with the process, for the next step, and lies in large pages."""

import contextlib
import ctypes

HEAP = 1 << 29  # bytes of addresses asked for at once; memory is only taken where something is written
LARGE_PAGE = 1 << 21


def keep_memory() -> None:
    """Let the allocator keep what it has for the next pass (glibc only): else each pass faults all its pages again.

    Measured: an eighth of a training step on a CPU, a tenth of a scorer's pass. Where the kernel has large pages for
    those who ask (Linux, `madvise`), the next `HEAP` bytes of the heap ask for them: another 4 to 7% of a step.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        most_from_heap, keep_free, more_at_once = -3, -1, -2  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD
        libc = ctypes.CDLL(None)
        libc.mallopt(most_from_heap, 1 << 25)
        libc.mallopt(keep_free, (1 << 31) - 1)
        if libc.mallopt(more_at_once, HEAP):
            use_large_pages(libc)


def use_large_pages(libc: ctypes.CDLL) -> None:
    """Let the heap grow once, by much, and ask for large pages in all that it grew by."""
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    begin = libc.sbrk(0)
    libc.free(libc.malloc(1 << 24))  # more than is free at the end of the heap, in one piece below the threshold
    first, last = -(-begin // LARGE_PAGE) * LARGE_PAGE, libc.sbrk(0) // LARGE_PAGE * LARGE_PAGE
    if last > first:
        libc.madvise(first, last - first, 14)  # MADV_HUGEPAGE

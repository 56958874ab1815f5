"""Frames over pipes: how a scorer and the prover in another process speak.

A frame is its size in four bytes (little-endian), one byte that says its kind, and a body. The scorer greets with one
`H`; the prover asks `S` (a step), `B` (whole windows) or `Q` (leave); answers are `D` (distances), `N` (nats), or `E`:
one sentence, after which the scorer is gone. `bpb_audit`'s page on the proof gives every field. Standard output
belongs to the frames, so whatever a library prints goes to standard error.
"""

import contextlib
import os
import struct
import sys
import time

import numpy as np

from .errors import ModelError

MOST_FRAME = 1 << 28


class Frames:
    """Frames in from one file descriptor and out to another."""

    def __init__(self, inlet: int, outlet: int) -> None:
        self.inlet, self.outlet = inlet, outlet
        self.spent = 0.0  # CPU seconds of this process in the pipes
        for pipe in (inlet, outlet):
            with contextlib.suppress(ImportError, OSError, AttributeError):  # a wider pipe is a courtesy
                import fcntl

                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)

    def take(self) -> tuple[bytes, bytearray]:
        """The next frame's kind and body; an end of file between frames is a `Q`. Raises ModelError."""
        head = self.exactly(4, end_is_fine=True)
        if not head:
            return b"Q", bytearray()
        size = int.from_bytes(head, "little")
        if not 1 <= size <= MOST_FRAME:
            raise ModelError(f"a frame declares {size:,} bytes; wanted 1 to {MOST_FRAME:,}.")
        body = self.exactly(size)
        return bytes(body[:1]), body[1:]

    def exactly(self, size: int, end_is_fine: bool = False) -> bytearray:
        """So many bytes. Raises ModelError when the pipe ends before."""
        out = bytearray(size)
        view, got = memoryview(out), 0
        while got < size:
            more = os.readv(self.inlet, [view[got:]])
            if not more:
                if end_is_fine and not got:
                    return bytearray()
                raise ModelError(f"the prover's words end after {got:,} of {size:,} bytes of a frame.")
            got += more
        return out

    def give(self, kind: bytes, *parts: bytes | np.ndarray) -> None:
        """One frame out; arrays as their little-endian bytes in C order, uncopied."""
        views = [
            memoryview(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part).cast("B")
            for part in parts
        ]
        begin = time.process_time()
        views.insert(0, memoryview(struct.pack("<I", 1 + sum(view.nbytes for view in views)) + kind))
        while views:
            sent = os.writev(self.outlet, views)
            while views and sent >= views[0].nbytes:
                sent -= views.pop(0).nbytes
            if views:
                views[0] = views[0][sent:]
        self.spent += time.process_time() - begin


def own_pipes() -> Frames:
    """Standard input and output as frames; from here on what is printed goes to standard error."""
    sys.stdout.flush()
    outlet = os.dup(1)
    os.dup2(2, 1)
    return Frames(0, outlet)

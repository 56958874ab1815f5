"""Frames over pipes: how the prover and a scorer in another process speak (PROOF.md, "The protocol").

A frame is its size in four bytes, one byte that says its kind, and a body. Whatever comes from the other side is
checked against what was asked before it is used; a scorer that dies, hangs, or answers something else is one error
with the end of what it said on its standard error.
"""

import contextlib
import json
import os
import selectors
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import AuditError
from .prove_tables import GRID

PROTOCOL = 1
IDLE, GO_ON, RESTART = 0, 1, 2
MOST_FRAME = 1 << 28
PATIENCE = 600.0  # seconds for one answer
CLOSING = 3.0  # seconds to leave in, once asked


@dataclass(frozen=True, slots=True)
class Hello:
    """What a scorer says of itself. context: tokens until it forgets, 0 for never. artifact: sha256 in hexadecimal."""

    vocab: int
    context: int
    rows: int
    bulk: bool
    artifact: str
    about: str  # name, path, dtype, device, grid, versions: JSON as it stands in a proof's header


def read_hello(body: bytes) -> Hello:
    """The first frame of a scorer. Raises AuditError for anything that is not one."""
    try:
        said: Any = json.loads(body)
        numbers = [said[name] for name in ("vocab", "context", "rows")]
        good = said["protocol"] == PROTOCOL and said["grid"] == GRID and type(said["bulk"]) is bool
        good = good and all(type(n) is int and n >= 0 for n in numbers) and len(bytes.fromhex(said["artifact"])) == 32
        about = {name: said[name] for name in ("name", "path", "dtype", "device", "versions")}
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good or not 2 <= numbers[0] <= 1 << 16 or not 1 <= numbers[2] <= 1 << 16:
        raise AuditError(
            f"the scorer's first words are no greeting of protocol {PROTOCOL}: {body[:120]!r}. See PROOF.md."
        )
    text = json.dumps(about, sort_keys=True, separators=(",", ":"))
    return Hello(numbers[0], numbers[1], numbers[2], said["bulk"], said["artifact"], text)


class Scorer:
    """A scorer process: S rows that read tokens and say distances. A context manager; the process ends with it."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """Start it and read its greeting. Raises AuditError when there is none."""
        self.command = list(command)
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        try:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, env=environment
            )
        except OSError as error:
            raise AuditError(f"the scorer does not start: {command[0]}: {error.strerror}.") from None
        assert self.process.stdin
        assert self.process.stdout
        self.inlet, self.outlet = self.process.stdin.fileno(), self.process.stdout.fileno()
        for pipe in (self.inlet, self.outlet):
            _widen(pipe)
        os.set_blocking(self.inlet, False)  # a scorer that does not read must not hold us
        self.waiting = selectors.DefaultSelector()
        self.waiting.register(self.outlet, selectors.EVENT_READ)
        self.writing = selectors.DefaultSelector()
        self.writing.register(self.inlet, selectors.EVENT_WRITE)
        try:
            self.hello = read_hello(bytes(self._read(b"H")))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, kindly first."""
        with contextlib.suppress(OSError):
            os.write(self.inlet, struct.pack("<I", 1) + b"Q")
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                assert pipe
                pipe.close()
        try:
            self.process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.waiting.close()
        self.writing.close()
        self.said.close()

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        """Give each row a token; (S, V) uint16, the distances of what follows it. tokens (S,) ids; flags (S,)."""
        self._write(b"S", tokens.astype("<u2").tobytes() + flags.astype("u1").tobytes())
        shape = (self.hello.rows, self.hello.vocab)
        return np.frombuffer(self._read(b"D", 2 * shape[0] * shape[1]), "<u2").reshape(shape)

    def bulk(self, tokens: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Score a fresh window a row; yields (S, m, V) uint16 in order of position. `nats` (S,) is set at the end.

        tokens: (S, n + 1) ids, of which row r reads the first lengths[r] and is to predict one more.
        """
        rows, wide = tokens.shape
        body = struct.pack("<I", wide - 1) + lengths.astype("<u4").tobytes() + tokens.astype("<u2").tobytes()
        self._write(b"B", body)
        done = 0
        while done < wide - 1:
            answer = self._read(b"D")
            count = int.from_bytes(answer[:4], "little")
            if not 1 <= count <= wide - 1 - done or len(answer) != 4 + 2 * rows * count * self.hello.vocab:
                raise self._fault(f"a frame of {len(answer):,} bytes for {count:,} of {wide - 1 - done:,} positions")
            done += count
            yield np.frombuffer(answer, "<u2", offset=4).reshape(rows, count, self.hello.vocab)
        self.nats = np.frombuffer(self._read(b"N", 8 * rows), "<f8")

    def _write(self, kind: bytes, body: bytes) -> None:
        view, until = memoryview(struct.pack("<I", len(body) + 1) + kind + body), time.monotonic() + PATIENCE
        try:
            while view:
                if not self.writing.select(max(until - time.monotonic(), 0)):
                    raise self._fault(f"nothing, and read nothing, for {PATIENCE:.0f} seconds")
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(self.inlet, view) :]
        except BrokenPipeError:
            raise self._fault("its end") from None

    def _read(self, kind: bytes, size: int | None = None) -> bytearray:
        """The body of the next frame, which must be of this kind (and size). Raises AuditError."""
        head = self._take(5)
        length, got = int.from_bytes(head[:4], "little") - 1, bytes(head[4:])
        if got == b"E" and 0 <= length < 1 << 16:
            raise AuditError(f"the scorer says: {bytes(self._take(length)).decode('utf-8', 'replace')}")
        if got != kind or not 0 <= length <= MOST_FRAME or (size is not None and length != size):
            wanted = f" of {size:,} bytes" if size is not None else ""
            raise self._fault(f"a frame {got!r} of {length:,} bytes, wanted {kind!r}{wanted}")
        return self._take(length)

    def _take(self, size: int) -> bytearray:
        out = bytearray(size)
        view, until = memoryview(out), time.monotonic() + PATIENCE
        while view:
            if not self.waiting.select(max(until - time.monotonic(), 0)):
                raise self._fault(f"nothing for {PATIENCE:.0f} seconds")
            got = os.readv(self.outlet, [view])
            if not got:
                raise self._fault("its end")
            view = view[got:]
        return out

    def _fault(self, what: str) -> AuditError:
        """The error for an answer that is none, with the last line that the scorer printed."""
        if what == "its end":
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        self.said.seek(0, 2)
        self.said.seek(max(self.said.tell() - 4000, 0))
        lines = self.said.read().decode("utf-8", "replace").strip().splitlines()
        tail = f" Its last words: {lines[-1][:300]}" if lines else ""
        status = f" with status {self.process.poll()}" if what == "its end" else ""
        name = " ".join(self.command[:4])
        return AuditError(f"the scorer ({name} ...) answered {what}{status}.{tail}")


def _widen(pipe: int) -> None:
    """Let a pipe hold a megabyte where the system can: fewer turns a frame."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)

"""A Python file behind the protocol: runs in a process of its own, passed to a fresh interpreter as text.

The file defines

    start() -> stream       a stream that has read nothing; it has next_distribution(token), below
    start() -> None         ... or there is only one stream, and next_distribution is a function of the file itself

    next_distribution(token: int) -> (V,) log-probabilities (or logits) of the token after this one, natural logarithm

What it returns may depend on all tokens it was given since start() and on nothing else, so weights that learn while
they score (test-time training) are fine. ARTIFACT in its globals is the artifact's path. Optional: CONTEXT, the number
of tokens after which a stream must be started afresh (0, never, by default). It imports nothing of the auditor.
"""

import hashlib
import json
import os
import platform
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np


class Rows:
    """S streams of a file's scorer."""

    def __init__(self, space: dict[str, Any], rows: int, vocab: int) -> None:
        self.space, self.vocab = space, vocab
        first = space["start"]()
        self.single = first is None
        self.streams: list[Any] = [first] + [None] * (0 if self.single else rows - 1)
        self.out = np.zeros((len(self.streams), vocab), "<u2")

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> bytes:
        """Distances (S, V) uint16 after one token a row."""
        for row in np.flatnonzero(flags):
            if flags[row] == 2:
                self.streams[row] = self.space["start"]()
            ask = self.space["next_distribution"] if self.single else self.streams[row].next_distribution
            self.out[row] = distances(ask(int(tokens[row])), self.vocab)
        return self.out.tobytes()


def distances(said: Any, vocab: int) -> np.ndarray:
    """Log-probabilities as distances below their largest, 1/256 nat, (V,) uint16. Raises ValueError."""
    if hasattr(said, "detach"):
        said = said.detach().cpu().double().numpy()
    logits = np.asarray(said, np.float64).reshape(-1)
    if logits.shape != (vocab,) or np.isnan(logits).any() or not np.isfinite(logits.max()):
        raise ValueError(f"next_distribution gave {logits.shape} numbers, wanted {vocab:,}, the largest one finite")
    return np.clip(np.rint((logits.max() - logits) * 256), 0, 65535).astype(np.uint16)


def main(file: str, artifact: str, rows: int, vocab: int) -> int:
    """Serve frames on what were standard input and output until told to quit."""
    inlet, outlet = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(kind: bytes, body: bytes) -> None:
        outlet.write(struct.pack("<I", len(body) + 1) + kind + body)
        outlet.flush()

    try:
        with Path(artifact).open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        code = Path(file).read_bytes()
        space: dict[str, Any] = {"__name__": "scorer", "__file__": file, "ARTIFACT": artifact}
        exec(compile(code, file, "exec"), space)  # the whole point of this process
        made = Rows(space, rows, vocab)
        about = {"name": hashlib.sha256(code).hexdigest(), "path": "step", "dtype": "", "device": "cpu"}
        numbers = {"protocol": 1, "grid": 256, "vocab": vocab, "rows": len(made.streams), "bulk": False}
        numbers["context"] = int(space.get("CONTEXT", 0))
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        send(b"H", json.dumps({**numbers, **about, "versions": versions, "artifact": digest}).encode())
        while True:
            head = inlet.read(4)
            body = inlet.read(struct.unpack("<I", head)[0]) if len(head) == 4 else b"Q"
            if body[:1] != b"S":
                return 0
            count = len(made.streams)
            tokens, flags = np.frombuffer(body, "<u2", count, 1), np.frombuffer(body, "u1", count, 1 + 2 * count)
            send(b"D", made.step(tokens, flags))
    except Exception as error:  # whatever a stranger's code raises
        send(b"E", f"{Path(file).name}: {type(error).__name__}: {error}"[:2000].encode("utf-8", "replace"))
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

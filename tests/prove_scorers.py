"""Scorers for the proof's tests: an honest one that depends on the last two tokens of its window, and cheats.

`Fake` stands in for a scorer process; run as a program, this file is one: `python prove_scorers.py MODE ARTIFACT ROWS
VOCAB CONTEXT`. Numpy only, and nothing of the auditor's: frames are written here a second time.
"""

import hashlib
import json
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ABOUT = {"name": "fake", "path": "kv", "dtype": "float64", "device": "cpu", "versions": {}}


class Model:
    """Distances after tokens, by rule. mode: honest, ahead, random, or rows."""

    def __init__(self, mode: str, rows: int, vocab: int) -> None:
        self.mode, self.rows, self.vocab = mode, rows, vocab
        rng = np.random.default_rng(7)
        self.logits = rng.normal(size=(vocab, vocab)) * 2  # of the next token, by the last one
        self.past: list[list[int]] = [[] for _ in range(rows)]
        self.noise = np.random.default_rng()

    def after(self, tokens: list[int]) -> np.ndarray:
        """(V,) uint16."""
        said = self.logits[tokens[-1]].copy()
        if len(tokens) > 1:
            said += np.roll(self.logits[tokens[-2]], 1) / 2
        if self.mode == "random":
            said += self.noise.normal(size=self.vocab) / 10
        if self.mode == "rows":
            said += sum(past[-1] for past in self.past if past) % 3 * np.arange(self.vocab) / self.vocab
        return np.clip(np.rint((said.max() - said) * 256), 0, 65535).astype(np.uint16)

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        out = np.zeros((self.rows, self.vocab), np.uint16)
        for row in np.flatnonzero(flags):
            self.past[row] = [*(self.past[row] if flags[row] == 1 else []), int(tokens[row])]
        for row in np.flatnonzero(flags):
            out[row] = self.after(self.past[row])
        return out

    def window(self, tokens: list[int]) -> tuple[np.ndarray, float]:
        """((n, V) distances of a window of n tokens and its target, nats)."""
        out = np.stack([self.after(tokens[: t + 1]) for t in range(len(tokens) - 1)])
        if self.mode == "ahead":
            out[:] = 3000
            out[np.arange(len(out)), tokens[1:]] = 0
        chances = np.exp(-out.astype(float) / 256)
        chances /= chances.sum(axis=1, keepdims=True)
        return out, float(-np.log(chances[np.arange(len(out)), tokens[1:]]).sum())


class Fake:
    """What the prover sees of a scorer, in this process."""

    def __init__(self, mode: str, artifact: Path, rows: int, vocab: int, context: int, bulk: bool = True) -> None:
        self.model = Model(mode, rows, vocab)
        about = json.dumps(ABOUT, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
        self.hello = SimpleNamespace(vocab=vocab, context=context, rows=rows, bulk=bulk, artifact=digest, about=about)
        self.process = SimpleNamespace(kill=lambda: None)
        self.steps = 0

    def __enter__(self) -> "Fake":
        return self

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        self.steps += 1
        return self.model.step(tokens, flags)

    def bulk(self, tokens: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        out = np.zeros((len(tokens), tokens.shape[1] - 1, self.model.vocab), np.uint16)
        self.nats = np.zeros(len(tokens))
        for row, n in enumerate(lengths):
            if n:
                out[row, :n], self.nats[row] = self.model.window(tokens[row, : n + 1].tolist())
        half = max(out.shape[1] // 2, 1)
        yield out[:, :half]
        if out.shape[1] > half:
            yield out[:, half:]


@dataclass
class FakeChoice:
    """Starts fakes instead of processes; `started` keeps them."""

    artifact: Path
    mode: str = "honest"
    context: int = 16
    bulk: bool = True
    most_rows: int = 3
    path: str = "kv"
    started: list[Fake] = field(default_factory=list)
    scorer: Path | None = None

    def given(self) -> dict[str, int]:
        return {"artifact": self.artifact.stat().st_size}

    def unchecked(self) -> list[str]:
        return []

    def start(self, rows: int, vocab: int, _length: int | None = None) -> Any:
        self.started.append(Fake(self.mode, self.artifact, min(rows, self.most_rows), vocab, self.context, self.bulk))
        return self.started[-1]


def main(mode: str, artifact: str, rows: int, vocab: int, context: int) -> None:
    """The same as a program that speaks frames; modes `silent`, `short`, `dies`, `rude` and `sorry` break them."""
    model = Model(mode, rows, vocab)
    inlet, outlet = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")

    def send(kind: bytes, body: bytes) -> None:
        outlet.write(struct.pack("<I", len(body) + 1) + kind + body)
        outlet.flush()

    digest = hashlib.sha256(Path(artifact).read_bytes()).hexdigest()
    numbers = {"protocol": 1, "grid": 256, "vocab": vocab, "context": context, "rows": rows, "bulk": True}
    if mode == "rude":
        print("good day", flush=True)
    send(b"H", json.dumps({**numbers, **ABOUT, "artifact": digest}).encode())
    while head := inlet.read(4):
        body = inlet.read(struct.unpack("<I", head)[0])
        if body[:1] == b"Q":
            return
        if mode == "dies":
            print("out of luck", file=sys.stderr)
            sys.exit(3)
        if mode == "sorry":
            send(b"E", b"no such luck: try tomorrow.")
            sys.exit(2)
        if body[:1] == b"S":
            answer = model.step(np.frombuffer(body, "<u2", rows, 1), np.frombuffer(body, "u1", rows, 1 + 2 * rows))
            send(b"D", answer.astype("<u2").tobytes()[: None if mode != "short" else -2])
            continue
        wide = struct.unpack_from("<I", body, 1)[0]
        lengths = np.frombuffer(body, "<u4", rows, 5)
        tokens = np.frombuffer(body, "<u2", rows * (wide + 1), 5 + 4 * rows).reshape(rows, wide + 1)
        out, nats = np.zeros((rows, wide, vocab), "<u2"), np.zeros(rows, "<f8")
        for row, n in enumerate(lengths):
            if n:
                out[row, :n], nats[row] = model.window(tokens[row, : n + 1].tolist())
        send(b"D", struct.pack("<I", wide) + out.tobytes()[: None if mode != "short" else -2])
        send(b"N", nats.tobytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))

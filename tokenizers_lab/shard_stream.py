"""Tokens go in as a stream, shards of equal size come out; a document may run from one shard into the next."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .aside import aside
from .shard_format import header, shard_name, sidecar_name


@dataclass(slots=True)
class Written:
    """One finished file: tokens (or values) in it, documents that begin in it, and their raw bytes."""

    name: str
    tokens: int
    documents: int
    bytes_raw: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Its entry in the manifest."""
        return {
            "tokens": self.tokens,
            "documents": self.documents,
            "bytes_raw": self.bytes_raw,
            "sha256": self.sha256,
        }


class ShardStream:
    """Cuts one split into shards of `shard_tokens`; keeps at most one shard in memory.

    sidecar: also write a `.bytes` file beside each shard.
    """

    def __init__(self, folder: Path, split: str, shard_tokens: int, sidecar: bool) -> None:
        self.folder, self.split, self.sidecar = folder, split, sidecar
        self.written: list[Written] = []
        self._tokens = np.empty(shard_tokens, "<u2")
        self._bytes = np.empty(shard_tokens if sidecar else 0, "<u2")
        self._fill = self._documents = self._raw = self._index = 0

    def add(self, tokens: np.ndarray, begins: np.ndarray, sizes: np.ndarray, lengths: np.ndarray | None) -> None:
        """Append tokens (n,) uint16 and, for a sidecar, the bytes each stands for (n,) uint16.

        begins (D,) int64 are the places of the BOS of each document among the tokens, sizes (D,) int64 their bytes.
        """
        at = 0
        while at < len(tokens):
            take = min(len(self._tokens) - self._fill, len(tokens) - at)
            self._tokens[self._fill : self._fill + take] = tokens[at : at + take]
            if lengths is not None:
                self._bytes[self._fill : self._fill + take] = lengths[at : at + take]
            first, last = np.searchsorted(begins, (at, at + take))
            self._documents += int(last - first)
            self._raw += int(sizes[first:last].sum())
            self._fill += take
            at += take
            if self._fill == len(self._tokens):
                self.flush()

    def flush(self) -> None:
        """Write what is there as a shard; nothing when nothing is there."""
        if not self._fill:
            return
        tokens, lengths = self._tokens[: self._fill], self._bytes[: self._fill]
        name = shard_name(self.split, self._index)
        for file, values in [(name, tokens), (sidecar_name(name), lengths)][: 2 if self.sidecar else 1]:
            digest = self._write(self.folder / file, values)
            self.written.append(Written(file, self._fill, self._documents, self._raw, digest))
        self._index += 1
        self._fill = self._documents = self._raw = 0

    @staticmethod
    def _write(path: Path, values: np.ndarray) -> str:
        digest = hashlib.sha256()
        with aside(path, settled=False) as file:  # before the manifest
            for part in (header(len(values)), values.data):
                file.write(part)
                digest.update(part)
        return digest.hexdigest()

"""Shards read back as documents: the tokens between two BOS, joined across the end of a file."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from .errors import VocabError
from .shard_format import read_values, shard_name, sidecar_name


@dataclass(frozen=True, slots=True, eq=False)
class ShardDocument:
    """tokens: (n,) uint16, BOS first. lengths: (n,) uint16 of the sidecar, or None. where: `file:token` of the BOS."""

    where: str
    tokens: np.ndarray
    lengths: np.ndarray | None


def shard_documents(
    folder: Path, names: Container[str], split: str, bos: int, first: int = 0
) -> Iterator[ShardDocument]:
    """Every document of a split from its file `first` on; files named `names` only, as long as they follow each other.

    Tokens before the first BOS come as a document of their own. Raises VocabError for a broken file.
    """
    parts: list[tuple[np.ndarray, np.ndarray | None]] = []
    where = ""
    for name, tokens, values in _files(folder, names, split, first):
        begins = np.flatnonzero(tokens == bos)
        edges = [0, *begins[begins > 0].tolist(), len(tokens)]
        for begin, end in pairwise(edges):
            if begin == end:
                continue
            if parts and int(tokens[begin]) == bos:
                yield _joined(where, parts)
                parts = []
            if not parts:
                where = f"{name}:{begin}"
            parts.append((tokens[begin:end], None if values is None else values[begin:end]))
    if parts:
        yield _joined(where, parts)


def _files(
    folder: Path, names: Container[str], split: str, index: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    while (name := shard_name(split, index)) in names and (folder / name).is_file():
        index += 1
        tokens = read_values(folder / name)
        side = folder / sidecar_name(name)
        values = read_values(side) if side.is_file() else None
        if values is not None and len(values) != len(tokens):
            raise VocabError(f"{side}: {len(values):,} values for {len(tokens):,} tokens. Write the shards again.")
        yield name, tokens, values


def _joined(where: str, parts: list[tuple[np.ndarray, np.ndarray | None]]) -> ShardDocument:
    lengths = [part for _, part in parts if part is not None]
    tokens = np.concatenate([part for part, _ in parts]) if len(parts) > 1 else parts[0][0]
    if len(lengths) != len(parts):
        return ShardDocument(where, tokens, None)
    return ShardDocument(where, tokens, np.concatenate(lengths) if len(lengths) > 1 else lengths[0])

"""Tiny runs for the tests of `model`: shards written by struct, and a configuration that trains in milliseconds."""

import random
import struct
from pathlib import Path
from typing import Any

import numpy as np

from model.config import RunConfig, with_values

TINY: dict[str, Any] = {
    "num_layers": 3,
    "model_dim": 16,
    "num_heads": 2,
    "num_kv_heads": 1,
    "vocab_size": 40,
    "train_seq_len": 8,
    "train_batch_tokens": 64,
    "micro_batches": 2,
    "val_batch_size": 64,
    "val_loss_every": 0,
    "iterations": 10,
    "max_wallclock_seconds": 0.0,
    "warmup_steps": 0,
    "warmdown_iters": 4,
    "checkpoint_seconds": 0.0,
    "device": "cpu",
    "precision": "float32",
    "codec": "official+zlib9",
}


def shard_bytes(tokens: list[int], magic: int = 20240520, version: int = 1, count: int | None = None) -> bytes:
    """A shard's bytes, by hand."""
    head = struct.pack("<3i", magic, version, len(tokens) if count is None else count) + bytes(253 * 4)
    return head + struct.pack(f"<{len(tokens)}H", *tokens)


def some_tokens(count: int, seed: int, vocab: int = 40) -> list[int]:
    """Tokens in which the next depends on the one before, so that a model can learn."""
    rng, out = random.Random(seed), [1]
    while len(out) < count:
        out.append((out[-1] * 7 + rng.choice((1, 2, 3))) % vocab)
    return out


def write_tiny_shards(folder: Path, vocab: int = 40, sidecar: bool = True) -> Path:
    """A folder of two training shards, one validation shard, its sidecar and a token table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fineweb_train_000000.bin").write_bytes(shard_bytes(some_tokens(700, 1, vocab)))
    (folder / "fineweb_train_000001.bin").write_bytes(shard_bytes(some_tokens(500, 2, vocab)))
    val = some_tokens(203, 3, vocab)
    (folder / "fineweb_val_000000.bin").write_bytes(shard_bytes(val))
    tokens = np.arange(vocab)
    space, edge = tokens % 3 == 0, tokens == 1
    own = (tokens % 4 + 1).astype(np.uint16)
    if sidecar:  # as the table counts, but for some tokens, as where text was normalised
        pairs = zip([1, *val], val, strict=False)
        counts = [int(own[t]) + int(space[t] and not edge[before]) + (t % 7 == 0) for before, t in pairs]
        (folder / "fineweb_val_000000.bytes").write_bytes(shard_bytes(counts))
    np.savez(folder / "token_table.npz", base_bytes=own, has_leading_space=space, is_boundary=edge)
    return folder


def tiny_config(shards: Path, **changes: Any) -> RunConfig:
    """The tiny configuration on a folder of shards, with changes."""
    return with_values(RunConfig(), {**TINY, "data_path": str(shards), **changes}, "the test")

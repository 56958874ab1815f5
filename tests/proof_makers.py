"""What a proof needs, tiny: documents, a byte vocabulary, shards, and an artifact of an untrained model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import pglab
from compress.container import write_container
from model.config import RunConfig
from model.export import weights_out
from model.gpt import GPT

TOLD: dict[str, float] = {
    "train_seq_len": 32,
    "train_batch_tokens": 32,
    "micro_batches": 1,
    "model_dim": 32,
    "num_layers": 2,
}
TOLD |= {"vocab_size": 260, "num_heads": 2, "num_kv_heads": 1, "adapt_windows": 1, "adapt_rate": 0.1}


def tiny_tour(home: Path) -> Path:
    """A run folder as the tour leaves it, but for the training: corpus, vocab, shards, train."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["the", "quick", "brown", "fox", "é"], 120)) for _ in range(40)]
    (home / "own.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    docs = home / "corpus/docs.jsonl"
    for line in (
        f"corpus write --docs {home}/own.jsonl --out {home}/corpus",
        f"vocab train bytes --docs {docs} --out {home}/vocab",
        f"shards write --docs {docs} --vocab {home}/vocab --out {home}/shards",
    ):
        assert pglab.run(line.split()) == 0
    (home / "train").mkdir()
    torch.manual_seed(0)
    arrays, lacking = weights_out(GPT(replace(RunConfig(), **TOLD)))  # type: ignore[arg-type]
    write_container(home / "train/final_model.pgc", arrays, "official+zlib9", lacking)
    (home / "train/config.json").write_text(json.dumps(TOLD))
    (home / "train/train.log").write_text("")
    return home

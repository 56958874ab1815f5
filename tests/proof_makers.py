"""What a proof needs, tiny: documents, a byte vocabulary, shards, and an artifact of an untrained model."""

import json
from pathlib import Path

import numpy as np
import torch

import pglab
from compress.container import write_container
from model.config import RunConfig, with_values
from model.export import weights_out
from model.gpt import GPT

TOLD: dict[str, object] = {
    "vocab_size": 260,
    "model_dim": 32,
    "num_layers": 2,
    "num_heads": 2,
    "num_kv_heads": 1,
    "train_seq_len": 32,
    "train_batch_tokens": 32,
    "micro_batches": 1,
    "adapt_windows": 1,
    "adapt_rate": 0.1,
    "precision": "float32",
}

WORDS = ("the", "quick", "brown", "fox", "é")
HARD_WORDS = ("the", "quick.", "Brown", "fox\n", "caf\u00e9", "\u2026", "of\ufb01ce", "a  b")  # lines, gaps, ligatures
SIZES = {"bytes": 260, "unigram": 269, "sp_bpe_caseops": 320}  # ids; 280 for the others


def tiny_tour(home: Path, kind: str = "bytes", words: tuple[str, ...] = WORDS, each: int = 120) -> Path:
    """A run folder as the tour leaves it, but for the training: corpus, vocab, shards, train.

    kind: of vocabulary. Forty documents of `each` words.
    """
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, each)) for _ in range(40)]
    (home / "own.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    docs = home / "corpus/docs.jsonl"
    for line in (
        f"corpus write --docs {home}/own.jsonl --out {home}/corpus",
        f"vocab train {kind} --docs {docs} --out {home}/vocab --size {SIZES.get(kind, 280)}",
        f"shards write --docs {docs} --vocab {home}/vocab --out {home}/shards",
    ):
        assert pglab.run(line.split()) == 0
    told = {**TOLD, "vocab_size": json.loads((home / "shards/manifest.json").read_text())["vocabulary"]["size"]}
    (home / "train").mkdir()
    torch.manual_seed(0)
    arrays, lacking = weights_out(GPT(with_values(RunConfig(), told, "told")))
    write_container(home / "train/final_model.pgc", arrays, "official+zlib9", lacking)
    (home / "train/config.json").write_text(json.dumps(told))
    (home / "train/train.log").write_text("")
    return home

"""Scoring a file, whose model is read off its tensors; the result is the content of score.json.

Any file that `export.read_artifact` reads will do, the public `final_model.int8.ptz` of others too, as long as the
shape is the standard GPT's.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .config import RunConfig, read_config_file, with_values
from .errors import ModelError
from .evaluate import ValidationText, read_validation
from .export import read_artifact, weights_in
from .finish import score_words
from .gpt import GPT
from .windows import Windows, document_windows, score_windows, sequential_windows, sliding_windows

BOS = 1  # the begin of a document, in every vocabulary of the challenge


def shape_of(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, object]:
    """The configuration keys that tensors of a standard GPT tell. Raises ModelError for those of anything else."""
    try:
        vocab, dim = arrays["tok_emb.weight"].shape
        heads = arrays["blocks.0.attn.q_gain"].shape[0]
        return {
            "vocab_size": vocab,
            "model_dim": dim,
            "num_layers": sum(name.endswith(".attn.q_gain") for name in arrays),
            "num_heads": heads,
            "num_kv_heads": arrays["blocks.0.attn.c_k.weight"].shape[0] * heads // dim,
            "mlp_mult": arrays["blocks.0.mlp.fc.weight"].shape[0] // dim,
            "tie_embeddings": "lm_head.weight" not in arrays,
        }
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ModelError(
            f"{where}: not the tensors of a standard GPT ({error}); it has {sorted(arrays)[:3]} ..."
        ) from None


def config_beside(artifact: Path) -> RunConfig:
    """The configuration in the run folder of an artifact; the baseline's where there is none. Raises ModelError."""
    for folder in (artifact.parent, artifact.parent.parent):
        if (folder / "config.json").is_file() and (folder / "train.log").is_file():
            path = folder / "config.json"
            return with_values(RunConfig(), read_config_file(path), str(path))
    return RunConfig()


def load_model(artifact: Path, length: int) -> GPT:
    """The model of a file, its settings in `.config`. Raises ModelError, CodecError or OSError."""
    arrays = read_artifact(artifact)
    length = length or config_beside(artifact).train_seq_len
    own = {"train_seq_len": length, "train_batch_tokens": length, "micro_batches": 1}
    config = with_values(config_beside(artifact), {**shape_of(arrays, str(artifact)), **own}, str(artifact))
    model = GPT(config)
    weights_in(model, arrays, str(artifact))
    return model


def first_targets(text: ValidationText, tokens: int) -> ValidationText:
    """The part of the split whose first `tokens` targets it holds."""
    raw = None if text.raw is None else text.raw[: tokens + 1]
    return ValidationText(text.tokens[: tokens + 1], raw, text.table[: tokens + 1])


def plan_of(method: str, stride: int, text: ValidationText, length: int) -> tuple[Windows, str]:
    """The windows of a method, and how score.json names it; stride 0 means half a sequence. Raises ModelError."""
    stride = stride or max(length // 2, 1)
    if method == "sequential":
        return sequential_windows(text.tokens.size, length), method
    if method == "sliding":
        return sliding_windows(text.tokens.size, length, stride), f"sliding, stride {stride}"
    if method == "documents":
        return document_windows(text.tokens, BOS, length, stride), f"documents, stride {stride}"
    raise ModelError(f"no method is called {method!r:.40}; there are sequential, sliding and documents.")


def score_artifact(
    artifact: Path, shards: Path, length: int = 0, tokens: int = 0, method: str = "sequential", stride: int = 0
) -> dict[str, object]:
    """The content of score.json for a file on a folder of shards. Raises ModelError, CodecError or OSError."""
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(1)
    model = load_model(artifact, length)
    config = replace(model.config, data_path=str(shards))
    text = read_validation(config)
    if tokens:
        text = first_targets(text, max(tokens, config.train_seq_len))
    windows, name = plan_of(method, stride, text, config.train_seq_len)
    begin = time.perf_counter()
    if torch.cuda.is_available() and config.device != "cpu":
        model.to("cuda")
    sums = score_windows(model, text, windows, 4096 if next(model.parameters()).device.type == "cpu" else 65_536)
    return score_words(sums, name, artifact.name, time.perf_counter() - begin)

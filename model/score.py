"""Scoring a file, whose model is read off its tensors; the result is the content of score.json.

Any file that `export.read_artifact` reads will do, the public `final_model.int8.ptz` of others too, as long as the
shape is the standard GPT's.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .config import RunConfig, read_config_file, with_values
from .errors import ModelError
from .evaluate import Told, ValidationText, read_validation, tell_nobody
from .export import read_artifact, weights_in
from .fast import gpt_for
from .finish import score_words
from .gpt import GPT
from .loops import block_order
from .methods import score_by_method
from .ranks import products_dtype
from .scoring import PLAIN, Scoring

EVAL_TOKENS = {"cpu": 4096, "cuda": 65_536}  # scored in one pass
ARTIFACTS = ("final_model.pgc", "final_model.int8.ptz", "model.safetensors", "checkpoint/model.safetensors")


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
            "smear_width": arrays.get("smear.smear_gate", np.empty(0)).size,
            "gate_width": next((v.shape[1] for k, v in arrays.items() if k.endswith(".head_gate")), 0),
            "value_residual": "blocks.1.attn.blend.value_blend" in arrays,
            "loop_adapters": "repeat_scales" in arrays,
        }
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ModelError(
            f"{where}: not the tensors of a standard GPT ({error}); it has {sorted(arrays)[:3]} ..."
        ) from None


def artifact_in(place: Path) -> Path:
    """The artifact in a run or record folder, or the file itself. Raises ModelError."""
    if not place.is_dir():
        return place
    there = [place / name for name in ARTIFACTS if (place / name).is_file()]
    if not there:
        raise ModelError(f"{place}: no artifact in this folder; wanted one of {', '.join(ARTIFACTS)}, or the file.")
    return there[0]


def config_beside(artifact: Path) -> RunConfig:
    """The configuration in the run or record folder of an artifact; the baseline's where none is. Raises ModelError."""
    for folder in (artifact.parent, artifact.parent.parent):
        path, log = folder / "config.json", folder / "train.log"
        if path.is_file() and log.is_file():
            return with_values(RunConfig(), read_config_file(path), str(path))
        if log.is_file() and (said := config_in_log(log)):
            return with_values(RunConfig(), said, f"{log}, the line config:")
    return RunConfig()


def config_in_log(log: Path) -> dict[str, object] | None:
    """What the line `config:{...}` of a log of ours says; None where there is none."""
    with log.open("rb") as file:
        for line in file:
            if line.startswith(b'config:{"'):
                try:
                    value = json.loads(line[7:])
                except (ValueError, RecursionError):
                    return None
                return value if isinstance(value, dict) else None
    return None


def load_model(artifact: Path, length: int) -> GPT:
    """The model of a file, its settings in `.config`. Raises ModelError, CodecError or OSError."""
    arrays = read_artifact(artifact)
    if length < 0:
        raise ModelError(f"a sequence of {length} tokens cannot be; wanted at least 1, or 0 for the length as trained.")
    length = length or config_beside(artifact).train_seq_len
    own = {"train_seq_len": length, "train_batch_tokens": length, "micro_batches": 1, "eval_stride": 0}
    config = with_values(config_beside(artifact), {**shape_of(arrays, str(artifact)), **own}, str(artifact))
    if config.loop_adapters and len(block_order(config)) != (passes := len(arrays["repeat_scales"])):
        config = replace(config, loop_repeats=passes // config.num_layers - 1)  # all blocks, where no config says more
    model = gpt_for(config, torch.device("cpu"), torch.float32)
    weights_in(model, arrays, str(artifact))
    return model


def first_targets(text: ValidationText, tokens: int) -> ValidationText:
    """The part of the split whose first `tokens` targets it holds."""
    raw = None if text.raw is None else text.raw[: tokens + 1]
    return ValidationText(text.tokens[: tokens + 1], raw, text.table[: tokens + 1])


def score_artifact(artifact: Path, shards: Path, how: Scoring = PLAIN, tell: Told = tell_nobody) -> dict[str, object]:
    """The content of score.json for a file, or that of a run folder, on a folder of shards.

    Raises ModelError, CodecError or OSError.
    """
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(1)
    if how.tokens < 0:
        raise ModelError(f"--tokens {how.tokens}; wanted at least 1, or 0 for all.")
    artifact = artifact_in(artifact)
    model = load_model(artifact, how.length)
    config = with_values(model.config, {"data_path": str(shards)} | how.changes(), "the command line")
    text = read_validation(config)
    if how.tokens:
        text = first_targets(text, max(how.tokens, config.train_seq_len))
    if torch.cuda.is_available() and config.device != "cpu":
        model.to("cuda")
    device = next(model.parameters()).device
    model.compute_dtype = products_dtype(config, device)  # so that a run's own score comes out again
    begin = time.perf_counter()
    sums, words = score_by_method(model, text, config, EVAL_TOKENS[device.type], tell=tell)
    if not math.isfinite(sums.nats):
        raise ModelError(f"{artifact}: the score is {sums.nats} nats; where the model adapts, give a lower --rate.")
    return score_words(sums, words, artifact.name, time.perf_counter() - begin)

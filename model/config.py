"""Every number that decides a run, in one frozen, flat, validated dataclass.

The defaults are the challenge's published baseline: 9 layers, width 512, 17,059,912 parameters. A field's name in
capitals is its environment name (NUM_LAYERS, MAX_WALLCLOCK_SECONDS), as in the challenge. A run's configuration is
built in four layers, later ones win: these defaults, the recipe (a flat TOML file, or the constant the bundler
embeds), the JSON file that PGLAB_CONFIG names, the environment. A key that no field has is an error that names the
nearest one.
"""

import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .errors import ModelError


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One run. Lengths are in tokens unless the name says otherwise; learning rates are per step."""

    # where the data is, and the seed of everything
    data_path: str = "./data/datasets/fineweb10B_sp1024"  # folder with fineweb_{train,val}_*.bin
    tokenizer_path: str = "./data/tokenizers/fineweb_1024_bpe.model"  # read only where token_table.npz is missing
    seed: int = 1337
    # how often to look
    val_batch_size: int = 524_288
    val_loss_every: int = 1000  # steps; 0: only at the end
    train_log_every: int = 200
    checkpoint_seconds: float = 20.0  # 0: no checkpoints while training
    # how long, and how much at a time
    iterations: int = 20_000
    max_wallclock_seconds: float = 600.0  # training time, validation not counted; 0: no cap
    warmup_steps: int = 20  # steps that prime compiled code and are undone
    train_batch_tokens: int = 524_288  # of all ranks together
    train_seq_len: int = 1024
    micro_batches: int = 8  # pieces of a step's batch over all ranks; the number of ranks must divide it
    # the model's shape
    vocab_size: int = 1024
    num_layers: int = 9
    model_dim: int = 512
    num_heads: int = 8
    num_kv_heads: int = 4
    mlp_mult: int = 2
    tie_embeddings: bool = True
    rope_base: float = 10_000.0
    logit_softcap: float = 30.0
    qk_gain_init: float = 1.5
    tied_embed_init_std: float = 0.005
    # optimisers
    embed_lr: float = 0.6  # of an untied embedding
    head_lr: float = 0.008
    tied_embed_lr: float = 0.05
    matrix_lr: float = 0.04
    scalar_lr: float = 0.04
    muon_momentum: float = 0.95
    muon_backend_steps: int = 5
    muon_momentum_warmup_start: float = 0.85
    muon_momentum_warmup_steps: int = 500
    beta1: float = 0.9
    beta2: float = 0.95
    adam_eps: float = 1e-8
    grad_clip_norm: float = 0.0  # 0: no clipping
    # schedule
    warmdown_iters: int = 1200  # steps of falling rate at the end, measured in time where there is a cap
    warmdown_frac: float = 0.0  # instead: this last part of the cap (of the iterations without one)
    # switches that public records share, all off in the baseline
    muon_weight_decay: float = 0.0  # part of a matrix that a step of rate 1 would take away
    ema_decay: float = 0.0  # export a running average of the weights; 0: the last weights
    min_rate: float = 0.0  # the schedule ends at this part of the full rates
    relu_slope: float = 0.0  # slope of the MLP's ReLU below zero, before squaring
    rope_dims: int = 0  # turn only so many coordinates of a head; 0: all
    depth_scale: bool = False  # divide what a block's branches read by the square root of the block's number
    loop_repeats: int = 0  # run the blocks of the loop so many times more
    loop_start: int = 0  # first block of the loop, from 0
    loop_end: int = 0  # the block after its last; 0: all to the end
    loop_adapters: bool = False  # a learnt scale and shift after every pass
    parallel_from: int = 0  # from this block on, counted from 1, attention and MLP read the same; 0: nowhere
    value_residual: bool = False  # blocks mix the first block's values into theirs
    exclusive_last: int = 0  # in so many last blocks, heads bring nothing along the token's own value (XSA)
    gate_width: int = 0  # channels of a token that gate its heads; 0: no gates
    smear_width: int = 0  # channels of a token that gate what it takes from the one before; 0: no SmearGate
    muon_row_norm: bool = False  # rows of a gradient to one length before Newton-Schulz (MuonEq-R)
    muon_polar_express: bool = False  # coefficients of its own for each Newton-Schulz step
    warmdown_shape: str = "linear"  # linear, cosine or sqrt
    qat_below: float = 0.0  # while rates are below this part of the full ones, the loss sees what the codec will keep
    entropy_weight: float = 0.0  # nats added for each estimated bit of a coded weight
    # how the exported weights are scored in the end
    eval_method: str = "sequential"  # as the challenge does; sliding, documents, adapting: a second score beside it
    eval_stride: int = 0  # targets that a sliding or document window adds; 0: half a sequence
    adapt_rate: float = 0.02  # of gradient descent on text already scored
    adapt_windows: int = 8  # sequences scored before each of its steps
    # where and in what precision
    device: str = "auto"  # auto, cpu, cuda
    precision: str = "auto"  # auto, float32, bfloat16: of the matrix products
    compile: str = "auto"  # auto (on CUDA only), on, off
    kernels: str = "off"  # compiled: what lies between the products of hand-cut blocks; triton: by kernels, on a GPU
    attention: str = "auto"  # on a GPU: auto (the fastest, by trial before the clock), sdpa, flash, cudnn, fa3
    codec: str = "official+lzma9"  # recipe of final_model.pgc

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ModelError(f"{field.name} is {value}; wanted a finite number.")
            if not isinstance(value, str) and value < (1 if field.name in AT_LEAST_ONE else 0):
                raise ModelError(f"{field.name} is {value}; wanted at least {int(field.name in AT_LEAST_ONE)}.")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ModelError(f"{name} is {getattr(self, name)!r:.40}; wanted one of {', '.join(allowed)}.")
        head_dim, rest = divmod(self.model_dim, self.num_heads)
        if rest or head_dim % 2:
            raise ModelError(
                f"model_dim {self.model_dim} over num_heads {self.num_heads} gives no whole even head width, which "
                "rotary positions want; change one of them."
            )
        if self.num_heads % self.num_kv_heads:
            raise ModelError(f"num_heads {self.num_heads} is no multiple of num_kv_heads {self.num_kv_heads}.")
        if self.logit_softcap <= 0:
            raise ModelError("logit_softcap is 0; wanted a number above it.")
        if self.vocab_size > 65_536:
            raise ModelError(f"vocab_size is {self.vocab_size:,}; tokens are uint16, so at most 65,536.")
        if self.seed >= 1 << 63:
            raise ModelError(f"seed is {self.seed}; wanted a number below 2 to the 63rd.")
        for name in ("beta1", "beta2", "muon_momentum", "muon_momentum_warmup_start"):
            if getattr(self, name) >= 1:
                raise ModelError(f"{name} is {getattr(self, name)}; wanted a number below 1.")
        for name in ("warmdown_frac", "ema_decay", "min_rate"):
            if getattr(self, name) > 1:
                raise ModelError(f"{name} is {getattr(self, name)}; wanted a part between 0 and 1.")
        if self.rope_dims % 2 or self.rope_dims > head_dim:
            raise ModelError(f"rope_dims is {self.rope_dims}; wanted an even number up to the head width {head_dim}.")
        if not self.loop_start < (self.loop_end or self.num_layers) <= self.num_layers:
            raise ModelError(
                f"the loop runs from block {self.loop_start} to before {self.loop_end}, there are {self.num_layers}; "
                "wanted loop_start < loop_end <= num_layers."
            )
        if self.eval_stride > self.train_seq_len:
            raise ModelError(f"eval_stride is {self.eval_stride}; wanted at most train_seq_len, {self.train_seq_len}.")
        for name in ("gate_width", "smear_width"):
            if getattr(self, name) > self.model_dim:
                raise ModelError(f"{name} is {getattr(self, name)}; wanted at most model_dim, {self.model_dim}.")
        if self.train_batch_tokens % (self.micro_batches * self.train_seq_len):
            raise ModelError(
                f"train_batch_tokens {self.train_batch_tokens:,} is no multiple of micro_batches x train_seq_len "
                f"({self.micro_batches} x {self.train_seq_len:,}), so sequences would not fit; change one of them."
            )


AT_LEAST_ONE = {
    *("val_batch_size", "iterations", "train_batch_tokens", "train_seq_len", "micro_batches", "vocab_size"),
    *("adapt_windows", "num_layers", "model_dim", "num_heads", "num_kv_heads", "mlp_mult", "muon_backend_steps"),
}
CHOICES = {
    "device": ["auto", "cpu", "cuda"],
    "precision": ["auto", "float32", "bfloat16"],
    "compile": ["auto", "on", "off"],
    "kernels": ["off", "compiled", "triton"],
    "attention": ["auto", "sdpa", "flash", "cudnn", "cudnn-repeated", "fa3"],
    "eval_method": ["sequential", "sliding", "documents", "adapting"],
    "warmdown_shape": ["linear", "cosine", "sqrt"],
}


def field_value(name: str, default: Any, given: Any, where: str) -> Any:
    """`given` as the type of the field's default; words (from the environment or a flag) are read. ModelError."""
    kind = type(default)
    try:
        if kind is bool and isinstance(given, str):
            return {"0": False, "1": True, "false": False, "true": True}[given.strip().lower()]
        if kind is not str and isinstance(given, str):
            return kind(given.strip().replace("_", ""))
        if kind is float and type(given) is int:
            return float(given)
        if type(given) is kind:
            return given
    except (ValueError, KeyError, OverflowError):
        pass
    raise ModelError(f"{where} gives {name} = {given!r:.60}; wanted {kind.__name__}, such as {default!r}.")


def with_values(config: RunConfig, values: Mapping[str, Any], where: str) -> RunConfig:
    """A copy of `config` with some fields changed; `where` is named in errors. Raises ModelError."""
    defaults = {field.name: field.default for field in fields(config)}
    changes = {}
    for key, given in values.items():
        if key not in defaults:
            near = difflib.get_close_matches(key.lower(), defaults, 1, 0.0)[0]
            raise ModelError(f"{where} has the key {key!r:.60}, which nothing here is called; the nearest is {near!r}.")
        changes[key] = field_value(key, defaults[key], given, where)
    return replace(config, **changes)


def read_recipe(path: Path) -> dict[str, object]:
    """The keys of a flat TOML recipe, checked. Raises ModelError or OSError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not TOML ({error}); wanted lines such as num_layers = 9.") from None
    with_values(RunConfig(), values, str(path))
    return values


def read_config_file(path: Path) -> dict[str, object]:
    """The keys of a config.json. Raises ModelError or OSError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON ({str(error)[:80]}); wanted an object of configuration keys.") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path}: holds a {type(values).__name__}; wanted an object of configuration keys.")
    return values


def near_names(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each environment name that looks like a setting's with a slip, and is none."""
    known = {field.name.upper() for field in fields(RunConfig)}
    near = {name: difflib.get_close_matches(name, known, 1, 0.9) for name in environment if name not in known}
    return [
        f"{name} is set, which is no setting here; did you mean {found[0]}?" for name, found in near.items() if found
    ]


def layered_config(recipe: Mapping[str, Any], environment: Mapping[str, str]) -> RunConfig:
    """Defaults, recipe, the file that PGLAB_CONFIG names, the environment; later ones win. Raises ModelError."""
    config = with_values(RunConfig(), recipe, "the recipe")
    if place := environment.get("PGLAB_CONFIG"):
        config = with_values(config, read_config_file(Path(place)), place)
    names = [field.name for field in fields(config)]
    found = {name: environment[name.upper()] for name in names if environment.get(name.upper())}
    return with_values(config, found, "the environment")

"""An ordinary GPT and one that must equal it, with equal weights: what the tests of every faster model begin with."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from model.config import RunConfig
from model.gpt import GPT

Made = TypeVar("Made", bound=GPT)

TINY: dict[str, Any] = {
    "vocab_size": 37,
    "num_layers": 5,
    "model_dim": 24,
    "num_heads": 6,
    "num_kv_heads": 2,
    "mlp_mult": 3,
}
SHAPES: dict[str, dict[str, Any]] = {
    "odd layers, groups of three": TINY,
    "even layers, one kv head": TINY | {"num_layers": 2, "num_kv_heads": 1, "mlp_mult": 2},
    "one layer, as many kv heads": TINY | {"num_layers": 1, "num_kv_heads": 6},
    "untied": TINY | {"tie_embeddings": False},
    "partial rotary, leaky, scaled by depth": TINY | {"rope_dims": 2, "relu_slope": 0.5, "depth_scale": True},
    "other constants": TINY | {"rope_base": 500.0, "logit_softcap": 3.0, "qk_gain_init": 4.0},
}


def pair_of(
    make: Callable[[RunConfig], Made], shape: dict[str, Any], dtype: torch.dtype
) -> tuple[GPT, Made, torch.Tensor, torch.Tensor]:
    """The ordinary model and `make`'s with equal weights, none at a special value, and a batch."""
    config = RunConfig(train_seq_len=12, train_batch_tokens=60, micro_batches=1, **shape)
    torch.manual_seed(3)
    plain = GPT(config).double()
    with torch.no_grad():
        for p in plain.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    fast = make(config).to(dtype)
    fast.load_state_dict(plain.state_dict())
    for model in (plain, fast):  # turning back is only exact for tables whose cos^2 + sin^2 is 1
        model.rotary_dtype = torch.float64
    tokens = torch.randint(0, config.vocab_size, (5, 13))
    return plain.to(dtype), fast, tokens[:, :-1], tokens[:, 1:]


def gradients(
    model: GPT, x: torch.Tensor, y: torch.Tensor, weight: float = 1.0
) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss, and by name the gradients of the loss times `weight`."""
    loss = model(x, y)
    (loss * weight).backward()
    return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.numel() and p.grad is not None}

"""The published baseline said once more, as plainly as PyTorch allows: the judge of the fast path and of every bench.

Nothing here is shared with `gpt` or `muon`: parameters are a dictionary under the published names, the forward pass is
one function, the optimisers handle one matrix at a time, as the challenge's own script does. It is slow on purpose and
follows the dtype of its parameters, so that in float64 it can show that the other code computes the same thing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import RunConfig

Params = dict[str, Tensor]


def plain_turn(x: Tensor, base: float) -> Tensor:
    """Rotary positions: coordinate i and i + D/2 turn by position / base**(2i/D). x: `(B, H, T, D)`."""
    length, width = x.shape[-2:]
    inverse = 1.0 / (base ** (torch.arange(0, width, 2, dtype=torch.float32) / width))  # (D/2,)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), inverse).to(x.device)  # (T, D/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    one, two = x[..., : width // 2], x[..., width // 2 :]
    return torch.cat((one * cos + two * sin, one * (-sin) + two * cos), dim=-1)


def plain_attention(p: Params, at: str, x: Tensor, config: RunConfig) -> Tensor:
    """Grouped-query causal attention of one block. x: `(B, T, C)`, normalised."""
    rows, length, dim = x.shape
    heads, width = config.num_heads, dim // config.num_heads
    q, k, v = (F.linear(x, p[f"{at}.{name}.weight"]).reshape(rows, length, -1, width).transpose(1, 2) for name in QKV)
    q = plain_turn(F.rms_norm(q, (width,)), config.rope_base)
    k = plain_turn(F.rms_norm(k, (width,)), config.rope_base)
    q = q * p[f"{at}.q_gain"].to(q.dtype)[None, :, None, None]
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=heads != config.num_kv_heads)
    return F.linear(y.transpose(1, 2).contiguous().reshape(rows, length, dim), p[f"{at}.proj.weight"])


QKV = ("c_q", "c_k", "c_v")


def plain_block(p: Params, index: int, x: Tensor, x0: Tensor, config: RunConfig) -> Tensor:
    """One block. x, x0: `(B, T, C)`."""
    at = f"blocks.{index}"
    mix = p[f"{at}.resid_mix"]
    x = mix[0][None, None, :] * x + mix[1][None, None, :] * x0
    seen = plain_attention(p, f"{at}.attn", F.rms_norm(x, (x.size(-1),)), config)
    x = x + p[f"{at}.attn_scale"][None, None, :] * seen
    inner = torch.relu(F.linear(F.rms_norm(x, (x.size(-1),)), p[f"{at}.mlp.fc.weight"]))
    return x + p[f"{at}.mlp_scale"][None, None, :] * F.linear(inner.square(), p[f"{at}.mlp.proj.weight"])


def plain_logits(p: Params, ids: Tensor, config: RunConfig) -> Tensor:
    """Soft-capped logits. int64 `(B, T)` -> `(B * T, V)`."""
    x = F.embedding(ids, p["tok_emb.weight"])
    x = x0 = F.rms_norm(x, (x.size(-1),))
    first, skips = config.num_layers // 2, []
    for i in range(first):
        x = plain_block(p, i, x, x0, config)
        skips.append(x)
    for i in range(config.num_layers - first):
        if skips:
            x = x + p["skip_weights"][i][None, None, :] * skips.pop()
        x = plain_block(p, first + i, x, x0, config)
    x = F.rms_norm(x, (x.size(-1),)).reshape(-1, x.size(-1))
    raw = F.linear(x, p["tok_emb.weight"] if config.tie_embeddings else p["lm_head.weight"])
    return config.logit_softcap * torch.tanh(raw / config.logit_softcap)


def plain_loss(p: Params, ids: Tensor, targets: Tensor, config: RunConfig) -> Tensor:
    """Mean cross-entropy in nats."""
    return F.cross_entropy(plain_logits(p, ids, config), targets.reshape(-1), reduction="mean")


def plain_newton_schulz(g: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """One matrix through the quintic iteration in `dtype`."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(dtype)
    x = x / (x.norm() + 1e-7)
    tall = g.size(0) > g.size(1)
    if tall:
        x = x.T
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class PlainTrainer:
    """Weights, and one training step at a time, on one process without accumulation.

    params: tensors under the published names; copied. dtype: that of Muon's iteration. `orthogonalise` may be replaced
    by the same, compiled.
    """

    def __init__(self, params: Params, config: RunConfig, dtype: torch.dtype) -> None:
        self.config, self.dtype, self.orthogonalise = config, dtype, plain_newton_schulz
        self.p = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
        matrices = [n for n, v in self.p.items() if n.startswith("blocks.") and v.ndim == 2 and "resid_mix" not in n]
        heads = ["tok_emb.weight", "lm_head.weight"]
        scalars = [n for n in self.p if n not in matrices and n not in heads]
        token_lr = config.tied_embed_lr if config.tie_embeddings else config.embed_lr
        groups = [
            ([heads[0]], token_lr),
            (scalars, config.scalar_lr),
            ([n for n in heads[1:] if n in self.p], config.head_lr),
        ]
        self.adams = [
            torch.optim.Adam(
                [self.p[n] for n in names], lr=lr, betas=(config.beta1, config.beta2), eps=config.adam_eps, fused=True
            )
            for names, lr in groups
            if names
        ]
        self.base = [adam.param_groups[0]["lr"] for adam in self.adams]
        self.momenta = {n: torch.zeros_like(self.p[n]) for n in matrices}

    def clear(self) -> None:
        """All gradients gone."""
        for value in self.p.values():
            value.grad = None

    def step(self, ids: Tensor, targets: Tensor, scale: float, momentum: float) -> Tensor:
        """One step on a whole batch; `scale` multiplies every rate. Returns the loss before the step."""
        self.clear()
        loss = plain_loss(self.p, ids, targets, self.config)
        loss.backward()
        self.move(scale, momentum)
        return loss.detach()

    @torch.no_grad()
    def move(self, scale: float, momentum: float) -> None:
        """One update of all parameters from their gradients."""
        for adam, rate in zip(self.adams, self.base, strict=True):
            adam.param_groups[0]["lr"] = rate * scale
            adam.step()
        for name, held in self.momenta.items():
            p = self.p[name]
            assert p.grad is not None
            held.mul_(momentum).add_(p.grad)
            update = self.orthogonalise(p.grad.add(held, alpha=momentum), self.config.muon_backend_steps, self.dtype)
            update = update * max(1.0, p.size(0) / p.size(1)) ** 0.5
            p.add_(update.to(p.dtype), alpha=-self.config.matrix_lr * scale)

"""The pieces between a GPU's matrix products, in plain PyTorch: forward and backward of each, as pairs of functions.

On a GPU the time of a small GPT goes to carrying vectors to and from memory, not to arithmetic; so the block of
`cuda_block` is written as few large products with few passes over memory between them, and each such pass is one method
here. `PlainOps` says what a pass computes, in any float dtype and on any device. The kernels of `kernels_*.py` do the
same in one pass over memory each, and `kernels_ops.TritonOps` puts them in these places. Norms, sums and learnt vectors
are float32 inside where tensors are narrower.

Symbols: B rows of T tokens, C channels, H query heads, K key/value heads, D channels a head, R turning pairs.
"""

import torch
from torch import Tensor

CAP_LIMIT_GPU = 40.0  # of the soft-cap: exp(-2 * cap) has to stay within float32


def wide(x: Tensor) -> Tensor:
    """x as sums are to see it: float32 where it is narrower."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def norm_epsilon(x: Tensor) -> float:
    """What `F.rms_norm` adds under the root for a tensor of this dtype: epsilon of the dtype that it computes in."""
    return torch.finfo(wide(x).dtype).eps


class PlainOps:
    """Each pass over memory as PyTorch says it. Tensors are contiguous."""

    name = "plain"

    @staticmethod
    def norm(x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows at root mean square 1 and the factors that made them so. `(..., C)` -> the same, wide `(...)`."""
        v = wide(x)
        factor = (v.square().mean(-1) + norm_epsilon(x)).rsqrt()
        return (v * factor[..., None]).to(x.dtype), factor

    @staticmethod
    def norm_back(d_unit: Tensor, unit: Tensor, factor: Tensor, onto: Tensor | None) -> Tensor:
        """The gradient before `norm`, added to `onto`. `(..., C)` each."""
        g, u = wide(d_unit), wide(unit)
        grad = (g - u * (g * u).mean(-1, keepdim=True)) * factor[..., None]
        return (grad if onto is None else grad + wide(onto)).to(d_unit.dtype)

    @classmethod
    def mix(cls, x: Tensor, x0: Tensor, mix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The stream with the learnt part of its beginning, and its `norm`. `(..., C)` twice, `(2, C)`."""
        mixed = (mix[0] * wide(x) + mix[1] * wide(x0)).to(x.dtype)
        return mixed, *cls.norm(mixed)

    @classmethod
    def mix_back(
        cls, d_unit: Tensor, unit: Tensor, factor: Tensor, d_mixed: Tensor, x: Tensor, x0: Tensor, mix: Tensor,
        d_x0: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Gradients of x, of x0 (added to `d_x0`) and of mix, given those of `mix`'s first two results."""
        g = wide(d_mixed) + wide(cls.norm_back(wide(d_unit), unit, factor, None))
        beginning = g * mix[1] if d_x0 is None else g * mix[1] + wide(d_x0)
        d_mix = torch.stack([(g * wide(part)).flatten(0, -2).sum(0) for part in (x, x0)])
        return (g * mix[0]).to(x.dtype), beginning.to(x.dtype), d_mix.to(mix.dtype)

    @staticmethod
    def turn(qkv: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys at unit length, turned by position, queries times their head's gain.

        qkv `(B, T, H + 2K, D)`; gain `(H,)`; tables `(T, R)` -> `(B, T, H, D)`, `(B, T, K, D)`.
        """
        heads = gain.numel()
        both = wide(qkv[:, :, : (heads + qkv.size(2)) // 2])  # (B, T, H + K, D)
        both = both * (both.square().mean(-1, keepdim=True) + norm_epsilon(qkv)).rsqrt()
        both = turned(both, wide(cos), wide(sin))
        q, k = both[:, :, :heads] * gain[:, None], both[:, :, heads:]
        return q.to(qkv.dtype).contiguous(), k.to(qkv.dtype).contiguous()

    @staticmethod
    def turn_back(
        dq: Tensor, dk: Tensor, dv: Tensor, qkv: Tensor, gain: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gradients of qkv and gain, given those of queries, keys and values. Shapes as in `turn`."""
        heads, kv_heads = dq.size(2), dk.size(2)
        both = wide(qkv[:, :, : heads + kv_heads])
        factor = (both.square().mean(-1, keepdim=True) + norm_epsilon(qkv)).rsqrt()
        unit = both * factor
        back = turned(torch.cat((wide(dq), wide(dk)), 2), wide(cos), -wide(sin))
        d_gain = (back[:, :, :heads] * unit[:, :, :heads]).sum((0, 1, 3))
        back = back * torch.cat((gain, gain.new_ones(kv_heads)))[:, None]
        back = (back - unit * (back * unit).mean(-1, keepdim=True)) * factor
        return torch.cat((back.to(qkv.dtype), dv), 2), d_gain.to(gain.dtype)

    @staticmethod
    def square(h: Tensor, slope: float) -> Tensor:
        """The square of h where it is above zero, of slope times h below. Any shape."""
        return torch.where(h > 0, wide(h), wide(h) * slope).square().to(h.dtype)

    @staticmethod
    def square_back(d_squared: Tensor, h: Tensor, slope: float) -> Tensor:
        """The gradient of h, given that of `square`'s result."""
        steep = torch.where(h > 0, wide(h), wide(h) * slope**2)
        return (2 * wide(d_squared) * steep).to(h.dtype)

    @staticmethod
    def add(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        """x + scale * y. `(..., C)` twice, `(C,)`."""
        return (wide(x) + scale * wide(y)).to(x.dtype)

    @staticmethod
    def add_back(g: Tensor, y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of y and of scale, given that of `add`'s result (which is that of x)."""
        return (scale * wide(g)).to(y.dtype), (wide(g) * wide(y)).flatten(0, -2).sum(0).to(scale.dtype)

    @staticmethod
    def head(logits: Tensor, targets: Tensor, cap: float, part: float) -> Tensor:
        """-ln p of each target under the soft-capped logits; the logits become `part` times their gradient, in place.

        logits `(R, V)` before the cap; targets int64 `(R,)` -> wide `(R,)`.
        """
        bent = torch.tanh(wide(logits) / cap)
        log_p = torch.log_softmax(cap * bent, -1)
        nats = -log_p.gather(1, targets[:, None])[:, 0]
        d_capped = log_p.exp().scatter_add(1, targets[:, None], -torch.ones_like(targets[:, None], dtype=log_p.dtype))
        logits.copy_(d_capped * (1 - bent.square()) * part)
        return nats


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The first 2R coordinates of the last axis, pair by pair (i, i + R), by position. x `(B, T, H, D)`."""
    pairs = cos.size(-1)
    left, right, still = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    c, s = cos[:, None], sin[:, None]
    return torch.cat((left * c + right * s, right * c - left * s, still), -1)

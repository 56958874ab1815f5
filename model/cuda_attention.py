"""Which attention a GPU run uses: each that is there is tried at the run's own shape, and the fastest right one taken.

There are several implementations of the same causal attention, and which is fastest changes with the GPU, the length,
the head's width and the library's version. So all are measured, forward and backward, once, before the clock of the run
begins; one that does not agree with plain arithmetic in float32 is not taken. All ranks take the same one, and the log
says which, and why.

    flash   PyTorch's flash attention (what the published baseline uses)
    cudnn   PyTorch's call of cuDNN; keys and values are repeated where it wants as many as queries
    fa3     FlashAttention 3, where the package `flash_attn_interface` is installed
    sdpa    whatever PyTorch chooses by itself; the only one on a CPU
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .errors import ModelError

Attending = Callable[[Tensor, Tensor, Tensor], Tensor]  # (B, T, H, D), (B, T, K, D) twice -> (B, T, H, D)
AGREEMENT = 0.02  # allowed distance from float32, relative, of result and gradients
NEEDLESS = 1.02  # the library's own choice stays unless another is faster by that


@dataclass(frozen=True, slots=True)
class AttentionChoice:
    """What was chosen: its name, itself, milliseconds of each that was measured, and why others were not."""

    name: str
    attend: Attending
    milliseconds: dict[str, float]
    refused: dict[str, str]

    def line(self) -> str:
        """For the log."""
        measured = " ".join(f"{name}:{ms:.3f}ms" for name, ms in sorted(self.milliseconds.items(), key=lambda p: p[1]))
        left_out = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
        return f"attention:{self.name} {measured}".rstrip() + (f" ({left_out})" if left_out else "")


def by_sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As PyTorch chooses."""
    y = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True, enable_gqa=q.size(2) != k.size(2)
    )
    return y.transpose(1, 2)


def by_flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's flash attention, or RuntimeError."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return by_sdpa(q, k, v)


def by_cudnn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """cuDNN's attention, or RuntimeError."""
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        return by_sdpa(q, k, v)


def by_cudnn_repeated(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """cuDNN's attention with a copy of keys and values for each query head, or RuntimeError."""
    group = q.size(2) // k.size(2)
    return by_cudnn(q, k.repeat_interleave(group, 2), v.repeat_interleave(group, 2))


def by_fa3(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """FlashAttention 3."""
    from flash_attn_interface import flash_attn_func

    y = flash_attn_func(q, k, v, causal=True)
    return y[0] if isinstance(y, tuple) else y  # some versions hand out the softmax sums as well


ATTENTIONS: dict[str, Attending] = {
    "sdpa": by_sdpa,
    "flash": by_flash,
    "cudnn": by_cudnn,
    "cudnn-repeated": by_cudnn_repeated,
    "fa3": by_fa3,
}


def far_apart(attend: Attending, q: Tensor, k: Tensor, v: Tensor) -> float:
    """The largest relative distance of result and gradients from plain attention in float32, on two rows."""

    def run(way: Attending, dtype: torch.dtype) -> list[Tensor]:
        given = [t[:2].detach().to(dtype).requires_grad_() for t in (q, k, v)]
        y = way(*given)
        push = torch.linspace(-1, 1, y.numel(), device=y.device).view_as(y)
        return [y.detach(), *torch.autograd.grad((y.float() * push).sum(), given)]

    with sdpa_kernel(SDPBackend.MATH):
        wanted = run(by_sdpa, torch.float32)
    found = run(attend, q.dtype)
    return max(float((f.float() - w).norm() / w.norm()) for f, w in zip(found, wanted, strict=True))


def forward_backward(attend: Attending, q: Tensor, k: Tensor, v: Tensor) -> None:
    """What is timed."""
    given = [t.detach().requires_grad_() for t in (q, k, v)]
    y = attend(*given)
    torch.autograd.grad(y, given, q)


def choose_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    names: Iterable[str],
    milliseconds: Callable[[Callable[[], object]], float],
    agree: Callable[[list[float]], list[float]] = lambda own: own,
) -> AttentionChoice:
    """The fastest of the named ones that is there and right, on tensors of the run's shape and dtype.

    milliseconds: times a piece of work; agree: makes one list of all ranks' times, so that they choose alike. Raises
    ModelError when none works.
    """
    tried = list(names)
    times, refused = [], {}
    for name in tried:
        spent = float("inf")
        try:
            if name == "fa3" and find_spec("flash_attn_interface") is None:
                raise ModuleNotFoundError("not installed")
            apart = far_apart(ATTENTIONS[name], q, k, v)
            if apart < AGREEMENT:
                spent = milliseconds(lambda name=name: forward_backward(ATTENTIONS[name], q, k, v))  # type: ignore[misc]
            else:
                refused[name] = f"{apart:.2g} from float32"
        except (RuntimeError, ImportError, TypeError) as error:  # a backend's ways of saying no
            refused[name] = (str(error).splitlines() or [type(error).__name__])[0][:60]
        times.append(spent)
    shared = dict(zip(tried, agree(times), strict=True))
    measured = {name: ms for name, ms in shared.items() if ms < float("inf")}
    if not measured:
        raise ModelError(f"no attention works here: {refused}. Set precision = bfloat16, or attention = sdpa.")
    best = min(measured, key=lambda name: measured[name])
    if "sdpa" in measured and measured["sdpa"] <= measured[best] * NEEDLESS:
        best = "sdpa"
    return AttentionChoice(best, ATTENTIONS[best], measured, refused)

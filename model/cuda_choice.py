"""What a run does on a GPU that it does not on a CPU: kernels, compiling, the choice of an attention.

Everything here stands aside on a CPU. A bundle whose recipe has `kernels = "off"` carries none of them.
"""

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from .config import RunConfig
from .cuda_attention import ATTENTIONS, Attending, AttentionChoice, choose_attention
from .cuda_clock import DeviceClock
from .cuda_plain import CAP_LIMIT_GPU, PlainOps
from .errors import ModelError
from .gpt import GPT, Block
from .ranks import Ranks


def kernel_gpt(config: RunConfig, device: torch.device) -> GPT | None:
    """The GPT by hand-cut blocks where the configuration wants them and the device is a GPU. Raises ModelError."""
    if config.kernels == "off" or device.type != "cuda":
        return None
    from .cuda_gpt import CudaGPT

    if config.logit_softcap > CAP_LIMIT_GPU:
        raise ModelError(f"kernels want logit_softcap at most {CAP_LIMIT_GPU:g}; set kernels = off.")
    return CudaGPT(config, kernel_ops(config.kernels))


def kernel_ops(kernels: str) -> PlainOps:
    """The passes over memory by a word of the configuration: compiled or triton. Raises ImportError."""
    if kernels == "compiled":
        from .cuda_compiled import CompiledOps

        return CompiledOps()
    from .kernels_ops import TritonOps  # on use: triton is not everywhere

    return TritonOps()


def training_loss(model: GPT, config: RunConfig, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """The model's loss as training calls it: compiled on a GPU, unless its kernels are written by hand."""
    gpu = device.type == "cuda"
    by_hand = gpu and config.kernels != "off"
    wanted = config.compile == "on" or (config.compile == "auto" and gpu)
    return torch.compile(model, dynamic=False) if wanted and not by_hand else model


def settle_attention(model: GPT, config: RunConfig, ranks: Ranks, kept: str = "") -> AttentionChoice | None:
    """Choose the attention of all blocks, the same on all ranks; None on a CPU. Raises ModelError where none works."""
    if ranks.device.type != "cuda":
        return None
    choice = chosen_attention(config, ranks, DeviceClock(rounds=7).milliseconds, kept)
    for block in model.blocks:
        assert isinstance(block, Block)
        block.attn.attend = by_heads(choice.attend)  # type: ignore[method-assign, assignment]
    return choice


def chosen_attention(
    config: RunConfig, ranks: Ranks, milliseconds: Callable[[Callable[[], object]], float], kept: str
) -> AttentionChoice:
    """The attention that the configuration names, or by trial at the run's shape; of `kept` if it still works here.

    kept: what the run had before it was stopped, so that it goes on with the same arithmetic. Raises ModelError.
    """
    rows = config.train_batch_tokens // config.micro_batches // config.train_seq_len
    width = config.model_dim // config.num_heads
    draw = torch.Generator(ranks.device).manual_seed(0)  # the run's own numbers stay as they are
    q, k, v = (
        torch.randn(rows, config.train_seq_len, heads, width, generator=draw, device=ranks.device).to(ranks.dtype)
        for heads in (config.num_heads, config.num_kv_heads, config.num_kv_heads)
    )
    names = list(ATTENTIONS) if config.attention == "auto" else [config.attention]
    if config.kernels == "off" and config.attention == "auto":
        names.remove("fa3")  # it would break the compiled graph

    def choose(some: list[str]) -> AttentionChoice:
        agree = lambda own: [sum(row) for row in zip(*ranks.gather(own), strict=True)]  # noqa: E731
        return choose_attention(q, k, v, some, milliseconds, agree)

    if kept in names:
        with suppress(ModelError):  # gone, on another machine
            return choose([kept])
    return choose(names)


def by_heads(attend: Attending) -> Attending:
    """An attention for tensors `(B, H, T, D)`."""
    return lambda q, k, v: attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)

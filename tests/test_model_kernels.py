"""Each Triton kernel against the plain pass it takes the place of, values and gradients; on a GPU or interpreted.

Without a GPU the kernels run in Triton's interpreter, which has to be asked for before triton is imported:

    TRITON_INTERPRET=1 pytest tests/test_model_kernels.py

The slow test at the end does just that. The interpreter cuts bfloat16 off where a GPU rounds, hence one whole step.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="triton is not installed: pip install -e '.[gpu]'")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
runs = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU here, and TRITON_INTERPRET=1 is not set"
)
STEP = {torch.float32: 2e-6, torch.bfloat16: 2**-7}  # allowed, relative to the largest number
DTYPES = pytest.mark.parametrize("dtype", STEP, ids=["float32", "bfloat16"])
SHAPES = pytest.mark.parametrize("shape", [(3, 47, 24), (2, 5, 64), (1, 1, 1), (0, 4, 24)], ids=str)


def some(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Fresh random numbers on the device."""
    return torch.randn(*shape).to(dtype).to(DEVICE)


def same(name: str, *given: Any) -> tuple[torch.Tensor, ...]:
    """A kernel's results, held to those of the plain pass in dtype, shape and value."""
    from model.cuda_plain import PlainOps
    from model.kernels_ops import TritonOps

    def run(ops: type[PlainOps]) -> tuple[torch.Tensor, ...]:
        out = getattr(ops, name)(*[x.clone() if isinstance(x, torch.Tensor) else x for x in given])
        return out if isinstance(out, tuple) else (out,)

    found, wanted = run(TritonOps), run(PlainOps)
    assert len(found) == len(wanted)
    for f, w in zip(found, wanted, strict=True):
        assert (f.shape, f.dtype) == (w.shape, w.dtype)
        step = 2 * STEP[wanted[0].dtype] if name == "mix" else STEP[w.dtype]  # its norm is of the rounded stream
        if w.numel():
            assert float((f - w).abs().max()) <= step * float(w.abs().max()) + 1e-12
    return found


@runs
@SHAPES
@DTYPES
def test_stream(shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    import model.kernels_norm as kernels_norm

    monkeypatch.setattr(kernels_norm, "SUM_PROGRAMS", 2)  # so that a program sums over several tiles
    monkeypatch.setattr(kernels_norm, "TILE_NUMBERS", 256)
    x, x0, g, g2, onto = (some(*shape, dtype=dtype) for _ in range(5))
    mix = some(2, shape[-1])
    unit, factor = same("norm", x)
    same("norm_back", g, unit, factor, None)
    same("norm_back", g, unit, factor, onto)
    _, unit, factor = same("mix", x, x0, mix)
    same("mix_back", g, unit, factor, g2, x, x0, mix, None)
    same("mix_back", g, unit, factor, g2, x, x0, mix, onto)
    same("add", x, x0, mix[0])
    same("add_back", g, x0, mix[0])


@runs
@pytest.mark.parametrize("slope", [0.0, 0.5])
@SHAPES
@DTYPES
def test_square(shape: tuple[int, ...], dtype: torch.dtype, slope: float) -> None:
    h, g = some(*shape, dtype=dtype), some(*shape, dtype=dtype)
    same("square", h, slope)
    same("square_back", g, h, slope)


@runs
@pytest.mark.parametrize(("width", "pairs"), [(6, 3), (16, 8), (16, 2)])
@DTYPES
def test_heads(width: int, pairs: int, dtype: torch.dtype) -> None:
    gain, cos, sin = some(4), some(11, pairs).cos(), some(11, pairs).sin()
    for rows in (2, 0):
        qkv = some(rows, 11, 8, width, dtype=dtype)
        q, k = same("turn", qkv, gain, cos, sin)
        same("turn_back", *(torch.randn_like(t) for t in (q, k, k)), qkv, gain, cos, sin)


@runs
@DTYPES
def test_loss_and_what_it_leaves(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    import model.kernels_loss as kernels_loss
    from model.cuda_plain import PlainOps

    monkeypatch.setattr(kernels_loss, "LOGITS_AT_A_TIME", 16)  # 37 logits in three bites
    logits = some(9, 37, dtype=dtype) * 20
    targets = torch.randint(0, 37, (9,), device=DEVICE)
    same("head", logits, targets, 30.0, 0.25)
    same("head", logits[:0], targets[:0], 30.0, 0.25)
    ours, theirs = logits.clone(), logits.clone()
    kernels_loss.head_by_kernel(ours, targets, 30.0, 0.25)
    PlainOps.head(theirs, targets, 30.0, 0.25)
    assert float((ours - theirs).abs().max()) <= STEP[dtype] * float(theirs.abs().max())


@runs
def test_the_plain_passes_are_what_autograd_says() -> None:
    """Whatever a kernel is held to is itself right: loss and gradients of a whole model, by kernels, in float32."""
    from model.config import RunConfig
    from model.cuda_gpt import CudaGPT
    from model.gpt import GPT
    from model.kernels_ops import TritonOps

    shape = {"vocab_size": 37, "num_layers": 3, "model_dim": 24, "num_heads": 4, "num_kv_heads": 2, "smear_width": 3}
    config = RunConfig(train_seq_len=12, train_batch_tokens=24, micro_batches=1, **shape)  # type: ignore[arg-type]
    torch.manual_seed(3)
    plain = GPT(config)
    with torch.no_grad():
        for p in plain.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    quick = CudaGPT(config, TritonOps())
    quick.load_state_dict(plain.state_dict())
    tokens = torch.randint(0, 37, (2, 13)).to(DEVICE)
    losses = []
    for model in (plain.to(DEVICE), quick.to(DEVICE)):
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for (name, p), q in zip(plain.named_parameters(), quick.parameters(), strict=True):
        assert float((q.grad - p.grad).norm()) < 2e-5 * float(p.grad.norm()) + 1e-9, name


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
def test_all_of_them_in_the_interpreter() -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    said = subprocess.run(words, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout[-3000:]
    assert "failed" not in said.stdout
    assert "passed" in said.stdout


@runs
@pytest.mark.skipif(not INTERPRETED, reason="the interpreter shows it")
@pytest.mark.parametrize("pack", [False, True], ids=["plain", "packed"])
def test_kernels_work_from_inside_a_script(pack: bool, tmp_path: Path) -> None:
    """Triton reads the source of a kernel; a packed script has none on disk."""
    from model.bundle import write_bundle
    from model.cli import RECIPES

    script = tmp_path / "train_gpt.py"
    write_bundle(RECIPES / "baseline.toml", script, pack=pack, kernels="triton")
    space = runpy.run_path(str(script), run_name="script")
    shape = {"vocab_size": 37, "num_layers": 1, "model_dim": 8, "num_heads": 2, "num_kv_heads": 1}
    config = space["RunConfig"](train_seq_len=4, train_batch_tokens=4, micro_batches=1, **shape)
    torch.manual_seed(3)
    quick, ordinary = space["CudaGPT"](config, space["TritonOps"]()), space["GPT"](config)
    ordinary.load_state_dict(quick.state_dict())
    tokens = torch.randint(0, 37, (1, 5))
    losses = [model(tokens[:, :-1], tokens[:, 1:]).item() for model in (ordinary, quick)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="an interpreted kernel is not compiled")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
def test_all_of_them_compile_for_an_h100_without_spills_and_with_wide_accesses() -> None:
    from model.cuda_build import built_kernels

    found = built_kernels()
    assert len(found) >= 11
    for kernel in found:
        assert kernel.spilled == 0, kernel
        assert kernel.registers <= 128, kernel  # four programs of four warps on a multiprocessor at least
        assert kernel.wide_loads > 0, kernel
        assert kernel.wide_stores > 0, kernel

"""The GPU's model is the ordinary GPT: same loss and gradients with every switch, judged in float64 on a CPU.

Here its passes over memory are PyTorch's; the kernels that take their place are held to them in test_model_kernels.py.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import model.cuda_head as cuda_head
from model.config import RunConfig
from model.cuda_choice import by_heads
from model.cuda_compiled import CompiledOps
from model.cuda_gpt import CudaGPT
from model.cuda_plain import PlainOps
from model.gpt import GPT
from tests.model_pairs import SHAPES as COMMON
from tests.model_pairs import TINY, gradients, pair_of

SHAPES = {
    **COMMON,
    "parallel blocks": TINY | {"parallel_from": 3, "depth_scale": True},
    "heads with extras": TINY | {"exclusive_last": 2, "gate_width": 4, "value_residual": True, "depth_scale": True},
    "loops and smear": TINY
    | {"loop_repeats": 1, "loop_start": 1, "loop_end": 3, "loop_adapters": True, "smear_width": 5},
}


def pair(shape: dict[str, object], dtype: torch.dtype) -> tuple[GPT, CudaGPT, torch.Tensor, torch.Tensor]:
    """The ordinary and the GPU's model with equal weights, and a batch."""
    return pair_of(lambda config: CudaGPT(config, PlainOps()), shape, dtype)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_loss_and_gradients_are_those_of_the_ordinary_model(shape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_head, "PIECE_LOGITS", 7 * 37)  # pieces that divide the 60 rows badly
    plain, fast, x, y = pair(shape, torch.float64)
    (loss, wanted), (found_loss, found) = gradients(plain, x, y, 0.3), gradients(fast, x, y, 0.3)
    assert found_loss == pytest.approx(loss, rel=1e-13)
    assert found.keys() == wanted.keys()
    for name, grad in wanted.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


def test_a_bfloat16_stream_is_no_less_exact() -> None:
    """On a GPU the ordinary model's stream is bfloat16; over all shapes, this one is no further from the truth."""
    far = {GPT: 0.0, CudaGPT: 0.0}
    for shape in SHAPES.values():
        truth_loss, truth = gradients(*pair(shape, torch.float64)[0:1], *pair(shape, torch.float64)[2:])
        *models, x, y = pair(shape, torch.float32)
        for model in models:
            model.tok_emb.weight.data = model.tok_emb.weight.data.bfloat16()
            with torch.autocast("cpu", torch.bfloat16):
                loss, found = gradients(model, x, y)
            assert loss == pytest.approx(truth_loss, rel=0.01)
            apart = [float((found[n].double() - g).norm() / g.norm()) for n, g in truth.items()]
            far[type(model)] += sum(apart) / len(apart) / len(SHAPES)
    assert far[CudaGPT] < far[GPT] < 0.1


def test_a_second_micro_batch_adds_and_evaluation_is_the_ordinary_one() -> None:
    plain, fast, x, y = pair(TINY, torch.float64)
    for model in (plain, fast):
        (model(x[:3], y[:3]) * 0.6).backward()
        (model(x[3:], y[3:]) * 0.4).backward()
    for (name, p), q in zip(plain.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-9, atol=1e-12, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(fast.nats(x, y), plain.nats(x, y), rtol=1e-12, atol=0)
        torch.testing.assert_close(fast.logits(x), plain.logits(x), rtol=1e-9, atol=1e-12)


def test_rounding_in_the_loss_is_seen() -> None:
    fast = pair(TINY, torch.float64)[1]
    x, y = pair(TINY, torch.float64)[2:]
    before = float(fast(x, y).detach())
    for module in fast.modules():
        if hasattr(module, "seen"):
            module.seen = lambda weight: weight * 1.5
    assert abs(float(fast(x, y).detach()) - before) > 1e-3


def test_another_attention_takes_the_place_of_the_own() -> None:
    fast = pair(TINY, torch.float64)[1]
    x, y = pair(TINY, torch.float64)[2:]
    seen = []

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(q.shape), tuple(k.shape), tuple(v.shape)))
        return torch.zeros_like(q)

    for block in fast.blocks:
        block.attn.attend = by_heads(attend)
    fast(x, y)
    assert seen == [((5, 12, 6, 4), (5, 12, 2, 4), (5, 12, 2, 4))] * 5


def test_every_pass_is_compiled_and_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **settings: (function, settings))
    compiled = CompiledOps("eager")
    passes = {name for name in vars(PlainOps) if not name.startswith("_") and name != "name"}
    assert passes == set(vars(compiled))
    for name in passes:
        assert getattr(compiled, name) == (getattr(PlainOps, name), {"dynamic": False, "backend": "eager"})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("name", ["heads with extras", "parallel blocks"])
def test_compiled_passes_take_what_the_block_hands_them_on_any_thread(name: str) -> None:
    """On a GPU the backward pass runs on a thread of its own, and compiles there; "eager" traces all the same."""
    torch._dynamo.reset()
    found = []
    for ops in (PlainOps(), CompiledOps("eager")):
        torch.manual_seed(1)
        model = CudaGPT(RunConfig(**SHAPES[name]), ops)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.02 * torch.randn_like(p))
        tokens = torch.randint(0, 37, (2, 9), generator=torch.Generator().manual_seed(2))
        loss = model(tokens[:, :-1], tokens[:, 1:])
        with ThreadPoolExecutor(1) as other:
            other.submit(loss.backward).result()
        found.append([loss.detach(), *(p.grad for p in model.parameters())])
    assert all(torch.allclose(a, b) for a, b in zip(*found, strict=True))

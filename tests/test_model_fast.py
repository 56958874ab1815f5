"""The fast path is the ordinary GPT: same loss and gradients, judged in float64, no less exact with fewer bits."""

import os

import pytest
import torch

import model.fast as fast_module
import model.fast_head as fast_head
from model.config import RunConfig
from model.errors import ModelError
from model.fast import FastGPT, gpt_for
from model.fast_block import block_backward, block_forward
from model.fast_compiled import BY_HAND, Hands, compiled_hands, compiles, piece_in_one
from model.gpt import GPT
from model.rounding import Grid, seen_through
from tests.model_pairs import SHAPES as COMMON
from tests.model_pairs import TINY, gradients, pair_of

SHAPES = {
    **COMMON,
    "heads without their own value": TINY | {"exclusive_last": 3},
    "the same, one kv head": TINY | {"exclusive_last": 2, "num_layers": 2, "num_kv_heads": 1},
}


TO_COMPILE = Hands((block_forward, block_backward), piece_in_one, True)  # what the compiler is given
HANDS = pytest.mark.parametrize("hands", [BY_HAND, TO_COMPILE], ids=["by hand", "to compile"])


def pair(
    shape: dict[str, object], dtype: torch.dtype, hands: Hands = BY_HAND
) -> tuple[GPT, FastGPT, torch.Tensor, torch.Tensor]:
    """The ordinary and the fast model with equal weights, and a batch."""
    return pair_of(lambda config: FastGPT(config, hands), shape, dtype)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(
    ("rows", "hands"), [(7, BY_HAND), (60, BY_HAND), (1000, BY_HAND), (7, TO_COMPILE), (1000, TO_COMPILE)]
)
def test_loss_and_gradients_are_those_of_the_ordinary_model(
    shape, rows: int, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_module, "TILE", {7: 5, 60: 4, 1000: 64}[rows])
    monkeypatch.setattr(fast_head, "PIECE", rows * 37)  # pieces that divide the rows badly, evenly, and not at all
    plain, fast, x, y = pair(shape, torch.float64, hands)
    (loss, wanted), (found_loss, found) = gradients(plain, x, y, 0.3), gradients(fast, x, y, 0.3)
    assert found_loss == pytest.approx(loss, rel=1e-13)
    assert found.keys() == wanted.keys()
    for name, grad in wanted.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@HANDS
def test_float32_is_no_less_exact(shape, hands: Hands) -> None:
    truth = gradients(*pair(shape, torch.float64)[0:1], *pair(shape, torch.float64)[2:])[1]
    plain, fast, x, y = pair(shape, torch.float32, hands)
    ordinary, quick = gradients(plain, x, y)[1], gradients(fast, x, y)[1]
    for name, exact in truth.items():
        size = float(exact.norm())
        allowed = max(10 * float((ordinary[name].double() - exact).norm()), 3e-6 * size)
        assert float((quick[name].double() - exact).norm()) < allowed, name


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@HANDS
def test_bfloat16_products_are_no_less_exact(shape, hands: Hands) -> None:
    """Under autocast both round what they multiply; the fast model's distance from the truth is no larger."""
    truth_loss, truth = gradients(*pair(shape, torch.float64)[0:1], *pair(shape, torch.float64)[2:])
    plain, fast, x, y = pair(shape, torch.float32, hands)
    with torch.autocast("cpu", torch.bfloat16):
        ordinary_loss, ordinary = gradients(plain, x, y)
        loss, quick = gradients(fast, x, y)
    assert loss == pytest.approx(truth_loss, rel=0.02)
    assert abs(loss - truth_loss) < 2 * abs(ordinary_loss - truth_loss) + 0.005 * truth_loss
    assert quick.keys() == truth.keys()

    def errors(found: dict[str, torch.Tensor]) -> torch.Tensor:  # of each parameter's gradient, relative
        return torch.stack([(found[name].double() - exact).norm() / exact.norm() for name, exact in truth.items()])

    assert errors(quick).square().mean() < 1.3 * errors(ordinary).square().mean()
    assert (errors(quick) < torch.maximum(3 * errors(ordinary), torch.tensor(0.02))).all()
    assert all(grad.dtype == torch.float32 for grad in quick.values())


def test_bfloat16_is_used_only_where_autocast_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fast, x, y = pair(TINY, torch.float32)
    seen: list[torch.dtype] = []
    product = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b, **words: seen.append(a.dtype) or product(a, b, **words))
    gradients(fast, x, y)
    assert set(seen) == {torch.float32}
    seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        gradients(fast, x, y)
    assert set(seen) == {torch.bfloat16}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("rows", [7, 60, 1000])
def test_scores_without_a_gradient_are_those_of_the_ordinary_model(shape, rows: int, monkeypatch) -> None:
    monkeypatch.setattr(fast_head, "PIECE", rows * 37)
    plain, fast, x, y = pair(shape, torch.float64)
    with torch.no_grad():
        (wanted, ordinary), (nats, logits) = plain.scored(x, y), fast.scored(x, y, logits=True)
        torch.testing.assert_close(nats, wanted, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(logits - fast.config.logit_softcap, ordinary, rtol=1e-11, atol=1e-11)
        assert torch.equal(fast.nats(x, y), nats)
        assert fast.scored(x, y)[1].numel() == 0


@pytest.mark.parametrize("low", [torch.float32, torch.bfloat16])
def test_scores_are_as_exact_as_stated(low: torch.dtype) -> None:
    plain, fast, x, y = pair(TINY, torch.float64)
    with torch.no_grad():
        truth = plain.nats(x, y)
        plain, fast = plain.float(), fast.float()
        with torch.autocast("cpu", torch.bfloat16, enabled=low == torch.bfloat16):
            ordinary, quick = plain.nats(x, y), fast.nats(x, y)
    assert quick.dtype == torch.float32
    if low == torch.bfloat16:
        assert (quick - truth).square().mean() < 1.5 * (ordinary - truth).square().mean()
    else:
        assert (quick - truth).abs().max() < 2e-5  # the tolerance that MODEL.md states
        assert abs(float((quick - truth).mean())) < 2e-6


def test_gradients_accumulate_and_scores_have_one_where_it_is_wanted() -> None:
    plain, fast, x, y = pair(TINY, torch.float64)
    gradients(fast, x, y)
    once = {n: p.grad.clone() for n, p in fast.named_parameters() if p.grad is not None}
    gradients(fast, x, y)
    for name, p in fast.named_parameters():
        torch.testing.assert_close(p.grad, 2 * once[name])
    torch.testing.assert_close(fast.nats(x, y), plain.nats(x, y), rtol=0, atol=0)
    assert fast.nats(x, y).requires_grad
    assert fast(x, y).item() == pytest.approx(fast.nats(x, y).mean().item(), rel=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("low", [torch.float32, torch.bfloat16])
def test_the_compiler_takes_all_and_changes_nothing(low: torch.dtype) -> None:
    """All but the machine code; that of the head is in the next test, that of a block takes a minute to make."""
    shape = TINY | {"num_layers": 1, "num_kv_heads": 1, "relu_slope": 0.5}
    _, fast, x, y = pair(shape, torch.float32, TO_COMPILE)
    _, compiled, _, _ = pair(shape, torch.float32, compiled_hands("aot_eager"))
    with torch.autocast("cpu", torch.bfloat16, enabled=low == torch.bfloat16):
        (loss, wanted), (found_loss, found) = gradients(fast, x, y), gradients(compiled, x, y)
    near = 1e-5 if low == torch.float32 else 0.01
    assert found_loss == pytest.approx(loss, rel=near)
    assert found.keys() == wanted.keys()
    for name, grad in wanted.items():
        assert float((found[name] - grad).norm()) < near * float(grad.norm()), name


@pytest.mark.slow
@pytest.mark.skipif(not compiles(os.environ.get("CXX", "g++")), reason="there is no C++ compiler")
def test_a_compiled_piece_of_the_head_is_the_same() -> None:
    torch.manual_seed(1)
    hidden, weight, goals = torch.randn(9, 8), torch.randn(21, 8), torch.randint(0, 21, (9, 1))
    scaled = weight.T.contiguous() / 15  # 2 / cap
    wanted = fast_head.piece_gradient(hidden, goals, scaled, weight, 30.0, torch.float32)
    found = compiled_hands().piece(hidden, goals, scaled, weight, 30.0, torch.float32)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("piece", [fast_head.piece_gradient, piece_in_one])
def test_extreme_logits_stay_finite(piece) -> None:
    hidden = torch.full((4, 8), 1e4).requires_grad_()
    weight = torch.cat((torch.ones(3, 8), -torch.ones(3, 8))).requires_grad_()
    targets = torch.tensor([0, 1, 4, 5])
    loss = fast_head.HeadLoss.apply(hidden, weight, targets, fast_head.CAP_LIMIT, None, piece)
    loss.backward()
    assert loss.item() == pytest.approx(40 + 1.0986123, rel=1e-6)  # half of the targets at -40, the others at +40
    assert torch.isfinite(hidden.grad).all()
    assert torch.isfinite(weight.grad).all()


def test_the_fast_model_is_chosen_only_where_it_is_known_to_be_right() -> None:
    cpu, cuda, config = torch.device("cpu"), torch.device("cuda"), RunConfig(**TINY)
    assert type(gpt_for(config, cpu, torch.float32)) is FastGPT
    assert type(gpt_for(config, cpu, torch.bfloat16)) is FastGPT
    assert type(gpt_for(config, cuda, torch.float32)) is GPT
    assert type(gpt_for(RunConfig(**TINY, logit_softcap=41.0), cpu, torch.float32)) is GPT
    assert type(gpt_for(RunConfig(**TINY, compile="on"), cpu, torch.float32)) is GPT


def test_the_compiler_is_asked_for_only_where_it_is_wanted_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for name in ("no-such-compiler", "false"):
        monkeypatch.setenv("CXX", name)
        made = gpt_for(RunConfig(**TINY), cpu, torch.float32)
        assert isinstance(made, FastGPT)
        assert made.hands is BY_HAND
        with pytest.raises(ModelError, match=f"and {name} is not there or does not work"):
            gpt_for(RunConfig(**TINY, kernels="compiled"), cpu, torch.float32)
    monkeypatch.setenv("CXX", "true")
    monkeypatch.setattr(torch, "compile", lambda function, **words: function)
    made = gpt_for(RunConfig(**TINY, kernels="compiled"), cpu, torch.float32)
    assert isinstance(made, FastGPT)
    assert made.hands.halves


def test_rounded_matrices_are_seen_in_the_untied_head_too() -> None:
    """With QAT every product sees the weights as the codec will keep them, the head's among them."""
    plain, fast, x, y = pair(TINY | {"tie_embeddings": False}, torch.float64)
    grid = Grid(4, 0.0)
    with seen_through(plain, grid.rounded), seen_through(fast, grid.rounded):
        (loss, wanted), (found_loss, found) = gradients(plain, x, y), gradients(fast, x, y)
        with torch.no_grad():
            torch.testing.assert_close(fast.nats(x, y), plain.nats(x, y), rtol=1e-12, atol=1e-12)
    assert found_loss == pytest.approx(loss, rel=1e-13)
    for name, grad in wanted.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")

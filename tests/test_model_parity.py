"""The model and its optimisers against the plain restatement, in float64, from equal weights on equal tokens."""

import numpy as np
import pytest
import torch

from model.config import RunConfig
from model.gpt import GPT, parameter_count
from model.optimisers import Gradients, make_optimisers
from model.plain import PlainTrainer, plain_logits, plain_loss, plain_newton_schulz
from model.schedule import momentum_at, rate_scale

TINY = {"vocab_size": 37, "num_layers": 5, "model_dim": 24, "num_heads": 6, "num_kv_heads": 2, "mlp_mult": 3}
SHAPES = {
    "odd layers, groups of three": TINY,
    "even layers, one kv head": TINY | {"num_layers": 2, "num_kv_heads": 1, "mlp_mult": 2},
    "one layer, as many kv heads": TINY | {"num_layers": 1, "num_kv_heads": 6},
    "untied": TINY | {"tie_embeddings": False},
    "other constants": TINY | {"rope_base": 500.0, "logit_softcap": 3.0, "qk_gain_init": 4.0},
}


def config_of(**changes: object) -> RunConfig:
    return RunConfig(train_seq_len=12, train_batch_tokens=48, micro_batches=1, **changes)  # type: ignore[arg-type]


def model_of(config: RunConfig) -> GPT:
    """A float64 model none of whose weights is at a special value: zeros would hide what they multiply."""
    torch.manual_seed(3)
    model = GPT(config).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


def batch_of(config: RunConfig, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.from_numpy(np.random.default_rng(seed).integers(0, config.vocab_size, (4, config.train_seq_len + 1)))
    return tokens[:, :-1], tokens[:, 1:]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_logits_loss_and_gradients_are_the_plain_ones(shape: dict[str, object]) -> None:
    config = config_of(**shape)
    model = model_of(config)
    plain = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    x, y = batch_of(config, 1)
    torch.testing.assert_close(model.logits(x).flatten(0, 1), plain_logits(plain, x, config), rtol=1e-11, atol=1e-11)
    ours, theirs = model(x, y), plain_loss(plain, x, y, config)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    ours.backward()
    theirs.backward()
    for name, p in model.named_parameters():
        if not p.numel():  # skip weights of a single layer
            continue
        assert p.grad is not None
        assert plain[name].grad is not None
        torch.testing.assert_close(p.grad, plain[name].grad, rtol=1e-9, atol=1e-13, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_first_optimiser_steps_are_the_plain_ones(shape: dict[str, object]) -> None:
    config = config_of(**shape, iterations=5, warmdown_iters=3, max_wallclock_seconds=0.0)
    model = model_of(config)
    plain = PlainTrainer(dict(model.named_parameters()), config, torch.float64)
    adam, muon = make_optimisers(model, config, torch.float64)
    gradients = Gradients(list(model.parameters()))
    for step in range(5):
        x, y = batch_of(config, step)
        scale, momentum = rate_scale(config, step, 0.0), momentum_at(config, step)
        gradients.clear()
        loss = model(x, y)
        loss.backward()
        for group in [*adam.param_groups, *muon.param_groups]:
            group["lr"] = group["base_lr"] * scale
        muon.param_groups[0]["momentum"] = momentum
        adam.step()
        muon.step()
        torch.testing.assert_close(loss.detach(), plain.step(x, y, scale, momentum), rtol=1e-9, atol=0)
        for name, p in model.named_parameters():
            torch.testing.assert_close(
                p.detach(), plain.p[name].detach(), rtol=1e-8, atol=1e-10, msg=lambda m, n=name, s=step: f"{s} {n}: {m}"
            )


def test_the_default_configuration_is_the_published_baseline() -> None:
    model = GPT(RunConfig())
    assert parameter_count(model) == 17_059_912
    names = dict(model.named_parameters())
    assert names["blocks.8.attn.c_k.weight"].shape == (256, 512)
    assert names["skip_weights"].shape == (4, 512)
    assert names["blocks.0.resid_mix"].shape == (2, 512)
    assert float(model.tok_emb.weight.detach().std()) == pytest.approx(0.005, rel=0.01)
    for name, p in names.items():
        if name.endswith("proj.weight"):
            assert not p.any(), name


def test_newton_schulz_pushes_singular_values_towards_one() -> None:
    torch.manual_seed(0)
    for shape in [(8, 8), (5, 9), (9, 5)]:
        done = plain_newton_schulz(torch.randn(shape, dtype=torch.float64), 5, torch.float64)
        values = torch.linalg.svdvals(done)
        assert float(values.min()) > 0.6, shape
        assert float(values.max()) < 1.3, shape

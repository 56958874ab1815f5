"""The parts that switches add, each against what it is said to compute."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compress.container import read_container, write_container
from model.config import RunConfig
from model.errors import ModelError
from model.evaluate import read_validation, score_sequential
from model.export import read_artifact, weights_in
from model.gpt import GPT
from model.head_extras import Exclusive, HeadGate, ValueBlend
from model.loops import block_order
from model.muon import NEWTON_SCHULZ, POLAR_EXPRESS, Muon, orthogonalised
from model.rounding import Grid, codec_grid, coding_bits, seen_through
from model.score import first_targets
from model.smear import Smear

REAL = os.environ.get("PGLAB_REAL_DATA", "")
SMALL: dict[str, Any] = {"vocab_size": 50, "num_layers": 2, "model_dim": 48, "num_heads": 2, "num_kv_heads": 1}
SMALL |= {"train_seq_len": 8, "train_batch_tokens": 8, "micro_batches": 1}


def small(**changes: Any) -> GPT:
    torch.manual_seed(6)
    model = GPT(RunConfig(**SMALL, **changes))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return model


def test_the_order_of_blocks() -> None:
    assert block_order(RunConfig(num_layers=3)) == (0, 1, 2)
    assert block_order(RunConfig(num_layers=3, loop_repeats=1)) == (0, 1, 2, 0, 1, 2)
    assert block_order(RunConfig(num_layers=5, loop_repeats=2, loop_start=1, loop_end=3)) == (0, 1, 2, 1, 2, 1, 2, 3, 4)
    for wrong in ({"loop_start": 9}, {"loop_start": 3, "loop_end": 3}, {"loop_end": 10}):
        with pytest.raises(ModelError, match="loop_start < loop_end <= num_layers"):
            RunConfig(**wrong)


def test_a_loop_is_a_deeper_model_with_equal_weights() -> None:
    looped = small(loop_repeats=1).double()
    deep = GPT(RunConfig(**{**SMALL, "num_layers": 4})).double()
    own = looped.state_dict()
    own |= {f"blocks.{int(k[7]) + 2}{k[8:]}": v for k, v in own.items() if k.startswith("blocks.")}
    deep.load_state_dict(own)
    ids = torch.randint(0, 50, (2, 8))
    torch.testing.assert_close(looped.logits(ids), deep.logits(ids), rtol=0, atol=0)


def heads(seed: int, kv: int = 2, per: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    sizes = [(2, kv * per, 5, 4), (2, kv, 5, 4), (2, 5, 7)]
    return tuple(torch.randn(size, generator=g, dtype=torch.float64) for size in sizes)  # type: ignore[return-value]


def test_exclusive_heads_bring_nothing_along_their_own_value() -> None:
    y, v, x = heads(1)
    out = Exclusive()(y, v, x)
    own = v.repeat_interleave(3, 1)
    assert (out * own).sum(-1).abs().max() < 1e-12
    torch.testing.assert_close(out + own * ((y * own).sum(-1) / (own * own).sum(-1))[..., None], y)


def test_a_head_s_gate_reads_the_first_channels_of_its_token() -> None:
    y, v, x = heads(2)
    gate = HeadGate(6, 2).double()
    torch.testing.assert_close(gate(y, v, x), y, rtol=0, atol=0)
    with torch.no_grad():
        gate.head_gate.normal_()
    wanted = [[2 * torch.sigmoid(x[0, t, :2] @ gate.head_gate[h]) * y[0, h, t] for t in range(5)] for h in range(6)]
    torch.testing.assert_close(gate(y, v, x)[0], torch.stack([torch.stack(row) for row in wanted]))


def test_values_blend_with_the_first_block_s() -> None:
    _, v, _ = heads(3)
    blend = ValueBlend().double()
    assert torch.equal(blend(v, v * 9), v)
    with torch.no_grad():
        blend.value_blend.copy_(torch.tensor([0.25, 0.5]))
    torch.testing.assert_close(blend(v, v * 2), v * 1.25)


def test_smear_takes_from_the_token_before_but_never_over_the_begin_of_a_document() -> None:
    _, _, x = heads(4)
    smear = Smear(3).double()
    before = torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
    ids = torch.tensor([[5, 6, 1, 7, 8], [1, 1, 3, 4, 5]])
    assert torch.equal(smear(x, before, ids), x)
    with torch.no_grad():
        smear.smear_scale.fill_(0.5)
        smear.smear_gate.normal_()
    out = smear(x, before, ids)
    assert torch.equal(out[ids == 1], x[ids == 1])
    gate = torch.sigmoid(x[0, 3, :3] @ smear.smear_gate)
    torch.testing.assert_close(out[0, 3], x[0, 3] + 0.5 * gate * x[0, 2])
    model = small(smear_width=3)
    one, two = torch.tensor([[5, 1, 6]]), torch.tensor([[9, 1, 6]])
    assert torch.equal(model.embedded(one)[:, 1:], model.embedded(two)[:, 1:])


def test_polar_express_comes_nearer_to_orthogonal_rows() -> None:
    torch.manual_seed(1)
    values = torch.logspace(-2.5, 0, 24, dtype=torch.float64)
    u, v = (torch.linalg.qr(torch.randn(24, 24, dtype=torch.float64))[0] for _ in range(2))
    stack = ((u * values) @ v.T)[None]
    errors = [
        float((torch.linalg.svdvals(orthogonalised(stack, steps, torch.float64, table)) - 1).abs().max())
        for steps, table in ((5, NEWTON_SCHULZ), (5, POLAR_EXPRESS), (9, POLAR_EXPRESS), (9, NEWTON_SCHULZ))
    ]
    assert errors[1] < 0.7 * errors[0]
    assert errors[2] < 1e-6 < 0.1 < errors[3]


def test_row_normalisation_forgets_the_length_of_each_row() -> None:
    torch.manual_seed(2)
    grad, moved = torch.randn(4, 6), []
    for lengths in (torch.ones(4), torch.tensor([1.0, 100.0, 0.01, 3.0])):
        p = torch.nn.Parameter(torch.zeros(4, 6))
        p.grad = grad * lengths[:, None]
        Muon([p], lr=1.0, momentum=0.9, dtype=torch.float32, row_norm=True).step()
        moved.append(p.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("codec", ["int6-row+zlib9", "int6-sigma+zlib9", "int4-row+zlib9"])
def test_what_the_loss_sees_is_what_comes_back_from_the_container(codec: str, tmp_path: Path) -> None:
    model, grid = small(), codec_grid(codec)
    weight = dict(model.named_parameters())["blocks.0.attn.c_q.weight"]
    arrays = {"blocks.0.attn.c_q.weight": weight.detach().numpy()}
    write_container(tmp_path / "w.pgc", arrays, codec)
    back = read_container(tmp_path / "w.pgc")["blocks.0.attn.c_q.weight"]
    np.testing.assert_allclose(grid.rounded(weight).detach().numpy(), back, rtol=1e-5, atol=1e-6)
    assert np.abs(back - weight.detach().numpy()).max() > 1e-3


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_toggling_the_rounding_changes_the_loss_and_leaves_the_weights(compiled: bool) -> None:
    model, grid = small(), codec_grid("int3-row+zlib9")
    loss = torch.compile(model, dynamic=False) if compiled else model
    ids, before = torch.randint(0, 50, (2, 9)), [p.detach().clone() for p in model.parameters()]
    values = []
    for seen in (None, grid.rounded, None):
        with seen_through(model, seen):
            values.append(loss(ids[:, :-1], ids[:, 1:]).item())
    assert values[0] == values[2]
    assert abs(values[0] - values[1]) > 1e-3
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    with seen_through(model, grid.rounded):
        loss(ids[:, :-1], ids[:, 1:]).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_estimated_bits_follow_the_real_entropy_and_have_a_gradient() -> None:
    generator, found = torch.Generator().manual_seed(3), []
    for heavy in (0.7, 1.0, 2.0):  # heavier tails: a wider step for the same mean size, fewer bits
        weight = torch.randn(64, 512, generator=generator).double()
        weight = weight.sign() * weight.abs() ** heavy
        grid = Grid(6, 0.0)
        q = (weight / grid.scales(weight)).round().long().flatten()
        share = torch.bincount(q - q.min()).double() / q.numel()
        found.append((float(grid.bits(weight)), float(-(share[share > 0] * share[share > 0].log2()).sum())))
    assert found[0][0] > found[1][0] > found[2][0]
    assert all(abs(estimate - real) < 0.4 for estimate, real in found)
    model = small()
    coding_bits(model, codec_grid("int6-row+zlib9")).backward()
    fc = dict(model.named_parameters())["blocks.0.mlp.fc.weight"]
    assert fc.grad is not None
    assert (fc.grad * fc).sum() > 0  # smaller weights cost less


def test_a_codec_without_rows_cannot_be_trained_for() -> None:
    with pytest.raises(ModelError, match="row-wise grid"):
        codec_grid("fp16+zlib9")


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="PGLAB_REAL_DATA is not set")
def test_a_public_looped_checkpoint_scores_as_its_owner_found(tmp_path: Path) -> None:
    (tmp_path / "fineweb_val_000000.bin").symlink_to(Path(REAL, "text/shards/fineweb_val_head_sp1024.bin").resolve())
    arrays = read_artifact(Path(REAL, "weights/montysteele_6Lx2_11.6M.int8.ptz"))
    config = RunConfig(num_layers=6, loop_repeats=1, loop_adapters=True, data_path=str(tmp_path),
                       tokenizer_path=str(Path(REAL, "tokenizers/fineweb_1024_bpe.model")))  # fmt: skip
    model = GPT(config)
    weights_in(model, arrays, "the public checkpoint")
    text = first_targets(read_validation(config), 16_384)
    assert score_sequential(model, text, 1024, 4096).bpb_table == pytest.approx(1.8223, abs=2e-4)

"""Test-time training learns from nothing before it is scored: the audit's own probe, and two learners that cheat."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from bpb_audit.behaviour import Documents, probe_causality, probe_normalisation, probe_repeat
from model.adapt import adapting_nats, score_adapting
from model.config import RunConfig
from model.evaluate import ValidationText, score_sequential
from model.gpt import GPT
from model.methods import score_by_method

V, LENGTH, ROWS, RATE = 13, 4, 2, 0.3
CONFIG = RunConfig(vocab_size=V, num_layers=2, model_dim=16, num_heads=2, num_kv_heads=1, train_seq_len=LENGTH,
                   train_batch_tokens=LENGTH, micro_batches=1, smear_width=3)  # fmt: skip


def model_of() -> GPT:
    torch.manual_seed(1)
    model = GPT(CONFIG).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return model


def documents() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [np.append(1, rng.integers(2, V, 4 * n * LENGTH)) for n in (2, 1)]


def scorer(learner: Callable[..., Iterator[Tensor]]) -> Callable[[Documents], Sequence[np.ndarray]]:
    """Each document a split of its own, its last sequence filled up with tokens that nobody scores."""
    model = model_of()

    def score(given: Documents) -> list[np.ndarray]:
        out = []
        for ids in given:
            filled = np.append(ids, np.zeros(-(len(ids) - 1) % LENGTH, np.int64))
            parts = [nats.flatten() for nats in learner(model, filled, LENGTH, ROWS, RATE)]
            out.append(torch.cat(parts).detach().numpy()[: len(ids) - 1])
        return out

    return score


def learns_first(model: GPT, tokens: np.ndarray, length: int, rows: int, rate: float) -> Iterator[Tensor]:
    """The classical cheat: two passes over the split, and only the second is scored."""
    for _ in adapting_nats(model, tokens, length, rows, rate):
        pass
    before = [p.detach().clone() for p in model.parameters()]
    ids = torch.from_numpy(tokens[: (len(tokens) - 1) // length * length + 1].astype(np.int64))
    x, y = ids[:-1].view(-1, length), ids[1:].view(-1, length)
    slopes = torch.autograd.grad(model(x, y), list(model.parameters()))
    with torch.no_grad():
        for p, slope in zip(model.parameters(), slopes, strict=True):
            p.sub_(slope, alpha=rate)
        yield model.nats(x, y)
        for p, old in zip(model.parameters(), before, strict=True):
            p.copy_(old)


def test_the_audit_s_probes_pass_on_it() -> None:
    score = scorer(adapting_nats)
    assert probe_causality(score, documents(), V, cuts=8, tolerance=1e-12).held
    assert probe_repeat(score, documents(), tolerance=0.0).held
    short = [ids[:10] for ids in documents()]
    assert probe_normalisation(score, short, V, tolerance=1e-9).held


def test_the_same_probe_catches_a_learner_that_scores_what_it_has_read() -> None:
    probe = probe_causality(scorer(learns_first), documents(), V, cuts=8)
    assert probe.held is False
    assert probe.worst > 1e-3


def test_it_learns_and_leaves_the_model_as_it_was() -> None:
    model, ids = model_of(), np.tile(documents()[0], 8)
    before = [p.detach().clone() for p in model.parameters()]
    nats = [float(part.mean()) for part in adapting_nats(model, ids, LENGTH, ROWS, RATE)]
    still = [float(part.mean()) for part in adapting_nats(model, ids, LENGTH, ROWS, 0.0)]
    assert nats[0] == still[0]
    assert nats[1] != still[1]
    assert np.mean(nats[-10:]) < 0.9 * np.mean(still[-10:])
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_a_rate_of_zero_is_the_sequential_evaluation() -> None:
    rng = np.random.default_rng(5)
    tokens = rng.integers(0, V, 103).astype(np.uint16)
    text = ValidationText(tokens, rng.integers(0, 9, 103).astype(np.uint16), rng.integers(0, 9, 103))
    model = model_of()
    plain = score_sequential(model, text, LENGTH, 16)
    found = score_adapting(model, text, LENGTH, ROWS, 0.0)
    assert (found.tokens, found.bytes_raw, found.bytes_table) == (plain.tokens, plain.bytes_raw, plain.bytes_table)
    assert found.nats == pytest.approx(plain.nats, rel=1e-12)
    halves = [score_adapting(model, text, LENGTH, ROWS, 0.1, rank, 2) for rank in range(2)]
    assert sum(half.tokens for half in halves) == plain.tokens


@pytest.mark.parametrize(
    ("method", "words"), [("sequential", "sequential"), ("sliding", "sliding, stride 2"), ("documents", "documents, s"),
                          ("adapting", "adapting, 8 sequences a step of rate 0.02")]
)  # fmt: skip
def test_every_method_has_its_name(method: str, words: str) -> None:
    tokens = np.array([1, *range(2, 12), 1, *range(2, 12)], np.uint16)
    text = ValidationText(tokens, None, np.ones(22, np.int64))
    sums, name = score_by_method(model_of(), text, replace(CONFIG, eval_method=method), 16)
    assert name.startswith(words)
    assert sums.tokens == (20 if method in ("sequential", "adapting") else 21)

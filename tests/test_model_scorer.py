"""A model that answers a prover: equal integers whichever way they are computed, rows apart, the future unseen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import RunConfig
from model.errors import ModelError
from model.evaluate import ValidationText
from model.fast import FastGPT
from model.gpt import GPT
from model.incremental import Incremental
from model.score import EVAL_TOKENS
from model.scorer_grid import distances, gaps, nats_of
from model.scorer_kv import GO_ON, IDLE, RESTART, KvScorer
from model.scorer_replay import ReplayScorer
from model.windows import score_windows, sequential_windows
from tests.test_model_switches import ALL

CONFIG = RunConfig(vocab_size=19, num_layers=3, model_dim=16, num_heads=4, num_kv_heads=2, train_seq_len=8,
                   train_batch_tokens=8, micro_batches=1)  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "untied": {"tie_embeddings": False, "num_layers": 4},
    "one head": {"num_heads": 1, "num_kv_heads": 1},
    **{name: {name: value} for name, value in ALL.items()},
    "all switches": ALL,
}


def model_of(**changes: Any) -> GPT:
    torch.manual_seed(1)
    model = GPT(replace(CONFIG, **changes))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


def some(rows: int, wide: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 19, (rows, wide))


def all_windows(scorer: KvScorer | ReplayScorer, tokens: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """The frames of a request put together, copied. (S, n, V)"""
    lengths = np.full(len(tokens), tokens.shape[1] - 1) if lengths is None else lengths
    return np.concatenate([part.copy() for part in scorer.windows(tokens, lengths)], axis=1)


def all_steps(scorer: KvScorer | ReplayScorer, tokens: np.ndarray) -> np.ndarray:
    """The same by steps. (S, n, V)"""
    flags = [np.full(len(tokens), GO_ON if t else RESTART, np.uint8) for t in range(tokens.shape[1] - 1)]
    return np.stack([scorer.step(tokens[:, t], flags[t]) for t in range(tokens.shape[1] - 1)], axis=1)


@given(st.lists(st.lists(st.floats(-30, 30) | st.sampled_from([-1e4, 0.0]), min_size=4, max_size=4), min_size=1))
def test_distances_are_steps_below_the_largest(rows: list[list[float]]) -> None:
    found = distances(gaps(torch.tensor(rows, dtype=torch.float64)))
    wanted = [[min(round(256 * (max(row) - one)), 65_535) for one in row] for row in rows]
    assert found.dtype == np.uint16
    assert found.tolist() == wanted
    assert (found.min(-1) == 0).all()


@given(st.integers(0, 999))
def test_nats_from_gaps_are_the_cross_entropy(seed: int) -> None:
    torch.manual_seed(seed)
    logits, targets = torch.randn(3, 4, 50, dtype=torch.float64) * 9, torch.randint(0, 50, (3, 4))
    wanted = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(3, 4)
    torch.testing.assert_close(nats_of(gaps(logits), targets), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_rest_and_restart_have_the_parallel_logits_of_their_own_past(shape: str) -> None:
    model = model_of(**SHAPES[shape]).double()
    running, rng = Incremental(model, 5, 8), np.random.default_rng(3)
    pasts: list[list[int]] = [[] for _ in range(5)]
    for t in range(24):
        aligned = t < 8  # all together first, then each for itself
        flags = [GO_ON if aligned else int(rng.choice([IDLE, GO_ON, GO_ON, GO_ON, RESTART])) for _ in pasts]
        flags = [RESTART if f == GO_ON and len(past) == 8 else f for f, past in zip(flags, pasts, strict=True)]
        flags[0] = flags[0] or RESTART
        ids = rng.integers(0, 19, 5)
        for past, flag, token in zip(pasts, flags, ids, strict=True):
            if flag == RESTART:
                past.clear()
            past += [int(token)] * (flag != IDLE)
        told = np.array(flags)
        logits = running.step(torch.from_numpy(ids), told == RESTART, told != IDLE)
        padded = torch.tensor([past + [0] * (8 - len(past)) for past in pasts])
        with torch.no_grad():
            whole = model.logits(padded)
        for row, past in enumerate(pasts):
            if flags[row] != IDLE:
                torch.testing.assert_close(logits[row], whole[row, len(past) - 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_and_steps_give_the_same_integers(shape: str) -> None:
    scorer, tokens = KvScorer(model_of(**SHAPES[shape]), 6, 8, torch.float64), some(6, 9)
    whole = all_windows(scorer, tokens)
    assert whole.shape == (6, 8, 19)
    assert np.array_equal(whole, all_steps(scorer, tokens))
    assert np.array_equal(whole[:, :3], all_windows(scorer, tokens[:, :4]))
    assert len(np.unique(whole)) > 100


def test_nats_are_the_parallel_pass_in_float64() -> None:
    model, tokens, lengths = model_of(), some(6, 9), np.array([8, 3, 0, 1, 8, 5])
    scorer = KvScorer(model, 6, 8, torch.float64)
    all_windows(scorer, tokens, lengths)
    ids = torch.from_numpy(tokens)
    wanted = model.nats(ids[:, :-1], ids[:, 1:]).detach().numpy()
    assert scorer.nats == pytest.approx([row[:n].sum() for row, n in zip(wanted, lengths, strict=True)], rel=1e-7)


def test_large_windows_come_in_several_frames_of_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, tokens = KvScorer(model_of(), 3, 8, torch.float64), some(3, 9)
    whole, nats = all_windows(scorer, tokens), scorer.nats
    monkeypatch.setattr("model.scorer_kv.HEAD_BYTES", 3 * 19 * 8 * 3)
    monkeypatch.setattr("model.scorer_kv.PASS_TOKENS", 8)
    parts = [part.copy() for part in scorer.windows(tokens, np.full(3, 8))]
    assert [part.shape[1] for part in parts] == [3, 3, 2]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    assert scorer.nats == pytest.approx(nats, rel=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_what_other_rows_read_changes_no_bit(dtype: torch.dtype) -> None:
    tokens = some(4, 9)
    other = np.concatenate([tokens[:1], some(3, 9, seed=5)])
    if dtype == torch.bfloat16:  # its coarse products as the evaluation has them
        scorers: list[Any] = [ReplayScorer(model_of(), 4, 8, dtype) for _ in range(2)]
    else:
        scorers = [KvScorer(model_of(), 4, 8, dtype) for _ in range(2)]
    one, two = (all_steps(scorer, given) for scorer, given in zip(scorers, (tokens, other), strict=True))
    assert np.array_equal(one[0], two[0])
    assert not np.array_equal(one[1], two[1])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(0, 99), st.sampled_from([torch.float32, torch.bfloat16]))
def test_replay_decodes_what_the_evaluations_pass_gave(n: int, seed: int, dtype: torch.dtype) -> None:
    scorer, tokens = ReplayScorer(model_of(), 3, 8, dtype), some(3, n + 1, seed)
    whole = all_windows(scorer, tokens)
    assert np.array_equal(whole, all_steps(scorer, tokens))


@pytest.mark.parametrize("count", [97, 129, 150])
@pytest.mark.parametrize("width", [16, 48])
@pytest.mark.parametrize("fast", [False, True])
def test_replay_has_the_nats_of_the_evaluation_to_the_bit(count: int, width: int, fast: bool) -> None:
    def loaded() -> GPT:
        plain = model_of(model_dim=width)
        model = FastGPT(plain.config) if fast else plain
        model.load_state_dict(plain.state_dict())
        return model

    model, rows = loaded(), 4
    tokens = some(1, count)[0]
    text = ValidationText(tokens.astype(np.uint16), None, np.ones(count, np.int64))
    wanted = score_windows(model, text, sequential_windows(count, 8), rows * 8).nats
    scorer, total = ReplayScorer(loaded(), rows, 8, torch.float32), 0.0
    for first in range(0, (count - 1) // 8, rows):
        there = min(rows, (count - 1) // 8 - first)
        given = np.zeros((rows, 9), np.int64)
        given[:there] = [tokens[8 * w : 8 * w + 9] for w in range(first, first + there)]
        all_windows(scorer, given, np.array([8] * there + [0] * (rows - there)))
        total += float(scorer.scored.double()[:there].sum())
    assert total == wanted
    assert EVAL_TOKENS["cpu"] // 128 == 32


def test_a_look_ahead_shows_in_replay_and_between_windows_and_steps() -> None:
    class Peeking(GPT):
        def hidden(self, ids: torch.Tensor) -> torch.Tensor:
            coming = F.pad(ids[:, 1:], (0, 1))
            return super().hidden(ids) + 0.1 * self.tok_emb(coming)

    def peeking() -> GPT:
        model = Peeking(CONFIG)
        model.load_state_dict(model_of().state_dict())
        return model

    tokens = some(3, 9)
    for scorer in (ReplayScorer(peeking(), 3, 8, torch.float32), KvScorer(peeking(), 3, 8, torch.float64)):
        assert (all_windows(scorer, tokens)[:, 0] != all_steps(scorer, tokens)[:, 0]).any()


def test_what_cannot_be_asked_is_a_sentence() -> None:
    for scorer in (KvScorer(model_of(), 2, 8, torch.float64), ReplayScorer(model_of(), 2, 8, torch.float32)):
        with pytest.raises(ModelError, match="step"):
            scorer.step(np.zeros(2, np.int64), np.zeros(2, np.uint8))
        all_steps(scorer, some(2, 9))
        with pytest.raises(ModelError):
            scorer.step(np.zeros(2, np.int64), np.ones(2, np.uint8))
    assert not KvScorer(model_of(), 2, 8, torch.float32).bulk

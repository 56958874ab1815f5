"""Evaluation plans: each target exactly once, no look at what is not allowed, sums equal to a slow reference."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.config import RunConfig
from model.errors import ModelError
from model.evaluate import ValidationText, score_sequential
from model.gpt import GPT
from model.incremental import Incremental, score_incremental
from model.windows import (
    Windows,
    check_coverage,
    document_windows,
    score_windows,
    sequential_windows,
    sliding_windows,
)

CONFIG = RunConfig(vocab_size=19, num_layers=3, model_dim=16, num_heads=4, num_kv_heads=2, train_seq_len=8,
                   train_batch_tokens=8, micro_batches=1)  # fmt: skip


def model_of(config: RunConfig = CONFIG) -> GPT:
    torch.manual_seed(1)
    model = GPT(config).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


def text_of(count: int, seed: int = 0) -> ValidationText:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 19, count).astype(np.uint16)
    tokens[0] = 1
    return ValidationText(tokens, rng.integers(0, 9, count).astype(np.uint16), rng.integers(0, 9, count))


def slow_sum(model: GPT, text: ValidationText, windows: Windows) -> tuple[float, int, int, int]:
    """The plan carried out one target at a time, each from its own context alone."""
    nats, counted = 0.0, np.zeros(3, np.int64)
    for start, first, stop in zip(windows.start, windows.first, windows.stop, strict=True):
        for target in range(first, stop + 1):
            seen = torch.from_numpy(text.tokens[start:target].astype(np.int64))[None]
            with torch.no_grad():
                nats -= float(torch.log_softmax(model.logits(seen)[0, -1], -1)[int(text.tokens[target])])
            counted += 1, int(text.raw[target]), int(text.table[target])
    return nats, *(int(c) for c in counted)


@given(st.integers(2, 200), st.integers(1, 40), st.data())
def test_sliding_windows_score_every_target_once_with_context(count: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, length))
    windows = sliding_windows(count, length, stride)
    check_coverage(windows, count - 1)
    assert (windows.stop - windows.start <= length).all()
    later = windows.first[1:] - windows.start[1:]  # tokens a target has before it
    assert (later >= min(length - stride + 1, count - 1)).all()
    assert windows.start.size == 1 + max(0, -(-(count - 1 - length) // stride))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=120), st.integers(1, 20), st.data())
def test_document_windows_stay_in_their_document(tokens: list[int], length: int, data: st.DataObject) -> None:
    ids = np.array(tokens, np.uint16)
    if 1 not in tokens:
        with pytest.raises(ModelError, match="no token 1"):
            document_windows(ids, 1, length, 1)
        return
    windows = document_windows(ids, 1, length, data.draw(st.integers(1, length)))
    check_coverage(windows, len(tokens) - 1)
    for start, stop in zip(windows.start, windows.stop, strict=True):
        assert 1 not in tokens[start + 1 : stop]  # a begin may be read first and scored last, never in between


def test_a_plan_with_a_hole_or_a_double_is_refused() -> None:
    good = sequential_windows(33, 8)
    check_coverage(good, 32)
    for part, value in (("first", 2), ("stop", 7), ("stop", 9), ("start", 1), ("stop", 99), ("start", -1)):
        spoilt = Windows(*(getattr(good, p).copy() for p in ("start", "first", "stop")))
        getattr(spoilt, part)[0] = value
        with pytest.raises(ModelError):
            check_coverage(spoilt, 32)


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_every_method_gives_the_slow_sum(stride: int) -> None:
    model, text = model_of(), text_of(83)
    plans = {
        "sequential": sequential_windows(83, 8),
        "sliding": sliding_windows(83, 8, stride),
        "documents": document_windows(text.tokens, 1, 8, stride),
    }
    for name, plan in plans.items():
        found = score_windows(model, text, plan, 40)
        nats, tokens, raw, table = slow_sum(model, text, plan)
        assert found.nats == pytest.approx(nats, rel=1e-12), name
        assert (found.tokens, found.bytes_raw, found.bytes_table) == (tokens, raw, table), name


def test_sequential_windows_are_the_challenges_evaluation() -> None:
    model, text = model_of(), text_of(100)
    ours, theirs = score_windows(model, text, sequential_windows(100, 8), 24), score_sequential(model, text, 8, 24)
    assert ours.nats == pytest.approx(theirs.nats, rel=1e-12)
    assert (ours.tokens, ours.bytes_raw, ours.bytes_table) == (theirs.tokens, theirs.bytes_raw, theirs.bytes_table)


def test_ranks_share_a_plan_out_completely() -> None:
    model, text = model_of(), text_of(90)
    plan = sliding_windows(90, 8, 3)
    whole = score_windows(model, text, plan, 64)
    parts = [score_windows(model, text, plan, 64, rank, 3) for rank in range(3)]
    assert sum(p.nats for p in parts) == pytest.approx(whole.nats, rel=1e-12)
    assert sum(p.bytes_table for p in parts) == whole.bytes_table


def test_a_bad_stride_is_one_sentence() -> None:
    for stride in (0, 9):
        with pytest.raises(ModelError, match="wanted 1 to the sequence length"):
            sliding_windows(50, 8, stride)


@pytest.mark.parametrize(
    "changes", [{}, {"tie_embeddings": False, "num_layers": 4}, {"relu_slope": 0.5, "rope_dims": 2}]
)
def test_one_token_at_a_time_gives_the_parallel_logits(changes: dict[str, object]) -> None:
    from dataclasses import replace

    model = model_of(replace(CONFIG, **changes))  # type: ignore[arg-type]
    ids = torch.randint(0, 19, (5, 13))
    running = Incremental(model, 5, 12)
    stepped = torch.stack([running.step(ids[:, t]) for t in range(12)], dim=1)
    torch.testing.assert_close(stepped, model.logits(ids[:, :-1]).detach(), rtol=0, atol=1e-12)
    wanted = model.nats(ids[:, :-1], ids[:, 1:]).detach()
    torch.testing.assert_close(score_incremental(model, ids), wanted, rtol=0, atol=1e-12)
    with pytest.raises(ModelError, match="make a longer one"):
        running.step(ids[:, 0])


def test_stepping_is_bit_equal_for_equal_streams_and_never_sees_the_future() -> None:
    model = model_of()
    ids = torch.randint(0, 19, (4, 9))
    other = ids.clone()
    other[:, 5:] = (other[:, 5:] + 1) % 19
    one, two, three = (Incremental(model, 4, 9) for _ in range(3))
    for t in range(9):
        a, b, c = one.step(ids[:, t]), two.step(ids[:, t]), three.step(other[:, t])
        assert torch.equal(a, b)
        assert t >= 5 or torch.equal(a, c)


def test_a_method_by_name_and_unknown_ones() -> None:
    from model.methods import plan_of

    text = text_of(50)
    assert plan_of("sequential", 0, text, 8)[1] == "sequential"
    windows, name = plan_of("sliding", 0, text, 8)
    assert name == "sliding, stride 4"
    check_coverage(windows, 49)
    assert plan_of("documents", 2, text, 8)[1] == "documents, stride 2"
    with pytest.raises(ModelError, match="no method is called 'ttt'"):
        plan_of("ttt", 0, text, 8)

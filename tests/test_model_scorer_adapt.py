"""A scorer that learns while it scores: score first, learn after, and nothing but the past in any number."""

import numpy as np
import pytest
import torch

from model.scorer_adapt import AdaptingStream
from tests.test_model_scorer import model_of, some


def stream(rate: float) -> AdaptingStream:
    return AdaptingStream(model_of(), 8, rate)


def said(one: AdaptingStream, tokens: list[int]) -> np.ndarray:
    return np.stack([one.next_distribution(token) for token in tokens])


def test_without_learning_it_is_the_parallel_pass_window_by_window() -> None:
    tokens = some(1, 24)[0]
    with torch.no_grad():
        logits = model_of().double().logits(torch.from_numpy(tokens).view(3, 8)).view(24, 19)
    found = said(stream(0.0), tokens.tolist())
    assert np.abs(found - torch.log_softmax(logits, -1).numpy()).max() < 1e-12
    assert np.exp(found).sum(-1) == pytest.approx(np.ones(24))


def test_each_window_is_scored_before_it_is_learnt_from() -> None:
    tokens = some(1, 24)[0].tolist()
    still, learning = said(stream(0.0), tokens), said(stream(0.1), tokens)
    assert np.array_equal(still[:8], learning[:8])
    assert (np.abs(still[8:] - learning[8:]).max(-1) > 1e-6).all()


def test_the_same_past_gives_the_same_bits_whatever_comes_after() -> None:
    one, other = some(2, 40).tolist()
    fork = one[:21] + other[21:]
    first, again, forked = (said(stream(0.1), tokens) for tokens in (one, one, fork))
    assert np.array_equal(first, again)
    assert np.array_equal(first[:21], forked[:21])
    assert not np.array_equal(first[21], forked[21])


def test_it_learns_what_repeats() -> None:
    tokens = [2, 7, 3, 11, 5] * 40
    bits = {}
    for rate in (0.0, 0.1):
        given = said(stream(rate), tokens)[:-1]
        bits[rate] = -given[np.arange(199), tokens[1:]][-50:].mean()
    assert bits[0.1] < 0.5 * bits[0.0]

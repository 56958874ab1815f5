"""A scorer that learns while it scores: score first, learn after, and nothing but the past in any number."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bpb_audit.prove_cli import main as prove
from model.adapt import adapting_nats
from model.scorer_adapt import AdaptingStream, AdaptScorer
from model.scorer_kv import GO_ON, IDLE, RESTART
from tests.proof_makers import tiny_tour
from tests.test_model_scorer import model_of, some


def stream(rate: float) -> AdaptingStream:
    return AdaptingStream(model_of(), 8, 1, rate)


def said(one: AdaptingStream, tokens: list[int]) -> np.ndarray:
    return np.stack([one.next_distribution(token) for token in tokens])


def test_without_learning_it_is_the_parallel_pass_window_by_window() -> None:
    tokens = some(1, 24)[0]
    with torch.no_grad():
        logits = model_of().double().logits(torch.from_numpy(tokens).view(3, 8)).view(24, 19)
    found = said(stream(0.0), tokens.tolist())
    assert np.abs(found - torch.log_softmax(logits, -1).numpy()).max() < 1e-12
    assert np.exp(found).sum(-1) == pytest.approx(np.ones(24))


@pytest.mark.parametrize("windows", [1, 3])
def test_it_is_the_adapting_evaluation_token_by_token(windows: int) -> None:
    tokens = some(1, 81)[0]
    given = said(AdaptingStream(model_of(), 8, windows, 0.05), tokens[:-1].tolist())
    found = -given[np.arange(80), tokens[1:]]
    wanted = np.concatenate([n.numpy().ravel() for n in adapting_nats(model_of().double(), tokens, 8, windows, 0.05)])
    assert np.abs(found - wanted).max() < 1e-10


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


def test_rows_learn_each_for_itself_and_forget_when_told() -> None:
    tokens = some(2, 30)
    scorer, alone = AdaptScorer(model_of(adapt_windows=1, adapt_rate=0.1), 2, 8), stream(0.1)
    for t in range(29):
        flags = np.array([RESTART if t in (0, 12) else GO_ON, RESTART if not t else GO_ON if t % 3 else IDLE], np.uint8)
        found = scorer.step(tokens[:, t], flags).copy()
        if t == 12:
            alone = stream(0.1)
        wanted = alone.next_distribution(int(tokens[0, t]))
        assert np.array_equal(found[0], np.rint((wanted.max() - wanted) * 256).astype(np.uint16))


@pytest.mark.slow
def test_a_proof_with_it_is_written_and_restored_and_smaller_than_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, bits = tiny_tour(tmp_path), {}
    capsys.readouterr()
    artifact, shards = str(home / "train/final_model.pgc"), str(home / "shards")
    for path in ("kv", "adapt"):
        proof = str(tmp_path / f"{path}.pgp")
        scorer = f"'{sys.executable}' -m model.scorer {{artifact}} --rows {{rows}} --path {path}"
        shared = ["--command", scorer, "--workers", "1", "--json"]
        given = ["--docs", str(home / "corpus/docs.jsonl"), "--shards", shards, "--rows", "2"]
        assert prove(["write", artifact, *given, "--out", proof, *shared]) == 0
        bits[path] = json.loads(capsys.readouterr().out)["bits"]
        assert prove(["check", proof, artifact, "--vocab", shards, *shared]) == 0
        assert json.loads(capsys.readouterr().out)["wrong"] == []
    assert bits["adapt"] < 0.9 * bits["kv"]

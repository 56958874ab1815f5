"""The coverage ledger against counting every target one by one, and the windows of the public evaluations."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.coverage import ledger, plain_windows, sliding_windows
from bpb_audit.errors import AuditError
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Verdict
from bpb_audit.rules import all_rules, run_rule
from tests.audit_makers import DOCS, greedy, honest_sidecar, model_bytes, plain_pieces, write_set


def slow(targets: int, windows: list[tuple[int, int, int]]) -> tuple[int, int, int, int]:
    """(once, missed before the last scored one, more than once, tail) by a counter for each target."""
    times = [0] * targets
    for _, first, end in windows:
        for target in range(first, end):
            times[target] += 1
    last = max((end for _, _, end in windows), default=0)
    return times.count(1), times[:last].count(0), sum(t > 1 for t in times), targets - last


windows_of = st.integers(1, 40).flatmap(
    lambda targets: st.tuples(
        st.just(targets),
        st.lists(
            st.tuples(st.integers(0, targets), st.integers(0, targets), st.integers(0, targets)).map(
                lambda w: tuple(sorted(w))
            ),
            max_size=8,
        ),
    )
)


@given(windows_of)
def test_the_ledger_agrees_with_counting_one_by_one(case: tuple[int, list[tuple[int, int, int]]]) -> None:
    targets, windows = case
    book = ledger(targets, windows)
    assert (book.scored, book.missed, book.repeated, book.tail) == slow(targets, windows)
    assert (book.first_missed is None) == (book.missed == 0)
    assert (book.first_repeated is None) == (book.repeated == 0)


@given(st.integers(0, 300), st.integers(1, 40))
def test_a_plain_evaluation_scores_whole_sequences_once(targets: int, seq_len: int) -> None:
    book = ledger(targets, plain_windows(targets, seq_len))
    assert book.whole
    assert book.scored == targets // seq_len * seq_len
    assert book.tail == targets % seq_len


@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 20))
def test_a_sliding_evaluation_by_context_scores_everything_once(targets: int, stride: int, context: int) -> None:
    seq_len = stride + context
    book = ledger(targets, sliding_windows(targets, seq_len, stride, "context"))
    if targets > context:
        assert book.whole
        assert (book.scored, book.tail) == (targets, 0)


def test_public_endings_score_the_end_more_than_once_or_leave_a_tail() -> None:
    partial = ledger(1000, sliding_windows(1000, 64, 16, "partial"))
    assert partial.repeated > 0
    assert partial.missed == 0
    whole_strides = ledger(1000, sliding_windows(1000, 64, 16, "stride"))
    assert whole_strides.missed == 0
    assert whole_strides.repeated > 0


def test_one_window_in_many_and_heads_left_out_are_seen() -> None:
    every_fourth = plain_windows(1000, 10)[::4]
    assert ledger(1000, every_fourth).missed == 720
    headless = plain_windows(1000, 10) + np.array([0, 2, 0])
    book = ledger(1000, headless)
    assert (book.missed, book.first_missed) == (200, 0)
    assert not book.whole


@pytest.mark.parametrize("windows", [[(0, 0, 11)], [(5, 4, 6)], [(0, 6, 5)], [(-1, -1, 3)]])
def test_impossible_windows_raise_the_one_error(windows: list[tuple[int, int, int]]) -> None:
    with pytest.raises(AuditError, match="windows"):
        ledger(10, windows)


def test_impossible_strides_raise_the_one_error() -> None:
    with pytest.raises(AuditError, match="stride"):
        sliding_windows(10, 4, 5)
    with pytest.raises(AuditError, match="ending"):
        sliding_windows(10, 4, 2, "sometimes")


@pytest.mark.parametrize(("seq_len", "stride", "verdict"), [(8, None, "PASS"), (16, 4, "PASS"), (10_000, None, "FAIL")])
def test_the_rule_tells_the_tail_in_tokens_and_bytes(tmp_path: Path, seq_len: int, stride, verdict: str) -> None:
    pieces = plain_pieces()
    folder = write_set(tmp_path, DOCS, greedy(pieces), model_bytes(pieces), sidecar=honest_sidecar)
    [rule] = [rule for rule in all_rules() if rule.code == "PG501"]
    evidence = Evidence(folder, docs=folder / "docs.jsonl", shards=folder, seq_len=seq_len, stride=stride)
    [finding] = run_rule(rule, evidence)
    assert finding.verdict is Verdict(verdict)
    if verdict == "PASS":
        assert "tail" in finding.found
        assert "sidecar" in finding.found
    [asked] = run_rule(rule, Evidence(folder / "nothing", shards=folder))
    assert asked.verdict is Verdict.UNCHECKED
    assert "--seq-len" in asked.fix


def test_the_real_splits_scored_targets() -> None:
    """The published counts: tokens of the split, sequence length, targets scored."""
    from bpb_audit.recount import scored_targets

    assert scored_targets(62_021_846, 1024) == 62_021_632
    assert scored_targets(40_540_803, 2048) == 40_540_160
    assert scored_targets(47_853_344, 2048) == 47_851_520

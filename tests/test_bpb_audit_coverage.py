"""The coverage ledger against counting every target one by one, and the windows of the public evaluations."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.coverage import ledger, plain_windows, sliding_windows
from bpb_audit.errors import AuditError
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Finding, Verdict
from bpb_audit.rules import all_rules, run_rule
from bpb_audit.shard_reader import read_header
from tests.audit_makers import DOCS, greedy, honest_sidecar, model_bytes, plain_pieces, write_set
from tests.audit_submissions import Run, write


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


def covered(folder: Path, seq_len: int | None, stride: int | None = None) -> Finding:
    [rule] = [rule for rule in all_rules() if rule.code == "PG501"]
    evidence = Evidence(folder / "record", docs=folder / "docs.jsonl", shards=folder, seq_len=seq_len, stride=stride)
    [finding] = run_rule(rule, evidence)
    return finding


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """All documents and their record folder, whose log states no tokens yet."""
    pieces = plain_pieces()
    write(tmp_path / "record", [Run(states_tokens=False)])
    return write_set(tmp_path, DOCS, greedy(pieces), model_bytes(pieces), sidecar=honest_sidecar)


def state(folder: Path, tokens: int) -> None:
    write(folder / "record", [Run(tokens=tokens)])


@pytest.mark.parametrize(("seq_len", "stride"), [(8, None), (16, 4), (16, 16)])
def test_the_rule_passes_when_the_log_states_the_targets_of_the_ledger(shards: Path, seq_len: int, stride) -> None:
    targets = read_header(shards / "fineweb_val_000000.bin") - 1
    plain = targets // seq_len * seq_len
    state(shards, plain)
    finding = covered(shards, seq_len, stride)
    assert finding.verdict is Verdict.PASS, finding
    assert f"would score {plain:,} targets" in finding.says
    assert f"tail {targets - plain:,} tokens" in finding.found
    assert "sidecar" in finding.found


@pytest.mark.parametrize("off", [-8, -1, 1, 8])
def test_another_number_of_targets_is_told_and_nobody_accused(shards: Path, off: int) -> None:
    plain = (read_header(shards / "fineweb_val_000000.bin") - 1) // 8 * 8
    state(shards, plain + off)
    finding = covered(shards, 8)
    assert finding.verdict is Verdict.UNCHECKED
    assert f"a plain evaluation at 8 would score {plain:,} targets" in finding.says
    assert f"states {plain + off:,}" in finding.says
    assert "document-wise" in finding.says


def test_what_no_log_states_is_unchecked(shards: Path) -> None:
    finding = covered(shards, 8)
    assert finding.verdict is Verdict.UNCHECKED
    assert "no log states" in finding.says
    assert covered(shards, 10_000).verdict is Verdict.UNCHECKED
    (shards / "record").rename(shards / "elsewhere")
    asked = covered(shards, None)
    assert asked.verdict is Verdict.UNCHECKED
    assert "--seq-len" in asked.fix
    assert covered(shards, 8).verdict is Verdict.UNCHECKED


def test_the_real_splits_scored_targets() -> None:
    """The published counts: tokens of the split, sequence length, targets scored."""
    from bpb_audit.recount import scored_targets

    assert scored_targets(62_021_846, 1024) == 62_021_632
    assert scored_targets(40_540_803, 2048) == 40_540_160
    assert scored_targets(47_853_344, 2048) == 47_851_520

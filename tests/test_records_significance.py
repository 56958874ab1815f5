"""Significance: the known answers, an outside judge, and what may not be claimed."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from records.errors import RecordError
from records.samples import sample_of
from records.significance import LN2, Sample, compare, describe, gain_test, seeds_needed
from records.significance_report import report_of, verdict

# bits per byte by seed, from the logs of public records
A2_MUON = (1.07928321, 1.08024821, 1.07996676)
THREE_LAYER = (1.08103088, 1.08079422, 1.08118354)
CLIP12 = (1.06356801, 1.06413130, 1.06466987, 1.06509656, 1.06516585)
CASEOPS = (1.06610025, 1.06473126, 1.06562703)


def welch(new, old, margin):
    """scipy's own Welch test, as a judge."""
    return stats.ttest_ind([x - margin for x in old], new, equal_var=False, alternative="greater")


def test_the_two_known_answers():
    assert gain_test(list(A2_MUON), list(THREE_LAYER), 0.0, "bits per byte").p == pytest.approx(0.0203, abs=5e-4)
    assert gain_test(list(CLIP12), list(CASEOPS), 0.0, "bits per byte").p == pytest.approx(0.0626, abs=5e-4)


runs = st.lists(st.floats(0.5, 2.5), min_size=2, max_size=7).filter(lambda v: max(v) - min(v) > 1e-3)


@given(runs, runs, st.sampled_from([0.0, 0.005]))
def test_welch_agrees_with_scipy(new, old, margin):
    ours, theirs = gain_test(new, old, margin, "x"), welch(new, old, margin)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert ours.df == pytest.approx(theirs.df, rel=1e-6)


@given(runs, st.floats(0.5, 2.5))
def test_one_sample_agrees_with_scipy(new, number):
    theirs = stats.ttest_1samp(new, number - 0.005, alternative="less")
    assert gain_test(new, [number], 0.005, "x").p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)


def test_three_units_are_three_questions():
    new = Sample("new", (1.10, 1.1001, 1.1002), (1.8575, 1.8577, 1.8579))
    old = Sample("old", (1.1050, 1.1052, 1.1053), (1.8660, 1.8663, 1.8664))
    by = {t.unit: t for t in compare(new, old)}
    assert by["nats per byte"].gain == pytest.approx(by["bits per byte"].gain * LN2)
    assert by["nats per byte"].p > 0.01  # 0.0035 nats per byte
    assert by["nats per token"].p < 0.01  # 0.0085 nats per token
    shown, says = verdict(compare(new, old), 0.005)
    assert not shown
    assert "nats per byte" in says
    assert "more seeds will not help" in says


def test_losses_of_other_tokens_are_not_compared():
    new = Sample("new", (1.08, 1.081), (2.79, 2.79))
    old = Sample("old", (1.12, 1.121), (1.89, 1.89))
    token = compare(new, old)[1]
    assert token.p is None
    assert "different tokens" in token.why
    assert compare(new, Sample("x", (1.12,)))[1].p is None


def test_one_run_shows_nothing():
    result = gain_test([1.0], [1.1, 1.2], 0.005, "x")
    assert result.p is None
    assert "one new run" in result.why
    assert gain_test([1.0, 1.0], [1.1, 1.1], 0.005, "x").p is None
    with pytest.raises(RecordError):
        gain_test([], [1.0], 0.005, "x")


def test_sd_is_the_samples_own():
    assert describe([1.0, 2.0, 4.0])[1] == statistics.stdev([1.0, 2.0, 4.0])


def test_the_seeds_needed_have_the_power_they_promise():
    """Simulated: with n runs the test finds the effect about four times in five, with n - 1 less often."""
    import numpy as np

    rng = np.random.default_rng(7)
    effect, sd, old = 0.002, 0.001, (1.0, None, 1)
    n = seeds_needed(effect, (0.0, sd, 3), old)
    assert n is not None

    def found(count):
        draws = rng.normal(0.0, sd, (20_000, count))
        t = (effect - draws.mean(1)) / (draws.std(1, ddof=1) / math.sqrt(count))
        return float((stats.t.sf(t, count - 1) < 0.01).mean())

    assert found(n) >= 0.79
    assert found(n - 1) < 0.81
    assert seeds_needed(-0.001, (0.0, sd, 3), old) is None


def test_numbers_are_taken_and_nonsense_is_not():
    assert sample_of("1.2244")[0].bpb == (1.2244,)
    assert sample_of("1.2,1.3")[0].bpb == (1.2, 1.3)
    for nonsense in ("", "abc", "-1", "1.2,x", "nan", "1e9", "/no/such/folder"):
        with pytest.raises(RecordError, match="neither a record folder"):
            sample_of(nonsense)


def test_the_report_holds_the_tests_and_what_could_mislead():
    new, old = Sample("new", (1.0, 1.001, 1.002)), Sample("old", (1.1,))
    report = report_of(new, old, compare(new, old), ["old: one claimed number"], 0.005)
    assert report.status == 0
    assert report.sentences == [verdict(compare(new, old), 0.005)[1]]
    assert "mind: old: one claimed number" in report.notes
    assert [row["unit"] for row in report.tables[0].rows] == [one["unit"] for one in report.data["tests"]]


@pytest.mark.parametrize("margin", [-1.0, math.nan, math.inf])
def test_a_margin_that_is_none_is_a_sentence(margin):
    with pytest.raises(RecordError, match="a margin is a number of 0 or more"):
        gain_test([1.0, 1.1], [1.2, 1.3], margin, "bits per byte")

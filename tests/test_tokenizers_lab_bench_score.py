"""The validation of the score: correlations against scipy, equal sizes, what is refused, and one small run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import pglab
from tokenizers_lab.bench_score import LAYERS, VOCABULARIES, Trained, measure, width_for
from tokenizers_lab.bench_score_report import correlations, report_of
from tokenizers_lab.builders import EVERY
from tokenizers_lab.errors import VocabError
from tokenizers_lab.rank_correlation import spearman


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=12))
def test_rho_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert spearman(a, b).rho == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)


def test_p_is_near_the_exact_one_and_the_interval_holds_rho() -> None:
    a, b = [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5]
    found = spearman(a, b)
    wanted = stats.permutation_test(
        (b,), lambda y: stats.spearmanr(a, y).statistic, permutation_type="pairings", n_resamples=np.inf
    ).pvalue
    assert found.p == pytest.approx(wanted, abs=0.005)
    assert found.low <= found.rho <= found.high
    assert spearman(a, a[::-1]).rho == pytest.approx(-1)
    with pytest.raises(ValueError, match="three at least"):
        spearman([1, 2], [1, 2])


@pytest.mark.parametrize("size", [260, 512, 1024, 4096, 8192])
def test_models_are_of_equal_size(size: int) -> None:
    width = width_for(size, 700_000)
    assert width % 4 == 0
    assert abs(size * width + LAYERS * 7 * width * width - 700_000) / 700_000 < 0.025


def test_the_default_vocabularies_can_be_trained() -> None:
    assert len(VOCABULARIES) >= 8
    assert {word.split(":")[0] for word in VOCABULARIES} <= set(EVERY)


def rows() -> list[Trained]:
    return [
        Trained(f"v{i}", 1000 - i, 8, 100 + i, 1.5 + i / 10, None if i == 0 else 1.3 + i / 10, 2.0 - i, 1.1 + i, 0.3)
        for i in range(5)
    ]


def test_the_report_says_the_correlation_whatever_it_is() -> None:
    found = correlations(rows())
    assert found["in_artifact"].count == 4, "a vocabulary without room has no prediction"
    assert (found["unlimited"].rho, found["standard"].rho) == (pytest.approx(1), pytest.approx(-1))
    made = report_of(rows(), 700_000, 600, [1])
    assert "rho -1.000" in made.sentences[0]
    assert [row["name"] for row in made.tables[0].rows] == [f"v{i}" for i in range(5)]


def test_seeds_are_ranked_each_and_by_their_mean() -> None:
    more = [replace(row, by_seed=(row.measured, 3 - row.measured)) for row in rows()]
    made = report_of(more, 700_000, 600, [1, 2])
    assert made.data["rank_by_seed"]["1"]["standard"]["rho"] == pytest.approx(-1)
    assert made.data["rank_by_seed"]["2"]["standard"]["rho"] == pytest.approx(1)
    assert {row["key"]: row["by_seed"] for row in made.tables[1].rows}["standard"] == "-1.000, +1.000"
    assert "seeds 1, 2" in made.tables[0].title


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bpe"], "KIND:SIZE"),
        (["no:300"], "KIND:SIZE"),
        (["bpe:300", "bpe:-1"], "KIND:SIZE"),
        (["bpe:300"], "3, 10,000"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(words: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(VocabError, match=says):
        measure(words, tmp_path / "no", None, 700_000, 600, [1])
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_a_small_run_ends_and_is_not_done_again(small_lab: Path, tmp_path: Path, capsys) -> None:
    line = ["bench", "score", "--folder", str(tmp_path), "--docs", str(small_lab / "corpus/docs.jsonl"), "--json"]
    line += ["--vocabularies", "bpe:300", "--vocabularies", "bpe:400", "--vocabularies", "bytes:260"]
    line += ["--parameters", "20000", "--steps", "2", "--seeds", "1"]
    assert pglab.run(line) == 0
    first = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in first["rows"]} == {"bpe300", "bpe400", "bytes260"}
    assert set(first["rank"]) >= {"unlimited", "size"}
    assert first["rank_by_seed"] == {}, "one seed is its own mean"
    assert pglab.run(line) == 0
    again = capsys.readouterr()
    assert json.loads(again.out)["rows"] == first["rows"]
    assert "model train" not in again.err

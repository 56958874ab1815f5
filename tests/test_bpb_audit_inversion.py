"""Denominators told from loss and BPB: each public class of error in at least two forms, with honest twins."""

import math
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.audit import audit
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Report, Verdict
from bpb_audit.inversion import bytes_per_token, short_constant
from bpb_audit.reference import by_name, by_tokens
from tests.audit_submissions import BROKEN, BYTES, HONEST, SCORED, Run, other, write

NUMBERS = ("PG121", "PG122", "PG123")


def judged(folder: Path, *rules: str) -> Report:
    return audit(Evidence(folder), rules or NUMBERS)


def failures(report: Report, rule: str) -> list[str]:
    return [one.says for one in report.findings if one.rule == rule and one.verdict is Verdict.FAIL]


@pytest.mark.parametrize(("name", "run"), HONEST, ids=[name for name, _ in HONEST])
def test_honest_runs_are_never_accused(tmp_path: Path, name: str, run: Run) -> None:
    report = judged(write(tmp_path / "record", [run]))
    assert report.count(Verdict.FAIL) == 0, report.findings
    passed = [one for one in report.findings if one.rule == "PG121"]
    assert [one.verdict for one in passed] == [Verdict.PASS]
    assert report.corrected_bpb == pytest.approx(run.bpb(run.loss), rel=2e-3)


@pytest.mark.parametrize(("name", "run", "word"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_broken_runs_fail_by_name_and_their_twin_passes(tmp_path: Path, name: str, run: Run, word: str) -> None:
    report = judged(write(tmp_path / "broken", [run]))
    says = failures(report, "PG121")
    assert len(says) == 1, report.findings
    assert word in says[0]
    honest = other(run, bytes=BYTES)
    assert judged(write(tmp_path / "honest", [honest])).count(Verdict.FAIL) == 0
    if "different" not in word:
        assert report.corrected_bpb == pytest.approx(honest.bpb(honest.loss), rel=1e-4)
        assert "nats per token" in report.basis


@pytest.mark.parametrize("tokens", [1_048_576, 500_000, 20_000_000, 9_662_464])
def test_a_part_of_the_split_is_told_from_another_vocabulary(tmp_path: Path, tokens: int) -> None:
    whole = Run()
    part = other(whole, tokens=tokens, bytes=BYTES * tokens / SCORED["sp1024"] * 0.988)
    says = failures(judged(write(tmp_path / "part", [part])), "PG123")
    assert len(says) == 1
    assert f"{tokens:,}" in says[0]
    other_vocabulary = other(whole, tokens=tokens, bytes=BYTES, loss=2.0)
    if tokens > 15_000_000:
        assert judged(write(tmp_path / "vocabulary", [other_vocabulary])).count(Verdict.FAIL) == 0


def test_two_denominators_in_one_log(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    log = folder / "train.log"
    wrong = Run(bytes=BYTES * 1.1667)
    line = f"final_sliding_exact val_loss:2.05000000 val_bpb:{wrong.bpb(2.05):.8f}\n"
    log.write_text(log.read_text(encoding="utf-8") + line, encoding="utf-8")
    assert "two denominators" in failures(judged(folder), "PG122")[0]


def test_a_score_of_something_else_than_its_loss_is_not_called_a_miscount(tmp_path: Path) -> None:
    mixed = Run(label="final_mixture")
    folder = write(tmp_path / "record", [mixed], val_bpb=round(mixed.bpb(mixed.loss) * 0.857, 8), val_loss=None)
    log = folder / "train.log"
    text = log.read_text(encoding="utf-8")
    exact = f"{mixed.bpb(mixed.loss):.8f}"
    log.write_text(text.replace(exact, f"{mixed.bpb(mixed.loss) * 0.857:.8f}"), encoding="utf-8")
    says = failures(judged(folder), "PG121")
    assert "mixture" in says[0]
    assert "twice" not in says[0]


@pytest.mark.parametrize("path", ["./shards", "/data/my_corpus", "runs/tour/shards"])
def test_another_corpus_is_never_judged_by_the_published_table(tmp_path: Path, path: str) -> None:
    folder = write(tmp_path / "record", [Run(tokens=206_208, bytes=610_525, loss=3.88)])
    log = folder / "train.log"
    text = log.read_text(encoding="utf-8").replace("./data/datasets/fineweb10B_sp1024", path)
    text = text.replace("./data/tokenizers/fineweb_1024_bpe.model", f"{path}/tokenizer.model")
    log.write_text(text.replace("fineweb10B_sp1024", "corpus"), encoding="utf-8")
    report = judged(folder)
    assert report.count(Verdict.FAIL) == 0
    assert "no reference applies" in next(one.says for one in report.findings if one.rule == "PG121")


def test_without_loss_nothing_is_claimed_to_be_checked(tmp_path: Path) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    (folder / "submission.json").write_text('{"val_bpb": 1.2}', encoding="utf-8")
    assert {one.verdict for one in judged(folder).findings} == {Verdict.UNCHECKED}


@given(st.floats(0.5, 9.0), st.floats(1.0, 5.0), st.integers(2, 8), st.integers(2, 8))
def test_the_interval_holds_the_truth(loss: float, each: float, loss_digits: int, bpb_digits: int) -> None:
    bpb = loss / math.log(2) / each
    found = bytes_per_token(Decimal(f"{loss:.{loss_digits}f}"), Decimal(f"{bpb:.{bpb_digits}f}"))
    assert found.low <= each * (1 + 1e-12)
    assert found.high >= each * (1 - 1e-12)


def test_only_short_numbers_are_constants() -> None:
    def implied(each: float) -> bool:
        bpb = Decimal(f"{3.0 / math.log(2) / each:.8f}")
        return short_constant(bytes_per_token(Decimal("3.00000000"), bpb))

    assert implied(3.5)
    assert implied(2.436)
    assert not implied(2.43593)
    assert not implied(3.72663)


@pytest.mark.parametrize(
    ("tokens", "name"),
    [(62_021_846, "sp1024"), (62_021_632, "sp1024"), (40_540_160, "sp8192"), (47_851_520, "caseops"),
     (45_508_608, "sp4096"), (151_130_112, "byte260"), (63_779_840, "sp1024 on the older split")],
)  # fmt: skip
def test_published_counts_are_known(tokens: int, name: str) -> None:
    split = by_tokens(tokens)
    assert split is not None
    assert split.name == name


def test_unknown_counts_are_not() -> None:
    assert by_tokens(206_208) is None
    assert by_tokens(62_400_000) is None
    assert by_name("fineweb10b_sp8192 caseops", 8192).name == "caseops"  # type: ignore[union-attr]
    assert by_name("my corpus", 1024) is None

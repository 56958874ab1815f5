"""Claim, log, sizes and source belong together: honest folders pass, and each way of not belonging fails."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpb_audit.audit import audit
from bpb_audit.errors import AuditError
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Report, Verdict
from bpb_audit.submission import read_submission
from tests.audit_submissions import LOOP, Run, other, write

TOGETHER = ("PG201", "PG202", "PG203", "PG401", "PG402", "PG403", "PG404", "PG405", "PG406")
SEEDS = [Run(seed=42, loss=2.0711), Run(seed=1337), Run(seed=7, loss=2.0731)]


def judged(folder: Path) -> Report:
    return audit(Evidence(folder), TOGETHER)


def verdict(report: Report, rule: str) -> str:
    """FAIL over UNCHECKED over PASS."""
    found = {str(one.verdict) for one in report.findings if one.rule == rule}
    return next(one for one in ("FAIL", "UNCHECKED", "PASS") if one in found)


def change(folder: Path, **keys: object) -> Path:
    place = folder / "submission.json"
    place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8")) | keys), encoding="utf-8")
    return folder


@pytest.mark.parametrize("runs", [[Run()], SEEDS], ids=["one run", "three seeds"])
def test_an_honest_folder_passes_every_rule(tmp_path: Path, runs: list[Run]) -> None:
    report = judged(write(tmp_path / "record", runs))
    assert {one.rule: str(one.verdict) for one in report.findings} == dict.fromkeys(TOGETHER, "PASS")
    assert report.good


def test_a_claim_found_nowhere_fails(tmp_path: Path) -> None:
    assert verdict(judged(write(tmp_path / "one", [Run()], val_bpb=1.1999)), "PG402") == "FAIL"
    assert verdict(judged(write(tmp_path / "mean", SEEDS, val_bpb=1.2105)), "PG402") == "FAIL"


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_a_rounded_or_cut_claim_passes(tmp_path: Path, digits: int) -> None:
    exact = Run().bpb(Run().loss)
    assert verdict(judged(write(tmp_path / "rounded", [Run()], val_bpb=round(exact, digits))), "PG402") == "PASS"
    cut = int(exact * 10**digits) / 10**digits
    assert verdict(judged(write(tmp_path / "cut", [Run()], val_bpb=cut)), "PG402") == "PASS"


def test_a_seed_score_that_its_log_does_not_hold_fails(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", SEEDS)
    data = json.loads((folder / "submission.json").read_text(encoding="utf-8"))
    data["seed_results"]["7"]["val_bpb"] = 1.2011
    assert verdict(judged(change(folder, **data)), "PG402") == "FAIL"


def test_a_missing_log_is_unchecked_not_failed(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", SEEDS)
    (folder / "train_seed7.log").unlink()
    assert verdict(judged(folder), "PG402") == "UNCHECKED"


@pytest.mark.parametrize("loss", [2.05, 1.2244, 2.0727 * 0.99])
def test_a_loss_of_another_evaluation_fails(tmp_path: Path, loss: float) -> None:
    assert verdict(judged(write(tmp_path / "record", [Run()], val_loss=loss)), "PG403") == "FAIL"


def test_a_log_of_another_seed_fails(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", SEEDS)
    log = folder / "train_seed7.log"
    log.write_text(log.read_text(encoding="utf-8").replace("seed:7\n", "seed:1337\n"), encoding="utf-8")
    assert verdict(judged(folder), "PG404") == "FAIL"


def test_a_copied_log_fails(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [SEEDS[0], other(SEEDS[0], seed=8)])
    says = [one.says for one in judged(folder).findings if one.rule == "PG404" and one.verdict is Verdict.FAIL]
    assert "under different seeds" in says[0]


def with_curve(folder: Path, seed: int, shift: float) -> None:
    log = folder / f"train_seed{seed}.log"
    lines = [f"step:{at * 200}/20000 train_loss:{3 - at / 10 + shift * (at % 3):.4f}" for at in range(1, 9)]
    log.write_text(log.read_text(encoding="utf-8") + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize(("shift", "word"), [(0.0, "FAIL"), (0.0001, "FAIL"), (0.004, "PASS")])
def test_one_training_curve_under_two_seeds_fails(tmp_path: Path, shift: float, word: str) -> None:
    folder = write(tmp_path / "record", SEEDS)
    for at, run in enumerate(SEEDS):
        with_curve(folder, run.seed, shift * at)
    assert verdict(judged(folder), "PG404") == word


def test_a_copied_log_whose_settings_keep_the_first_seed_fails(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", SEEDS)
    for run in SEEDS:
        with_curve(folder, run.seed, 0)
        log = folder / f"train_seed{run.seed}.log"
        log.write_text(log.read_text(encoding="utf-8") + 'config:{"seed": 42, "steps": 3}\n', encoding="utf-8")
    assert verdict(judged(folder), "PG404") == "FAIL"


@pytest.mark.parametrize(("gain", "word"), [(0.94, "PASS"), (0.5, "UNCHECKED")])
def test_an_end_that_no_validation_supports_is_a_finding(tmp_path: Path, gain: float, word: str) -> None:
    folder = write(tmp_path / "record", [Run(loss=2.0727 * gain)])
    log = folder / "train.log"
    way, sure = f"{2.0727 + 0.02:.4f}", f"{Run().bpb(2.0727 + 0.02):.4f}"
    lines = [
        f"step:13780/20000 val_loss:{way} val_bpb:{sure}" if line.startswith("step:13780") else line
        for line in log.read_text(encoding="utf-8").splitlines()
        if not line.startswith("step:1000/")
    ]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert verdict(judged(folder), "PG406") == word


def test_source_in_the_log_is_the_shipped_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    script = folder / "train_gpt.py"
    source = script.read_text(encoding="utf-8")
    script.write_text("# a comment\n" + source.replace("\n\n", "\n\n\n"), encoding="utf-8")
    assert verdict(judged(folder), "PG405") == "PASS"
    script.write_text(source + "\n\ndef unused(x):\n    return x\n", encoding="utf-8")
    assert verdict(judged(folder), "PG405") == "UNCHECKED"
    for was, now in (("is_boundary[i] = False", "is_boundary[i] = True"), ("piece = piece[1:]", "pass")):
        script.write_text(source.replace(was, now), encoding="utf-8")
        assert verdict(judged(folder), "PG405") == "FAIL"
    twice = LOOP.replace("return counted.sum()", "counted += 1\n    base_bytes = counted\n    return base_bytes.sum()")
    log = folder / "train.log"
    script.write_text(source, encoding="utf-8")
    log.write_text(log.read_text(encoding="utf-8").replace(LOOP.strip("\n"), twice.strip("\n")), encoding="utf-8")
    assert verdict(judged(folder), "PG405") == "FAIL"


@pytest.mark.parametrize("total", [16_000_000, 16_777_216])
def test_the_cap_is_decimal_and_strict(tmp_path: Path, total: int) -> None:
    assert verdict(judged(write(tmp_path / "record", [Run()], bytes_total=total)), "PG202") == "FAIL"
    assert verdict(judged(write(tmp_path / "under", [Run()], bytes_total=15_999_999)), "PG202") == "PASS"


def test_an_understated_size_fails(tmp_path: Path) -> None:
    assert verdict(judged(write(tmp_path / "record", [Run()], bytes_total=14_000_000)), "PG203") == "FAIL"


PARTS = "Serialized model int8+zlib: {model} bytes (payload:1 ratio:3.1x)\nSerialized model: 67224983 bytes\n"


def with_parts(folder: Path, model: int, total: int | None = None) -> Path:
    """The log states the compressed model too, and its total when one is given."""
    log = folder / "train.log"
    lines = log.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Total submission size"))
    lines[at] = lines[at] if total is None else f"Total submission size int8+zlib: {total} bytes"
    lines.insert(at, PARTS.format(model=model).strip())
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_total_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    honest = judged(with_parts(write(tmp_path / "honest", [Run()]), 15_000_000))
    assert verdict(honest, "PG203") == verdict(honest, "PG202") == "PASS"
    low = judged(with_parts(write(tmp_path / "low", [Run()]), 15_400_000))
    assert verdict(low, "PG203") == "FAIL"
    assert verdict(low, "PG202") == "PASS"


def test_the_cap_holds_for_logged_parts_where_claim_and_total_stay_small(tmp_path: Path) -> None:
    report = judged(with_parts(write(tmp_path / "record", [Run()]), 16_661_160))
    assert verdict(report, "PG202") == verdict(report, "PG203") == "FAIL"
    honest = with_parts(write(tmp_path / "over", [Run()], bytes_total=15_999_999), 15_999_000)
    code = len(Run().source.encode())
    with_parts(honest, 15_999_000, 15_999_000 + code)  # the claim counts packed code, the log does not
    assert verdict(judged(honest), "PG202") == "UNCHECKED"


def test_another_codecs_label_on_the_total_is_no_error(tmp_path: Path) -> None:
    folder = with_parts(write(tmp_path / "record", [Run()]), 15_000_000)
    log = folder / "train.log"
    log.write_text(log.read_text(encoding="utf-8").replace("model int8+zlib", "model int6+zstd"), encoding="utf-8")
    assert verdict(judged(folder), "PG203") == verdict(judged(folder), "PG202") == "PASS"


def test_a_claimed_size_of_code_is_judged_apart_from_the_log(tmp_path: Path) -> None:
    code = len(Run().source.encode())
    assert verdict(judged(write(tmp_path / "lie", [Run()], bytes_code=code // 3)), "PG201") == "FAIL"
    assert verdict(judged(write(tmp_path / "round", [Run()], bytes_code=round(code, -2))), "PG201") == "UNCHECKED"
    packed = write(tmp_path / "packed", [Run()], bytes_code=500, bytes_total=15_000_500)
    assert verdict(judged(with_parts(packed, 15_000_000)), "PG201") == "UNCHECKED"


def test_code_counted_in_another_form_is_named_not_failed(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    (folder / "train_gpt.py").write_text("print('another file')\n", encoding="utf-8")
    assert verdict(judged(folder), "PG201") == "UNCHECKED"


def test_a_broken_claim_fails_in_a_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    (folder / "submission.json").write_text('{"val_bpb": 1.2,}', encoding="utf-8")
    says = [one.says for one in judged(folder).findings if one.verdict is Verdict.FAIL]
    assert len(says) == 1
    assert says[0].startswith("submission.json:1: not JSON")


def test_no_claim_is_unchecked(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    (folder / "submission.json").unlink()
    report = judged(folder)
    assert verdict(report, "PG401") == "UNCHECKED"
    assert not report.count(Verdict.FAIL)


def sized(folder: Path, *lines: str) -> Path:
    """A folder whose log states these sizes and no others."""
    write(folder, [Run()])
    log = next(folder.glob("*.log"))
    kept = [line for line in log.read_text(encoding="utf-8").splitlines() if " bytes" not in line]
    log.write_text("\n".join([*kept, *lines]) + "\n", encoding="utf-8")
    return folder


def test_a_total_of_a_codec_is_not_held_to_the_raw_model(tmp_path: Path) -> None:
    folder = sized(
        tmp_path / "record",
        "Serialized model: 290981634 bytes",
        "Code size: 69323 bytes",
        "Total submission size: 291050957 bytes",
        "Total submission size lzma: 15673297 bytes",
    )
    found = [one for one in judged(folder).findings if one.rule == "PG203" and one.verdict is Verdict.FAIL]
    assert not [one for one in found if "another sum" in one.says]


def test_totals_over_the_cap_without_a_model_beside_them_are_findings(tmp_path: Path) -> None:
    folder = sized(tmp_path / "record", "Total submission size lzma: 16673297 bytes")
    assert verdict(judged(folder), "PG202") in ("FAIL", "UNCHECKED")


def test_a_claim_under_another_name_is_read_when_there_is_no_submission_json(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    (folder / "submission.json").rename(folder / "submission_ternary.json")
    assert verdict(judged(folder), "PG401") == verdict(judged(folder), "PG402") == "PASS"


def test_code_is_compared_by_what_it_does(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()])
    script = folder / "train_gpt.py"
    text = script.read_text(encoding="utf-8")
    other_words = text.replace("A small training script.", "Another word.\n").replace("    ", "        ")
    assert other_words != text
    script.write_text(other_words, encoding="utf-8")
    assert verdict(judged(folder), "PG405") == "PASS"
    script.write_text(text + "\nassert 1 == 1\n", encoding="utf-8")
    assert verdict(judged(folder), "PG405") in ("FAIL", "UNCHECKED")


def test_a_claim_that_no_float_tells_from_zero_is_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run(seed=1337)])
    place = folder / "submission.json"
    text = json.dumps(json.loads(place.read_text()) | {"runs": {"a": {"val_bpb": "tiny", "val_loss": 3}}})
    place.write_text(text.replace('"tiny"', "1e-999"))
    assert {one.rule for one in audit(Evidence(folder)).findings} >= {"PG402", "PG403"}


def test_a_large_tree_is_refused_before_it_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(self: Path, pattern: str) -> Iterator[Path]:
        while True:
            yield self / ".hidden"

    monkeypatch.setattr(Path, "rglob", endless)
    with pytest.raises(AuditError, match="more than 5,000 files"):
        read_submission(tmp_path)

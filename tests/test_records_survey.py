"""The survey counts what it says, and check, rank and survey write every form of a report."""

import json

import pytest

import pglab
from records.errors import RecordError
from records.survey import survey
from tests.test_records_rank import NAME, shelf, write_record

__all__ = ["shelf"]


def test_counts_are_those_of_the_folders(shelf):
    write_record(shelf / "2026-03-21_Other", score_note=1)
    log = shelf / "2026-03-21_Other/train_seed7.log"
    log.write_text(
        log.read_text()
        + "diagnostic pre-quantization post-ema val_loss:2.0 val_bpb:1.2200\n"
        + "legal_ttt_exact val_loss:2.0 val_bpb:1.22000000\n"
    )
    (shelf / "2026-03-21_Other/submission_old.json").write_text('{"only_here": 1}')
    (shelf / "2026-03-21_Other/submission_bad.json").write_text("{")
    found = survey([shelf])
    assert (found.folders, found.logs, found.json_files) == (4, 9, 6)
    assert dict(found.labels) == {"final_int8_zlib_roundtrip_exact": 9, "legal_ttt_exact": 1}
    assert dict(found.before) == {"diagnostic pre-quantization post-ema": 1}
    assert {"score_note", "only_here", "val_bpb"} <= set(found.keys)
    assert found.keys["val_bpb"] == 4
    assert found.failed["RC104"] == ["2026-03-20_Silent"]
    assert found.rules["RC301"] == 1


def test_an_empty_place_is_no_survey(tmp_path):
    with pytest.raises(RecordError, match="no record folder"):
        survey([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="no record folder"):
        survey([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("command", "key"), [("record check", "reports"), ("record rank", "rows"), ("record survey", "spellings")]
)
def test_reports_are_written_in_every_form(shelf, tmp_path, capsys, command, key):
    outs = [tmp_path / f"r.{kind}" for kind in ("json", "csv", "md", "html", "txt")]
    words = [*command.split(), str(shelf / NAME), *(["--quick"] if "check" in command else []), "--quiet"]
    status = pglab.run([*words, *(word for out in outs for word in ("--out", str(out)))])
    assert status in (0, 1)
    assert capsys.readouterr().out == ""
    assert key in json.loads(outs[0].read_text())
    assert all(out.stat().st_size for out in outs)
    assert NAME in outs[3].read_text() or command == "record survey"

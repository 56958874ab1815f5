"""`record new`: numbers from the log by value, files byte for byte, and never half a folder."""

import json
import os

import pytest

from records.check import check_folder
from records.errors import RecordError
from records.finding import FAIL
from records.new import folder_name, new_record, open_run
from records.submission import read_date

SCRIPT = "import torch\nprint(torch)\n"


def write_run(folder, *, world=1, train_ms=60_000, artifact=b"w" * 900_000):
    """A finished run on one CPU, as the trainer leaves it."""
    folder.mkdir(exist_ok=True)
    size = len(SCRIPT.encode())
    (folder / "train_gpt.py").write_text(SCRIPT)
    (folder / "final_model.int8.ptz").write_bytes(artifact)
    (folder / "config.json").write_text(json.dumps({"device": "cpu", "num_layers": 2, "model_dim": 192, "seed": 5}))
    steps = "".join(
        f"step:{i}/800 val_loss:{4 - i / 400:.4f} val_bpb:{2.5 - i / 800:.4f} train_time:{i * 75}ms step_avg:75ms\n"
        for i in range(0, 801, 40)
    )
    (folder / "train.log").write_text(
        f"world_size:{world} grad_accum_steps:1\nseed:5\n{steps}"
        f"stopping_early: wallclock_cap train_time:{train_ms}ms step:800/800\n"
        f"Serialized model int8+zlib: {len(artifact)} bytes (payload:1 raw_torch:2 payload_ratio:3x)\n"
        f"Code size: {size} bytes\nTotal submission size int8+zlib: {len(artifact) + size} bytes\n"
        "final_int8_zlib_roundtrip val_loss:2.1235 val_bpb:1.5679 eval_time:900ms\n"
        "final_int8_zlib_roundtrip_exact val_loss:2.12345678 val_bpb:1.56789012\n"
    )
    return folder


def make(run, out, **more):
    return new_record("Tiny", "non-record", run, out, author="Ada", github_id="ada", day="2026-03-18", **more)


def test_a_record_holds_what_the_run_says(tmp_path):
    run = write_run(tmp_path / "run")
    made = make(run, tmp_path / "track_non_record_16mb")
    assert made.name == "2026-03-18_Tiny"
    assert sorted(p.name for p in made.iterdir()) == ["README.md", "submission.json", "train.log", "train_gpt.py"]
    for name in ("train.log", "train_gpt.py"):
        assert (made / name).read_bytes() == (run / name).read_bytes()
    told = json.loads((made / "submission.json").read_text())
    assert told["val_bpb"] == 1.56789012
    assert told["val_loss"] == 2.12345678
    assert told["bytes_code"] == len(SCRIPT)
    assert told["bytes_total"] == 900_000 + len(SCRIPT)
    assert told["date"] == "2026-03-18"
    text = (made / "README.md").read_text()
    for words in ("1.56789012", "900,026", "15,099,974", "Unlimited compute", "ran on a CPU", "| 800 |", "num_layers"):
        assert words in text


def test_the_new_folder_passes_its_own_check(tmp_path):
    made = make(write_run(tmp_path / "run"), tmp_path / "track_non_record_16mb")
    bad = [f for f in check_folder(made).findings if f.verdict is FAIL and f.rule != "RC701"]
    assert bad == []


def test_the_artifact_comes_along_when_asked(tmp_path):
    run = write_run(tmp_path / "run")
    made = make(run, tmp_path / "out", with_artifact=True)
    assert (made / "final_model.int8.ptz").read_bytes() == (run / "final_model.int8.ptz").read_bytes()
    assert "final_model.int8.ptz" in (made / "README.md").read_text()


def test_the_artifact_is_the_one_the_log_weighed(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "final_model.pgc").write_bytes(b"x" * 5)
    assert open_run(run).artifact == run / "final_model.int8.ptz"


def test_the_ten_minute_track_takes_no_long_or_small_runs(tmp_path):
    run = write_run(tmp_path / "run")
    with pytest.raises(RecordError, match=r"ran in 1 process.*--track non-record"):
        new_record("Tiny", "10min", run, tmp_path / "out")
    (run / "config.json").unlink()
    write = write_run(tmp_path / "run8", world=8, train_ms=601_500)
    (write / "config.json").unlink()
    with pytest.raises(RecordError, match=r"602 s|601 s"):
        new_record("Tiny", "10min", write, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_the_cap_is_strict(tmp_path):
    size = len(SCRIPT.encode())
    fits = write_run(tmp_path / "fits", artifact=b"\0" * (15_999_999 - size))
    assert make(fits, tmp_path / "out").is_dir()
    over = write_run(tmp_path / "over", artifact=b"\0" * (16_000_000 - size))
    with pytest.raises(RecordError, match="16,000,000 bytes"):
        make(over, tmp_path / "out2")
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize("missing", ["train_gpt.py", "train.log"])
def test_a_run_without_its_files_is_refused(tmp_path, missing):
    run = write_run(tmp_path / "run")
    (run / missing).unlink()
    with pytest.raises(RecordError, match=missing):
        make(run, tmp_path / "out")


def test_an_unfinished_run_is_refused(tmp_path):
    run = write_run(tmp_path / "run")
    text = (run / "train.log").read_text()
    (run / "train.log").write_text(text[: text.index("final_int8")])
    with pytest.raises(RecordError, match="Let the run finish"):
        make(run, tmp_path / "out")


def test_a_record_is_never_overwritten(tmp_path):
    run = write_run(tmp_path / "run")
    make(run, tmp_path / "out")
    with pytest.raises(RecordError, match="never overwritten"):
        make(run, tmp_path / "out")


def test_never_half_a_folder(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space left on device")))
    with pytest.raises(OSError, match="space"):
        make(run, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "caf\u00e9"])
def test_names_that_are_no_names(name):
    with pytest.raises(RecordError, match="folder name"):
        folder_name(name, read_date("2026-03-18"))


def test_wrong_words_are_sentences(tmp_path):
    run = write_run(tmp_path / "run")
    with pytest.raises(RecordError, match="no track"):
        new_record("A", "fast", run, tmp_path)
    with pytest.raises(RecordError, match="ISO 8601"):
        new_record("A", "non-record", run, tmp_path, day="tomorrow")
    with pytest.raises(RecordError, match="github_id"):
        new_record("A", "non-record", run, tmp_path, github_id="not an id")
    (run / "config.json").write_text("{")
    with pytest.raises(RecordError, match=r"config\.json"):
        make(run, tmp_path / "out")

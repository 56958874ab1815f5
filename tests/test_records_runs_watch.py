"""What a training says: any log is read without harm, the state and the forecast are right, the watch ends with it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pglab
from records.runs import watch
from records.runs.curve import Curve, Follower, read_curve
from records.runs.results import training_row
from records.runs.watch import forecast, spark, state

HEAD = (
    'print("step:7/9 train_loss:1.0 train_time:5ms step_avg:1ms")\nstep:3/9 train_loss:9 train_time:1ms step_avg:1ms\n'
    + "=" * 100
    + "\nRunning Python 3.11\n"
    + "=" * 100
    + "\nmodel_params:1000\ntrain_batch_tokens:512 train_seq_len:64 iterations:1000 max_wallclock_seconds:4.000\n"
    + 'config:{"codec": "int6-row+zlib9", "seed": 3}\n'
)


def step(number: int, loss: float, last: int = 1000) -> str:
    return f"step:{number}/{last} train_loss:{loss:.6f} train_time:{number * 10}ms step_avg:10.00ms\n"


def val(number: int, loss: float, bpb: float) -> str:
    return f"step:{number}/1000 val_loss:{loss:.4f} val_bpb:{bpb:.4f} train_time:{number * 10}ms step_avg:10.00ms\n"


FINALS = (
    "final_int8_zlib_roundtrip_exact val_loss:2.00000000 val_bpb:1.50000000\n"
    "final_int6_row_zlib9_roundtrip_exact val_loss:2.10000000 val_bpb:1.60000000\n"
)


def test_a_log_is_read_from_behind_its_source(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(HEAD + step(1, 5.0) + step(2, 4.0) + val(2, 3.0, 2.0) + FINALS[:80])
    curve = read_curve(tmp_path / "train.log")
    assert curve.train == [(1, 0.01, 5.0), (2, 0.02, 4.0)]
    assert curve.held == [(2, 0.02, 3.0, 2.0)]
    assert (curve.facts["model_params"], curve.config["seed"], curve.last) == (1000, 3, 1000)
    assert curve.finals == {"int8_zlib": 1.5}


def test_every_step_comes_from_the_numbers_beside_the_log(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(HEAD + step(1, 5.0) + step(200, 3.0))
    rows = [{"step": n, "train_ms": 10.0 * n, "train_loss": 6.0 / n} for n in range(1, 201)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 200, "val_')
    assert len(read_curve(tmp_path / "train.log").train) == 200


def test_a_growing_a_resumed_and_a_cut_log(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(HEAD + step(1, 5.0)[:20])
    follower = Follower(log)
    assert follower.look()
    assert follower.curve.train == []  # half a line is no line
    with log.open("a") as file:
        file.write(step(1, 5.0)[20:] + step(2, 4.0) + step(3, 3.5))
    assert follower.look()
    assert follower.curve.step == 3
    assert not follower.look()
    with log.open("a") as file:
        file.write("resumed: step:1/1000 train_time:10ms\n" + step(2, 4.5))
    follower.look()
    assert [p[2] for p in follower.curve.train] == [5.0, 4.5]
    log.write_text(HEAD)
    follower.look()
    assert follower.curve.train == []


@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([step(5, 1.0).encode(), FINALS.encode(), b"=" * 100])))
)
def test_any_log_is_read_without_harm(parts: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "train.log"
        place.write_bytes(b"\n".join(parts))
        place.with_name("metrics.jsonl").write_bytes(b"\n".join(reversed(parts)))
        watch.words(state(read_curve(place)))


@pytest.mark.parametrize(
    "line",
    [
        "world_size:1.2.3", "final_x_exact val_loss:1..2 val_bpb:1..2", "step:1/2 train_loss:2.0 train_time:1.2.3ms",
        f"step:{'1' * 5000}/2 train_loss:2.0", f"Total submission size x: {'1' * 5000} bytes",
        f"model_params:{'9' * 400}", "config:" + '{"a":' * 100_000, f"resumed: step:{'1' * 5000}",
        '{"step": Infinity, "train_ms": 1, "train_loss": 1}',
    ],
)  # fmt: skip
def test_a_line_whose_numbers_are_none_says_nothing(line: str, tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(f"{line}\n" + step(5, 1.5))
    row = training_row(tmp_path, "x")
    assert (row["steps"], row["parameters"]) == (5, None)


def law(count: int, noise: float = 0.0) -> Curve:
    curve = Curve()
    for line in HEAD.splitlines()[-3:]:
        curve.line(line)
    for n in range(1, count + 1):
        curve.line(step(n, 2.0 + 6.0 * n**-0.5 + noise * (-1) ** n).strip())
    return curve


def test_the_forecast_of_a_power_law_is_its_end() -> None:
    curve = law(200)
    end = 2.0 + 6.0 * 400**-0.5  # the cap of 4 s allows 400 steps of 10 ms
    assert state(curve)["last"] == 400
    assert forecast(curve) == pytest.approx(end, abs=0.01)
    assert forecast(law(200, 0.05)) == pytest.approx(end, abs=0.05)
    assert forecast(law(10)) is None


def test_the_state_is_counted_right() -> None:
    curve = law(200)
    curve.line(val(200, 2.4, 1.2).strip())
    now = state(curve)
    assert now["step_ms"] == pytest.approx(10)
    assert now["tokens_s"] == pytest.approx(51_200)
    assert now["left"] == pytest.approx(2.0)
    assert now["bpb_held"] == 1.2
    assert now["final_bpb"] == pytest.approx(forecast(curve) / 2, rel=1e-6)
    assert now["bytes"] == round(1000 * 5.3 / 8)
    for line in FINALS.splitlines():
        curve.line(line)
    assert state(curve)["final_loss"] is None  # nothing is forecast of what is known


def test_the_watch_ends_with_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "train.log"
    log.write_text(HEAD + step(1, 5.0))
    parts = [step(2, 4.0), "", step(3, 3.0) + FINALS]

    def train(_: float) -> None:  # the training goes on while the watch sleeps
        with log.open("a") as file:
            file.write(parts.pop(0))

    monkeypatch.setattr("records.runs.watch.time.sleep", train)
    assert pglab.run(["watch", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in said] == [
        "step 1 of about 400",
        "step 2 of about 400",
        "step 3 of about 400",
    ]
    assert "final int6_row_zlib9 1.600000 bits per byte" in said[-1]
    assert pglab.run(["watch", str(tmp_path), "--once", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["step"], told["over"], told["finals"]["int6_row_zlib9"]) == (3, True, 1.6)


def test_a_silent_run_is_not_waited_for_forever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.log").write_text(HEAD + step(1, 5.0))
    monkeypatch.setattr(watch, "QUIET", -1.0)
    assert pglab.run(["watch", str(tmp_path / "train.log"), "--every", "0.01"]) == 1
    assert "nothing new for" in capsys.readouterr().err


def test_wrong_places_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pglab.run(["watch", str(tmp_path)]) == 2
    assert "no train.log there yet" in capsys.readouterr().err
    (tmp_path / "train.log").write_bytes(b"\xff\x00" * 100)
    assert pglab.run(["watch", str(tmp_path), "--once"]) == 2
    assert "no line of a training log" in capsys.readouterr().err
    assert pglab.run(["watch", str(tmp_path), "--every", "0"]) == 2


def test_a_curve_in_blocks() -> None:
    assert spark([3.0, 2.0, 1.0, 1.0], 4) == "█▅▁▁"
    assert spark([1.0], 4) == ""


def test_the_picture_for_a_terminal(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    (tmp_path / "train.log").write_text(HEAD + "".join(step(n, 2 + 6 / n) for n in range(1, 100)) + val(99, 2.0, 1.5))
    follower = Follower(tmp_path / "train.log")
    follower.look()
    out = io.StringIO()
    Console(file=out, width=70, force_terminal=True, color_system=None).print(watch.panel(follower))
    for word in ("training loss", "validation", "tokens/s", "left", "forecast", "artifact", "█"):
        assert word in out.getvalue()

"""A run that is stopped goes on with the identical curve; what is damaged, of other settings, or not finite is said."""

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from model import checkpoint, train
from model.checkpoint import RunState, load_state, save_state, state_tensors
from model.errors import ModelError
from model.train import Training
from tests.model_makers import tiny_config, write_tiny_shards
from tests.model_runs import ALONE, curve, run_in


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_tiny_shards(tmp_path / "shards")


def test_stopping_and_going_on_gives_the_identical_run(tmp_path: Path, shards: Path) -> None:
    config = tiny_config(shards, val_loss_every=3, warmup_steps=2)
    straight, broken = tmp_path / "a", tmp_path / "b"
    assert run_in(straight, config) == 0
    assert run_in(broken, config, after=4) == 143
    with (broken / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "train_loss": 1}\n')  # written by a run that was killed after its checkpoint
    assert run_in(broken, config, after=3) == 143
    assert run_in(broken, config) == 0
    assert curve(straight) == curve(broken)
    weights = [(run / "checkpoint" / "model.safetensors").read_bytes() for run in (straight, broken)]
    assert weights[0] == weights[1]
    assert (straight / "final_model.pgc").read_bytes() == (broken / "final_model.pgc").read_bytes()


def test_a_run_killed_while_exporting_finishes_the_export(tmp_path: Path, shards: Path, monkeypatch: Any) -> None:
    config, run = tiny_config(shards), tmp_path / "run"

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("model.train.finish_run", fail)
    with pytest.raises(OSError, match="No space"):
        run_in(run, config)
    monkeypatch.undo()
    assert run_in(run, config) == 0
    assert [step for step, _ in curve(run)] == [*range(1, 11), 10]
    assert (run / "train.log").read_text().count("step:10/10 val_loss") == 1


def test_other_settings_are_refused(tmp_path: Path, shards: Path) -> None:
    run = tmp_path / "run"
    assert run_in(run, tiny_config(shards), after=2) == 143
    with pytest.raises(ModelError, match=r"began with matrix_lr = 0\.04, now it is 0\.02"):
        run_in(run, tiny_config(shards, matrix_lr=0.02))


def test_a_loss_that_is_not_finite_ends_with_the_last_good_state(tmp_path: Path, shards: Path) -> None:
    run, config = tmp_path / "run", tiny_config(shards, matrix_lr=1e38, iterations=30)
    with pytest.raises(ModelError, match=r"step \d+: the loss is nan; the last good state is kept"):
        run_in(run, config)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, shards: Path) -> None:
    config = tiny_config(shards)
    training = Training(config, ALONE)
    tensors = state_tensors(training.model, training.adam, training.muon)
    tensors["model.skip_weights"][0, 0] = float("nan")
    with pytest.raises(ModelError, match="skip_weights is not finite after step 3"):
        save_state(tmp_path, RunState(step=3), config, tensors)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("damage", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 64])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, shards: Path, damage: bytes) -> None:
    (tmp_path / "state.safetensors").write_bytes(damage)
    with pytest.raises(ModelError, match=r"damaged|its format is"):
        load_state(tmp_path, tiny_config(shards))


def test_every_truncated_checkpoint_is_refused(tmp_path: Path, shards: Path) -> None:
    run, config = tmp_path / "run", tiny_config(shards)
    run_in(run, config, after=2)
    path = run / "checkpoint" / "state.safetensors"
    good = path.read_bytes()
    for cut in [*range(0, 400, 7), *range(400, len(good), 997), len(good) - 1]:
        path.write_bytes(good[:cut])
        with pytest.raises(ModelError):
            load_state(path.parent, config)


def test_a_full_disk_ends_with_a_clear_word_and_the_last_good_state(
    tmp_path: Path, shards: Path, monkeypatch: Any, capsys: Any
) -> None:
    config, calls = tiny_config(shards, checkpoint_seconds=1e-9), []
    write = checkpoint.write_aside

    def full(path: Path, data: bytes) -> int:
        calls.append(path)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(checkpoint, "write_aside", full)
    monkeypatch.setattr(train, "layered_config", lambda *_: config)
    monkeypatch.setattr(train, "open_ranks", lambda *_: ALONE)
    monkeypatch.setattr(sys, "argv", ["train_gpt.py"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 2
    assert "error: no space is left on the disk; what was saved last stays." in capsys.readouterr().err
    saved = load_state(tmp_path / "checkpoint", config)
    assert saved is not None
    assert saved[0].step == 3

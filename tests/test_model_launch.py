"""Runs as processes: two ranks equal to one, a signal saves and leaves, one training a folder, errors as sentences."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pglab
from model.cli import usable_ranks
from model.launch import last_words
from model.lock import folder_lock
from model.ranks import Ranks
from model.train import Training
from tests.model_makers import TINY, tiny_config, write_tiny_shards

ROOT = Path(__file__).parent.parent
RANK_PROGRAM = """
import json, os, sys
from pathlib import Path
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from model.checkpoint import state_tensors
from model.config import RunConfig, with_values
from model.ranks import open_ranks
from model.train import Training

config = with_values(RunConfig(), json.loads(sys.argv[1]), "the test")
ranks = open_ranks(config, os.environ)
training = Training(config, ranks)
losses = []
for step in range(6):
    loss = training.forward_backward()
    training.move(step, 1.0)
    losses.append([row[0] for row in ranks.gather([float(loss)])])
save_file(state_tensors(training.model, training.adam, training.muon), Path(sys.argv[2]) / f"{ranks.rank}.safetensors")
assert (training.gradients.sums[torch.float32] is not dist.all_reduce) == bool(os.environ["LOCAL_WORLD_SIZE"])
print(json.dumps(losses))
"""


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_tiny_shards(tmp_path / "shards")


@pytest.mark.parametrize(
    ("world", "local"),  # on one machine, as torchrun says it, sums go through memory; else over gloo
    [(2, "2"), pytest.param(3, "", marks=pytest.mark.slow), pytest.param(4, "4", marks=pytest.mark.slow)],
)
def test_ranks_are_equal_to_the_bit_and_to_one_process(tmp_path: Path, shards: Path, world: int, local: str) -> None:
    shape = {"micro_batches": 12, "train_batch_tokens": 96}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = json.dumps({**TINY, **shape, "data_path": str(shards)})
    together = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    together["LOCAL_WORLD_SIZE"] = local
    command = [sys.executable, "-c", RANK_PROGRAM, settings, str(tmp_path)]
    children = [
        subprocess.Popen(command, env={**os.environ, **together, "RANK": str(r)}, cwd=ROOT, stdout=subprocess.PIPE)
        for r in range(world)
    ]
    said = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0] * world
    assert len({(tmp_path / f"{rank}.safetensors").read_bytes() for rank in range(world)}) == 1
    both = np.array(json.loads(said[0])).mean(axis=1)
    training = Training(tiny_config(shards, **shape), Ranks(0, 1, torch.device("cpu"), torch.float32))
    alone = []
    for step in range(6):
        alone.append(float(training.forward_backward()))
        training.move(step, 1.0)
    assert np.allclose(both, alone, rtol=2e-6, atol=0)


def tiny_recipe(tmp_path: Path, **changes: object) -> Path:
    values = {**TINY, **changes}
    path = tmp_path / "tiny.toml"
    path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items()))
    return path


@pytest.mark.slow
def test_the_command_trains_the_bundle_stops_and_goes_on(tmp_path: Path, shards: Path) -> None:
    recipe = tiny_recipe(tmp_path, iterations=100_000, max_wallclock_seconds=6.0, checkpoint_seconds=1.0)
    words = [sys.executable, "-P", "-m", "pglab", "model", "train", "--recipe", str(recipe), "--shards", "shards"]
    command = [*words, "--out", "run", "--ranks", "2"]
    first = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    state = tmp_path / "run/checkpoint/state.safetensors"
    until = time.monotonic() + 90
    while not state.exists() and time.monotonic() < until:
        time.sleep(0.1)
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "another training is at work there" in second.stderr
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 143
    before = (tmp_path / "run/train_gpt.py").read_bytes()
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert [row["artifact"] for row in scores] == ["final_model.int8.ptz", "final_model.pgc"]
    log = (tmp_path / "run/train.log").read_bytes()
    assert log.startswith(before)
    assert log.count(b"\nresumed: step:") == 1
    assert f"Code size: {len(before)} bytes".encode() in log
    again = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (again.returncode, json.loads(again.stdout)) == (0, scores)


@pytest.mark.slow
def test_a_run_whose_command_was_killed_leaves_by_itself(tmp_path: Path, shards: Path) -> None:
    recipe = tiny_recipe(tmp_path, iterations=100_000, checkpoint_seconds=1.0)
    command = [sys.executable, "-P", "-m", "pglab", "model", "train", "--recipe", str(recipe), "--shards", "shards"]
    first = subprocess.Popen([*command, "--out", "run", "--ranks", "2"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    state = tmp_path / "run/checkpoint/state.safetensors"
    until = time.monotonic() + 90
    while not state.exists() and time.monotonic() < until:
        time.sleep(0.1)
    first.kill()
    first.wait()
    with folder_lock(tmp_path / "run/.lock", 30.0):
        assert state.exists()


def test_one_training_a_folder(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "l", 0.0), pytest.raises(ValueError, match="another training"):  # noqa: SIM117
        with folder_lock(tmp_path / "l", 0.1):
            pass
    with folder_lock(tmp_path / "l", 0.0):
        pass


def test_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stderr.txt").write_text("noise\nerror: the loss is nan.\nTraceback ...\n")
    assert last_words(tmp_path, 1) == "the loss is nan."
    (tmp_path / "stderr.txt").write_text("Segmentation fault\n\n")
    assert "ended with status -11 (Segmentation fault); see" in last_words(tmp_path, -11)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    (tmp_path / "stderr.txt").write_bytes(b"")  # where there was no room for a word
    assert last_words(tmp_path, 1).startswith(f"{tmp_path}: no space is left on the disk. Make room and")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("train --shards nowhere --out run", "nowhere: no such folder"),
        ("train --shards . --out run", "no fineweb_train_*.bin there"),
        ("train --shards tiny --out run", "manifest.json: the shards' vocabulary has 40 tokens, vocab_size is 1,024"),
        ("train --shards tiny --out run --set vocab_size=40 --ranks 3", "--ranks 3 does not divide micro_batches, 2"),
        ("train --shards tiny --out run --set vocab_size=40 --ranks -1", "wanted 0, one of [1, 2], or another --set"),
        ("train --shards . --out run --recipe nothing", "no recipe is called 'nothing'; there are baseline"),
        ("train --shards . --out run --set num_layer=3", "the nearest is 'num_layers'"),
        ("eval nothing.pgc --shards .", "nothing.pgc: no such file"),
        ("eval x.bin --shards .", "wanted .pgc"),
    ],
)
def test_bad_words_are_one_sentence(
    tmp_path: Path, words: str, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"")
    (write_tiny_shards(tmp_path / "tiny") / "manifest.json").write_text('{"vocabulary": {"size": 40}}')
    assert pglab.run(["model", *words.split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert says in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wished", "pieces", "cores", "ranks"), [(0, 8, 4, 2), (0, 1, 4, 1), (0, 3, 2, 1), (4, 8, 1, 4), (1, 3, 2, 1)]
)
def test_as_many_ranks_as_share_a_step_s_pieces(
    wished: int, pieces: int, cores: int, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores), raising=False)
    assert usable_ranks(wished, "cpu", pieces) == ranks


def test_the_command_scores_a_file(tmp_path: Path, shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from compress.container import write_container
    from model.export import weights_out
    from model.gpt import GPT

    write_container(tmp_path / "m.pgc", weights_out(GPT(tiny_config(shards)))[0], "official+zlib9")
    assert (
        pglab.run(["model", "eval", str(tmp_path / "m.pgc"), "--shards", str(shards), "--length", "8", "--json"]) == 0
    )
    told = capsys.readouterr()
    score = json.loads(told.out)
    assert (score["tokens"], score["method"], score["artifact"]) == (200, "sequential", "m.pgc")
    assert pglab.run(["model", "eval", str(tmp_path / "m.pgc"), "--shards", str(shards), "--length", "8"]) == 0
    assert "bpb" in capsys.readouterr().out
    assert pglab.run(["model", "eval", str(tmp_path / "m.pgc"), "--shards", str(shards), "--length", "300"]) == 2
    assert "too few for one sequence of 300" in capsys.readouterr().err


def test_lines_go_to_stderr_where_there_is_no_terminal(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from model.progress import Watcher

    with Watcher(tiny_config(shards)) as watcher:
        watcher.line("config:{}")
        watcher.line("step:1/10 train_loss:3.0 train_time:20ms step_avg:19.85ms")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "step:1/10 train_loss:3.0 train_time:20ms step_avg:19.85ms\n"


def test_lines_move_a_bar_on_a_terminal(shards: Path) -> None:
    from model.progress import Watcher

    watcher = Watcher(tiny_config(shards, max_wallclock_seconds=1.0))
    watcher.bar = True
    watcher.line("step:1/10 train_loss:3.0 train_time:500ms step_avg:500.00ms")
    assert watcher.progress.tasks[0].completed == 0.5
    assert "train_loss:3.0" in watcher.progress.tasks[0].fields["says"]

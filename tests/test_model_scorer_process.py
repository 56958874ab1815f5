"""The scorer as a process: its frames by hand, its artifacts of every kind, and one sentence for whatever is wrong."""

import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.container import write_container
from compress.official import quantize_official
from compress.torch_file import write_ptz
from model.config import RunConfig
from model.errors import ModelError
from model.export import weights_out
from model.gpt import GPT
from model.score import artifact_in, load_model
from model.scorer import arguments, open_scorer, serve
from model.scorer_frames import Frames
from model.scorer_kv import KvScorer

CONFIG = RunConfig(vocab_size=19, num_layers=2, model_dim=16, num_heads=4, num_kv_heads=2, train_seq_len=8,
                   train_batch_tokens=8, micro_batches=1, rope_base=500.0, logit_softcap=7.0)  # fmt: skip
TOLD = {"train_seq_len": 8, "train_batch_tokens": 8, "micro_batches": 1, "rope_base": 500.0, "logit_softcap": 7.0}


def model_of() -> GPT:
    torch.manual_seed(1)
    model = GPT(CONFIG)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with every kind of artifact, and a script beside it that must never run."""
    from safetensors.numpy import save

    home = tmp_path_factory.mktemp("run")
    arrays, _ = weights_out(model_of())
    write_container(home / "final_model.pgc", arrays, "official+zlib9")
    write_ptz(home / "final_model.int8.ptz", quantize_official(arrays))
    (home / "checkpoint").mkdir()
    (home / "checkpoint/model.safetensors").write_bytes(save(arrays))
    torch.save({name: torch.from_numpy(value) for name, value in arrays.items()}, home / "model.pt")
    (home / "train_gpt.py").write_text(f"open({str(home / 'ran')!r}, 'w').close()")
    (home / "config.json").write_text(json.dumps(TOLD))
    (home / "train.log").write_text("x = 1\nconfig:{not json\n")
    return home


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<I", 1 + len(body)) + kind + body


def answers(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        yield data[at + 4 : at + 5], data[at + 5 : at + 4 + size]
        at += 4 + size


def served(said: bytes, scorer: KvScorer) -> tuple[list[tuple[bytes, bytes]], str]:
    """What the scorer answers to these bytes, and the sentence it ends with."""
    (there, ask), (take, back) = os.pipe(), os.pipe()
    got: list[bytes] = []

    def read() -> None:
        while part := os.read(take, 1 << 16):
            got.append(part)

    def write() -> None:
        os.write(ask, said)
        os.close(ask)

    threads = [threading.Thread(target=work) for work in (read, write)]
    for thread in threads:
        thread.start()
    says = ""
    try:
        serve(Frames(there, back), scorer, 19)
    except ModelError as error:
        says = str(error)
    os.close(back)
    for thread in threads:
        thread.join()
    for pipe in (there, take):
        os.close(pipe)
    return list(answers(b"".join(got))), says


def step(tokens: list[int], flags: list[int]) -> bytes:
    return frame(b"S", struct.pack("<3H3B", *tokens, *flags))


def windows(n: int, lengths: list[int], tokens: np.ndarray) -> bytes:
    return frame(b"B", struct.pack("<4I", n, *lengths) + tokens.astype("<u2").tobytes())


def test_a_process_answers_and_prints_nothing_between_the_frames(run: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 19, (3, 9))
    asked = windows(8, [8, 8, 5], tokens)
    for t in range(8):
        asked += step(tokens[:, t].tolist(), [1 if t else 2] * 3)
    command = [sys.executable, "-m", "model.scorer", str(run / "final_model.pgc"), "--rows", "3"]
    done = subprocess.run(command, input=asked + frame(b"Q"), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    got = list(answers(done.stdout))
    assert [kind for kind, _ in got] == [b"H", b"D", b"N"] + [b"D"] * 8
    hello = json.loads(got[0][1])
    digest = hashlib.sha256((run / "final_model.pgc").read_bytes()).hexdigest()
    wanted = {"protocol": 1, "vocab": 19, "context": 8, "rows": 3, "grid": 256, "bulk": True, "artifact": digest}
    assert wanted.items() <= hello.items()
    assert hello["path"] == "kv"
    assert (hello["dtype"], hello["device"]) == ("float64", "cpu")
    assert hello["versions"]["torch"] == torch.__version__
    whole = np.frombuffer(got[1][1], "<u2", offset=4).reshape(3, 8, 19)
    assert got[1][1][:4] == struct.pack("<I", 8)
    for t, (_, body) in enumerate(got[3:]):
        assert np.array_equal(np.frombuffer(body, "<u2").reshape(3, 19), whole[:, t])
    ids = torch.from_numpy(tokens)
    nats = load_model(run / "final_model.pgc", 0).nats(ids[:, :-1], ids[:, 1:]).double().detach().numpy()
    assert np.frombuffer(got[2][1], "<f8") == pytest.approx([nats[0].sum(), nats[1].sum(), nats[2, :5].sum()], rel=1e-5)
    assert not (run / "ran").exists()


@pytest.mark.parametrize(
    "name", ["final_model.pgc", "final_model.int8.ptz", "checkpoint/model.safetensors", "model.pt", ""]
)
def test_every_kind_of_artifact_opens_with_the_settings_of_its_run(run: Path, name: str) -> None:
    scorer, greeting = open_scorer(arguments([str(run / name), "--rows", "2"]), {})
    assert greeting["context"] == 8
    assert (scorer.model.config.logit_softcap, scorer.model.config.rope_base) == (7.0, 500.0)
    place = run / (name or "final_model.pgc")
    assert greeting["artifact"] == hashlib.sha256(place.read_bytes()).hexdigest()
    own, wanted = scorer.model.state_dict(), model_of().double().state_dict()
    assert all(torch.allclose(own[key], wanted[key], atol=0.01) for key in wanted)
    assert not (run / "ran").exists()


def test_a_record_folder_has_its_settings_in_the_log(run: Path, tmp_path: Path) -> None:
    (tmp_path / "final_model.int8.ptz").write_bytes((run / "final_model.int8.ptz").read_bytes())
    log = tmp_path / "train.log"
    log.write_text(f"config = 1\nconfig:{json.dumps(TOLD)}\nstep:1\n")
    model = load_model(artifact_in(tmp_path), 0)
    assert (model.config.train_seq_len, model.config.logit_softcap) == (8, 7.0)
    for spoilt in ('config:{"rope', "config:[]", "no word of it"):
        log.write_text(spoilt + "\n")
        assert load_model(artifact_in(tmp_path), 0).config.train_seq_len == RunConfig().train_seq_len
    log.write_text('config:{"rope_bass": 3}\n')
    with pytest.raises(ModelError, match="rope_base"):
        load_model(artifact_in(tmp_path), 0)


def test_a_folder_without_an_artifact_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no artifact in this folder; wanted one of final_model\.pgc"):
        artifact_in(tmp_path)


def test_replay_takes_the_rows_of_the_evaluation(run: Path) -> None:
    _, greeting = open_scorer(arguments([str(run), "--path", "replay"]), {})
    assert greeting["rows"] == 4096 // 8
    assert (greeting["dtype"], greeting["bulk"]) == ("float32", True)
    with pytest.raises(ModelError, match="for float64 take --path kv"):
        open_scorer(arguments([str(run), "--path", "replay", "--dtype", "float64"]), {})
    with pytest.raises(ModelError, match="wanted 1 to 65,535"):
        open_scorer(arguments([str(run), "--rows", "-1"]), {})


def test_the_end_of_file_between_frames_is_a_farewell() -> None:
    scorer = KvScorer(model_of(), 3, 8, torch.float64)
    got, says = served(step([1, 2, 3], [2, 2, 2]), scorer)
    assert [kind for kind, _ in got] == [b"D"]
    assert says == ""


@cache
def one_scorer() -> KvScorer:
    return KvScorer(model_of(), 3, 8, torch.float64)


GOOD_FRAMES = [
    step([1, 2, 3], [2, 2, 2]),
    step([4, 5, 6], [1, 0, 2]),
    windows(4, [4, 0, 2], np.arange(15).reshape(3, 5)),
]
BROKEN = {
    "half a frame": (step([1, 2, 3], [2, 2, 2])[:-1], "end after 9 of 10 bytes"),
    "half a size": (b"\x09\x00", "end after 2 of 4 bytes"),
    "no kind": (bytes(4), "declares 0 bytes"),
    "a huge frame": (b"\xff\xff\xff\xff", "declares 4,294,967,295 bytes"),
    "an unknown kind": (frame(b"X"), "which this scorer does not answer"),
    "a token beyond the vocabulary": (step([1, 19, 3], [2, 2, 2]), "token 19 is beyond the vocabulary of 19"),
    "a short step": (frame(b"S", b"\1\0"), "too short for 3 tokens"),
    "a long step": (frame(b"S", bytes(10)), "a step of 10 bytes"),
    "nobody steps": (step([1, 2, 3], [0, 0, 0]), "no row takes a token"),
    "no windows": (frame(b"B"), "too short for 3 rows"),
    "windows of nothing": (windows(0, [0, 0, 0], np.zeros((3, 1))), "windows of 0 tokens"),
    "windows too long": (windows(9, [9, 9, 9], np.zeros((3, 10))), "windows of 9 tokens"),
    "a row too long": (windows(4, [4, 5, 0], np.zeros((3, 5))), "a row of 5"),
    "windows cut short": (windows(4, [4, 4, 4], np.zeros((3, 4))), "too short for 15 tokens"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_words_end_in_a_sentence(name: str) -> None:
    said, wanted = BROKEN[name]
    _, says = served(said, KvScorer(model_of(), 3, 8, torch.float64))
    assert wanted in says


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.sampled_from(GOOD_FRAMES), max_size=6), st.binary(max_size=8))
def test_whatever_bytes_come_in_it_answers_or_says_a_sentence(bodies: list[bytes], tail: bytes) -> None:
    said = b"".join(body if body in GOOD_FRAMES else frame(body[:1] or b"S", body[1:]) for body in bodies) + tail
    got, says = served(said, one_scorer())
    assert {kind for kind, _ in got} <= {b"D", b"N"}
    assert says or not tail


def test_what_cannot_start_says_why_in_a_frame(tmp_path: Path) -> None:
    (tmp_path / "noise.pgc").write_bytes(b"noise" * 99)
    words = [sys.executable, "-m", "model.scorer", str(tmp_path / "noise.pgc")]
    done = subprocess.run(words, capture_output=True, timeout=60)
    ((kind, body),) = answers(done.stdout)
    assert (done.returncode, kind) == (2, b"E")
    assert "not a .pgc container" in body.decode()
    assert b"Traceback" not in done.stderr

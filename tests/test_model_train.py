"""A whole tiny run: ends with its files, refuses what cannot work; its scores."""

import errno
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import train
from model.checkpoint import state_tensors
from model.errors import ModelError
from model.export import weights_in, weights_out
from model.gpt import GPT, parameter_count
from model.ranks import Ranks, StopRequest, check_world, open_ranks, products_dtype, rank_numbers
from model.rounding import codec_grid, matrices
from model.score import score_artifact
from model.scoring import Scoring
from model.train import Training
from tests.model_makers import shard_bytes, tiny_config, write_tiny_shards
from tests.model_runs import ALONE, curve, run_in
from tests.test_model_switches import ALL


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_tiny_shards(tmp_path / "shards")


def test_a_run_leaves_its_files_and_learns(tmp_path: Path, shards: Path) -> None:
    run = tmp_path / "run"
    config = tiny_config(shards, iterations=60, val_loss_every=60)
    assert run_in(run, config) == 0
    log = (run / "train.log").read_text()
    steps = dict(curve(run))
    assert steps[60] < 0.8 * steps[1]
    for words in (
        "final_int8_zlib_roundtrip_exact val_loss:",
        "Total submission size int8+zlib: ",
        "step:60/60 val_loss:",
    ):
        assert words in log
    assert "final_official_zlib9_roundtrip_exact val_loss:" in log
    score = json.loads((run / "score.json").read_text())
    assert score["tokens"] == 200
    assert score["bpb_raw"] == pytest.approx(score["nats"] / np.log(2) / score["bytes_raw"])
    again = score_artifact(run / "final_model.pgc", shards)
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in score.items() if k != "seconds"}
    assert f"val_bpb:{score['bpb_table']:.8f}" in log
    assert (run / "checkpoint" / "finished.json").exists()
    assert not (run / "checkpoint" / "state.safetensors").exists()
    assert run_in(run, config) == 0  # says so and leaves


@pytest.mark.parametrize("method", ["sliding", "adapting"])
def test_the_run_s_score_is_by_the_recipe_s_method(tmp_path: Path, shards: Path, method: str) -> None:
    run_in(tmp_path / "run", tiny_config(shards, eval_method=method, eval_stride=4, adapt_rate=0.01, iterations=2))
    score = json.loads((tmp_path / "run" / "score.json").read_text())
    assert score["method"].startswith(method)
    assert score["tokens"] == (202 if method == "sliding" else 200)
    log = (tmp_path / "run" / "train.log").read_text()
    assert f"final_official_zlib9_{method}_roundtrip_exact val_loss:{score['val_loss']:.8f}" in log
    again = score_artifact(tmp_path / "run" / "final_model.pgc", shards, Scoring(method=method, stride=4))
    assert again["nats"] == pytest.approx(score["nats"], rel=1e-6)
    plain = score_artifact(tmp_path / "run" / "final_model.pgc", shards)
    assert f"final_official_zlib9_roundtrip_exact val_loss:{plain['val_loss']:.8f}" in log


def test_equal_seeds_give_equal_runs_and_others_do_not(tmp_path: Path, shards: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_in(tmp_path / name, tiny_config(shards, seed=seed))
    assert curve(tmp_path / "a") == curve(tmp_path / "b") != curve(tmp_path / "c")


def test_warm_up_is_undone(shards: Path) -> None:
    training = Training(tiny_config(shards, warmup_steps=3), ALONE)
    before = {name: t.clone() for name, t in state_tensors(training.model, training.adam, training.muon).items()}
    training.warm_up(_Silent())  # type: ignore[arg-type]
    after = state_tensors(training.model, training.adam, training.muon)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert training.stream.place == (0, 0)


class _Silent:
    def line(self, text: str) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vocab_size": 41}, "a table for"),
        ({"train_seq_len": 256, "train_batch_tokens": 512}, "validation split has 203 tokens, too few"),
        ({"data_path": "/nowhere"}, "no such folder of shards"),
        ({"codec": "fp16+zlib9", "qat_below": 0.5}, "no row-wise grid"),
        ({"eval_method": "ttt"}, "eval_method"),
        ({"codec": "int9-row+zlib9"}, "no quantiser"),
        ({"seed": 1 << 63}, "seed is 9223372036854775808; wanted a number below"),
        ({"beta2": 1.0}, "beta2 is 1.0; wanted a number below 1"),
        ({"muon_momentum": 2.0}, "muon_momentum is 2.0; wanted a number below 1"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(tmp_path: Path, shards: Path, changes: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        run_in(tmp_path / "run", tiny_config(shards, **changes))
    assert not (tmp_path / "run" / "train.log").exists()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("fineweb_val_000000.bin", None, r"no fineweb_val_\*.bin there. Make shards with"),
        ("fineweb_train_00000*.bin", None, r"no fineweb_train_\*.bin there. Make shards with"),
        ("fineweb_val_000000.bin", shard_bytes([1] * 203, magic=7), "starts with magic 7"),
        ("fineweb_train_000001.bin", shard_bytes([1] * 99, version=2), "version 2; wanted 20240520 and 1"),
        ("fineweb_train_000001.bin", shard_bytes([1] * 99)[:-1], "the head declares 99 tokens"),
        ("fineweb_train_000000.bin", shard_bytes([1, 39, 40]), "token 40 at position 2 is not below vocab_size 40"),
        ("fineweb_train_000001.bin", shard_bytes([1, 39, 40]), "token 40 is not below vocab_size 40"),
        ("fineweb_val_000000.bin", shard_bytes([50] * 203), "token 50 at position 0 is not below vocab_size 40"),
        ("manifest.json", b'{"vocabulary": {"size": 39}}', "has 39 tokens, vocab_size is 40"),
        ("fineweb_val_000000.bytes", shard_bytes([9] * 203), "agree on 0% of the tokens"),
        ("token_table.npz", b"PK", "no token table can be read"),
    ],
)
def test_bad_shards_are_one_sentence_before_any_work(
    tmp_path: Path, shards: Path, name: str, data: bytes | None, says: str
) -> None:
    if data is None:
        for path in shards.glob(name):
            path.unlink()
    else:
        (shards / name).write_bytes(data)
    with pytest.raises(ModelError, match=says) as caught:
        run_in(tmp_path / "run", tiny_config(shards))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "train.log").exists()


@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["-h"], 0), (["--seed", "1"], 2)])
def test_words_after_the_script_start_no_run(words: list[str], status: int, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["train_gpt.py", *words])
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == status
    told = capsys.readouterr().out
    assert "takes no options" in told
    assert "MAX_WALLCLOCK_SECONDS" in told


def test_a_training_split_shorter_than_a_sequence(tmp_path: Path, shards: Path) -> None:
    (shards / "fineweb_train_000001.bin").unlink()
    (shards / "fineweb_train_000000.bin").write_bytes(shard_bytes([1, 2, 3]))
    with pytest.raises(ModelError, match="training split has 3 tokens, too few"):
        run_in(tmp_path / "run", tiny_config(shards))


@pytest.mark.skipif(torch.cuda.is_available(), reason="wants a machine without a GPU")
def test_cuda_asked_for_and_absent(shards: Path) -> None:
    with pytest.raises(ModelError, match="device is cuda, but this torch finds no GPU"):
        open_ranks(tiny_config(shards, device="cuda"), {})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "No such file or directory", "/nope.json"), "/nope.json: no such file or directory."),
        (OSError(errno.ENOSPC, "No space left on device"), "no space is left on the disk; what was saved last stays."),
        (OSError("of its own words"), "of its own words"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
            "memory is full (CUDA out of memory);",
        ),
    ],
)
def test_an_error_of_the_machine_is_one_sentence(error: Exception, says: str) -> None:
    assert says in train.sentence_of(error)
    assert "\n" not in train.sentence_of(error)


def test_ranks_without_torchrun_are_one_sentence(shards: Path) -> None:
    with pytest.raises(ModelError, match=r"2 ranks cannot meet \(.*MASTER_ADDR.*\); start them with torchrun"):
        open_ranks(tiny_config(shards), {"RANK": "0", "WORLD_SIZE": "2"})


def test_ranks_that_do_not_divide(shards: Path) -> None:
    with pytest.raises(ModelError, match=r"3 ranks do not divide micro_batches 2; wanted one of \[1, 2\]"):
        check_world(tiny_config(shards), 3)
    for environment in ({"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x"}):
        with pytest.raises(ModelError, match="torchrun"):
            rank_numbers(environment)


def test_the_parent_that_is_gone_is_a_wish_to_stop(monkeypatch: Any) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert not StopRequest(0).check()
    assert StopRequest(2**22 + 1).check()
    request = StopRequest(0)
    request.take_signal(15, None)
    assert request.check()


@pytest.mark.parametrize("units", ["amx_bf16", "avx512_bf16", ""])
def test_precision_is_what_the_processor_says(shards: Path, units: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "cpu_name": "x", units: True})
    config, cpu = tiny_config(shards, precision="auto"), torch.device("cpu")
    assert products_dtype(config, cpu) == (torch.bfloat16 if units else torch.float32)
    assert products_dtype(config, torch.device("cuda")) == torch.bfloat16
    assert products_dtype(replace(config, precision="float32"), cpu) == torch.float32


@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-6), ("bfloat16", 5e-5)])
def test_a_run_s_score_comes_out_again_in_its_precision(
    tmp_path: Path, shards: Path, precision: str, near: float
) -> None:
    run_in(tmp_path / "run", tiny_config(shards, iterations=2, precision=precision))
    score = json.loads((tmp_path / "run" / "score.json").read_text())
    artifact = tmp_path / "run" / "final_model.pgc"
    again = score_artifact(artifact, shards)  # other passes at a time, so bfloat16 sums round otherwise
    assert again["nats"] == pytest.approx(score["nats"], rel=near)
    assert again["nats"] == score_artifact(artifact, shards, Scoring(precision=precision))["nats"]
    other = "bfloat16" if precision == "float32" else "float32"
    assert score_artifact(artifact, shards, Scoring(precision=other))["nats"] != again["nats"]


def test_the_baselines_size() -> None:
    from model.config import RunConfig

    with torch.device("meta"):
        assert parameter_count(GPT(RunConfig())) == 17_059_912


def test_bfloat16_trains_on_a_cpu_too(shards: Path) -> None:
    config = tiny_config(shards, precision="bfloat16")
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        training = Training(config, Ranks(0, 1, torch.device("cpu"), dtype))
        for step in range(5):
            loss = training.forward_backward()
            training.move(step, 1.0)
        losses.append(float(loss))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)


def test_the_gpus_dtypes_round_positions_as_the_published_script_does() -> None:
    from model.gpt import use_baseline_gpu_dtypes

    model = GPT(tiny_config(Path("nowhere")))
    use_baseline_gpu_dtypes(model)
    cos, _ = model.rotary(300, torch.device("cpu"))
    assert cos.dtype == torch.bfloat16
    assert torch.equal(cos[256], cos[257])  # bfloat16 holds 8 bits, so these positions are one
    kept = {p.dtype for name, p in model.named_parameters() if name != "tok_emb.weight"}
    assert (model.tok_emb.weight.dtype, kept) == (torch.bfloat16, {torch.float32})
    arrays, lacking = weights_out(model)
    assert lacking == {"tok_emb.weight": "bfloat16"}
    weights_in(model, arrays, "memory")


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, ALL, {"qat_below": 2.0}], ids=["baseline", "all switches", "rounded"])
def test_the_model_is_one_graph_for_the_compiler(shards: Path, changes: dict[str, Any]) -> None:
    model = GPT(tiny_config(shards, **changes))
    for part in matrices(model):
        part.seen = codec_grid("int4-row+zlib9").rounded if "qat_below" in changes else None
    model.rotary(8, torch.device("cpu"))
    ids = torch.randint(0, 40, (2, 9))
    plain = model(ids[:, :-1], ids[:, 1:])
    compiled = torch.compile(model, dynamic=False, fullgraph=True, backend="aot_eager")(ids[:, :-1], ids[:, 1:])
    assert torch.equal(plain, compiled)

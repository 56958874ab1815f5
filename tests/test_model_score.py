"""Scores are sums that depend on weights and text alone; files are scored by their shape, or refused in a sentence."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.container import write_container
from model.errors import ModelError
from model.evaluate import ScoreSums, read_validation, score_sequential
from model.export import weights_out
from model.gpt import GPT
from model.score import first_targets, load_model, score_artifact
from model.scoring import Scoring
from model.spelling import check_spelling
from tests.model_makers import tiny_config, write_tiny_shards


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_tiny_shards(tmp_path / "shards")


def test_scores_do_not_depend_on_batches_or_ranks(shards: Path) -> None:
    config = tiny_config(shards)
    torch.manual_seed(0)
    model, text = GPT(config), read_validation(config)
    whole = score_sequential(model, text, 8, 10**6)
    small = score_sequential(model, text, 8, 1)
    parts = [score_sequential(model, text, 8, 24, rank, 3) for rank in range(3)]
    assert whole.tokens == small.tokens == sum(p.tokens for p in parts) == 200
    assert whole.bytes_raw == small.bytes_raw == sum(p.bytes_raw or 0 for p in parts)
    assert whole.bytes_table == sum(p.bytes_table for p in parts)
    assert whole.nats == pytest.approx(small.nats, rel=1e-6)
    assert whole.nats == pytest.approx(sum(p.nats for p in parts), rel=1e-6)


def test_bytes_are_those_of_the_scored_targets(shards: Path) -> None:
    config = tiny_config(shards)
    text = read_validation(config)
    sums = score_sequential(GPT(config), text, 8, 64)
    table, raw = 0, 0
    for at in range(1, 201):  # a plain loop as the judge
        token, before = int(text.tokens[at]), int(text.tokens[at - 1])
        own = token % 4 + 1 + (1 if token % 3 == 0 and before != 1 else 0)
        table += own
        raw += own + (token % 7 == 0)
    assert (sums.bytes_table, sums.bytes_raw) == (table, raw)


def test_without_a_sidecar_raw_bytes_are_unknown(tmp_path: Path) -> None:
    config = tiny_config(write_tiny_shards(tmp_path / "s", sidecar=False))
    sums = score_sequential(GPT(config), read_validation(config), 8, 64)
    assert sums.bytes_raw is None
    assert sums.bpb_raw is None
    assert ScoreSums(1.0, 1, 0, 0).bpb_table == float("inf")


def test_a_file_of_another_shape(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((2, 2), np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="not the tensors of a standard GPT"):
        load_model(tmp_path / "x.safetensors", 8)
    (tmp_path / "y.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not safetensors"):
        load_model(tmp_path / "y.safetensors", 8)


@pytest.mark.parametrize(("suffix", "says"), [("int8.ptz", 2.726), ("pt", 2.725)])
def test_a_public_checkpoint_scores_as_published(real_data: Path, tmp_path: Path, suffix: str, says: float) -> None:
    model = load_model(real_data / "weights" / f"nolanvild_3L128_0.48M.{suffix}", 256)
    (tmp_path / "fineweb_val_000000.bin").symlink_to(real_data / "text/shards/fineweb_val_head_sp1024.bin")
    tokenizer = str(real_data / "tokenizers/fineweb_1024_bpe.model")
    config = replace(model.config, data_path=str(tmp_path), tokenizer_path=tokenizer)
    sums = score_sequential(model, first_targets(read_validation(config), 65_536), 256, 8192)
    assert round(sums.bpb_table, 3) == says


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (Scoring(length=8, tokens=-1), "--tokens -1; wanted at least 1"),
        (Scoring(length=-1), "a sequence of -1 tokens cannot be"),
        (Scoring(length=8, method="adapting", rate=1e30), "the score is (nan|inf) nats; .* a lower --rate"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(tmp_path: Path, shards: Path, how: Scoring, says: str) -> None:
    write_container(tmp_path / "m.pgc", weights_out(GPT(tiny_config(shards)))[0], "official+zlib9")
    with pytest.raises(ModelError, match=says):
        score_artifact(tmp_path / "m.pgc", shards, how)


def test_a_folder_is_scored_by_the_artifact_in_it(tmp_path: Path, shards: Path) -> None:
    write_container(tmp_path / "final_model.pgc", weights_out(GPT(tiny_config(shards)))[0], "official+zlib9")
    found = [score_artifact(place, shards, Scoring(length=8)) for place in (tmp_path, tmp_path / "final_model.pgc")]
    assert found[0]["nats"] == found[1]["nats"]
    with pytest.raises(ModelError, match="no artifact in this folder"):
        score_artifact(shards, shards)


def test_tokens_of_another_vocabulary_spell_no_text_that_comes_back(tmp_path: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    texts = ["".join(random.Random(i).choices("ab", k=200)) for i in range(20)]
    for name, some in (("own", texts), ("other", [text.replace("ab", "a") for text in texts])):
        with (tmp_path / name).open("wb") as out:
            spm.SentencePieceTrainer.train(
                sentence_iterator=iter(some), model_writer=out, model_type="bpe", vocab_size=300, byte_fallback=True,
                add_dummy_prefix=False, minloglevel=2,
            )  # fmt: skip
    pieces = spm.SentencePieceProcessor(model_file=str(tmp_path / "own"))
    tokens = np.array([t for text in texts for t in [1, *pieces.encode(text)]], np.uint16)
    check_spelling(tmp_path / "own", tokens)
    with pytest.raises(ModelError, match=r"other: cuts 0 of the first 19 documents .* It is another vocabulary"):
        check_spelling(tmp_path / "other", tokens)
    check_spelling(tmp_path / "other", tokens[:9])  # too little to say anything


def test_the_public_vocabulary_is_told_from_one_of_equal_size(real_data: Path) -> None:
    shard = np.fromfile(real_data / "text/shards/fineweb_val_head_sp1024.bin", "<u2", offset=1024)
    check_spelling(real_data / "tokenizers/fineweb_1024_bpe.model", shard)
    with pytest.raises(ModelError, match="cuts 0 of the first 52 documents"):
        check_spelling(real_data / "tokenizers/ciprian_1024_bpe.model", shard)

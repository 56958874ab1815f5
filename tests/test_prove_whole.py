"""The proof across the rooms, by its commands: the lab's vocabularies, shards and scorer, in separate processes."""

import json
import math
import sys
from pathlib import Path

import pytest

import pglab
from model.score import score_artifact
from tests.proof_makers import HARD_WORDS, tiny_tour

pytestmark = pytest.mark.slow
LEAKING = """
import sys
import torch.nn.functional as F
import model.scorer as scorer
load = scorer.load_model
def leaking(*given):
    made = load(*given)
    climbed = made.climbed
    def ahead(ids, *more):
        return climbed(ids, *more) + 0.01 * made.tok_emb(F.pad(ids[:, 1:], (0, 1))).flatten(0, 1)
    made.climbed = ahead
    return made
if sys.argv[1] == "leaking":
    scorer.load_model = leaking
sys.exit(scorer.main(sys.argv[2:]))
"""


def tiny_run(home: Path, kind: str) -> Path:
    """corpus, vocab, shards, train: as a run leaves them, with lines, odd spaces and ligatures in the documents."""
    return tiny_tour(home, kind, HARD_WORDS, 150)


@pytest.mark.parametrize("kind", ["bpe", "sp_bpe"])
def test_a_whole_proof_is_written_and_checked(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path, kind)
    artifact, docs, proof = run / "train/final_model.pgc", run / "corpus/docs.jsonl", run / "proof.pgp"
    evaluated = score_artifact(artifact, run / "shards")
    for more in ("", "--context documents", "--path replay --windows 8"):
        capsys.readouterr()
        line = f"prove write {artifact} --docs {docs} --shards {run}/shards --out {proof} --workers 1 --json {more}"
        assert pglab.run(line.split()) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["lanes_coded_again"] == 0
        assert (said["split"]["residual"] > 0) == (kind == "sp_bpe")
        assert abs(said["split"]["precision"]) < 1e-3 * said["bits"]
        if more != "--context documents":
            assert said["bpb_raw"] == pytest.approx(evaluated["bpb_raw"], rel=1e-5)
            assert said["scored_targets"] == evaluated["tokens"]
        line = f"prove check {proof} {artifact} --vocab {run}/shards --docs {docs} --out {run}/back.jsonl --workers 1"
        assert pglab.run(line.split()) == 0
        raw = [json.loads(one)["text"] for one in docs.read_text("utf-8").splitlines()][: said["documents"]]
        assert [json.loads(one)["text"] for one in (run / "back.jsonl").read_text("utf-8").splitlines()] == raw
        assert said["bpb_proved"] == 8 * proof.stat().st_size / sum(len(text.encode()) for text in raw)
        assert math.isfinite(said["bpb_proved"])


@pytest.mark.parametrize(
    ("kind", "lossy"),
    [
        ("bpe_case", False),
        ("unigram", False),
        ("wordpiece", False),
        ("sp_bpe_caseops", True),
        ("sp_unigram", True),
    ],
)
def test_every_kind_of_vocabulary_is_proved_whole(
    kind: str, lossy: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run(tmp_path, kind)
    artifact, docs, proof = run / "train/final_model.pgc", run / "corpus/docs.jsonl", run / "proof.pgp"
    capsys.readouterr()
    assert pglab.run(f"prove write {artifact} --docs {docs} --shards {run}/shards --out {proof} --json".split()) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["split"]["residual"] > 0) == lossy
    assert pglab.run(f"prove check {proof} {artifact} --vocab {run}/shards --docs {docs} --json".split()) == 0
    back = json.loads(capsys.readouterr().out)
    assert (back["wrong"], back["bpb_proved"]) == ([], said["bpb_proved"])
    assert back["done"]["documents"] == said["documents"] > 1


def test_a_hundredth_of_the_next_tokens_embedding_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path, "bpe")
    (run / "scorer.py").write_text(LEAKING)
    artifact, docs, proof = run / "train/final_model.pgc", run / "corpus/docs.jsonl", run / "proof.pgp"
    files = f"{artifact} --docs {docs} --shards {run}/shards --out {proof} --path replay --windows 8 --workers 1"
    for mode, status in (("leaking", 2), ("honest", 0)):
        scorer = f"{sys.executable} {run}/scorer.py {mode} {{artifact}} --rows {{rows}} --path replay"
        assert pglab.run(["prove", "write", *files.split(), "--command", scorer]) == status
        said = capsys.readouterr()
        assert ("looks ahead" in said.err) == (mode == "leaking")
        assert proof.exists() == (mode == "honest")
    assert "UNCHECKED the other windows" in said.out
    assert "UNCHECKED whether the scorer knew the text" in said.out


def test_shards_are_made_where_only_a_vocabulary_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny_run(tmp_path, "bpe")
    artifact, docs, proof = run / "train/final_model.pgc", run / "corpus/docs.jsonl", run / "proof.pgp"
    assert pglab.run(f"prove write {artifact} --docs {docs} --vocab {run}/vocab --out {proof} --workers 1".split()) == 0
    assert "bpb_proved" in capsys.readouterr().out
    assert pglab.run(f"prove check {proof} {artifact} --vocab {run}/vocab --workers 1".split()) == 0

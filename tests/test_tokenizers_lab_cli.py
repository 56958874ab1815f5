"""The three commands as a user types them: exit status, stdout alone as JSON, sentences on stderr."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pglab


def call(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = pglab.run([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_whole_way_from_documents_to_verified_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "mine.jsonl"
    lines = [json.dumps({"text": f"document {i} é " + "some words to learn from " * 20}) for i in range(60)]
    source.write_text("\n".join(lines), encoding="utf-8")
    docs = tmp_path / "corpus/docs.jsonl"
    steps: list[tuple[list[str | Path], str]] = [
        (
            ["corpus", "write", "--docs", source, "--out", tmp_path / "corpus", "--validation-share", "0.2"],
            "60 documents",
        ),
        (["vocab", "train", "bpe", "--docs", docs, "--size", "300", "--out", tmp_path / "v"], "300 ids"),
        (["vocab", "train", "bytes", "--docs", docs, "--out", tmp_path / "b"], "260 ids"),
        (["vocab", "compare", tmp_path / "v", tmp_path / "b", "--docs", docs], "v packs most"),
        (["vocab", "compare", tmp_path / "v", "--docs", docs, "--json"], '"bytes_per_token"'),
        (["shards", "write", "--docs", docs, "--vocab", tmp_path / "v", "--out", tmp_path / "s"], "2 shards"),
        (["shards", "verify", tmp_path / "s", "--docs", docs], "PASS: 60 documents"),
    ]
    for words, says in steps:
        status, out, err = call(capsys, *words)
        assert (status, err) == (0, ""), (words, err)
        assert says in " ".join(out.split()), (words, out)
    (tmp_path / "s/fineweb_val_000000.bytes").write_bytes(b"\0" * 10)
    status, out, err = call(capsys, "shards", "verify", tmp_path / "s", "--docs", docs)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    shard = tmp_path / "s/fineweb_train_000000.bin"
    status, *_ = call(capsys, "shards", "write", "--docs", docs, "--vocab", tmp_path / "v", "--out", tmp_path / "s")
    data = bytearray(shard.read_bytes())
    data[1030] ^= 1
    shard.write_bytes(bytes(data))
    status, out, err = call(capsys, "shards", "verify", tmp_path / "s", "--docs", docs)
    assert (status, err) == (1, "")
    assert "FAIL: 2 differences" in out


@pytest.mark.parametrize(
    "words",
    [
        ["corpus", "write", "--docs", "DOCS", "--out", "OUT"],
        ["vocab", "train", "bpe", "--docs", "DOCS", "--size", "300", "--out", "OUT"],
        ["vocab", "compare", "VOCAB", "--docs", "DOCS"],
        ["shards", "write", "--docs", "DOCS", "--vocab", "VOCAB", "--out", "OUT"],
    ],
)
def test_json_is_the_only_thing_on_stdout(
    small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    places = {"DOCS": small_lab / "corpus/docs.jsonl", "OUT": tmp_path / "o", "VOCAB": small_lab / "vocab/bpe"}
    status, out, err = call(capsys, *[places.get(word, word) for word in words], "--json")
    assert (status, err) == (0, "")
    assert isinstance(json.loads(out), dict)


def test_verify_says_json_too(small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = small_lab / "corpus/docs.jsonl"
    call(capsys, "shards", "write", "--docs", docs, "--vocab", small_lab / "vocab/bpe", "--out", tmp_path)
    status, out, _ = call(capsys, "shards", "verify", tmp_path, "--docs", docs, "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["verdict"], found["sidecar_bytes"]) == ("PASS", found["validation_bytes"])
    (tmp_path / "fineweb_train_000077.bin").write_bytes(b"")
    status, out, _ = call(capsys, "shards", "verify", tmp_path, "--docs", docs, "--json")
    assert (status, json.loads(out)["verdict"]) == (1, "FAIL")


def test_compare_measures_what_it_says(small_lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = small_lab / "corpus/docs.jsonl"
    kinds = ["bytes", "bpe", "sp_bpe", "sp_bpe_lossless"]
    _, out, _ = call(
        capsys, "vocab", "compare", *[small_lab / "vocab" / k for k in kinds], "--docs", docs, "--width", "64", "--json"
    )
    found = json.loads(out)
    corpus = json.loads((small_lab / "corpus/corpus.json").read_text())
    assert (found["split"], found["documents"]) == ("validation", corpus["validation_documents"])
    assert found["bytes"] == corpus["validation_bytes"]
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["bytes"]["bytes_per_token"] == 1.0
    assert rows["bytes"]["embedding_bytes"] == 260 * 64
    assert rows["bpe"]["lossless"] == rows["sp_bpe_lossless"]["lossless"] == "exact"
    assert rows["sp_bpe"]["lossless"] != "exact"
    for row in rows.values():
        assert row["exact"] + row["normalised"] + row["lossy"] == found["documents"]
        assert row["unknown"] == 0
        assert abs(row["tokens"] * row["bytes_per_token"] - found["bytes"]) < 1e-6 * found["bytes"]


def test_an_import_says_whether_a_tokens_bytes_are_fixed(small_lab: Path, tmp_path: Path, capsys) -> None:
    for kind, file, says, fixed in (
        ("sp_bpe", "tokenizer.model", "stands for bytes that depend on the text around it", "context"),
        ("bytes", "tokenizer.json", "always stands for the same bytes", "fixed"),
    ):
        words = ["vocab", "import", small_lab / "vocab" / kind / file, "--out", tmp_path / kind]
        assert says in call(capsys, *words)[1]
        assert json.loads(call(capsys, *words, "--json")[1])["token_bytes"] == fixed


def test_compare_shows_the_score_that_score_gives(small_lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [small_lab / "vocab/bpe", small_lab / "vocab/sp_bpe", "--docs", small_lab / "corpus/docs.jsonl"]
    _, out, _ = call(capsys, "vocab", "compare", *words, "--score", "--bits", "6", "--json")
    found = json.loads(out)
    _, out, _ = call(capsys, "vocab", "score", *words, "--json")
    alone = json.loads(out)
    assert found["score"]["rows"] == alone["rows"]
    shown = found["tables"]["vocabularies"]["rows"]
    assert [row["bpb"] for row in shown] == [row["bpb"] for row in alone["rows"]]
    assert [row["back"] for row in shown] == ["exact", "NFKC"]  # of the comparison, not of the score
    _, out, _ = call(capsys, "vocab", "score", *words, "--artifact", "10")
    assert "no room for a model" in out
    lines = small_lab / "lines.jsonl"
    lines.write_bytes((small_lab / "corpus/docs.jsonl").read_bytes())
    _, out, _ = call(capsys, "vocab", "compare", words[0], "--docs", lines)
    assert out.split(",")[0].split()[1] == "documents"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["vocab", "compare", "--docs", "nowhere.jsonl"], "no vocabulary to compare"),
        (["vocab", "compare", "nowhere", "--docs", "EMPTY"], "no text to compare on"),
        (["vocab", "compare", "nowhere", "--docs", "DOCS"], "nowhere/spec.json: not there"),
        (["vocab", "compare", "nowhere", "--docs", "DOCS", "--bits", "0"], "--bits 0"),
        (["vocab", "train", "bpe", "--docs", "nowhere.jsonl", "--out", "OUT"], "nowhere.jsonl: no such file"),
        (["shards", "write", "--docs", "nowhere.jsonl", "--vocab", "V", "--out", "OUT"], "nowhere.jsonl: no such file"),
        (["shards", "verify", "nowhere", "--docs", "DOCS"], "manifest.json: not there"),
        (["shards", "write", "--docs", "EMPTY", "--vocab", "VOCAB", "--out", "OUT"], "Say how many lead"),
        (
            ["shards", "write", "--docs", "EMPTY", "--vocab", "VOCAB", "--out", "OUT", "--validation-documents", "0"],
            "no documents in it",
        ),
        (
            ["shards", "write", "--docs", "DOCS", "--vocab", "VOCAB", "--out", "OUT", "--validation-documents", "-1"],
            "wanted 0 or more",
        ),
    ],
)
def test_what_cannot_run_is_one_sentence_and_status_two(
    small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    places = {
        "DOCS": small_lab / "corpus/docs.jsonl",
        "EMPTY": tmp_path / "empty.jsonl",
        "OUT": tmp_path / "o",
        "VOCAB": small_lab / "vocab/bpe",
    }
    status, out, err = call(capsys, *[places.get(word, word) for word in words])
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err


def test_help_imports_no_engine() -> None:
    code = (
        "import sys, pglab; pglab.run(['vocab', '--help']); pglab.run(['shards', '--help']);"
        "print([m for m in ('numpy', 'sentencepiece', 'tokenizers', 'torch') if m in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr.strip().splitlines()[-1] == "[]"

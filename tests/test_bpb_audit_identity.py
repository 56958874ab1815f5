"""Shards, documents and tokenizer belong together: each way they can fail to, beside the honest twin."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.cli import main
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Finding, Verdict
from bpb_audit.identity import locate
from bpb_audit.manifest import sha256_of
from bpb_audit.rules import all_rules, run_rule
from bpb_audit.survey import key_of
from bpb_audit.windows import WIDTH, sampled
from tests.audit_makers import (
    DOCS,
    WORDS,
    docs_bytes,
    greedy,
    model_bytes,
    plain_pieces,
    shard_bytes,
    trained,
    write_set,
)
from tests.audit_submissions import Run, write

PIECES = plain_pieces()
MODEL = model_bytes(PIECES)
PASS, FAIL, UNCHECKED = Verdict.PASS, Verdict.FAIL, Verdict.UNCHECKED


def run(code: str, folder: Path, **more: object) -> list[Finding]:
    given = {"docs": folder / "docs.jsonl", "shards": folder} | more
    [one] = [rule for rule in all_rules() if rule.code == code]
    return run_rule(one, Evidence(folder / "nothing", **given))  # type: ignore[arg-type]


def texts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [f"number {i} " + " ".join(rng.choices([*WORDS, "other", "much"], k=30)) for i in range(count)]


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    return write_set(tmp_path / "honest", texts(40), greedy(PIECES), MODEL, train=texts(40, 7))


def test_an_honest_set_passes_every_rule(honest: Path) -> None:
    for code in ("PG601", "PG602", "PG603", "PG604", "PG605", "PG606", "PG607"):
        findings = run(code, honest, documents=40 if code == "PG603" else None)
        assert [finding.verdict for finding in findings] == [PASS], findings


def test_a_cut_file_is_named(honest: Path) -> None:
    place = honest / "fineweb_train_000000.bin"
    place.write_bytes(place.read_bytes()[:-1])
    [finding] = run("PG601", honest)
    assert (finding.verdict, finding.where) == (FAIL, "fineweb_train_000000.bin")


@pytest.mark.parametrize(
    "manifest", [b"{}", b'{"version": "10B", "datasets": [3]}', b'{"files": {"fineweb_val_000000.bin": {}}}']
)
def test_a_manifest_that_says_nothing_is_no_fault(honest: Path, manifest: bytes) -> None:
    (honest / "manifest.json").write_bytes(manifest)
    assert [finding.verdict for finding in run("PG601", honest)] == [PASS]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1, 2]", "[1, 2]; wanted an object"),
        (b"null", "None; wanted an object"),
        (b'{"files": 3}', "files is 3"),
        (b'{"files": {"fineweb_val_000000.bin": 3}}', "wanted an object"),
        (b'{"files": {"fineweb_val_000000.bin": {"tokens": "a"}}}', "tokens of 'fineweb_val_000000.bin' is 'a'"),
        (b'{"files": {"fineweb_val_000000.bin": {"tokens": true}}}', "is True"),
        (b'{"files": {"fineweb_val_000000.bin": {"sha256": "abc"}}}', "64 hexadecimal"),
        (b'{"corpus": {"validation_documents": null}}', "validation_documents is None"),
        (b'{"files": {"fineweb_val_000001.bin": {}}}', "lists fineweb_val_000001.bin"),
    ],
)
def test_a_damaged_manifest_is_named_and_not_taken_for_none(honest: Path, manifest: bytes, told: str) -> None:
    (honest / "manifest.json").write_bytes(manifest)
    [fault, _] = run("PG601", honest)
    assert (fault.verdict, fault.where) == (FAIL, "manifest.json")
    assert told in fault.says


def test_a_manifest_that_says_otherwise_fails(honest: Path) -> None:
    (honest / "manifest.json").write_bytes(b'{"files": {"fineweb_val_000000.bin": {"tokens": 3}}}')
    assert [finding.verdict for finding in run("PG601", honest)] == [FAIL, PASS]


def test_a_file_that_was_changed_behind_its_manifest_fails(honest: Path) -> None:
    place = honest / "fineweb_val_000000.bin"
    listed = {"tokens": (place.stat().st_size - 1024) // 2, "sha256": sha256_of(place)}
    (honest / "manifest.json").write_text(json.dumps({"files": {place.name: listed}}))
    assert [finding.verdict for finding in run("PG601", honest)] == [PASS]
    data = bytearray(place.read_bytes())
    data[2000] ^= 1
    place.write_bytes(data)
    assert [finding.verdict for finding in run("PG601", honest)] == [FAIL, PASS]


def test_the_manifest_says_how_many_documents_there_should_be(honest: Path) -> None:
    (honest / "manifest.json").write_text('{"corpus": {"validation_documents": 40}}')
    assert run("PG603", honest, docs=None)[0].verdict is PASS
    (honest / "manifest.json").write_text('{"corpus": {"validation_documents": 50}}')
    assert run("PG603", honest)[0].verdict is FAIL


def test_the_published_layout_finds_its_tokenizer(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "datasets" / "fineweb10B_sp454", texts(9), greedy(PIECES), MODEL)
    (tmp_path / "tokenizers").mkdir()
    (folder / "tokenizer.model").rename(tmp_path / "tokenizers" / "fineweb_454_bpe.model")
    (tmp_path / "tokenizers" / "fineweb_1024_bpe.model").write_bytes(b"another")
    assert run("PG111", folder)[0].verdict is PASS
    (tmp_path / "tokenizers" / "other_454_bpe.model").write_bytes(b"a second one: which?")
    assert run("PG111", folder)[0].verdict is UNCHECKED


def test_ids_beyond_the_vocabulary_fail(honest: Path) -> None:
    (honest / "fineweb_val_000000.bin").write_bytes(shard_bytes([1, 5, len(PIECES) - 1, len(PIECES), 60_000]))
    [finding] = run("PG602", honest)
    assert finding.verdict is FAIL
    assert "2 tokens" in finding.says


def test_the_number_of_documents_is_held_to(honest: Path) -> None:
    assert run("PG603", honest, documents=50)[0].verdict is FAIL
    (honest / "docs.jsonl").write_bytes(docs_bytes(texts(40)[:30]))
    [finding] = run("PG603", honest)
    assert finding.verdict is UNCHECKED
    assert "end after 30" in finding.says
    assert run("PG605", honest)[0].verdict is PASS  # a prefix is in order


def test_the_command_line_takes_the_number_of_documents(honest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = write(honest / "record", [Run()])
    given = [str(record), "--docs", str(honest / "docs.jsonl"), "--shards", str(honest), "--only", "PG603"]
    assert main([*given, "--documents", "40"]) == 0
    assert main([*given, "--documents", "41"]) == 1
    assert "another number of documents" in capsys.readouterr().out


def test_a_longer_docs_file_is_fine(honest: Path) -> None:
    (honest / "docs.jsonl").write_bytes(docs_bytes(texts(40) + texts(9, 3)))
    assert run("PG603", honest, documents=40)[0].verdict is PASS
    assert run("PG101", honest)[0].verdict is PASS


def test_shards_cannot_say_themselves_that_they_are_all(honest: Path) -> None:
    """Half the documents, each whole and in its place: only somebody who knows how many there are can tell."""
    whole = run("PG603", honest)[0]
    half = write_set(honest / "half", texts(40)[:20], greedy(PIECES), MODEL)
    (half / "docs.jsonl").write_bytes(docs_bytes(texts(40)))
    part = run("PG603", half)[0]
    assert whole.verdict is part.verdict is UNCHECKED
    assert "--documents" in part.fix
    assert run("PG603", half, documents=40)[0].verdict is FAIL


@pytest.mark.parametrize("documents", [None, 40])
def test_a_last_document_cut_short_fails(honest: Path, documents: int | None) -> None:
    place = honest / "fineweb_val_000000.bin"
    flat = [token for text in texts(40) for token in (1, *greedy(PIECES)(text))]
    place.write_bytes(shard_bytes(flat[:-9]))
    [finding] = run("PG603", honest, documents=documents)
    assert finding.verdict is FAIL
    assert "cut short" in finding.says


def test_shards_without_a_mark_fail_and_cut_ones_are_unchecked(honest: Path) -> None:
    (honest / "fineweb_val_000000.bin").write_bytes(shard_bytes([300, 301, 1, 302]))
    assert run("PG603", honest)[0].verdict is UNCHECKED
    (honest / "fineweb_val_000000.bin").write_bytes(shard_bytes([300, 301, 302]))
    assert run("PG603", honest)[0].verdict is FAIL


def test_shuffled_and_shifted_documents_are_told_from_another_text(tmp_path: Path) -> None:
    docs = texts(30)
    folder = write_set(tmp_path, docs, greedy(PIECES), MODEL)
    (folder / "docs.jsonl").write_bytes(docs_bytes(docs[2:] + docs[:2]))
    [finding] = run("PG605", folder)
    assert finding.verdict is FAIL
    assert "out of order" in finding.says
    (folder / "docs.jsonl").write_bytes(docs_bytes(["An extra document, quite another one, at the head.", *docs]))
    [finding] = run("PG605", folder)
    assert "document 0 of the shards is line 2 of the raw file, all shifted by 1" in finding.says
    assert run("PG101", folder)[0].verdict is UNCHECKED  # nothing is in its place
    (folder / "docs.jsonl").write_bytes(
        docs_bytes([f"{i} Quite unlike words stand here: zebra quagga." for i in range(30)])
    )
    [finding] = run("PG605", folder)
    assert "another text" in finding.says


def test_documents_are_located_by_their_text_not_their_white_space(tmp_path: Path) -> None:
    place = tmp_path / "docs.jsonl"
    place.write_bytes(docs_bytes(["one", "two  three\n", "four"]))
    places = locate({key_of("two three"): 9, key_of("gone"): 10}, place)
    assert (places.moved, places.looked_for, places.shift) == (((9, 2),), 2, -8)


@pytest.mark.parametrize(("leaked", "verdict"), [(0, PASS), (1, PASS), (5, FAIL), (160, FAIL)])
def test_validation_documents_in_training_are_counted(tmp_path: Path, leaked: int, verdict: Verdict) -> None:
    docs = texts(200)
    folder = write_set(tmp_path, docs, greedy(PIECES), MODEL, train=texts(50, 7) + docs[:leaked])
    [finding] = run("PG606", folder)
    assert finding.verdict is verdict
    assert f"{leaked} of 200" in finding.found


def test_short_documents_may_repeat(tmp_path: Path) -> None:
    folder = write_set(tmp_path, ["the end"] * 5 + texts(3), greedy(PIECES), MODEL, train=["the end"] * 9)
    assert run("PG606", folder)[0].verdict is PASS


def ids_set(folder: Path, validation: list[list[int]], training: list[list[int]]) -> Path:
    """Shards of these documents' ids, without tokenizer or text."""
    folder.mkdir(exist_ok=True)
    for name, documents in (("val", validation), ("train", training)):
        flat = [token for ids in documents for token in (1, *ids)]
        (folder / f"fineweb_{name}_000000.bin").write_bytes(shard_bytes(flat))
    return folder


def random_ids(count: int, size: int, seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(4, 1024) for _ in range(size)] for _ in range(count)]


@pytest.mark.parametrize("change", ["last", "first", "middle", "joined"])
def test_altered_validation_documents_in_training_are_seen(tmp_path: Path, change: str) -> None:
    docs = random_ids(60, 500, 1)
    altered = {
        "last": [[*ids, 7] for ids in docs],
        "first": [[7, *ids[1:]] for ids in docs],
        "middle": [[*ids[:250], 7, *ids[251:]] for ids in docs],
        "joined": [[*one, *two] for one, two in zip(docs[::2], docs[1::2], strict=True)],
    }[change]
    folder = ids_set(tmp_path, docs, random_ids(30, 500, 2) + altered)
    [finding] = run("PG606", folder, docs=None)
    assert finding.verdict is FAIL
    assert "0 of 60 validation documents" in finding.found
    assert "60 of 60 altered" in finding.found


def test_common_passages_are_no_leak(tmp_path: Path) -> None:
    """A licence of 120 tokens at the foot of every document, in both splits."""
    [foot] = random_ids(1, 120, 9)
    own, others = random_ids(60, 500, 1), random_ids(60, 500, 2)
    folder = ids_set(tmp_path, [ids + foot for ids in own], [ids + foot for ids in others])
    [finding] = run("PG606", folder, docs=None)
    assert finding.verdict is PASS
    assert "0 of 60 altered" in finding.found
    assert "(0 of" not in finding.found  # the passage was met, and told


@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.integers(0, 6))
def test_sampled_windows_depend_on_their_tokens_alone(seed: int, size: int, marks: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.integers(2, 50_000, size).astype(np.uint16)
    ids[rng.integers(0, size, marks) if size else []] = 1
    hashes, heads = sampled(ids, 1)
    for value, head in zip(hashes.tolist(), heads.tolist(), strict=True):
        window = ids[head : head + WIDTH]
        assert len(window) == WIDTH
        assert 1 not in window
        assert sampled(window, 1)[0].tolist() == [value]
    alone = [at for at in range(size - WIDTH + 1) if len(sampled(ids[at : at + WIDTH], 1)[0])]
    assert heads.tolist() == alone


def test_a_wrong_pair_is_seen_without_documents(tmp_path: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    right, wrong = trained("bpe", 420), trained("bpe", 400, lossless=True)
    sp = spm.SentencePieceProcessor()
    sp.LoadFromSerializedProto(right)
    docs = [*DOCS, *texts(60)]
    folder = write_set(tmp_path / "a", docs, sp.encode, right)
    assert run("PG607", folder, docs=None)[0].verdict is PASS
    (folder / "tokenizer.model").write_bytes(wrong)
    assert run("PG607", folder, docs=None)[0].verdict is FAIL
    for code in ("PG101", "PG111", "PG605"):  # nothing that this tokenizer decodes means anything
        [finding] = run(code, folder)
        assert finding.verdict is UNCHECKED
        assert "PG607" in finding.says


def test_bytes_that_are_not_text_give_a_wrong_pair_away(tmp_path: Path) -> None:
    folder = write_set(tmp_path, [*DOCS, *texts(20)], greedy(PIECES), MODEL)
    rolled = [*PIECES[:4], *PIECES[132:260], *PIECES[4:132], *PIECES[260:]]  # the same pieces, bytes in another order
    words = [*rolled[:260], *rolled[360:], *rolled[260:360]]
    (folder / "tokenizer.model").write_bytes(model_bytes(words))
    assert run("PG605", folder)[0].verdict is FAIL
    assert run("PG607", folder)[0].verdict in (FAIL, UNCHECKED)


def test_real_shards_with_right_and_wrong_tokenizers(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    shards = real_data / "text/shards"
    (folder / "fineweb_val_000000.bin").write_bytes((shards / "fineweb_val_head_sp1024.bin").read_bytes())
    (folder / "fineweb_train_000000.bin").write_bytes((shards / "fineweb_train_sample_sp1024.bin").read_bytes())
    docs = real_data / "text/fineweb_docs.jsonl"
    right = real_data / "tokenizers/fineweb_1024_bpe.model"
    for code in ("PG101", "PG111", "PG601", "PG602", "PG604", "PG605", "PG606", "PG607"):
        assert [f.verdict for f in run(code, folder, docs=docs, tokenizer=right)] == [PASS]
    [finding] = run("PG603", folder, docs=docs, tokenizer=right)
    assert finding.verdict is UNCHECKED  # the sample begins inside a document
    for name in ("ciprian_1024_bpe.model", "fineweb_4096_bpe.model", "gpt2.tiktoken", "mistral_v1_spm.model"):
        wrong = real_data / "tokenizers" / name
        assert run("PG607", folder, docs=None, tokenizer=wrong)[0].verdict is FAIL, name

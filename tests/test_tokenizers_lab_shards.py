"""Shards: the challenge's format byte for byte, a sidecar that sums, and a recount that finds every change."""

import gzip
import json
import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tokenizers_lab.builders import KINDS, open_vocabulary, train_vocabulary
from tokenizers_lab.errors import VocabError
from tokenizers_lab.shard_documents import shard_documents
from tokenizers_lab.shard_format import header, read_values
from tokenizers_lab.shard_verify import verify_shards
from tokenizers_lab.shard_writer import write_shards
from tokenizers_lab.speeches import python_topics

EVERY = pytest.mark.parametrize("kind", list(KINDS))


def plain_export(docs: Path, encode, validation: int, shard_tokens: int) -> dict[str, bytes]:
    """The public exporter's algorithm, slowly: BOS and ids, documents in order, a new file at a full shard or split."""
    files: dict[str, bytes] = {}
    held: list[int] = []
    counts = {"val": 0, "train": 0}
    split = "val"

    def flush() -> None:
        if held:
            ints = [20240520, 1, len(held)] + [0] * 253
            body = struct.pack(f"<{len(held)}H", *held)
            files[f"fineweb_{split}_{counts[split]:06d}.bin"] = struct.pack("<256i", *ints) + body
            counts[split] += 1
            held.clear()

    for number, line in enumerate(docs.read_bytes().splitlines()):
        new = "val" if number < validation else "train"
        if new != split:
            flush()
            split = new
        for token in [1, *encode(json.loads(line)["text"])]:
            held.append(token)
            if len(held) == shard_tokens:
                flush()
    flush()
    return files


@pytest.fixture(scope="session")
def written(small_lab: Path) -> Path:
    """Shards of every kind, small enough that documents run across files: shards/KIND."""
    for kind in KINDS:
        write_shards(small_lab / "corpus/docs.jsonl", small_lab / "vocab" / kind, small_lab / "shards" / kind, 10_007)
    return small_lab / "shards"


@EVERY
def test_shards_are_the_plain_exporters(small_lab: Path, written: Path, kind: str) -> None:
    _, tokenizer, _ = open_vocabulary(small_lab / "vocab" / kind)
    validation = json.loads((small_lab / "corpus/corpus.json").read_text())["validation_documents"]
    wanted = plain_export(
        small_lab / "corpus/docs.jsonl", lambda text: tokenizer.encode_batch([text]).ids.tolist(), validation, 10_007
    )
    assert {path.name for path in (written / kind).glob("fineweb_*.bin")} == set(wanted)
    assert len(wanted) > 4
    for name, data in wanted.items():
        assert (written / kind / name).read_bytes() == data, name


@EVERY
def test_the_sidecar_sums_to_every_validation_document(small_lab: Path, written: Path, kind: str) -> None:
    corpus = json.loads((small_lab / "corpus/corpus.json").read_text())
    texts = [json.loads(line)["text"] for line in (small_lab / "corpus/docs.jsonl").read_bytes().splitlines()]
    manifest = json.loads((written / kind / "manifest.json").read_text())
    found = list(shard_documents(written / kind, manifest["files"], "val", 1))
    assert len(found) == corpus["validation_documents"]
    total = 0
    for document, text in zip(found, texts, strict=False):
        assert document.lengths is not None
        assert int(document.lengths.sum()) == len(text.encode("utf-8"))
        assert document.tokens[0] == 1
        if len(document.tokens) > 1:
            assert document.lengths[0] == 0
        total += int(document.lengths.sum())
    assert total == corpus["validation_bytes"]
    assert not list((written / kind).glob("fineweb_train_*.bytes"))


@EVERY
def test_the_manifest_counts_what_is_there(small_lab: Path, written: Path, kind: str) -> None:
    manifest = json.loads((written / kind / "manifest.json").read_text())
    corpus = json.loads((small_lab / "corpus/corpus.json").read_text())
    assert manifest["format"] == "pglab-shards-1"
    assert manifest["corpus"] == corpus
    on_disk = {path.name for path in (written / kind).glob("fineweb_*")}
    assert set(manifest["files"]) == on_disk
    shards = {name: entry for name, entry in manifest["files"].items() if name.endswith(".bin")}
    assert sum(entry["documents"] for entry in shards.values()) == corpus["documents"]
    assert sum(entry["bytes_raw"] for entry in shards.values()) == corpus["bytes"]
    for name, entry in manifest["files"].items():
        assert len(read_values(written / kind / name)) == entry["tokens"]
    for name in ("token_table.npz", manifest["vocabulary"]["file"]):
        assert (written / kind / name).read_bytes() == (small_lab / "vocab" / kind / name).read_bytes()


@EVERY
def test_a_recount_passes(small_lab: Path, written: Path, kind: str) -> None:
    found = verify_shards(written / kind, small_lab / "corpus/docs.jsonl")
    assert (found.differences, found.shown) == (0, [])
    corpus = json.loads((small_lab / "corpus/corpus.json").read_text())
    assert (found.documents, found.bytes_raw) == (corpus["documents"], corpus["bytes"])
    assert found.sidecar_bytes == found.validation_bytes == corpus["validation_bytes"]
    if kind in ("bpe", "bytes"):
        assert found.table_bytes == found.validation_bytes
    with ThreadPoolExecutor(2) as pool:
        assert verify_shards(written / kind, small_lab / "corpus/docs.jsonl", executor=pool) == found
    assert found.shards == len(list((written / kind).glob("*.bin")))


def test_writing_twice_gives_the_same_folder_and_sweeps_stale_shards(small_lab: Path, tmp_path: Path) -> None:
    docs, vocabulary = small_lab / "corpus/docs.jsonl", small_lab / "vocab/bpe"
    write_shards(docs, vocabulary, tmp_path / "a", 5_000)
    assert len(list((tmp_path / "a").glob("fineweb_train_*"))) > 3
    write_shards(docs, vocabulary, tmp_path / "a", 10**8)
    write_shards(docs, vocabulary, tmp_path / "b", 10**8)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_smallest_shard_never_changes(tmp_path: Path, golden) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_text('{"text": "é"}\n{"text": ""}\n{"text": "a b"}\n', encoding="utf-8")
    train_vocabulary("bytes", docs, 260, tmp_path / "v")
    write_shards(docs, tmp_path / "v", tmp_path / "s", validation=2)
    golden("tokenizers_lab_fineweb_val_000000.bin", (tmp_path / "s/fineweb_val_000000.bin").read_bytes())
    golden("tokenizers_lab_fineweb_val_000000.bytes", (tmp_path / "s/fineweb_val_000000.bytes").read_bytes())
    values = read_values(tmp_path / "s/fineweb_train_000000.bin")
    assert values.tolist() == [1, 4 + 97, 4 + 32, 4 + 98]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def damages(folder: Path) -> Iterator[tuple[str, str]]:
    """(what was done, what the recount must say) for one folder, each done to a fresh copy by the caller."""
    yield "sidecar", "the sidecar counts"
    yield "token", "does not decode to its document"
    yield "special", "does not decode to its document"
    yield "document", "no tokens"
    yield "stray", "is not named by the manifest"
    yield "missing", "is named by the manifest and not there"
    yield "text", "does not decode to its document"
    yield "moved", "the sidecar gives token 5 "
    yield "table", "base_bytes is not the vocabulary's"
    yield "torn table", "cannot be read"


@pytest.mark.parametrize(("what", "says"), list(damages(Path())))
def test_a_recount_finds_every_change(small_lab: Path, written: Path, tmp_path: Path, what: str, says: str) -> None:
    copy = tmp_path / "s"
    copy.mkdir()
    for file in (written / "bpe").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    docs = tmp_path / "docs.jsonl"
    docs.write_bytes((small_lab / "corpus/docs.jsonl").read_bytes())
    if what == "sidecar":
        flip(copy / "fineweb_val_000000.bytes", 1024 + 2 * 5)
    elif what == "token":
        flip(copy / "fineweb_train_000000.bin", 1024 + 2 * 7)
    elif what == "special":
        shard = bytearray((copy / "fineweb_train_000000.bin").read_bytes())
        shard[1024 + 4 : 1024 + 6] = struct.pack("<H", 3)
        (copy / "fineweb_train_000000.bin").write_bytes(bytes(shard))
    elif what == "document":
        docs.write_bytes(docs.read_bytes() + b'{"text": "one more"}\n')
    elif what == "stray":
        (copy / "fineweb_train_000099.bin").write_bytes(header(0))
    elif what == "missing":
        (copy / sorted(p.name for p in copy.glob("fineweb_train_*"))[-1]).unlink()
    elif what == "moved":  # between two tokens, so that the sum stays
        sidecar = bytearray((copy / "fineweb_val_000000.bytes").read_bytes())
        sidecar[1024 + 2 * 5] += 1
        sidecar[1024 + 2 * 6] -= 1
        (copy / "fineweb_val_000000.bytes").write_bytes(bytes(sidecar))
    elif what == "table":
        (copy / "token_table.npz").write_bytes((written / "bytes/token_table.npz").read_bytes())
    elif what == "torn table":
        (copy / "token_table.npz").write_bytes((copy / "token_table.npz").read_bytes()[:99])
    else:
        lines = docs.read_bytes().splitlines(keepends=True)
        lines[3] = b'{"text": "another text"}\n'
        docs.write_bytes(b"".join(lines))
    found = verify_shards(copy, docs)
    assert found.differences >= 1
    assert any(says in shown["says"] for shown in found.shown), found.shown
    with ThreadPoolExecutor(2) as pool:
        parts = verify_shards(copy, docs, executor=pool)
    assert parts.differences >= 1
    assert any(says in shown["says"] or "documents begin in it" in shown["says"] for shown in parts.shown), parts.shown


def test_a_recount_in_parts_knows_where_its_lines_are(small_lab: Path, tmp_path: Path) -> None:
    lines = (small_lab / "corpus/docs.jsonl").read_bytes().splitlines(keepends=True)
    docs = tmp_path / "docs.jsonl"
    docs.write_bytes(b"\n" + b" \n".join(lines) + b"\n\n")  # blank lines are no documents
    write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", 5_003, validation=7)
    whole = verify_shards(tmp_path / "s", docs)
    with ThreadPoolExecutor(2) as pool:
        assert verify_shards(tmp_path / "s", docs, executor=pool) == whole
        lines[9] = b'{"text": "\xff"}\n'
        docs.write_bytes(b"\n" + b" \n".join(lines) + b"\n\n")
        for executor in (None, pool):  # the line that cannot be read is named alike
            with pytest.raises(VocabError, match=r"docs\.jsonl:20: byte 11 of the line is not UTF-8"):
                verify_shards(tmp_path / "s", docs, executor=executor)
        packed = tmp_path / "docs.jsonl.gz"
        packed.write_bytes(gzip.compress((small_lab / "corpus/docs.jsonl").read_bytes()))
        assert verify_shards(tmp_path / "s", packed, executor=pool) == whole
    with pytest.raises(VocabError, match="--workers 0"):
        verify_shards(tmp_path / "s", docs, workers=0)


def test_a_recount_finds_tokens_without_a_document(small_lab: Path, written: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_bytes(b"".join((small_lab / "corpus/docs.jsonl").read_bytes().splitlines(keepends=True)[:-1]))
    found = verify_shards(written / "sp_bpe", docs)
    assert [shown["says"] for shown in found.shown] == ["tokens of a document that is not among the raw ones"]


def test_changed_documents_are_refused_before_anything_is_written(small_lab: Path, tmp_path: Path) -> None:
    for name in ("docs.jsonl", "corpus.json"):
        (tmp_path / name).write_bytes((small_lab / "corpus" / name).read_bytes())
    (tmp_path / "docs.jsonl").write_bytes((tmp_path / "docs.jsonl").read_bytes() + b'{"text": "one more"}\n')
    with pytest.raises(VocabError, match=r"but corpus\.json beside it says"):
        write_shards(tmp_path / "docs.jsonl", small_lab / "vocab/bpe", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_split_must_be_said(small_lab: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_bytes(b'{"text": "a"}\n{"text": "b"}\n')
    with pytest.raises(VocabError, match="--validation-documents N"):
        write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s")
    with pytest.raises(VocabError, match="2 documents, but 3 were to be for validation"):
        write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", validation=3)
    assert not (tmp_path / "s/manifest.json").exists()
    with pytest.raises(VocabError, match="wanted at least 1"):
        write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", shard_tokens=0)


def test_a_broken_line_leaves_no_manifest(small_lab: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    with pytest.raises(VocabError, match=r"docs\.jsonl:2"):
        write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", validation=1)
    assert not (tmp_path / "s/manifest.json").exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "shorter than a shard's header"),
        (header(1), "it is cut off"),
        (header(1) + b"\0", "it is cut off"),
        (header(0) + b"\0\0", "something behind it"),
        (b"\0" * 1024, "magic 0"),
        (struct.pack("<256i", 20240520, 2, *[0] * 254), "version 2"),
        (struct.pack("<256i", 20240520, 1, -1, *[0] * 253), "-1 values"),
    ],
)
def test_a_broken_shard_is_one_sentence(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "fineweb_val_000000.bin"
    path.write_bytes(data)
    with pytest.raises(VocabError, match=says):
        read_values(path)


def test_an_empty_shard_is_no_values(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(header(0))
    assert read_values(tmp_path / "x.bin").tolist() == []
    with pytest.raises(VocabError, match="at most 2,147,483,647"):
        header(2**31)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format": "pglab-shards-1"}', b"\xff"])
def test_a_broken_manifest_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(VocabError, match=r"manifest\.json: no manifest"):
        verify_shards(tmp_path, tmp_path / "docs.jsonl")


def test_documents_join_across_files(tmp_path: Path) -> None:
    for index, tokens in enumerate([[1, 5, 6], [7, 1], [8, 9, 1]]):
        body = np.array(tokens, "<u2").tobytes()
        (tmp_path / f"fineweb_val_{index:06d}.bin").write_bytes(header(len(tokens)) + body)
    names = [path.name for path in tmp_path.iterdir()]
    found = [(d.where, d.tokens.tolist()) for d in shard_documents(tmp_path, names, "val", 1)]
    assert found == [
        ("fineweb_val_000000.bin:0", [1, 5, 6, 7]),
        ("fineweb_val_000001.bin:1", [1, 8, 9]),
        ("fineweb_val_000002.bin:2", [1]),
    ]


@pytest.mark.parametrize("kind", ["bpe", "sp_bpe", "bytes"])
def test_fuzz_a_folder_of_shards_is_judged_or_refused(small_lab: Path, tmp_path: Path, kind: str) -> None:
    """Whatever is in the folder: a recount, or the room's one error. A change is never passed over in silence."""
    docs = tmp_path / "docs.jsonl"
    docs.write_text(
        '{"text": "some words"}\n{"text": "é <s>"}\n{"text": ""}\n{"text": "more words"}\n', encoding="utf-8"
    )
    write_shards(docs, small_lab / "vocab" / kind, tmp_path / "s", 7, validation=2)
    assert verify_shards(tmp_path / "s", docs).differences == 0
    rng = random.Random(kind)
    files = sorted(path for path in (tmp_path / "s").iterdir() if path.name != "token_table.npz")
    for turn in range(100):
        path = files[turn % len(files)]
        whole = path.read_bytes()
        broken = bytearray(whole)
        if turn % 3:
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        else:
            del broken[rng.randrange(len(broken)) :]
        path.write_bytes(bytes(broken))
        try:
            silent = verify_shards(tmp_path / "s", docs).differences == 0
        except VocabError:
            silent = False
        if path.name != "manifest.json":
            assert not silent, (path.name, turn)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["files"]["fineweb_val_000000.bin"].pop("sha256"),
        lambda m: m["files"].update({"fineweb_val_000000.bin": 3}),
        lambda m: m["files"].update({"../fineweb_val_000000.bin": m["files"]["fineweb_val_000000.bin"]}),
        lambda m: m.update(files=[]),
        lambda m: m["vocabulary"].pop("file_sha256"),
        lambda m: m["vocabulary"].update(file=7),
        lambda m: m["vocabulary"].update(file="../tokenizer.json"),
        lambda m: m["vocabulary"].update(file=""),
        lambda m: m["vocabulary"].update(kind=["bpe"]),
        lambda m: m["corpus"].update(validation_documents=-1),
        lambda m: m["corpus"].update(validation_documents="2"),
        lambda m: m.update(corpus=None),
    ],
)
def test_a_manifest_with_wrong_entries_is_one_sentence(small_lab: Path, tmp_path: Path, change) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_text('{"text": "some words"}\n{"text": "more"}\n', encoding="utf-8")
    write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", validation=1)
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    change(manifest)
    (tmp_path / "s/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VocabError, match=r"manifest\.json: no manifest"):
        verify_shards(tmp_path / "s", docs)


@pytest.mark.slow
def test_a_document_of_100_mb_is_a_document(small_lab: Path, tmp_path: Path) -> None:
    text = "".join(document.text for document in python_topics())
    text = (text * (100_000_000 // len(text) + 1))[:100_000_000]
    docs = tmp_path / "big.jsonl"
    docs.write_text(json.dumps({"text": text}, ensure_ascii=False) + "\n", encoding="utf-8")
    manifest = write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", validation=1)
    assert manifest["corpus"]["documents"] == 1
    assert manifest["corpus"]["bytes"] == len(text.encode("utf-8"))
    assert int(read_values(tmp_path / "s/fineweb_val_000000.bytes").sum(dtype="int64")) == len(text.encode("utf-8"))

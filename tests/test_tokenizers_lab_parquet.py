"""Parquet in: the same documents as from JSON lines, or one sentence with the row."""

import json
import os
import sys
from pathlib import Path

import pytest

from tokenizers_lab.corpus import write_corpus
from tokenizers_lab.document import read_documents
from tokenizers_lab.errors import VocabError
from tokenizers_lab.shard_verify import verify_shards
from tokenizers_lab.shard_writer import write_shards

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def write(path: Path, texts: list, kind=None, name: str = "text") -> Path:
    column = pyarrow.array(texts, kind or pyarrow.string())
    parquet.write_table(pyarrow.table({"id": range(len(texts)), name: column}), path, row_group_size=7)
    return path


@pytest.mark.parametrize(
    "kind",
    [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())],
    ids=str,
)
def test_rows_are_documents_exactly(tmp_path: Path, hostile: tuple[str, ...], kind) -> None:
    texts = [*hostile] * 20
    path = write(tmp_path / "d.parquet", texts, kind)
    found = list(read_documents(path))
    assert [one.text for one in found] == texts
    assert [one.size for one in found] == [len(text.encode("utf-8")) for text in texts]
    assert found[8].where == f"{path}:9"


def test_a_folder_of_parquet_files_is_read_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet", ["second"])
    write(tmp_path / "a.parquet", ["first", ""])
    assert [one.text for one in read_documents(tmp_path)] == ["first", "", "second"]


def test_a_corpus_from_parquet_is_the_one_from_lines(tmp_path: Path, hostile: tuple[str, ...]) -> None:
    lines = tmp_path / "d.jsonl"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in hostile), encoding="ascii")
    write_corpus(tmp_path / "a", lines, 0.3)
    write_corpus(tmp_path / "b", write(tmp_path / "d.parquet", [*hostile]), 0.3)
    assert (tmp_path / "a/docs.jsonl").read_bytes() == (tmp_path / "b/docs.jsonl").read_bytes()


def shards_of(small_lab: Path, docs: Path, out: Path, **more) -> dict[str, bytes]:
    write_shards(docs, small_lab / "vocab/bpe", out, 500, 3, **more)
    return {path.name: path.read_bytes() for path in sorted(out.glob("fineweb_*"))}


def test_shards_are_the_same_from_every_kind_of_file(small_lab: Path, tmp_path: Path, hostile: tuple[str, ...]) -> None:
    import gzip

    import zstandard

    texts = [*hostile] * 3
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    other = "".join(json.dumps({"id": 1, "content": text}) + "\n" for text in texts).encode()
    (tmp_path / "d.jsonl").write_bytes(lines)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "d.jsonl.zst").write_bytes(zstandard.compress(lines))
    (tmp_path / "e.jsonl.zst").write_bytes(zstandard.compress(other))
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder/a.parquet", texts[:5])
    write(tmp_path / "folder/b.parquet", texts[5:])
    wanted = shards_of(small_lab, tmp_path / "d.jsonl", tmp_path / "0")
    assert len(wanted) > 4
    sources = [
        ("d.jsonl.gz", "text"),
        ("d.jsonl.zst", "text"),
        ("e.jsonl.zst", "content"),
        (write(tmp_path / "d.parquet", texts).name, "text"),
        (write(tmp_path / "c.parquet", texts, name="content").name, "content"),
        ("folder", "text"),
    ]
    for name, column in sources:
        assert shards_of(small_lab, tmp_path / name, tmp_path / f"out-{name}", column=column) == wanted, name
        assert verify_shards(tmp_path / f"out-{name}", tmp_path / name, column).differences == 0


def test_shards_of_a_parquet_file_that_changed_are_made_again(small_lab: Path, tmp_path: Path) -> None:
    docs = write(tmp_path / "d.parquet", ["a", "b", "c", "d"])
    first = shards_of(small_lab, docs, tmp_path / "out")
    write(docs, ["a", "b", "c", "e"])
    os.utime(docs, ns=(1, 1))
    assert shards_of(small_lab, docs, tmp_path / "out") != first
    with pytest.raises(VocabError, match=r"d\.parquet:2: an empty cell"):
        shards_of(small_lab, write(docs, ["a", None, "c", "d"]), tmp_path / "out")


def test_rows_that_are_no_documents_are_named_or_counted(tmp_path: Path) -> None:
    broken = pyarrow.array([b"fine", b"a\xff\xfe", None, b"end"], pyarrow.binary()).cast(pyarrow.string(), safe=False)
    path = tmp_path / "d.parquet"
    parquet.write_table(pyarrow.table({"text": broken}), path)
    with pytest.raises(VocabError, match=r"d\.parquet:2: byte 2 of the text is not UTF-8"):
        list(read_documents(path))
    skipped: list[str] = []
    assert [one.where for one in read_documents(path, skipped)] == [f"{path}:1", f"{path}:4"]
    assert [line.split(": ")[0] for line in skipped] == [f"{path}:2", f"{path}:3"]
    with pytest.raises(VocabError, match=r"e\.parquet:2: an empty cell"):
        list(read_documents(write(tmp_path / "e.parquet", ["a", None])))


def test_files_that_do_not_do_are_one_sentence(tmp_path: Path) -> None:
    good = write(tmp_path / "d.parquet", ["some text"] * 50).read_bytes()
    path = tmp_path / "bad.parquet"
    for data in [b"", b"PAR1", b'{"text": "x"}', *(good[:end] for end in range(0, len(good) - 1, 37))]:
        path.write_bytes(data)
        with pytest.raises(VocabError, match=r"bad\.parquet: no whole parquet file"):
            list(read_documents(path))
    with pytest.raises(VocabError, match=r"no column 'text' among its columns \(id, body\)"):
        list(read_documents(write(path, ["a"], name="body")))
    with pytest.raises(VocabError, match="holds int64; wanted strings"):
        list(read_documents(write(path, [1], pyarrow.int64())))


def test_without_pyarrow_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "d.parquet", ["a"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(VocabError, match=r"pip install 'parameter-golf-lab\[parquet\]'"):
        list(read_documents(path))

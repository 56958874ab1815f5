"""The document reader: exact text in, or one sentence with file and line."""

import gzip
import io
import json
import random
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.document import Document, read_documents, utf8_size
from tokenizers_lab.errors import VocabError

TEXTS = ["plain", "", "  spaces kept \n", "né 中 😀 \x00 \u2581 <s> \ufffd", "\u2028\u0085 line ends that are not ours"]


def lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode("utf-8")


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("d.jsonl", bytes),
        ("d.jsonl.gz", gzip.compress),
        ("d.jsonl.zst", zstandard.compress),
        ("two.jsonl.zst", lambda data: zstandard.compress(data[:40]) + zstandard.compress(data[40:])),
        ("two.jsonl.gz", lambda data: gzip.compress(data[:40]) + gzip.compress(data[40:])),
    ],
)
def test_every_packing_gives_the_same_documents(tmp_path: Path, name: str, pack) -> None:
    (tmp_path / name).write_bytes(pack(lines(TEXTS)))
    found = list(read_documents(tmp_path / name))
    assert [document.text for document in found] == TEXTS
    assert [document.size for document in found] == [len(text.encode("utf-8")) for text in TEXTS]
    assert found[3].where == f"{tmp_path / name}:4"


def test_blank_lines_and_a_byte_order_mark_are_no_documents(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text":"a"}\n\n  \n{"text":"b","more":1}')
    assert [(d.text, d.where) for d in read_documents(path)] == [("a", f"{path}:1"), ("b", f"{path}:4")]


def test_a_text_file_is_one_document_and_a_folder_its_text_files(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"second\r\n")
    (tmp_path / "a.txt").write_bytes("eins\nzwei é".encode())
    (tmp_path / "c.md").write_bytes(b"not this one")
    assert [d.text for d in read_documents(tmp_path)] == ["eins\nzwei é", "second\r\n"]
    assert next(read_documents(tmp_path / "c.md")) == Document(f"{tmp_path / 'c.md'}:1", "not this one", 12)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", b'{"text":"ok"}\n{"text":"\\ud800"}\n', ":2: character 1 is the lone surrogate U+D800"),
        ("a.jsonl", b'{"text":"ok"}\n{"text":"\xff"}\n', ":2: byte 10 of the line is not UTF-8"),
        ("a.jsonl", b'{"text":"\xed\xa0\x80"}\n', ":1: byte 10 of the line is not UTF-8"),
        ("a.jsonl", b'{"txt":"ok"}\n', ':1: no string under "text"'),
        ("a.jsonl", b'{"text":3}\n', ':1: no string under "text"'),
        ("a.jsonl", b'["text"]\n', ':1: no string under "text"'),
        ("a.jsonl", b'\n{"text":"cut', ":2: not JSON"),
        ("a.jsonl", b"[" * 100_000, ":1: not JSON"),
        ("a.txt", b"one\ntwo \xff", ":2: byte 9 is not UTF-8"),
        ("a.jsonl.gz", gzip.compress(lines(TEXTS))[:-9], "damaged or cut off"),
        ("a.jsonl.zst", zstandard.compress(lines(TEXTS))[:-5], "damaged or cut off"),
        ("a.jsonl.zst", b"not zstandard", "not as .zst does"),
        ("a.jsonl.gz", b"", "not as .gz does"),
    ],
)
def test_broken_input_is_one_sentence_with_its_place(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VocabError) as caught:
        list(read_documents(tmp_path / name))
    assert says in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VocabError, match=r"without \.txt or \.parquet files"):
        list(read_documents(tmp_path))


@pytest.mark.parametrize("name", ["f.jsonl", "f.jsonl.gz", "f.jsonl.zst", "f.txt"])
def test_fuzz_every_truncation_and_seeded_flips(tmp_path: Path, name: str) -> None:
    pack = {"gz": gzip.compress, "zst": zstandard.compress}.get(name.split(".")[-1], bytes)
    whole = pack(lines(TEXTS))
    rng = random.Random(7)
    broken = [whole[:cut] for cut in range(len(whole))]
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        broken.append(bytes(flipped))
    path = tmp_path / name
    for data in broken:
        path.write_bytes(data)
        message = str(path)
        try:
            for document in read_documents(path):
                assert len(document.text.encode("utf-8")) == document.size
        except VocabError as error:
            message = str(error)
        assert str(path) in message


@given(st.text())
def test_size_is_the_size_of_the_utf8(text: str) -> None:
    assert utf8_size(text, "here") == len(text.encode("utf-8"))


def test_a_line_above_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenizers_lab.document.LONGEST_LINE", 20)
    path = tmp_path / "long.jsonl"
    path.write_bytes(b'{"text":"short"}\n' + b'{"text":"' + b"a" * 30 + b'"}\n')
    with pytest.raises(VocabError, match=r"long\.jsonl:2: a line above 20 bytes"):
        list(read_documents(path))


def test_zstandard_without_a_content_size_is_read(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(packed, closefd=False) as stream:
        stream.write(lines(TEXTS * 50))
    (tmp_path / "s.jsonl.zst").write_bytes(packed.getvalue())
    assert [d.text for d in read_documents(tmp_path / "s.jsonl.zst")] == TEXTS * 50

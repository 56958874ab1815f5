"""The raw documents: what is read, and that every unreadable line is named by its number."""

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.documents import read_documents
from bpb_audit.errors import AuditError
from tests.audit_makers import DOCS, damaged, docs_bytes


def read(place: Path, data: bytes) -> list[str]:
    place.write_bytes(data)
    return [document.text for document in read_documents(place)]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5), st.booleans())
def test_texts_come_back_as_they_were_written(tmp_path_factory, texts: list[str], packed: bool) -> None:
    place = tmp_path_factory.mktemp("d") / "docs.jsonl"
    data = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)
    assert read(place, gzip.compress(data) if packed else data) == texts


def test_raw_bytes_are_utf8_untouched_and_lines_are_numbered(tmp_path: Path) -> None:
    place = tmp_path / "docs.jsonl"
    place.write_bytes(b'\n{"text": "  caf\\u00e9\\r\\n ", "url": 1}\n\n"bare"\n')
    found = list(read_documents(place))
    assert [(d.line, d.raw) for d in found] == [(2, "  café\r\n ".encode()), (4, b"bare")]


def test_a_byte_order_mark_and_windows_lines_are_let_pass(tmp_path: Path) -> None:
    assert read(tmp_path / "d", b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b"}') == ["a", "b"]


BROKEN = {
    "half an object": (b'{"text": "a"}\n{"text": ', 2),
    "no text": (b'{"words": "a"}\n', 1),
    "a number for text": (b'{"text": 3}\n', 1),
    "an array": (b'{"text": "a"}\n[1]\n', 2),
    "not UTF-8": (b'{"text": "a"}\n{"text": "caf\xe9"}\n', 2),
    "a lone surrogate": (b'{"text": "a"}\n{"text": "x\\ud800y"}\n', 2),
    "too deep": (b'{"text": "a"}\n' + b"[" * 100_000 + b"\n", 2),
    "a number of 5,000 digits": (b'{"text": "a", "n": ' + b"9" * 5000 + b"}\n", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_lines_are_named_by_number(tmp_path: Path, name: str) -> None:
    data, line = BROKEN[name]
    with pytest.raises(AuditError, match=rf"docs\.jsonl:{line}: "):
        read(tmp_path / "docs.jsonl", data)


def test_the_surrogate_and_its_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"character 2 is the lone surrogate U\+D800"):
        read(tmp_path / "docs.jsonl", b'{"text": "x\\ud800y"}\n')


def test_a_torn_gzip_is_said(tmp_path: Path) -> None:
    data = gzip.compress(docs_bytes(DOCS * 50))
    for broken in (data[: len(data) // 2], data[:-4] + b"\0\0\0\0", data[:30] + b"\xff" * 30 + data[60:]):
        with pytest.raises(AuditError, match="gzip"):
            read(tmp_path / "docs.jsonl.gz", broken)


def test_damage_gives_texts_or_the_one_error(tmp_path: Path) -> None:
    data = docs_bytes(DOCS)
    for broken in [*damaged(data, 300), *damaged(gzip.compress(data), 300)]:
        with contextlib.suppress(AuditError):
            read(tmp_path / "d", broken)

"""The proof's file: whatever bytes come in, a proof or the one error, in bounded memory; each fault by its name."""

import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.errors import AuditError
from bpb_audit.prove_format import Cursor, Header, ProofFile, Unit, section, varint, write_header, write_unit
from tests.audit_makers import damaged
from tests.conftest import GOLDEN

HEAD = Header(
    flags=0, vocab=300, context=16, rows=2, bos=1, tokens=121, documents=3, raw_bytes=400, population=3, seed=0,
    units=2, scored_tokens=112, scored_raw=380, nats=310.5, tail_nats=20.25, artifact=b"a" * 32, vocabulary=b"v" * 32,
    text=b"t" * 32, about='{"name":"x"}',
)  # fmt: skip
UNITS = [
    Unit((40, 30), (1, 1), (b"lane zero", b"lane one"), b""),
    Unit((25, 25), (1, 0), (b"lane two", b""), b"residual"),
]


def proof(head: Header = HEAD, units: list[Unit] = UNITS) -> bytes:
    return write_header(head) + b"".join(map(write_unit, units))


def opened(place: Path, data: bytes) -> ProofFile:
    place.write_bytes(data)
    made = ProofFile(place)
    for unit in range(made.header.units):
        made.parts(unit)
    return made


def test_what_was_written_is_read(tmp_path: Path) -> None:
    made = opened(tmp_path / "p", proof())
    assert made.header == HEAD
    for number, unit in enumerate(UNITS):
        lanes, residual = made.parts(number)
        assert (tuple(lanes), residual) == (unit.lanes, unit.residual)
        assert (made.places[number].tokens, made.places[number].documents) == (unit.tokens, unit.documents)
    assert [place.first for place in made.places] == [0, 2]


@given(st.integers(0, (1 << 63) - 1))
def test_numbers_come_back_in_their_shortest_form(value: int) -> None:
    assert Cursor(varint(value), "here").number() == value
    assert len(varint(value)) == max(-(-value.bit_length() // 7), 1)


def test_cut_off_anywhere_it_is_refused(tmp_path: Path) -> None:
    data = proof()
    for end in range(len(data)):
        with pytest.raises(AuditError):
            opened(tmp_path / "p", data[:end])
    with pytest.raises(AuditError, match="after its last unit"):
        opened(tmp_path / "p", data + b"x")


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    data = proof()
    for at in range(len(data)):
        for bit in (0, 6):
            with pytest.raises(AuditError):
                opened(tmp_path / "p", data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])


def test_an_altered_unit_is_named(tmp_path: Path) -> None:
    data = proof()
    at = data.index(b"lane two")
    with pytest.raises(AuditError, match=rf"unit 1, bytes {at:,} to {at + 16:,}, was altered"):
        opened(tmp_path / "p", data.replace(b"lane two", b"lame two"))


def test_damage_of_any_kind_is_the_one_error(tmp_path: Path) -> None:
    data = (GOLDEN / "proof_smallest.pgp").read_bytes()
    for broken in damaged(data):
        if broken != data:
            with pytest.raises(AuditError):
                opened(tmp_path / "p", broken)


def forged(index: list[int], head: Header = HEAD) -> bytes:
    """A proof of one unit whose index says what it likes, its checksums in order."""
    body = b"".join(map(varint, index))
    return write_header(replace(head, units=1)) + section(body) + struct.pack("<I", zlib.crc32(b""))


@pytest.mark.parametrize(
    "index",
    [
        [],
        [0, 0],
        [1, 120, 3, 1 << 60, 0],
        [1, 1 << 40, 3, 0, 0],
        [1, 1 << 28, 3, 0, 0],
        [1, 0, 3, 0, 0],
        [1, 120, 121, 0, 0],
        [1, 120, 3, 0, 1 << 50],
        [3, 40, 1, 0, 40, 1, 0, 40, 1, 0, 0],
        [2, 60, 3, 0, 59, 0, 0, 0],
        [1, 120, 3, 0, 0, 0],
    ],
)
def test_forged_sizes_are_refused_before_room_is_made(index: list[int], tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(AuditError):
        opened(tmp_path / "p", forged(index))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert opened(tmp_path / "p", forged([1, 120, 3, 0, 0])).header.units == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"vocab": 1}, {"vocab": 1 << 17}, {"rows": 0}, {"rows": 1 << 20}, {"bos": 300}, {"tokens": 1}, {"flags": 2},
        {"units": 0}, {"units": 1 << 40}, {"documents": 4}, {"nats": float("nan")}, {"tail_nats": -1.0}, {"about": "x"},
        {"about": "[" * 5000}, {"raw_bytes": 0}, {"vocab": 1 << 16, "rows": 1 << 12}, {"documents": 2, "population": 2},
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_is_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(AuditError):
        opened(tmp_path / "p", proof(replace(HEAD, **wrong)))  # type: ignore[arg-type]


def test_numbers_of_any_other_form_are_refused() -> None:
    for data in (b"\x80", b"\x80\x00", b"\xff" * 11, b""):
        with pytest.raises(AuditError):
            Cursor(data, "here").number()
    with pytest.raises(AuditError, match="impossible"):
        Cursor(varint(9), "here").number(8)


def test_another_file_is_not_a_proof(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="not a proof"):
        opened(tmp_path / "p", b'{"text": "x"}')

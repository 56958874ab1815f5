"""The file of a proof, `*.pgp`: read and written here, described byte by byte in PROOF.md.

    "PGPROOF1"   header   unit 0   unit 1 ...

A header or a unit's index is a varint of its size, that many bytes, and their CRC-32; a unit's index gives the sizes of
the byte strings behind it, which one more CRC-32 closes. Every size is held against the bytes that are there before
anything is cut out or made room for, so that whatever bytes come in, a reader returns a value or raises AuditError.
"""

import json
import math
import struct
import zlib
from dataclasses import astuple, dataclass, fields
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

from .errors import AuditError
from .prove_frames import MOST_FRAME
from .prove_plan import MOST_TOKENS

MAGIC = b"PGPROOF1"
MOST_SECTION = 1 << 26
MOST_DOCUMENTS = 1 << 24  # drawing a sample hashes each
BY_DOCUMENT = 1


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that a decoder must know, and the score as the writer evaluated it. Field order is the file's.

    flags: bit 0, the scorer starts afresh at each document. vocab: ids. context: tokens until it starts afresh, 0 for
    never. rows: of the scorer. bos: the document mark. tokens: of the stream. documents: in this proof. raw_bytes:
    their UTF-8. population: documents that it was sampled from, or as many. units: how many follow. scored_tokens,
    scored_raw: targets in full windows, and their raw bytes (0 where not known). nats, tail_nats: cross-entropy of
    those and of the other targets as the scorer evaluated them.
    """

    flags: int
    vocab: int
    context: int
    rows: int
    bos: int
    tokens: int
    documents: int
    raw_bytes: int
    population: int
    seed: int
    units: int
    scored_tokens: int
    scored_raw: int
    nats: float
    tail_nats: float
    artifact: bytes  # sha256, 32 bytes each
    vocabulary: bytes
    text: bytes
    about: str  # what the scorer says of itself, JSON

    @property
    def by_document(self) -> bool:
        return bool(self.flags & BY_DOCUMENT)

    @property
    def sampled(self) -> bool:
        return self.documents < self.population


NUMBERS = sum(field.type == "int" or field.type is int for field in fields(Header))


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. tokens: targets of each lane. documents: how many begin in each lane. residual: b"" for none."""

    tokens: tuple[int, ...]
    documents: tuple[int, ...]
    lanes: tuple[bytes, ...]
    residual: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a unit lies. lanes: size of each. offset: of the first lane; the residual and a CRC-32 come after them."""

    tokens: tuple[int, ...]
    documents: tuple[int, ...]
    lanes: tuple[int, ...]
    residual: int
    offset: int
    first: int  # its first document


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first, the high bit set on all but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def section(body: bytes) -> bytes:
    """Size, body, CRC-32."""
    return varint(len(body)) + body + checksum(body)


def checksum(data: bytes) -> bytes:
    """CRC-32, four bytes."""
    return struct.pack("<I", zlib.crc32(data))


def write_header(header: Header) -> bytes:
    """Magic and header section."""
    values = astuple(header)
    numbers = b"".join(map(varint, values[:NUMBERS]))
    about = header.about.encode("utf-8")
    rest = struct.pack("<dd", header.nats, header.tail_nats) + header.artifact + header.vocabulary + header.text
    return MAGIC + section(numbers + rest + varint(len(about)) + about)


def write_unit(unit: Unit) -> bytes:
    """Index section; lanes, residual and their CRC-32."""
    body = b"".join(unit.lanes) + unit.residual
    numbers = [len(unit.lanes)]
    for tokens, documents, lane in zip(unit.tokens, unit.documents, unit.lanes, strict=True):
        numbers += [tokens, documents, len(lane)]
    index = b"".join(map(varint, [*numbers, len(unit.residual)]))
    return section(index) + body + checksum(body)


class Cursor:
    """Bytes read from the front, each step checked. `where` goes into messages."""

    def __init__(self, data: bytes, where: str, base: int = 0) -> None:
        self.data, self.where, self.base, self.at = data, where, base, 0

    def fault(self, what: str) -> AuditError:
        return AuditError(f"{self.where}: byte {self.base + self.at:,}: {what}. Fetch or write the proof again.")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > len(self.data) - self.at:
            raise self.fault(
                f"{size:,} bytes wanted, {len(self.data) - self.at:,} left; the proof is cut off or damaged"
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, most: int = 1 << 63) -> int:
        """The next varint, at most `most`, in its shortest form."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise self.fault("a number of more than ten bytes")
        if value > most or (byte == 0 and shift):
            raise self.fault(f"the number {value:,} is impossible here")
        return value

    def end(self) -> None:
        if self.at != len(self.data):
            raise self.fault(f"{len(self.data) - self.at:,} bytes more than the proof says")


class ProofFile:
    """A proof opened for reading: its header and where everything lies; parts are read, and checked, when asked for."""

    def __init__(self, path: Path) -> None:
        """Read header and indexes. Raises AuditError, or OSError when the file cannot be opened."""
        self.path, self.size = path, path.stat().st_size
        with path.open("rb") as file:
            self.header, at = self._header(file)
            self.header_bytes = at
            self.places: list[Place] = []
            documents = 0
            for number in range(self.header.units):
                place, at = self._index(file, number, at, documents)
                self.places.append(place)
                documents += sum(place.documents)
        where = f"{path}: "
        if at != self.size:
            raise AuditError(f"{where}{self.size - at:,} bytes after its last unit, at byte {at:,}. Fetch it again.")
        tokens = sum(sum(place.tokens) for place in self.places)
        if (tokens, documents) != (self.header.tokens - 1, self.header.documents):
            raise AuditError(
                f"{where}its lanes hold {tokens:,} targets and {documents:,} documents, its header says "
                f"{self.header.tokens - 1:,} and {self.header.documents:,}. Fetch or write the proof again."
            )

    def _read(self, file: BinaryIO, at: int, size: int, what: str) -> bytes:
        if size > self.size - at:
            raise AuditError(
                f"{self.path}: {what} takes bytes {at:,} to {at + size:,}, the file has {self.size:,}. "
                "It is cut off or damaged; fetch it again."
            )
        file.seek(at)
        return file.read(size)

    def _section(self, file: BinaryIO, at: int, what: str) -> tuple[bytes, int, int]:
        """(body, its offset, the offset behind it)."""
        head = Cursor(self._read(file, at, min(10, max(self.size - at, 0)), what), f"{self.path}: {what}", at)
        size = head.number(MOST_SECTION)
        at += head.at
        return self._checked(file, at, size, what), at, at + size + 4

    def _checked(self, file: BinaryIO, at: int, size: int, what: str) -> bytes:
        data = self._read(file, at, size + 4, what)
        if struct.unpack("<I", data[-4:])[0] != zlib.crc32(data[:-4]):
            raise AuditError(
                f"{self.path}: {what}, bytes {at:,} to {at + size:,}, was altered: its CRC-32 does not hold. "
                "Fetch or write the proof again."
            )
        return data[:-4]

    def _header(self, file: BinaryIO) -> tuple[Header, int]:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            raise AuditError(f"{self.path}: begins with {magic!r}, wanted {MAGIC!r}; not a proof.")
        body, at, behind = self._section(file, len(MAGIC), "the header")
        cursor = Cursor(body, f"{self.path}: the header", at)
        numbers = [cursor.number() for _ in range(NUMBERS)]
        nats, tail_nats = struct.unpack("<dd", cursor.take(16))
        digests = [cursor.take(32) for _ in range(3)]
        about = cursor.take(cursor.number(1 << 16)).decode("utf-8", "replace")
        cursor.end()
        made = Header(*numbers, nats, tail_nats, *digests, about)  # type: ignore[call-arg,arg-type]
        try:
            known = isinstance(json.loads(about), dict)
        except (ValueError, RecursionError):
            known = False
        good = known and 2 <= made.vocab <= 1 << 16 and 1 <= made.rows <= 1 << 16 and made.bos < made.vocab
        good = (
            good
            and made.tokens >= 2
            and made.raw_bytes >= 1
            and made.flags <= BY_DOCUMENT
            and 1 <= made.units <= made.tokens
        )
        good = good and 1 <= made.documents <= made.population <= MOST_DOCUMENTS
        good = good and 2 * made.rows * made.vocab <= MOST_FRAME  # what a scorer answers at each step
        good = good and made.scored_tokens < made.tokens and made.scored_raw <= made.raw_bytes
        if not good or not (0 <= made.nats < math.inf and 0 <= made.tail_nats < math.inf):
            raise AuditError(f"{self.path}: the header states impossible numbers. Fetch or write the proof again.")
        return made, behind

    def _index(self, file: BinaryIO, number: int, at: int, first: int) -> tuple[Place, int]:
        what = f"the index of unit {number}"
        body, inside, at = self._section(file, at, what)
        cursor = Cursor(body, f"{self.path}: {what}", inside)
        count = cursor.number(self.header.rows)
        triples = [(cursor.number(MOST_TOKENS), cursor.number(), cursor.number()) for _ in range(count)]
        residual = cursor.number()
        cursor.end()
        tokens, documents, sizes = zip(*triples, strict=True) if triples else ((), (), ())
        if not triples or not all(tokens) or self.header.rows * max(tokens) > MOST_TOKENS:
            raise AuditError(f"{self.path}: {what}: impossible lanes. Fetch or write the proof again.")
        if any(d > t for t, d in zip(tokens, documents, strict=True)):
            raise AuditError(f"{self.path}: {what}: more documents than tokens. Fetch or write the proof again.")
        behind = at + sum(sizes) + residual + 4
        if behind > self.size:
            raise AuditError(
                f"{self.path}: unit {number} ends at byte {behind:,}, the file has {self.size:,}. "
                "It is cut off or damaged; fetch it again."
            )
        return Place(tokens, documents, sizes, residual, at, first), behind

    def parts(self, number: int) -> tuple[list[bytes], bytes]:
        """The lanes of a unit and its residual. Raises AuditError when they were altered."""
        place = self.places[number]
        size = sum(place.lanes) + place.residual
        with self.path.open("rb") as file:  # its own: units are read side by side
            body = self._checked(file, place.offset, size, f"unit {number}")
        ends = list(accumulate(place.lanes, initial=0))
        return [body[a:b] for a, b in pairwise(ends)], body[ends[-1] :]

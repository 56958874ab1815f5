"""The protobuf wire format, as much of it as a SentencePiece `.model` needs: varints, fixed words, byte strings.

A message is a run of (field number, wire type, value). Nothing here knows what the numbers mean; `spm_model` does.
Every length is checked against the bytes that are there before anything is cut out, so a broken file costs no memory.

Source of the format: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator

from .errors import AuditError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(data: bytes, at: int, where: str) -> tuple[int, int]:
    """(value below 2**64, offset behind it) of the varint at `at`. Raises AuditError when it is cut or too long."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise AuditError(f"{where}: a protobuf number is cut off at byte {at:,}. Fetch the file again.")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift > 63:
            raise AuditError(
                f"{where}: byte {at:,} continues a protobuf number past 10 bytes; this is not a .model file."
            )


def fields(data: bytes, where: str) -> Iterator[tuple[int, int, int | bytes]]:
    """Each field of one message: (number, wire type, int for varints, bytes for all others).

    Raises AuditError for a field that reaches past the message or uses a wire type that protobuf does not have.
    """
    at, end = 0, len(data)
    while at < end:
        start = at
        key, at = varint(data, at, where)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = varint(data, at, where)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = varint(data, at, where)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise AuditError(f"{where}: byte {start:,} has wire type {kind}, wanted 0, 1, 2 or 5; not a .model file.")
        if number == 0 or size > end - at:
            raise AuditError(
                f"{where}: field {number} at byte {start:,} wants {size:,} bytes, {end - at:,} are left. "
                "The file is cut off or not a .model file; fetch it again."
            )
        yield number, kind, data[at : at + size]
        at += size

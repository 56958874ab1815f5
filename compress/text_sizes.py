"""How well general compressors do on text: bits per byte, cold and primed, each result decoded and compared.

A language model's bits per byte mean little without these beside them. `primed` gives a compressor the training text
first and charges only for what the validation text adds, which is what a trained model enjoys too: the difference of
two sizes, of both texts in one and of the prime alone.
"""

import json
import os
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

from .coders import compress_bytes
from .decode_bytes import byte_decoders
from .errors import CodecError
from .progress import progress

PPMD_ORDER = 8


def joined_text(paths: list[Path], field: str | None, documents: int | None) -> bytes:
    """The files' bytes, or the named field of the first `documents` JSON lines, joined. Raises CodecError."""
    if documents is not None and (field is None or documents < 1):
        raise CodecError("--documents wants 1 or more JSON lines, and with --field the field that holds their text.")
    if field is None:
        return b"".join(path.read_bytes() for path in paths)
    texts: list[bytes] = []
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if documents is not None and len(texts) >= documents:
                    break
                try:
                    texts.append(json.loads(line.decode())[field].encode())
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise CodecError(f"{path}: line {number} is no JSON object with text in {field!r}.") from None
    return b"".join(texts)


def ppmd(data: bytes) -> bytes:
    """PPMd variant H, with memory for all of the text."""
    import pyppmd

    encoder = pyppmd.Ppmd7Encoder(PPMD_ORDER, ppmd_memory(len(data)))
    return encoder.encode(data) + encoder.flush()


def unppmd(data: bytes, size: int) -> bytes:
    """PPMd back to `size` bytes."""
    import pyppmd

    decoder = pyppmd.Ppmd7Decoder(PPMD_ORDER, ppmd_memory(size))
    out = decoder.decode(data, size)
    while len(out) < size:
        more = decoder.decode(b"", size - len(out)) or decoder.decode(b"\0", size - len(out))
        if not more:
            break
        out += more
    return out


def ppmd_memory(size: int) -> int:
    """Enough memory that the model never starts over: 16 times the text, 16 MiB to 1 GiB."""
    return min(max(16 * size, 1 << 24), 1 << 30)


def zpaq(data: bytes) -> bytes:
    """The zpaq program at its strongest, as an archive of one file. Raises CodecError."""
    return through(("zpaq", "add", "a.zpaq", "text", "-m5", "-noattributes", "-t1"), {"text": data}, "a.zpaq")


def unzpaq(data: bytes, _size: int) -> bytes:
    """An archive back to its one file. Raises CodecError."""
    return through(("zpaq", "extract", "a.zpaq", "-t1"), {"a.zpaq": data}, "text")


def through(words: tuple[str, ...], files: dict[str, bytes], result: str) -> bytes:
    """What a program makes of files, in a folder of its own. Raises CodecError when it fails."""
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        made = Path(folder) / result
        if done.returncode or not made.is_file():
            said = done.stderr.decode(errors="replace").strip()[-80:]
            raise CodecError(f"{words[0]} {words[1]} ended with {done.returncode}: {said}. Leave out --{words[0]}.")
        return made.read_bytes()


def cpu_seconds() -> float:
    """Of this process and the programs it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def text_rows(data: bytes, prime: bytes = b"", with_zpaq: bool = False) -> list[dict[str, Any]]:
    """A row for each compressor: bytes, bits per byte, the same after `prime`, CPU seconds. Raises CodecError."""
    if not data:
        raise CodecError("no text to compress: the files are empty. Give at least one byte.")
    coders: list[tuple[str, Callable[[bytes], bytes], Callable[[bytes, int], bytes]]] = []
    for name, level in (("zlib", 9), ("zstd", 22), ("brotli", 11), ("lzma", 9)):
        coders.append((f"{name}-{level}", lambda d, n=name, v=level: compress_bytes(n, v, d), byte_decoders()[name]))  # type: ignore[misc]
    if find_spec("pyppmd"):
        coders.append((f"PPMd order {PPMD_ORDER}", ppmd, unppmd))
    if with_zpaq:
        if not which("zpaq"):
            raise CodecError("zpaq is not on the PATH. Install it, or leave out --zpaq.")
        coders.append(("zpaq -m5", zpaq, unzpaq))
    rows = []
    for label, encode, decode in progress(coders, "compressing text"):
        start = cpu_seconds()
        size = checked_size(label, encode, decode, data)
        row: dict[str, Any] = {"coder": label, "bytes": size, "bpb": 8 * size / len(data)}
        if prime:
            added = checked_size(label, encode, decode, prime + data) - len(encode(prime))
            row |= {"primed_bytes": added, "primed_bpb": 8 * added / len(data)}
        rows.append(row | {"seconds": cpu_seconds() - start})
    return rows


def checked_size(
    label: str, encode: Callable[[bytes], bytes], decode: Callable[[bytes, int], bytes], data: bytes
) -> int:
    """The size of `data` encoded, once it was decoded and found equal."""
    coded = encode(data)
    if decode(coded, len(data)) != data:
        raise CodecError(f"{label} did not give the text back; its size cannot be reported.")
    return len(coded)

"""The recount against the two usual ways, on the same shards in one run, as ratios of CPU seconds.

- ours, table path: bytes per document and in all, by one lookup and one histogram;
- decode + encode: every document's tokens to text, and the text's UTF-8 length;
- per token: Python's `len(piece.encode())` and the leading-space rule, token by token.

On made-up documents all three must give the same total or the bench stops; on real shards the totals are printed, as
a tokenizer with a transform or runs of spaces may well differ. Reading shards is held against reading the same bytes,
and the whole recount (decode, compare with documents) is timed beside them. Ways that are too slow for all of the
tokens run on the first documents and are scaled by tokens; the table says how many each one saw.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .counting import Meter, per_document
from .errors import AuditError
from .shard_reader import HEADER_BYTES, MAGIC, VERSION, Stream, documents, find_shards, open_stream
from .survey import Plan, run
from .tokenizer_files import find_tokenizer, open_tokenizer
from .vocabulary import ByteTable, Vocabulary
from .vocabulary import build as build_vocabulary

SLOW_TOKENS = 400_000
MADE_UP = "synthetic"


def _timed(work: Callable[[], int], repeats: int = 3) -> tuple[int, float]:
    """(result, least CPU seconds of some runs)."""
    best, result = float("inf"), 0
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return result, max(best, 1e-9)


def synthetic(folder: Path, tokens: int, seed: int = 0) -> Vocabulary:
    """Write a val shard of made-up documents and return the vocabulary of made-up words it uses (seeded, 1,024 ids)."""
    rng = np.random.default_rng(seed)
    size = 1024
    words = [b"", b"", b"", b""] + [bytes([b]) for b in range(256)]
    for i in range(len(words), size):
        word = bytes(rng.integers(97, 123, int(rng.integers(1, 7))).astype(np.uint8))
        words.append(b" " + word if i % 2 else word)
    silent = np.arange(size) < 4
    spaced = np.array([w.startswith(b" ") and len(w) > 1 for w in words])
    base = np.array([len(w) for w in words]) - spaced
    vocabulary = build_vocabulary(
        MADE_UP, words, ByteTable(base, spaced, silent.copy()), silent, bos=1, unknown=3, start_space="all"
    )
    ids = (260 + (size - 260) * rng.beta(0.6, 2.0, tokens)).astype("<u2")
    ids[np.unique(np.append(0, rng.integers(0, tokens, max(tokens // 1250, 1))))] = 1
    header = np.zeros(256, "<i4")
    header[:3] = MAGIC, VERSION, tokens
    (folder / "fineweb_val_000000.bin").write_bytes(header.tobytes() + ids.tobytes())
    return vocabulary


def ours_table(stream: Stream, vocabulary: Vocabulary) -> int:
    """Table bytes of the whole stream by the histogram path."""
    meter, total, before = Meter(vocabulary.table), 0, None
    for ids in stream.chunks():
        total += meter.total(ids, before)
        before = int(ids[-1])
    return total


def ours_documents(stream: Stream, vocabulary: Vocabulary, bos: int) -> int:
    """Table bytes of each document, summed."""
    meter = Meter(vocabulary.table)
    return sum(int(per_document(meter.each(b.ids), b.starts).sum()) for b in documents(stream, bos))


def by_decoding(documents_ids: list[np.ndarray], texts: list[bytes]) -> int:
    """The usual way: join a document's tokens, make text of them, measure its UTF-8."""
    total = 0
    for ids in documents_ids:
        text = b"".join([texts[i] for i in ids.tolist()]).decode("utf-8", "replace").removeprefix(" ")
        total += len(text.encode("utf-8"))
    return total


def by_token(documents_ids: list[np.ndarray], pieces: list[str | None], silent: list[bool]) -> int:
    """Token by token in Python, as a first counting function is usually written. A piece of None is one byte."""
    total = 0
    for ids in documents_ids:
        previous_silent = True
        for i in ids.tolist():
            if not silent[i]:
                piece = pieces[i]
                if piece is None:
                    total += 1
                else:
                    if piece.startswith(" "):
                        piece = piece[1:]
                        total += 0 if previous_silent else 1
                    total += len(piece.encode("utf-8"))
            previous_silent = silent[i]
    return total


def _some_documents(stream: Stream, bos: int, limit: int) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for batch in documents(stream, bos):
        for start, end in zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist(), strict=True):
            found.append(batch.ids[start:end])
            limit -= end - start
            if limit <= 0:
                return found
    return found


def _read_plain(stream: Stream) -> int:
    buffer, total = bytearray(1 << 21), 0
    for path in stream.files:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(buffer):
                total += got
    return total


def _read_ours(stream: Stream) -> int:
    return sum(2 * len(ids) for ids in stream.chunks()) + HEADER_BYTES * len(stream.files)


def measure(stream: Stream, vocabulary: Vocabulary, bos: int, docs: Path | None) -> dict[str, Any]:
    """All ways on one stream; seconds are CPU seconds for the whole of it. Raises AuditError if two totals differ."""
    sample = _some_documents(stream, bos, SLOW_TOKENS)
    seen = sum(map(len, sample))
    scale = stream.total / seen
    texts = [vocabulary.token(i) for i in range(len(vocabulary))]
    pieces = [None if len(text) == 1 and text != b" " else text.decode("utf-8", "replace") for text in texts]
    silent = vocabulary.silent.tolist()
    expected = Meter(vocabulary.table).total(np.concatenate(sample))
    decoded, decode_seconds = _timed(lambda: by_decoding(sample, texts))
    counted, token_seconds = _timed(lambda: by_token(sample, pieces, silent), 2)
    if vocabulary.kind == MADE_UP and not counted == decoded == expected:
        raise AuditError(f"bench: ours {expected:,}, decoded {decoded:,}, per token {counted:,} bytes; must agree.")
    total, table_seconds = _timed(lambda: ours_table(stream, vocabulary))
    _, document_seconds = _timed(lambda: ours_documents(stream, vocabulary, bos))
    _, plain_seconds = _timed(lambda: _read_plain(stream), 7)
    _, read_seconds = _timed(lambda: _read_ours(stream), 7)
    _, recount_seconds = _timed(lambda: run(Plan(stream, vocabulary, docs=docs, bos=bos)).tokens, 1)
    return {
        "tokens": stream.total,
        "table_bytes": total,
        "sampled_tokens": seen,
        "sampled_bytes": {"ours": expected, "decode + encode": decoded, "per token": counted},
        "cpu_seconds": {
            "ours, table path": table_seconds,
            "ours, per document": document_seconds,
            "ours, full recount": recount_seconds,
            "decode + encode": decode_seconds * scale,
            "per token": token_seconds * scale,
            "read the shards": read_seconds,
            "read the bytes": plain_seconds,
        },
        "ratios": {
            "decode + encode / table path": decode_seconds * scale / table_seconds,
            "per token / table path": token_seconds * scale / table_seconds,
            "read the shards / read the bytes": read_seconds / plain_seconds,
        },
    }


def bench(shards: Path | None = None, docs: Path | None = None, tokens: int = 8_000_000) -> dict[str, Any]:
    """What `measure` finds on a folder's validation shards, or on `tokens` made-up ones without a folder.

    docs: raw documents of those shards; the full recount then compares texts too. Raises AuditError.
    """
    with tempfile.TemporaryDirectory() as folder:
        if shards is None:
            vocabulary = synthetic(Path(folder), max(tokens, 10_000))
            stream = open_stream(find_shards(Path(folder), "val"))
        else:
            place = find_tokenizer(shards)
            opened = open_tokenizer(place) if place else None
            if not isinstance(opened, Vocabulary):
                raise AuditError(
                    f"{shards}: no tokenizer beside the shards; put tokenizer.model or tokenizer.json there."
                )
            vocabulary, stream = opened, open_stream(find_shards(shards, "val"))
        bos = vocabulary.bos if vocabulary.bos is not None else 1
        return measure(stream, vocabulary, bos, docs)

"""`pglab bench vocab`: training, encoding and export against the public ways, on the same documents in one run.

CPU seconds of one thread are compared, best of the repeats, ours and the peer's in turn, so a busy machine slows both.
What is compared must be equal first: ids for encoding, files byte for byte for export. Ours does more in an export: the
byte proof of every lossless document, the sidecar, hashes, and files forced to the disk. "Cold" opens the vocabulary
anew, on both sides; "warm" encodes documents that the same engines have seen before, whose caches help ours more.

A cold start costs ours more than the peers, since a fast engine is loaded and tried before it is believed. So the cold
rows are measured a second time on a sixth of the documents, and their cost is told in two: to start, and per megabyte.
The goals hold with the extra [fast]; without it, ours shall be no slower.

The limit is what any export has to do: read and parse the lines, hash them, write and hash the tokens.
"""

import hashlib
import json as json_format
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pglab_report import Ways

from .aside import write_bytes
from .bench_peers import Encode
from .bench_report import Measured, report_of
from .errors import VocabError

SHARD_TOKENS = 10_000_000
PART, LEAST = 6, 20.0  # one document in so many is run again, from so many MB on: enough to load every engine
WAYS = Ways()


def best_of(repeats: int, *runs: Callable[[], object]) -> list[float]:
    """CPU seconds of each run, the best of `repeats`, taken in turn."""
    best = [float("inf")] * len(runs)
    for _ in range(repeats):
        for index, run in enumerate(runs):
            began = time.process_time()
            run()
            best[index] = min(best[index], time.process_time() - began)
    return best


def bench(
    *,
    docs: Path | None = None,
    size: int = 8192,
    megabytes: float = 30.0,
    repeats: int = 1,
    model: Path | None = None,
    fast: bool = True,
    ways: Ways = WAYS,
) -> int:
    """Training, encoding and export against the public ways; MB of raw text per CPU-second, and the ratio.

    Parameters
    ----------
    docs: Path
        Documents to measure on; the embedded speeches (12 MB) without it.
    size: int
        Ids of the vocabularies that are trained for it.
    megabytes: float
        How much text to measure on, at most; below 20 what it costs to start rules the cold rows.
    repeats: int
        Runs of each; the best counts.
    model: Path
        A SentencePiece .model to measure too, such as an official one.
    fast: bool
        Use the extra [fast] where it is installed.
    """
    from pglab_report import show

    if megabytes <= 0 or repeats < 1:
        raise VocabError(f"--megabytes {megabytes} --repeats {repeats}: wanted more than 0 and at least 1.")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    if not fast:
        sys.modules["gigatoken"] = None  # type: ignore[assignment]
    fast = fast and find_spec("gigatoken") is not None
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as folder:
        rows, limit = measure(Path(folder), docs, size, int(megabytes * 1e6), repeats, model)
    if not fast:
        own = [row.what.startswith("export") and "on sp_bpe" not in row.peer for row in rows]
        rows = [replace(row, goal=int(same)) for row, same in zip(rows, own, strict=True)]
    return show(report_of(rows, limit, fast), ways)


def measure(
    home: Path, docs: Path | None, size: int, limit: int, repeats: int, model: Path | None = None
) -> tuple[list[Measured], float]:
    """(rows, MB per CPU-second at the limit). Raises VocabError when an output differs, or there is too little text."""
    from .bench_peers import hugging_face_lists, sentencepiece_lists
    from .builders import train_vocabulary
    from .corpus import read_corpus, write_corpus
    from .importers import import_vocabulary

    source = home / "source.jsonl"
    _head(docs, source, limit)
    write_corpus(home / "corpus", source)
    path = home / "corpus/docs.jsonl"
    corpus = read_corpus(path)
    assert corpus is not None
    first, raw = corpus.validation_documents, corpus.bytes / 1e6
    rows = [_training(home, docs, size, limit)]
    bench = partial(_kind, home, path, first, raw, repeats)
    for kind, peers, goal in (("sp_bpe", sentencepiece_lists, 0), ("bpe", hugging_face_lists, 25)):
        print(f"training {kind} and measuring", file=sys.stderr)
        spec = train_vocabulary(kind, path, size, home / kind)
        rows += bench(kind, partial(peers, home / kind / spec.file), goal)
    for what, peer, goal in (("encode", "sentencepiece on sp_bpe", 15), ("export", "public exporter on sp_bpe", 12)):
        cold = {row.what.split()[-2]: row for row in rows if row.what.startswith(f"{what} cold")}
        ours, theirs = cold["bpe"], cold["sp_bpe"].peer_mb_s
        rows.append(replace(ours, peer=peer, peer_mb_s=theirs, ratio=ours.ours_mb_s / theirs, goal=goal))
    if model is not None:
        import_vocabulary(model, home / "given")
        rows += bench("given", partial(sentencepiece_lists, model), 4)
    rows += _caseops(home, path, size, first, raw, repeats)
    return rows, _limit(home, path, home / "oursbpe0", raw, repeats)


def _training(home: Path, docs: Path | None, size: int, limit: int) -> Measured:
    """Training byte-level BPE on up to four times the text, against Hugging Face alone."""
    from .document import read_documents
    from .train_bpe import train

    print("training bpe both ways", file=sys.stderr)
    _head(docs, home / "more.jsonl", 4 * limit)
    texts = [document.text for document in read_documents(home / "more.jsonl")]
    made: list[bytes] = []
    ours, peer = best_of(
        1, lambda: made.append(train(texts, size)), lambda: made.append(train(texts, size, fast=False))
    )
    if made[0] != made[1]:
        raise VocabError("the fast trainer made another vocabulary than Hugging Face. Please report it.")
    raw = sum(len(text.encode("utf-8")) for text in texts) / 1e6
    return Measured.of(f"train, bpe {size:,}", "Hugging Face trainer", raw, (ours, peer), 5)


def _kind(
    home: Path, docs: Path, first: int, raw: float, repeats: int, kind: str, peers: Callable[[], Encode], goal: float
) -> list[Measured]:
    from .bench_peers import plain_export
    from .builders import open_vocabulary
    from .document import read_documents
    from .shard_writer import write_shards

    _, tokenizer, _ = open_vocabulary(home / kind)
    peer = peers()
    texts = [document.text for document in read_documents(docs)]
    ours = tokenizer.encode_batch(texts)
    if [ids.tolist() for ids in map(ours.document, range(len(texts)))] != peer(texts):
        raise VocabError(f"{kind}: our ids and the peer's differ; there is nothing to compare. Please report it.")
    name = "Hugging Face encode_batch" if kind == "bpe" else "sentencepiece, Python lists"

    def encode(some: list[str]) -> object:
        return open_vocabulary(home / kind)[1].encode_batch(some)

    warm = best_of(
        repeats, lambda: tokenizer.encode_batch(texts), lambda: [np.array(ids, np.uint16) for ids in peer(texts)]
    )
    cold = best_of(repeats, lambda: encode(texts), lambda: [np.array(ids, np.uint16) for ids in peers()(texts)])
    runs = iter(range(1000))

    def export(documents: Path, validation: int) -> object:
        return write_shards(documents, home / kind, home / f"ours{kind}{next(runs)}", SHARD_TOKENS, validation)

    whole = best_of(
        repeats,
        lambda: export(docs, first),
        lambda: plain_export(docs, peers(), tokenizer.size, home / f"peer{kind}", first, SHARD_TOKENS),
    )
    _same(home / f"peer{kind}", home / f"ours{kind}0")
    what = f"{kind} {tokenizer.size:,}"
    rows = [
        Measured.of(f"encode warm, {what}", name, raw, (warm[0], warm[1])),
        Measured.of(f"encode cold, {what}", name, raw, (cold[0], cold[1]), goal),
        Measured.of(f"export cold, {what}", "public exporter's way", raw, (whole[0], whole[1])),
    ]
    if raw < LEAST:
        return rows
    some, head, validation = _part(docs, home / "part.jsonl", first)
    mb = sum(len(text.encode("utf-8")) for text in some) / 1e6
    return [
        rows[0],
        _apart(rows[1], mb, best_of(repeats, lambda: encode(some))[0]),
        _apart(rows[2], mb, best_of(repeats, lambda: export(head, validation))[0]),
    ]


def _part(docs: Path, out: Path, first: int) -> tuple[list[str], Path, int]:
    """Every sixth document: their texts, a file of them, and how many are for validation."""
    from .document import read_documents

    lines = docs.read_bytes().splitlines(keepends=True)[::PART]
    out.write_bytes(b"".join(lines))
    return [document.text for document in read_documents(out)], out, -(-first // PART)


def _apart(row: Measured, mb: float, seconds: float) -> Measured:
    """The row with its cost in two, from a run of `seconds` on fewer megabytes."""
    each = (row.mb / row.ours_mb_s - seconds) / (row.mb - mb)
    return replace(row, start_ms=1e3 * (seconds - each * mb), ms_per_mb=1e3 * each)


def _caseops(home: Path, docs: Path, size: int, first: int, raw: float, repeats: int) -> list[Measured]:
    """The transform alone, and the export with its sidecar."""
    from . import caseops
    from .bench_caseops import by_character, plain_caseops_export
    from .builders import train_vocabulary
    from .document import read_documents
    from .shard_writer import write_shards

    print("training sp_bpe_caseops and measuring", file=sys.stderr)
    texts = [document.text for document in read_documents(docs)]
    made: list[list[str]] = []
    a, b = best_of(
        repeats,
        lambda: made.append(caseops.encode_all(texts)),
        lambda: made.append([by_character(text) for text in texts]),
    )
    if made[0] != made[1]:
        raise VocabError("the CaseOps transform differs from the public one. Please report it.")
    rows = [Measured.of("transform, CaseOps", "character by character", raw, (a, b), 15)]
    spec = train_vocabulary("sp_bpe_caseops", docs, size, home / "caseops")
    runs = iter(range(1000))

    def export(documents: Path, validation: int) -> object:
        return write_shards(documents, home / "caseops", home / f"ourscaseops{next(runs)}", SHARD_TOKENS, validation)

    a, b = best_of(
        repeats,
        lambda: export(docs, first),
        lambda: plain_caseops_export(docs, home / "caseops" / spec.file, home / "peercaseops", first, SHARD_TOKENS),
    )
    _same(home / "peercaseops", home / "ourscaseops0")
    row = Measured.of(f"export cold, sp_bpe_caseops {spec.size:,}", "public way, with sidecar", raw, (a, b), 20)
    if raw >= LEAST:
        some, head, validation = _part(docs, home / "part.jsonl", first)
        mb = sum(len(text.encode("utf-8")) for text in some) / 1e6
        row = _apart(row, mb, best_of(repeats, lambda: export(head, validation))[0])
    return [*rows, row]


def _same(peer: Path, ours: Path) -> None:
    for path in peer.glob("fineweb_*_0*.bin"):
        if "_bytes_" not in path.name and path.read_bytes() != (ours / path.name).read_bytes():
            raise VocabError(f"{path.name} differs from the public exporter's. Please report it.")


def _limit(home: Path, docs: Path, shards: Path, raw: float, repeats: int) -> float:
    """MB per CPU-second of reading, parsing and hashing the lines, and writing and hashing the tokens."""
    tokens = [path.read_bytes() for path in shards.glob("fineweb_*")]

    def work() -> None:
        digest = hashlib.sha256()
        with docs.open("rb") as file:
            for line in file:
                digest.update(line)
                json_format.loads(line)["text"].encode("utf-8")
        for data in tokens:
            hashlib.sha256(data)
            write_bytes(home / "limit.bin", data)

    return raw / best_of(repeats, work)[0]


def _head(docs: Path | None, out: Path, limit: int) -> None:
    """About `limit` bytes of documents as JSONL."""
    from .document import read_documents
    from .speeches import embedded

    size = 0
    with out.open("w", encoding="utf-8") as file:
        for document in embedded().documents if docs is None else read_documents(docs):
            file.write(json_format.dumps({"text": document.text}) + "\n")
            size += document.size
            if size >= limit:
                return

"""`pglab bench vocab`: training, encoding and export against the public ways, on the same documents in one run.

CPU seconds of one thread are compared, best of the repeats, ours and the peer's in turn, so a busy machine slows both.
What is compared must be equal first: ids for encoding, files byte for byte for export. Ours does more in an export: the
byte proof of every lossless document, the sidecar, hashes, and files forced to the disk. "Cold" opens the vocabulary
anew, on both sides; "warm" encodes documents that the same engines have seen before, whose caches help ours more.

The limit is what any export has to do: read and parse the lines, hash them, write and hash the tokens.
"""

import hashlib
import json as json_format
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pglab_report import Column, Report, Table, Ways

from .aside import write_bytes
from .bench_peers import Encode
from .errors import VocabError

SHARD_TOKENS = 1_000_000
WAYS = Ways()


@dataclass(frozen=True, slots=True)
class Measured:
    """One comparison: MB of raw UTF-8 per CPU-second, and how many times the peer's speed ours is."""

    what: str
    peer: str
    mb: float
    ours_mb_s: float
    peer_mb_s: float
    ratio: float


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
    size: int = 1024,
    megabytes: float = 3.0,
    repeats: int = 2,
    model: Path | None = None,
    ways: Ways = WAYS,
) -> int:
    """Training, encoding and export against the public ways; MB of raw text per CPU-second, and the ratio.

    Parameters
    ----------
    docs: Path
        Documents to measure on; the embedded speeches without it.
    size: int
        Ids of the vocabularies that are trained for it.
    megabytes: float
        How much text to measure on.
    repeats: int
        Runs of each; the best counts.
    model: Path
        A SentencePiece .model to measure too, such as an official one.
    """
    from pglab_report import show

    if megabytes <= 0 or repeats < 1:
        raise VocabError(f"--megabytes {megabytes} --repeats {repeats}: wanted more than 0 and at least 1.")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as folder:
        rows, limit = measure(Path(folder), docs, size, int(megabytes * 1e6), repeats, model)
    return show(report_of(rows, limit), ways)


def report_of(rows: Sequence[Measured], limit: float) -> Report:
    """The table; limit: MB per CPU-second of the work that any export has to do."""
    columns = [
        Column("what"),
        Column("peer", "against"),
        Column("ours_mb_s", "ours", "MB/s", ".2f"),
        Column("peer_mb_s", "peer", "MB/s", ".2f"),
        Column("ratio", "", "", "{ratio:.2f}x", align="right"),
    ]
    worst = min(rows, key=lambda row: row.ratio)
    fastest = max((row for row in rows if row.what.startswith("export")), key=lambda row: row.ours_mb_s)
    says = [
        f"Outputs were equal in every row; the smallest ratio is {worst.ratio:.2f}x ({worst.what}).",
        f"Reading, parsing, hashing and writing alone run at {limit:.0f} MB/s; the fastest export is at "
        f"{fastest.ours_mb_s / limit:.0%} of that ({fastest.what}).",
    ]
    table = Table("rows", "", columns, [asdict(row) for row in rows])
    data = {"rows": [asdict(row) for row in rows], "limit_mb_s": limit}
    return Report("MB of raw UTF-8 per CPU-second", says, [table], data=data)


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
    for kind, peers in (("sp_bpe", sentencepiece_lists), ("bpe", hugging_face_lists)):
        print(f"training {kind} and measuring", file=sys.stderr)
        spec = train_vocabulary(kind, path, size, home / kind)
        rows += _kind(home, kind, partial(peers, home / kind / spec.file), path, first, raw, repeats)
    cold = {row.what.split()[-2]: row for row in rows if row.what.startswith("encode cold")}
    ours, peer = cold["bpe"].ours_mb_s, cold["sp_bpe"].peer_mb_s
    rows.append(Measured(f"encode cold, bpe {size:,}", "sentencepiece on sp_bpe", raw, ours, peer, ours / peer))
    if model is not None:
        import_vocabulary(model, home / "given")
        rows += _kind(home, "given", partial(sentencepiece_lists, model), path, first, raw, repeats)
    rows += _caseops(home, path, size, first, raw, repeats)
    return rows, _limit(home, path, home / "oursbpe0", raw, repeats)


def _training(home: Path, docs: Path | None, size: int, limit: int) -> Measured:
    """Training byte-level BPE on four times the text, against Hugging Face alone."""
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
    return Measured(f"train, bpe {size:,}", "Hugging Face trainer", raw, raw / ours, raw / peer, peer / ours)


def _kind(
    home: Path, kind: str, peers: Callable[[], Encode], docs: Path, first: int, raw: float, repeats: int
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
    warm = best_of(
        repeats, lambda: tokenizer.encode_batch(texts), lambda: [np.array(ids, np.uint16) for ids in peer(texts)]
    )
    cold = best_of(
        repeats,
        lambda: open_vocabulary(home / kind)[1].encode_batch(texts),
        lambda: [np.array(ids, np.uint16) for ids in peers()(texts)],
    )
    runs = iter(range(1000))
    export = best_of(
        repeats,
        lambda: write_shards(docs, home / kind, home / f"ours{kind}{next(runs)}", SHARD_TOKENS),
        lambda: plain_export(docs, peers(), tokenizer.size, home / f"peer{kind}", first, SHARD_TOKENS),
    )
    _same(home / f"peer{kind}", home / f"ours{kind}0")
    return [
        Measured(f"{what}, {kind} {tokenizer.size:,}", against, raw, raw / a, raw / b, b / a)
        for what, against, (a, b) in (
            ("encode warm", name, warm),
            ("encode cold", name, cold),
            ("export cold", "public exporter's way", export),
        )
    ]


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
        lambda: made.append([caseops.encode(text) for text in texts]),
        lambda: made.append([by_character(text) for text in texts]),
    )
    if made[0] != made[1]:
        raise VocabError("the CaseOps transform differs from the public one. Please report it.")
    rows = [Measured("transform, CaseOps", "character by character", raw, raw / a, raw / b, b / a)]
    spec = train_vocabulary("sp_bpe_caseops", docs, size, home / "caseops")
    runs = iter(range(1000))
    a, b = best_of(
        repeats,
        lambda: write_shards(docs, home / "caseops", home / f"ourscaseops{next(runs)}", SHARD_TOKENS),
        lambda: plain_caseops_export(docs, home / "caseops" / spec.file, home / "peercaseops", first, SHARD_TOKENS),
    )
    _same(home / "peercaseops", home / "ourscaseops0")
    what = f"export cold, sp_bpe_caseops {spec.size:,}"
    return [*rows, Measured(what, "public way, with sidecar", raw, raw / a, raw / b, b / a)]


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

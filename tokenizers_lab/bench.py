"""`pglab bench vocab`: our encoding and export against the public exporter's way, on the same documents in one run.

CPU seconds of one thread are compared, best of the repeats, ours and the peer's in turn, so a busy machine slows both.
What is compared must be equal first: ids for encoding, files byte for byte for export. Ours does more in an export: the
byte proof of every lossless document, the sidecar, hashes, and files forced to the disk. "Warm" encodes documents that
the same engines have seen before, whose caches help ours more than the peer's; "cold" opens the vocabulary anew.
"""

import json as json_format
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .errors import VocabError

SHARD_TOKENS = 1_000_000


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
    *, docs: Path | None = None, size: int = 1024, megabytes: float = 3.0, repeats: int = 2, json: bool = False
) -> int:
    """Encoding and export against the public exporter's way; MB of raw text per CPU-second, and the ratio.

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
    json: bool
        Print the rows as JSON.
    """
    if megabytes <= 0 or repeats < 1:
        raise VocabError(f"--megabytes {megabytes} --repeats {repeats}: wanted more than 0 and at least 1.")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as folder:
        rows = measure(Path(folder), docs, size, int(megabytes * 1e6), repeats)
    if json:
        print(json_format.dumps({"rows": [asdict(row) for row in rows]}, indent=2))
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title="MB of raw UTF-8 per CPU-second", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("what", "against", "ours", "peer", "ratio"):
        table.add_column(head, justify="left" if head in ("what", "against") else "right")
    for row in rows:
        table.add_row(row.what, row.peer, f"{row.ours_mb_s:.2f}", f"{row.peer_mb_s:.2f}", f"{row.ratio:.2f}x")
    Console().print(table)
    worst = min(rows, key=lambda row: row.ratio)
    print(f"Outputs were equal in every row; the smallest ratio is {worst.ratio:.2f}x ({worst.what}).")
    return 0


def measure(home: Path, docs: Path | None, size: int, limit: int, repeats: int) -> list[Measured]:
    """The rows. Raises VocabError when ours and a peer's output differ, or there is too little text."""
    from .bench_peers import hugging_face_lists, sentencepiece_lists
    from .builders import train_vocabulary
    from .corpus import read_corpus, write_corpus

    source = home / "source.jsonl"
    _head(docs, source, limit)
    write_corpus(home / "corpus", source)
    path = home / "corpus/docs.jsonl"
    corpus = read_corpus(path)
    assert corpus is not None
    rows: list[Measured] = []
    for kind, peers in (("sp_bpe", sentencepiece_lists), ("bpe", hugging_face_lists)):
        print(f"training {kind} and measuring", file=sys.stderr)
        spec = train_vocabulary(kind, path, size, home / kind)
        peer = peers(home / kind / spec.file)
        rows += _kind(home, kind, peer, path, corpus.validation_documents, corpus.bytes, repeats)
    return [_training(home, docs, size, limit), *rows]


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
    home: Path, kind: str, peer: Callable[[list[str]], list[list[int]]], docs: Path, first: int, raw: int, repeats: int
) -> list[Measured]:
    from .bench_peers import plain_export
    from .builders import open_vocabulary
    from .document import read_documents
    from .shard_writer import write_shards

    _, tokenizer, _ = open_vocabulary(home / kind)
    texts = [document.text for document in read_documents(docs)]
    ours = tokenizer.encode_batch(texts)
    if [ids.tolist() for ids in map(ours.document, range(len(texts)))] != peer(texts):
        raise VocabError(f"{kind}: our ids and the peer's differ; there is nothing to compare. Please report it.")
    name = {"sp_bpe": "sentencepiece, Python lists", "bpe": "Hugging Face encode_batch"}[kind]
    encode = best_of(
        repeats, lambda: tokenizer.encode_batch(texts), lambda: [np.array(ids, np.uint16) for ids in peer(texts)]
    )
    runs = iter(range(1000))
    export = best_of(
        repeats,
        lambda: write_shards(docs, home / kind, home / f"ours{kind}{next(runs)}", SHARD_TOKENS),
        lambda: plain_export(docs, peer, tokenizer.size, home / f"peer{kind}", first, SHARD_TOKENS),
    )
    for path in (home / f"peer{kind}").iterdir():
        if path.read_bytes() != (home / f"ours{kind}0" / path.name).read_bytes():
            raise VocabError(f"{kind}: {path.name} differs from the public exporter's. Please report it.")
    return [
        Measured(f"{what}, {kind} {tokenizer.size:,}", against, raw / 1e6, raw / 1e6 / a, raw / 1e6 / b, b / a)
        for what, against, (a, b) in (("encode warm", name, encode), ("export cold", "public exporter's way", export))
    ]


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

"""Documents become the challenge's shards, with every byte accounted for, and a manifest that names inputs and outputs.

The tokens are byte for byte those of the public exporter: each document BOS and then its ids, no EOS; validation
documents first and in their own files; shards of 100,000,000 tokens. What is added: the byte sidecar of the validation
shards, whose sum over each document is that document's UTF-8, proven while it is written (for a lossless
vocabulary the training documents are proven as well); hashes; and no file under
its final name before it is whole. The manifest is written last: a folder without one is an unfinished export.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .aside import write_bytes, write_json
from .builders import TABLE, open_vocabulary
from .byte_counts import byte_lengths, sidecar_values, sizes_of, with_bos
from .corpus import read_corpus
from .document import Document, read_documents
from .errors import VocabError
from .progress import bytes_bar
from .shard_format import SPLITS
from .shard_stream import ShardStream, Written
from .tokenizer import Tokenizer

FORMAT = "pglab-shards-1"
BATCH_BYTES = 1 << 22


def batches(documents: Iterator[Document], first: int) -> Iterator[tuple[str, list[Document]]]:
    """Documents in groups of about 4 MiB with their split; the first `first` are validation. No group spans both."""
    group: list[Document] = []
    size = 0
    last = 0
    for index, document in enumerate(documents):
        if group and (size + document.size > BATCH_BYTES or index == first):
            yield SPLITS[int(index > first)], group
            group, size = [], 0
        group.append(document)
        size += document.size
        last = index
    if group:
        yield SPLITS[int(last >= first)], group


def source_of(docs: Path, validation: int | None) -> dict[str, Any]:
    """The manifest's entry on the documents. Raises VocabError when corpus.json does not speak of this file."""
    if docs.is_dir():
        raise VocabError(f"{docs}: a folder; wanted one file of documents. Run: pglab corpus write --docs {docs}")
    with docs.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    corpus = read_corpus(docs)
    if corpus is not None and corpus.sha256 != digest:
        raise VocabError(
            f"{docs}: sha256 {digest[:12]}..., but corpus.json beside it says {corpus.sha256[:12]}...; one of them was "
            "changed. Run: pglab corpus write --out FOLDER"
        )
    entry: dict[str, Any] = asdict(corpus) if corpus else {"source": docs.name, "sha256": digest}
    if validation is not None:
        entry["validation_documents"] = validation
    elif corpus is None:
        raise VocabError(f"{docs}: no corpus.json beside it. Say how many lead: --validation-documents N")
    return entry


def write_shards(
    docs: Path, vocabulary: Path, out: Path, shard_tokens: int = 100_000_000, validation: int | None = None
) -> dict[str, Any]:
    """Write the folder `out`; returns its manifest.

    validation: documents at the head that form the validation split; from corpus.json when None. Raises VocabError for
    input that cannot be read or accounted for, OSError for a full disk.
    """
    if shard_tokens < 1:
        raise VocabError(f"--shard-tokens {shard_tokens:,}: wanted at least 1.")
    spec, tokenizer, file_bytes = open_vocabulary(vocabulary)
    if tokenizer.size > 1 << 16:
        raise VocabError(f"{vocabulary}: {tokenizer.size:,} ids do not fit the uint16 of a shard. Use at most 65,536.")
    source = source_of(docs, validation)
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    written, counts = _export(docs, tokenizer, out, shard_tokens, int(source["validation_documents"]))
    _same_counts(docs, source, counts)
    for stale in out.glob("fineweb_*"):
        if stale.name not in {file.name for file in written}:
            stale.unlink()
    write_bytes(out / spec.file, file_bytes)
    write_bytes(out / TABLE, tokenizer.table.to_npz())
    entry = {"name": spec.name, "kind": spec.kind, "size": spec.size, "sha256": spec.sha256, "lossless": spec.lossless}
    manifest = {
        "format": FORMAT,
        "corpus": source,
        "vocabulary": {**entry, "file": spec.file, "file_sha256": spec.file_sha256},
        "shard_tokens": shard_tokens,
        "files": {file.name: file.to_json() for file in written},
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _export(
    docs: Path, tokenizer: Tokenizer, out: Path, shard_tokens: int, first: int
) -> tuple[list[Written], dict[str, int]]:
    counts = dict.fromkeys(("documents", "bytes", *(f"{s}_{w}" for s in SPLITS for w in ("documents", "bytes"))), 0)
    shards = {split: ShardStream(out, split, shard_tokens, split == "val") for split in SPLITS}
    with bytes_bar("shards", docs.stat().st_size) as advance:
        for split, group in batches(read_documents(docs), first):
            texts = [document.text for document in group]
            sizes = sizes_of(texts)
            encoded = tokenizer.encode_batch(texts)
            values = None
            if split == "val" or tokenizer.lossless == "exact":  # spans of a normalising model cost four times its ids
                try:
                    values = sidecar_values(byte_lengths(tokenizer, encoded, texts), encoded.offsets, sizes)
                except VocabError as error:
                    raise VocabError(f"{group[0].where} and on: {error}") from None
            begins = encoded.offsets[:-1] + np.arange(len(group))
            shards[split].add(with_bos(encoded, tokenizer.bos), begins, sizes, values if split == "val" else None)
            for name, amount in (("documents", len(group)), ("bytes", int(sizes.sum()))):
                counts[name] += amount
                counts[f"{split}_{name}"] += amount
            advance(int(sizes.sum()))
    for shard in shards.values():
        shard.flush()
    return [file for split in SPLITS for file in shards[split].written], counts


def _same_counts(docs: Path, source: dict[str, Any], counts: dict[str, int]) -> None:
    """Complete `source` with what was counted; raises VocabError when it had said otherwise."""
    first = source["validation_documents"]
    if counts["val_documents"] != first:
        raise VocabError(
            f"{docs}: {counts['documents']:,} documents, but {first:,} were to be validation documents. "
            "Say how many lead: --validation-documents N"
        )
    found = {"documents": counts["documents"], "bytes": counts["bytes"]}
    for split, name in (("val", "validation"), ("train", "train")):
        found |= {f"{name}_documents": counts[f"{split}_documents"], f"{name}_bytes": counts[f"{split}_bytes"]}
    source |= found

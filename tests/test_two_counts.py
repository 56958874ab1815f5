"""The builder's count and the auditor's, made without a shared line of code, on the same documents."""

import json
from pathlib import Path

import numpy as np
import pytest

from bpb_audit.tokenizer_files import open_tokenizer
from bpb_audit.vocabulary import Vocabulary
from tokenizers_lab.builders import KINDS, open_vocabulary
from tokenizers_lab.byte_counts import byte_lengths, with_bos
from tokenizers_lab.tokenizer import SPECIAL_NAMES

READ_BY_BOTH = [kind for kind in KINDS if kind != "bpe_case"]  # the auditor knows no signs that are bytes
EVERY = pytest.mark.parametrize("kind", READ_BY_BOTH)


def test_what_the_auditor_cannot_read_it_refuses(small_lab: Path) -> None:
    from bpb_audit.errors import AuditError

    with pytest.raises(AuditError):  # never another count
        open_tokenizer(small_lab / "vocab/bpe_case/tokenizer.json")


def both(home: Path, kind: str):
    spec, ours, _ = open_vocabulary(home / "vocab" / kind)
    theirs = open_tokenizer(home / "vocab" / kind / spec.file)
    assert isinstance(theirs, Vocabulary)
    return ours, theirs


@EVERY
def test_both_read_the_same_official_table(small_lab: Path, kind: str) -> None:
    ours, theirs = both(small_lab, kind)
    assert theirs.bos == ours.bos
    assert np.array_equal(theirs.table.base_bytes, ours.table.base_bytes)
    assert np.array_equal(theirs.table.has_leading_space, ours.table.has_leading_space)
    assert np.array_equal(theirs.table.is_boundary, ours.table.is_boundary)
    assert np.flatnonzero(theirs.silent).tolist() == list(range(len(SPECIAL_NAMES)))
    if ours.token_bytes is not None:
        assert np.array_equal(theirs.sizes, ours.token_bytes)


@EVERY
def test_both_count_the_same_bytes_in_the_same_documents(small_lab: Path, kind: str) -> None:
    ours, theirs = both(small_lab, kind)
    texts = [json.loads(line)["text"] for line in (small_lab / "corpus/docs.jsonl").read_bytes().splitlines()]
    encoded = ours.encode_batch(texts)
    if ours.lossless == "exact":
        lengths = byte_lengths(ours, encoded, texts)
        assert np.array_equal(theirs.sizes[encoded.ids], lengths)
        for index, text in enumerate(texts):
            assert theirs.decode(encoded.document(index)) == text.encode("utf-8")
    else:
        for index in range(len(texts)):
            back = theirs.decode(encoded.document(index))
            assert back == ours.decode(encoded.document(index)).encode("utf-8")
    assert ours.table.count(with_bos(encoded)).sum() == table_bytes(theirs, with_bos(encoded))


def table_bytes(vocabulary: Vocabulary, stream: np.ndarray) -> int:
    """The auditor's table over a stream, by the rule in plain Python."""
    table, total = vocabulary.table, 0
    for before, target in zip(stream[:-1].tolist(), stream[1:].tolist(), strict=True):
        total += int(table.base_bytes[target]) + bool(table.has_leading_space[target] and not table.is_boundary[before])
    return total


@EVERY
def test_the_auditor_passes_the_shards_the_builder_wrote(small_lab: Path, tmp_path: Path, kind: str) -> None:
    from bpb_audit.shard_reader import find_shards, find_sidecars, open_stream
    from tokenizers_lab.shard_writer import write_shards

    manifest = write_shards(small_lab / "corpus/docs.jsonl", small_lab / "vocab" / kind, tmp_path, 5_003)
    shards, sidecars = find_shards(tmp_path, "val"), find_sidecars(tmp_path)
    assert [path.with_suffix(".bytes") for path in shards] == sidecars
    values = np.concatenate([chunk.copy() for chunk in open_stream(sidecars).chunks()])
    assert int(values.sum(dtype=np.int64)) == manifest["corpus"]["validation_bytes"]

"""The builder's count and the auditor's, made without a shared line of code, on the same documents."""

import json
from pathlib import Path

import numpy as np
import pytest

from bpb_audit.recount import text_sizes
from bpb_audit.tokenizer_files import open_tokenizer
from bpb_audit.vocabulary import Vocabulary
from tokenizers_lab.builders import KINDS, open_vocabulary
from tokenizers_lab.byte_counts import byte_lengths, with_bos
from tokenizers_lab.tokenizer import SPECIAL_NAMES

EVERY = pytest.mark.parametrize("kind", KINDS)


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
        assert np.array_equal(text_sizes(theirs)[: len(theirs)], ours.token_bytes)


@EVERY
def test_both_count_the_same_bytes_in_the_same_documents(small_lab: Path, kind: str) -> None:
    ours, theirs = both(small_lab, kind)
    texts = [json.loads(line)["text"] for line in (small_lab / "corpus/docs.jsonl").read_bytes().splitlines()]
    encoded = ours.encode_batch(texts)
    if ours.lossless == "exact":
        lengths = byte_lengths(ours, encoded, texts)
        assert np.array_equal(text_sizes(theirs)[encoded.ids], lengths)
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


DECODED = ("PG101", "PG102", "PG103", "PG104", "PG111", "PG602", "PG603", "PG604", "PG605", "PG607")


@EVERY
def test_a_whole_audit_of_the_builders_shards_finds_no_fault(small_lab: Path, tmp_path: Path, kind: str) -> None:
    from bpb_audit.audit import audit
    from bpb_audit.evidence import Evidence
    from bpb_audit.finding import Verdict
    from tests.audit_submissions import Run, write
    from tokenizers_lab.shard_writer import write_shards

    write_shards(small_lab / "corpus/docs.jsonl", small_lab / "vocab" / kind, tmp_path / "shards", 5_003)
    record = write(tmp_path / "record", [Run()])
    report = audit(Evidence(record, small_lab / "corpus/docs.jsonl", tmp_path / "shards"), DECODED)
    told = {one.rule: one for one in report.findings}
    assert set(told) == set(DECODED)
    assert [one for one in report.findings if one.verdict is Verdict.FAIL] == []
    if kind == "bpe_case":
        assert {one.rule for one in report.findings if one.verdict is Verdict.PASS} == set(DECODED)

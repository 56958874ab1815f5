"""The bench runs, its three ways agree, and its JSON is one document; ratios are not tested, machines differ."""

import json
from pathlib import Path

import pytest

import pglab
from bpb_audit.bench import bench, by_decoding, by_token, measure, synthetic
from bpb_audit.errors import AuditError
from bpb_audit.shard_reader import find_shards, open_stream
from tests.audit_makers import DOCS, greedy, model_bytes, plain_pieces, write_set


def test_the_three_ways_agree_on_made_up_documents() -> None:
    result = bench(tokens=20_000)
    assert len(set(result["sampled_bytes"].values())) == 1
    assert set(result["ratios"]) == {
        "decode + encode / table path",
        "per token / table path",
        "read the shards / read the bytes",
    }


def test_the_table_names_every_way(tmp_path: Path, capsys) -> None:
    page = tmp_path / "a.html"
    assert pglab.run(["bench", "audit", "--tokens", "20000", "--out", str(page)]) == 0
    out = capsys.readouterr().out
    for word in ("table path", "decode + encode", "per token", "at least 20", "at most 2"):
        assert word in out
    assert "<svg" in page.read_text("utf-8")
    assert pglab.run(["bench", "audit", "--tokens", "20000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"]["ways"]["rows"]


def test_real_shards_are_measured_with_their_tokenizer(tmp_path: Path) -> None:
    pieces = plain_pieces()
    folder = write_set(tmp_path, DOCS * 20, greedy(pieces), model_bytes(pieces))
    assert bench(folder, folder / "docs.jsonl")["tokens"] > 0
    (folder / "tokenizer.model").unlink()
    with pytest.raises(AuditError, match="tokenizer"):
        bench(folder)


def test_a_total_that_differs_stops_the_bench(tmp_path: Path) -> None:
    vocabulary = synthetic(tmp_path, 20_000)
    stream = open_stream(find_shards(tmp_path, "val"))
    vocabulary.table.base_bytes[300] += 1
    with pytest.raises(AuditError, match="must agree"):
        measure(stream, vocabulary, 1, None)


def test_the_peers_count_by_hand() -> None:
    import numpy as np

    ids = [np.array([0, 1, 2, 1])]
    assert by_decoding(ids, [b"", b" a", "\u00e9".encode()]) == 1 + 2 + 2
    assert by_token(ids, ["", " a", "\u00e9"], [True, False, False]) == 1 + 2 + 2

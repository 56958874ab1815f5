"""Real FineWeb text, real official models, real published shards: ours must give what they gave."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tokenizers_lab.byte_counts import byte_lengths, sizes_of
from tokenizers_lab.compare import level_of
from tokenizers_lab.shard_format import read_values
from tokenizers_lab.spm_engine import SentencePieceTokenizer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "shard", "documents"),
    [
        ("fineweb_1024_bpe", "fineweb_train_sample_sp1024", 970),
        ("fineweb_1024_bpe", "fineweb_val_head_sp1024", 900),
        ("fineweb_1024_bpe", "fineweb_val_sample_sp1024", 108),
        ("fineweb_4096_bpe", "fineweb_train_sample_sp4096", 1321),
        ("fineweb_4096_bpe", "fineweb_val_sample_sp4096", 149),
    ],
)
def test_published_shards_encode_again_to_themselves(real_data: Path, model: str, shard: str, documents: int) -> None:
    tokenizer = SentencePieceTokenizer((real_data / f"tokenizers/{model}.model").read_bytes())
    values = np.asarray(read_values(real_data / f"text/shards/{shard}.bin"))
    cuts = np.flatnonzero(values == tokenizer.bos).tolist()
    stored = [values[begin + 1 : end] for begin, end in pairwise(cuts)]  # the last one may be cut off
    assert len(stored) == documents
    texts = [tokenizer.decode(ids) for ids in stored]
    encoded = tokenizer.encode_batch(texts)
    for index, ids in enumerate(stored):
        assert np.array_equal(encoded.document(index), ids)
    table = sum(int(tokenizer.table.count(values[begin:end]).sum()) for begin, end in pairwise(cuts))
    assert table == int(sizes_of(texts).sum()) == int(byte_lengths(tokenizer, encoded, texts).sum())


def test_raw_documents_are_counted_to_the_byte(real_data: Path) -> None:
    tokenizer = SentencePieceTokenizer((real_data / "tokenizers/fineweb_1024_bpe.model").read_bytes())
    lines = (real_data / "text/verify_docs_raw.jsonl").read_bytes().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    encoded = tokenizer.encode_batch(texts)
    assert int(byte_lengths(tokenizer, encoded, texts).sum()) == int(sizes_of(texts).sum()) == 1_489_515
    levels = [level_of(text, tokenizer.decode(encoded.document(i))) for i, text in enumerate(texts)]
    assert (levels.count("exact"), levels.count("normalised"), levels.count("lossy")) == (4, 196, 0)
    streams = (np.append(tokenizer.bos, encoded.document(i)) for i in range(len(texts)))
    assert sum(int(tokenizer.table.count(stream).sum()) for stream in streams) == 1_489_418


def test_the_official_table_of_the_official_model(real_data: Path) -> None:
    tokenizer = SentencePieceTokenizer((real_data / "tokenizers/fineweb_1024_bpe.model").read_bytes())
    assert tokenizer.size == 1024
    assert np.flatnonzero(tokenizer.table.is_boundary).tolist() == [0, 1, 2, 3]
    assert int(tokenizer.table.base_bytes[4:260].sum()) == 256

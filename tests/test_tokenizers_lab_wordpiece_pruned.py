"""Pruned WordPiece: the dropped tokens are the least used, the bytes stay, and fewer tokens are needed."""

import json
from pathlib import Path

import numpy as np
import pytest

from tokenizers_lab.builders import training_documents
from tokenizers_lab.errors import VocabError
from tokenizers_lab.tokenizer import SPECIAL_NAMES
from tokenizers_lab.train_wordpiece import open_tokenizer
from tokenizers_lab.train_wordpiece import train as train_whole
from tokenizers_lab.train_wordpiece_pruned import train


def test_the_least_used_tokens_go_and_the_text_gets_shorter(small_lab: Path) -> None:
    texts = list(training_documents(small_lab / "corpus/docs.jsonl", None))
    whole, pruned = train_whole(texts, 600 + 34), train(texts, 600)
    all_tokens, kept = (json.loads(data)["model"]["vocab"] for data in (whole, pruned))
    assert list(kept)[:260] == list(all_tokens)[:260]
    dropped = set(all_tokens) - set(kept)
    assert (len(kept), len(dropped)) == (600, 34)
    used = np.bincount(open_tokenizer(whole, "x").encode_batch(texts).ids, minlength=len(all_tokens))
    worst_kept = min(used[all_tokens[token]] for token in list(kept)[260:])
    assert max(used[all_tokens[token]] for token in dropped) <= worst_kept
    same_size = open_tokenizer(train_whole(texts, 600), "x").encode_batch(texts)
    assert len(open_tokenizer(pruned, "x").encode_batch(texts).ids) < len(same_size.ids)


def test_the_smallest_vocabulary_is_bytes_alone() -> None:
    data = train([], 260)
    assert open_tokenizer(data, "x").encode_batch(["é"]).ids.tolist() == [4 + 0xC3, 4 + 0xA9]
    assert list(json.loads(data)["model"]["vocab"])[:4] == list(SPECIAL_NAMES)


@pytest.mark.parametrize(("size", "says"), [(259, "260 to 65,536"), (300, "gives"), (65_537, "260 to 65,536")])
def test_too_little_text_and_sizes_that_do_not_do_are_said(size: int, says: str) -> None:
    with pytest.raises(VocabError, match=says):
        train(["abcd abcd"], size)

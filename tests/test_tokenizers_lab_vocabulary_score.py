"""The choice between vocabularies: a fair unit, paid embeddings, honest intervals."""

import json
import re
from itertools import islice

import numpy as np
import pytest

from tokenizers_lab.bootstrap import paired
from tokenizers_lab.builders import train_vocabulary
from tokenizers_lab.cli import vocab
from tokenizers_lab.corpus import write_corpus
from tokenizers_lab.errors import VocabError
from tokenizers_lab.score_report import order, report_of, sentence, to_json
from tokenizers_lab.speeches import python_topics
from tokenizers_lab.vocabulary_score import Terms, encode, score_vocabularies, split_documents


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small real corpus, and three vocabularies of it."""
    folder = tmp_path_factory.mktemp("score")
    texts = [document.text for document in islice(python_topics(), 40)]
    source = folder / "source.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    write_corpus(folder, source, 0.2)
    for kind, size, name in [("bytes", 260, "b"), ("bpe", 400, "p"), ("sp_bpe", 400, "s")]:
        train_vocabulary(kind, folder / "docs.jsonl", size, folder / name)
    return folder


def test_scores_of_all_kinds_in_one_unit(place):
    found = score_vocabularies([place / "b", place / "p"], place / "docs.jsonl")
    bytes_, pairs = found.rows
    assert pairs.bpb < bytes_.bpb < 8
    assert found.best == 1
    assert found.differences[1].change == 0
    assert found.differences[0].certain
    assert bytes_.bits.sum() / found.bytes == pytest.approx(bytes_.bpb)


def test_a_model_that_drops_text_is_scored_but_never_named_best(place):
    found = score_vocabularies([place / "s", place / "p"], place / "docs.jsonl")  # every text ends in a newline
    assert found.rows[0].restored == 0
    assert found.best == 1
    assert order(found) == [1, 0]
    assert "not comparable, as text is lost: s" in sentence(found)
    alone = score_vocabularies([place / "s"], place / "docs.jsonl")
    assert alone.best is None
    assert alone.differences == [None]
    assert sentence(alone).startswith("None of these restores")


def test_the_embedding_is_paid_before_any_ngram(place):
    thin, wide = (
        score_vocabularies([place / "p"], place / "docs.jsonl", Terms(60_000, width)).rows[0] for width in (1, 40_000)
    )
    assert thin.embedding_bytes == 400 * 6 // 8
    assert wide.embedding_bytes == 400 * 40_000 * 6 // 8
    assert wide.room == 60_000 * (16_000_000 - wide.embedding_bytes) // 16_000_000
    assert wide.stored < thin.stored
    assert wide.bpb > thin.bpb > thin.bpb_unlimited
    none_left = score_vocabularies([place / "p"], place / "docs.jsonl", Terms(60_000, 100_000)).rows[0]
    assert (none_left.room, none_left.bpb) == (0, None)


def test_the_interval_of_a_pair_leaves_out_what_both_share():
    random = np.random.default_rng(1)
    hard = random.gamma(2, 1000, size=200)  # documents differ a lot
    better = hard * 0.99 + random.normal(0, 5, size=200)
    change = paired(better, hard)
    assert change.low < change.change < change.high < 0
    assert change.high - change.low < 0.005
    assert change == paired(better, hard)  # no luck in it


def test_equal_vocabularies_are_not_told_apart():
    bits = np.random.default_rng(2).gamma(2, 1000, size=50)
    noise = np.random.default_rng(3).normal(0, 30, size=50)
    assert not paired(bits + noise - noise.mean(), bits).certain
    assert paired(bits, bits).change == 0


def test_one_interval_in_twenty_misses():
    """Coverage: the true change of a known source lies inside the 95% interval about that often."""
    random = np.random.default_rng(4)
    inside = 0
    for _ in range(200):
        base = random.gamma(5, 100, size=60)
        change = paired(base * random.normal(1.01, 0.02, size=60), base, draws=400)
        inside += change.low <= 0.01 <= change.high
    assert 0.87 <= inside / 200 <= 0.99


def test_batches_join_to_one_stream(place):
    from tokenizers_lab.builders import open_vocabulary

    tokenizer = open_vocabulary(place / "p")[1]
    texts = ["the Union", "", "of the Senate"] * 200  # more than two batches, with empty documents
    whole = encode(tokenizer, texts)
    assert whole.documents == 600
    assert [tokenizer.decode(whole.document(i)) for i in range(600)] == texts


def test_without_a_corpus_every_tenth_document_is_held_out(tmp_path):
    file = tmp_path / "docs.jsonl"
    file.write_text("".join(json.dumps({"text": f"document {i}"}) + "\n" for i in range(25)))
    held, train = split_documents(file)
    assert held == ["document 0", "document 10", "document 20"]
    assert len(train) == 22


def test_one_document_cannot_be_both_sides(tmp_path):
    file = tmp_path / "docs.jsonl"
    file.write_text('{"text": "alone"}\n')
    with pytest.raises(VocabError, match="wanted some of both"):
        split_documents(file)


def test_the_command_prints_one_json_or_a_table_and_writes_files(place, capsys, tmp_path):
    words = ["score", str(place / "b"), str(place / "p"), "--docs", str(place / "docs.jsonl")]
    vocab([*words, "--json"], exit_on_error=False, result_action="return_value")
    found = json.loads(capsys.readouterr().out)
    assert found["best"] == "p"
    assert [row["name"] for row in found["rows"]] == ["b", "p"]
    vocab(words, exit_on_error=False, result_action="return_value")
    assert "p is best at" in capsys.readouterr().out
    files = [tmp_path / f"score.{kind}" for kind in ("md", "csv", "html", "svg")]
    out = [word for file in files for word in ("--out", str(file))]
    vocab([*words, "--quiet", *out], exit_on_error=False, result_action="return_value")
    assert capsys.readouterr().out == ""
    assert all(file.stat().st_size > 100 for file in files)
    assert re.search(r"\| b \| 260 \|", files[0].read_text())


def test_numbers_that_mean_nothing_are_refused(place):
    with pytest.raises(VocabError, match="--bits 40"):
        score_vocabularies([place / "p"], place / "docs.jsonl", Terms(weight_bits=40))
    with pytest.raises(VocabError, match="no vocabulary to score"):
        vocab(["score", "--docs", str(place / "docs.jsonl")], exit_on_error=False, result_action="return_value")


def test_table_and_json_say_the_same(place):
    found = score_vocabularies([place / "b", place / "p"], place / "docs.jsonl")
    made = report_of(found)
    cells = made.tables[0].cells()
    assert [row[0] for row in cells] == ["p", "b"]
    assert f"{to_json(found)['rows'][1]['bpb']:.4f}" in cells[0]
    assert cells[0][4:6] == ["best", "-"]
    assert cells[1][4].startswith("+")

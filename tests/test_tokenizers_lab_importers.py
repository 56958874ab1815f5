"""Vocabularies from elsewhere: taken over, bytes proven, special strings disarmed; every broken file one sentence."""

import base64
import json
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from bpb_audit.cli import main as audit
from bpb_audit.tokenizer_files import open_tokenizer
from tokenizers_lab.builders import open_vocabulary
from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError
from tokenizers_lab.foreign_hf import ForeignTokenizer
from tokenizers_lab.importers import import_vocabulary
from tokenizers_lab.shard_format import read_values
from tokenizers_lab.shard_verify import verify_shards
from tokenizers_lab.shard_writer import write_shards
from tokenizers_lab.tiktoken_ranks import BEGIN, read_ranks, to_tokenizer_json

TEXTS = ["the cat sat on the mat; the cats sat <s>", "It's 42 degrees\n\n in the shade, <|endoftext|>!"] * 20


@lru_cache
def hf_file(kind: str) -> bytes:
    """A tokenizer.json as others write them."""
    if kind == "byte level":
        engine, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        engine.decoder = decoders.ByteLevel()
        special = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "special_tokens": ["<|endoftext|>"]}
    elif kind == "word piece":
        engine, trainer = Tokenizer(models.WordPiece(unk_token="[UNK]")), trainers.WordPieceTrainer
        engine.normalizer = normalizers.BertNormalizer()
        engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        engine.decoder = decoders.WordPiece()
        special = {"special_tokens": ["[PAD]", "[UNK]", "[CLS]"]}
    else:
        engine, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer
        engine.pre_tokenizer = pre_tokenizers.Metaspace()
        engine.decoder = decoders.Metaspace()
        special = {"special_tokens": ["<unk>", "<s>"], "unk_token": "<unk>"}
    engine.train_from_iterator(TEXTS, trainer(vocab_size=320, show_progress=False, **special))
    return engine.to_str().encode()


def ranks_file() -> bytes:
    """Ranks of a byte-level vocabulary, made by hand: the bytes, then merges in the order they would be learnt."""
    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b" the", b"at", b"cat", b" cat", b"he", b"  "]
    return b"".join(base64.b64encode(token) + f" {rank}\n".encode() for rank, token in enumerate(tokens))


def slow_tiktoken(tokens: list[bytes], word: bytes) -> list[int]:
    """Merge, again and again, the two neighbours that make the token of the lowest rank."""
    rank = {token: index for index, token in enumerate(tokens)}
    parts = [bytes([byte]) for byte in word]
    while True:
        pairs = [(rank[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in rank]
        if not pairs:
            return [rank[part] for part in parts]
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@pytest.mark.parametrize(("kind", "lossless"), [("byte level", "exact"), ("word piece", "lossy"), ("unigram", "lossy")])
def test_a_tokenizer_json_accounts_for_every_byte(tmp_path, hostile, kind, lossless):
    (tmp_path / "t.json").write_bytes(hf_file(kind))
    import_vocabulary(tmp_path / "t.json", tmp_path / "v")
    spec, tokenizer, data = open_vocabulary(tmp_path / "v")
    assert (spec.kind, spec.lossless, data) == ("hf", lossless, hf_file(kind))
    encoded = tokenizer.encode_batch(hostile)
    lengths = byte_lengths(tokenizer, encoded, hostile)
    some = np.diff(encoded.offsets) > 0
    assert int(lengths.sum()) == sum(len(t.encode()) for t, any_ in zip(hostile, some, strict=True) if any_)
    if lossless == "exact":
        assert [tokenizer.decode(encoded.document(i)) for i in range(len(hostile))] == list(hostile)
        assert np.array_equal(tokenizer.token_bytes, tokenizer.table.base_bytes)


def test_the_table_counts_the_space_that_a_decoder_puts_and_no_prefix_that_is_text():
    content = json.loads(hf_file("word piece"))
    content["model"]["vocab"] |= {".": 400, "##s": 401, "n't": 402}
    words = ForeignTokenizer(json.dumps(content).encode())
    ids = {name: content["model"]["vocab"][name] for name in ("the", "##s", ".", "n't", "[CLS]")}
    assert words.table.base_bytes[list(ids.values())].tolist() == [3, 1, 1, 3, 0]
    assert words.table.has_leading_space[list(ids.values())].tolist() == [True, False, False, False, False]
    content = json.loads(hf_file("unigram"))
    content["model"]["vocab"] += [["##", -9.0], ["\u2581##", -9.0]]
    assert ForeignTokenizer(json.dumps(content).encode()).table.base_bytes[-2:].tolist() == [2, 2]


@pytest.mark.parametrize("kind", ["byte level", "unigram"])
def test_special_strings_in_text_are_text(kind):
    tokenizer = ForeignTokenizer(hf_file(kind))
    special = np.flatnonzero(tokenizer.table.is_boundary)
    ids = tokenizer.encode_batch(["<|endoftext|>", "<s></s>", "[CLS]", "<bos >"]).ids
    assert not np.isin(ids, special[special != 0] if kind == "unigram" else special).any()  # 0: <unk>, an honest one
    library = Tokenizer.from_str(hf_file(kind).decode())
    injected = library.encode("<|endoftext|><s>", add_special_tokens=False).ids
    assert np.isin(injected, special).any()  # the library itself does fall for it


def test_ranks_keep_their_ids_and_merge_as_tiktoken_does():
    tokens = read_ranks(ranks_file(), "ranks")
    tokenizer = ForeignTokenizer(to_tokenizer_json(ranks_file(), "ranks", "gpt2"))
    assert (tokenizer.size, tokenizer.bos, tokenizer.lossless) == (len(tokens) + 1, len(tokens), "exact")
    for text in ["the", " the", "thehe", "cathe", " cat", "atatheat", "é", "  ", "tthe"]:
        assert tokenizer.encode_batch([text]).ids.tolist() == slow_tiktoken(tokens, text.encode())


@given(st.text(alphabet="thecat é\n", max_size=30))
def test_ranks_lose_nothing(text):
    tokenizer = ForeignTokenizer(to_tokenizer_json(ranks_file(), "ranks", "gpt2"))
    encoded = tokenizer.encode_batch([text])
    assert tokenizer.decode(encoded.ids) == text
    assert int(byte_lengths(tokenizer, encoded, [text]).sum()) == len(text.encode())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"IQ==", ":1: not a token and its rank"),
        (b"IQ== 0\n!!! 1", ":2: not a token"),
        (b"IQ== 0\nIQ== 1", "ranks that are not"),
        (b"IQ== 1", "ranks that are not"),
        (b"IQ== 0", "255 of the 256 single bytes"),
        (b"", "256 of the 256"),
    ],
)
def test_broken_ranks_are_one_sentence(data, says):
    with pytest.raises(VocabError, match=says):
        read_ranks(data, "ranks")


def test_every_cut_and_flipped_file_is_opened_or_refused():
    data = hf_file("byte level")
    random = np.random.default_rng(0)
    for at in random.integers(0, len(data), 60).tolist():
        flipped = bytearray(data)
        flipped[at] ^= 1 << int(random.integers(0, 8))
        for broken in (data[:at], bytes(flipped)):
            try:
                tokenizer = ForeignTokenizer(broken)
                encoded = tokenizer.encode_batch(["the cat"])
                byte_lengths(tokenizer, encoded, ["the cat"])
            except VocabError:
                continue


@pytest.mark.parametrize(
    ("data", "options", "says"),
    [
        (b"{}", {}, "no tokenizer.json"),
        (b"\xff\xff\xff", {}, "no SentencePiece model"),
        (b"", {}, "without pieces"),
        (b"{}", {"transform": "caseops"}, "is for SentencePiece models"),
        (b"{}", {"split": "gpt2"}, "--split is for tiktoken ranks"),
        (b"{}", {"transform": "upper"}, "wanted caseops"),
        (b"IQ== 0\n", {}, "--split ''"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(tmp_path, data, options, says):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(VocabError, match=says):
        import_vocabulary(tmp_path / "file", tmp_path / "v", **options)
    assert not (tmp_path / "v/spec.json").exists()


def test_a_file_that_names_no_beginning_is_refused():
    content = json.loads(hf_file("byte level"))
    content["added_tokens"] = []
    with pytest.raises(VocabError, match="none of its added tokens begins a document"):
        ForeignTokenizer(json.dumps(content).encode())


def test_the_begin_of_ranks_is_the_id_behind_them():
    content = json.loads(to_tokenizer_json(ranks_file(), "ranks", "cl100k"))
    assert content["added_tokens"][0]["content"] == BEGIN
    assert content["added_tokens"][0]["id"] == len(content["model"]["vocab"])


OPTIONS = {"fineweb_8192_caseops_reserved.model": {"transform": "caseops"}, "gpt2.tiktoken": {"split": "gpt2"}}


def test_every_real_vocabulary_accounts_for_every_byte_of_real_text(real_data, tmp_path):
    texts = [json.loads(line)["text"] for line in (real_data / "text/verify_docs_raw.jsonl").open(encoding="utf-8")][
        :20
    ]
    texts += [json.loads(line)["text"] for line in (real_data / "text/udhr.jsonl").open(encoding="utf-8")][:10]
    for file in sorted((real_data / "tokenizers").iterdir()):
        if file.name.startswith("cl100k"):
            continue  # as gpt2, four times as long
        import_vocabulary(file, tmp_path / file.name, **OPTIONS.get(file.name, {}))
        spec, tokenizer, _ = open_vocabulary(tmp_path / file.name)
        encoded = tokenizer.encode_batch(texts)
        assert int(byte_lengths(tokenizer, encoded, texts).sum()) == sum(len(text.encode()) for text in texts), file
        theirs = open_tokenizer(tmp_path / file.name / spec.file).table
        for part in ("base_bytes", "has_leading_space", "is_boundary"):
            assert np.array_equal(getattr(theirs, part), getattr(tokenizer.table, part)), (file, part)


def test_ranks_encode_as_another_implementation_does(real_data):
    gigatoken = pytest.importorskip("gigatoken")
    file = real_data / "tokenizers/gpt2.tiktoken"
    texts = [json.loads(line)["text"] for line in (real_data / "text/udhr.jsonl").open(encoding="utf-8")][:40]
    ours = ForeignTokenizer(to_tokenizer_json(file.read_bytes(), "gpt2", "gpt2")).encode_batch(texts)
    theirs = gigatoken.Tokenizer.from_tiktoken(file, pretokenizer="gpt2").encode_batch_list(texts, parallel=False)
    assert ours.ids.tolist() == [token for document in theirs for token in document]


def test_unknown_is_counted_by_the_importers_own_id(tmp_path) -> None:
    from tokenizers_lab.compare import compare

    (tmp_path / "words.json").write_bytes(hf_file("word piece"))
    import_vocabulary(tmp_path / "words.json", tmp_path / "words")
    tokenizer = open_vocabulary(tmp_path / "words")[1]
    assert tokenizer.unk == 1
    docs = tmp_path / "d.jsonl"
    docs.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("the cat 猫 sat 犬", "the")))
    row = compare([tmp_path / "words"], docs).rows[0]
    assert row.unknown == int((tokenizer.encode_batch(["the cat 猫 sat 犬"]).ids == 1).sum()) > 0


@pytest.mark.parametrize("kind", ["ranks", "word piece"])
def test_documents_begin_with_the_files_own_bos_and_the_auditor_counts_them(tmp_path, capsys, kind):
    (tmp_path / "ranks.tiktoken").write_bytes(ranks_file())
    (tmp_path / "words.json").write_bytes(hf_file("word piece"))
    if kind == "ranks":
        import_vocabulary(tmp_path / "ranks.tiktoken", tmp_path / "v", split="gpt2")
        texts, own = ["", *TEXTS, "<|endoftext|>", "é \ue001\0"], len(read_ranks(ranks_file(), "ranks"))
    else:
        import_vocabulary(tmp_path / "words.json", tmp_path / "v")
        texts, own = ["the cat sat on the mat", "the cats sat", "42 degrees", *["the shade"] * 20], 2
    docs = tmp_path / "docs.jsonl"
    docs.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    manifest = write_shards(docs, tmp_path / "v", tmp_path / "s", 500, validation=9)
    begin = read_values(tmp_path / "s/fineweb_val_000000.bin")[0]
    assert manifest["vocabulary"]["bos"] == begin == own != 1
    assert verify_shards(tmp_path / "s", docs).differences == 0
    (tmp_path / "run").mkdir()
    (tmp_path / "run/train.log").write_text("step:1/1 val_loss:2.0 val_bpb:1.2 train_time:1ms step_avg:1ms\n")
    named = {"shards": tmp_path / "s", "docs": docs, "tokenizer": tmp_path / "s/tokenizer.json", "documents": 9}
    words = [str(tmp_path / "run"), *(word for name, value in named.items() for word in (f"--{name}", str(value)))]
    rules = ["PG101", "PG102", "PG103", "PG104", "PG111", "PG603"]
    assert audit([*words, *(word for rule in rules for word in ("--only", rule))]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.count("PASS") >= len(rules)

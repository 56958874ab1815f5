"""The auditor's own tokenizer.json reader: the tokenizers library as judge, broken files by name, and damage."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.errors import AuditError
from bpb_audit.hf_json import read_tokenizer_json
from bpb_audit.vocabulary import Vocabulary
from tests.audit_makers import DOCS, WORDS, damaged

tk = pytest.importorskip("tokenizers")
TEXTS = [*DOCS, *(f"{a} {b}, {c}!" for a in WORDS for b in WORDS for c in WORDS[:3])]


def train(kind: str) -> Any:
    models, pre, dec, trainers = tk.models, tk.pre_tokenizers, tk.decoders, tk.trainers
    alphabet = pre.ByteLevel.alphabet()
    if kind.startswith("byte-level"):
        made = tk.Tokenizer(models.BPE())
        made.pre_tokenizer = pre.ByteLevel(add_prefix_space=False, use_regex=not kind.endswith("whole"))
        made.decoder = dec.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=["<pad>", "<s>"], initial_alphabet=alphabet, show_progress=False
        )
    elif kind == "unigram":
        made = tk.Tokenizer(models.Unigram())
        made.pre_tokenizer, made.decoder = pre.Metaspace(), dec.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        )
    elif kind == "metaspace":
        made = tk.Tokenizer(models.BPE(unk_token="<unk>"))
        made.pre_tokenizer, made.decoder = pre.Metaspace(prepend_scheme="never"), dec.Metaspace(prepend_scheme="never")
        trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<s>"], show_progress=False)
    else:
        made = tk.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = tk.normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer, made.decoder = pre.BertPreTokenizer(), dec.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]"], show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    return made


def agree(made: Any, texts: list[str]) -> Vocabulary:
    """Size, specials and decoded text against the library."""
    view = read_tokenizer_json(made.to_str().encode(), "t")
    assert len(view) == max(made.get_vocab().values()) + 1
    for token, token_id in made.get_vocab().items():
        if token in ("<pad>", "<s>", "<unk>", "[UNK]", "[CLS]"):
            assert view.silent[token_id]
    for text in texts:
        ids = made.encode(text, add_special_tokens=False).ids
        assert view.decode(np.array(ids, np.int64)) == made.decode(ids, skip_special_tokens=True).encode()
    return view


@pytest.mark.parametrize("kind", ["byte-level", "byte-level whole", "unigram", "metaspace", "wordpiece"])
def test_trained_tokenizers_agree_with_the_library(kind: str) -> None:
    view = agree(train(kind), TEXTS)
    if kind.startswith("byte-level"):
        texts = [view.token(i) for i in range(len(view))]
        assert view.table.base_bytes.tolist() == list(map(len, texts))
        assert not view.table.has_leading_space.any()
        assert view.merges is not None


def test_real_files_agree_with_the_library(real_data: Path) -> None:
    from bpb_audit.documents import read_documents

    texts = [d.text for d, _ in zip(read_documents(real_data / "text/verify_docs_raw.jsonl"), range(40), strict=False)]
    for name in ("wordllama_llama2_tokenizer.json", "minilm_wordpiece_tokenizer.json"):
        made = tk.Tokenizer.from_file(str(real_data / "tokenizers" / name))
        made.no_truncation()
        made.no_padding()
        agree(made, texts)


def test_added_tokens_are_special_or_literal() -> None:
    made = train("byte-level")
    made.add_special_tokens(["<|doc|>"])
    made.add_tokens(["wörd"])
    view = read_tokenizer_json(made.to_str().encode(), "t")
    assert view.silent[made.token_to_id("<|doc|>")]
    assert view.token(made.token_to_id("wörd")) == "wörd".encode()


def test_the_challenges_byte_tokenizer_is_read() -> None:
    view = read_tokenizer_json(
        b'{"tokenizer_type": "pure_byte", "config": {"byte_offset": 4, "byte_count": 256, "bos_id": 1, "unk_id": 3}}',
        "t",
    )
    assert (len(view), view.bos, view.unknown) == (260, 1, 3)
    assert view.decode(np.frombuffer("né".encode(), np.uint8).astype(np.int64) + 4) == "né".encode()
    assert view.table.base_bytes.sum() == 256


def file(**changes: Any) -> bytes:
    base = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "decoder": {"type": "ByteLevel"}}
    return json.dumps(base | changes).encode()


BROKEN = {
    "not JSON": b"{",
    "not UTF-8": b'{"model": "\xff"}',
    "an array": b"[]",
    "too deep": b'{"a":' * 20_000 + b"1",
    "no model": b'{"version": "1.0"}',
    "a vocab of numbers": file(model={"type": "BPE", "vocab": [1, 2]}),
    "a negative id": file(model={"type": "BPE", "vocab": {"a": -1}}),
    "a huge id": file(model={"type": "BPE", "vocab": {"a": 1 << 40}}),
    "an id that is true": file(model={"type": "BPE", "vocab": {"a": True}}),
    "an empty vocab": file(model={"type": "BPE", "vocab": {}}),
    "no decoder": file(decoder=None),
    "an unknown decoder": file(decoder={"type": "CTC"}),
    "a decoder that replaces a regex": file(decoder={"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"}),
    "a decoder that grows without end": file(
        decoder={
            "type": "Sequence",
            "decoders": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"}] * 20,
        }
    ),
    "nested decoders": file(decoder={"type": "Sequence", "decoders": [{"type": "Sequence", "decoders": []}]}),
    "added tokens that are texts": file(added_tokens=["<s>"]),
    "added tokens that are a number": file(added_tokens=7),
    "a lone surrogate": b'{"model": {"type": "BPE", "vocab": {"\\ud800": 0}}, "decoder": {"type": "ByteLevel"}}',
    "half a byte tokenizer": b'{"tokenizer_type": "pure_byte", "config": {"byte_count": 128}}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_raise_the_one_error(name: str) -> None:
    with pytest.raises(AuditError, match=r"^t: "):
        read_tokenizer_json(BROKEN[name], "t")


def test_damage_gives_a_value_or_the_one_error() -> None:
    data = json.dumps(json.loads(train("unigram").to_str())).encode()[:3000] + b"]]}}"
    whole = file(added_tokens=[{"id": 2, "content": "<s>", "special": True}])
    for broken in [*damaged(whole, 600), *damaged(data, 100)]:
        try:
            view = read_tokenizer_json(broken, "t")
        except AuditError:
            continue
        assert len(view.decode(np.arange(len(view)))) <= len(view.flat)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"model": st.fixed_dictionaries({"vocab": json_values, "type": json_values, "merges": json_values})},
        optional={
            "decoder": json_values
            | st.fixed_dictionaries({"type": st.sampled_from(["Metaspace", "Strip", "WordPiece"])}),
            "added_tokens": json_values,
            "normalizer": json_values,
            "pre_tokenizer": json_values,
        },
    )
)
def test_any_json_is_a_tokenizer_or_the_one_error(top: dict[str, Any]) -> None:
    with contextlib.suppress(AuditError):
        read_tokenizer_json(json.dumps(top).encode(), "t")

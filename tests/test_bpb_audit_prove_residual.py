"""The residual: any document comes back from its tokens' text, at the cost that was promised."""

import contextlib
import json
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.errors import AuditError
from bpb_audit.prove_bits import Bits
from bpb_audit.prove_edits import cuts
from bpb_audit.prove_residual import encode_residual, restore
from bpb_audit.tokenizer_files import open_tokenizer
from bpb_audit.vocabulary import Vocabulary
from tests.conftest import HOSTILE

REAL = Path(os.environ.get("PGLAB_REAL_DATA", "absent"))


def normalised(text: str) -> bytes:
    """As the challenge's tokenizers leave a text, nearly."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).encode()


def come_back(pairs: list[tuple[bytes, bytes]]) -> bytes:
    code = encode_residual(pairs)
    assert list(restore(code, [decoded for decoded, _ in pairs], sum(len(raw) for _, raw in pairs))) == [
        raw for _, raw in pairs
    ]
    return code


def test_hostile_texts_come_back() -> None:
    come_back([(normalised(text), text.encode()) for text in HOSTILE])


def test_equal_documents_cost_no_byte() -> None:
    assert come_back([(text.encode(), text.encode()) for text in HOSTILE]) == b""
    assert list(restore(b"", [b"a", b""], 1)) == [b"a", b""]


def test_any_other_text_comes_back() -> None:
    """A vocabulary that loses everything, one that folds case, and documents that are not the shards' at all."""
    texts = [text.encode() for text in HOSTILE if len(text) < 400]
    come_back([(b"", raw) for raw in texts])
    come_back([(raw, b"") for raw in texts])
    come_back([(raw.lower(), raw) for raw in texts])
    come_back(list(zip(texts, texts[1:] + texts[:1], strict=True)))


PIECES = st.lists(
    st.sampled_from([b" ", b"\n", b"\n\n", b"a", b"The", b"...", b"\xe2\x80\xa6", b"\xc2\xa0", b"x.", b"\xff"])
)


@given(st.lists(st.tuples(PIECES.map(b"".join), PIECES.map(b"".join)), max_size=4))
def test_any_pairs_come_back(pairs: list[tuple[bytes, bytes]]) -> None:
    come_back(pairs)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_cuts_make_the_new_text_of_the_old(old: bytes, new: bytes) -> None:
    out, at = bytearray(), 0
    made = cuts(old, new)
    while at <= len(old):
        fall, text = made.get(at, (0, b""))
        out += text
        at += fall
        if fall:
            continue
        out += old[at : at + 1]
        at += 1
    assert bytes(out) == new


@given(st.binary(max_size=80), st.lists(PIECES.map(b"".join), min_size=1, max_size=3))
def test_whatever_bytes_come_in_documents_or_the_one_error(code: bytes, decoded: list[bytes]) -> None:
    with contextlib.suppress(AuditError):
        assert len(list(restore(code, decoded, 200))) == len(decoded)


def test_newlines_after_sentences_are_learnt() -> None:
    """Headed paragraphs, the newline always before a capital after a full stop: far below a bit each."""
    rng = np.random.default_rng(0)
    words = ["alpha", "beta", "gamma", "delta", "of", "the", "and"]
    raw = "\n".join(
        "Every line " + " ".join(words[k] for k in rng.integers(0, 7, rng.integers(5, 20))) + "." for _ in range(400)
    ).encode()
    assert 8 * len(come_back([(raw.replace(b"\n", b" "), raw)])) < 0.5 * 400


@pytest.mark.skipif(not REAL.is_dir(), reason="PGLAB_REAL_DATA is not set")
@pytest.mark.slow
def test_the_official_normaliser_costs_less_than_was_measured_elsewhere() -> None:
    """200 FineWeb documents with the challenge's own 1024-id tokenizer: at most 0.0246 bits per raw byte."""
    spm = pytest.importorskip("sentencepiece")
    place = REAL / "tokenizers/fineweb_1024_bpe.model"
    theirs = spm.SentencePieceProcessor(model_file=str(place))
    ours = open_tokenizer(place)
    assert isinstance(ours, Vocabulary)
    lines = (REAL / "text/verify_docs_raw.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    pairs = [(ours.decode(np.array(theirs.encode(text), np.uint16)), text.encode()) for text in texts]
    assert sum(decoded == raw for decoded, raw in pairs) < 10
    bits = 8 * len(come_back(pairs)) / sum(len(raw) for _, raw in pairs)
    assert bits < 0.0170


def test_a_coder_of_bits_reads_what_it_wrote() -> None:
    rng = np.random.default_rng(3)
    said = [(int(rng.integers(0, 3)), int(rng.integers(0, 9)), int(rng.random() < 0.1)) for _ in range(3000)]
    numbers = [int(2 ** rng.uniform(0, 39)) for _ in range(40)] + [0, 1, 2]
    made = Bits()
    for kind, context, bit in said:
        made.code(f"k{kind}", 0, [context, kind], bit)
    for number in numbers:
        made.number("n", number)
    code = made.end()
    back = Bits(code)
    assert [back.code(f"k{kind}", 0, [context, kind]) for kind, context, _ in said] == [bit for *_, bit in said]
    assert [back.number("n") for _ in numbers] == numbers
    assert re.fullmatch(b"(?s).+", code)

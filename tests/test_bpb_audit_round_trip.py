"""Whether text survives: the three levels, the first loss, the case transform undone, and byte sums that deceive."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.caseops import restore_case
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Finding, Verdict
from bpb_audit.round_trip import Level, compare, first_loss, loose, same_document
from bpb_audit.rules import all_rules, run_rule
from tests.audit_makers import DOCS, UNKNOWN, greedy, honest_sidecar, model_bytes, plain_pieces, trained, write_set

PIECES = plain_pieces()
LONG = "The Quick Brown Fox Jumps over the Lazy Dog, and then the Cat sat on the Mat. " * 5


def run(code: str, folder: Path) -> Finding:
    [one] = [rule for rule in all_rules() if rule.code == code]
    [finding] = run_rule(one, Evidence(folder / "nothing", docs=folder / "docs.jsonl", shards=folder))
    return finding


@pytest.mark.parametrize(
    ("raw", "decoded", "level"),
    [
        ("abc", "abc", Level.EXACT),
        ("a b\nc", "a b c", Level.LOOSE),
        ("  a  b ", "a b", Level.LOOSE),
        ("\u00bd \ufb01n\u2026", "1\u20442 fin...", Level.LOOSE),
        ("s\u00b4 b", "s \u0301 b", Level.LOOSE),  # a spacing accent does not grow onto the letter before it
        ("a\u200bb\x07c\ufeffd", "a bcd", Level.LOOSE),
        ("ABC", "abc", Level.LOSSY),
        ("caf\u00e9", "cafe", Level.LOSSY),
        ("a\U0001f600b", "ab", Level.LOSSY),
        ("stra\u00dfe", "strasse", Level.LOSSY),
        ("abc", "", Level.LOSSY),
        ("", "", Level.EXACT),
        ("one two three four", "onetwothreefour", Level.LOSSY),
        ("a b c d e f g h", "ab cd ef gh", Level.LOSSY),
        ("the cat sat on the mat", "t h e c a tsatonthemat", Level.LOSSY),  # as many words, cut elsewhere
        ("the cat sat on the mat", "the cats at on the mat", Level.LOOSE),  # one boundary moved: odd characters may
    ],
)
def test_the_level_of_a_document(raw: str, decoded: str, level: Level) -> None:
    assert compare(raw, decoded) is level


def test_a_document_cut_by_the_stream_is_not_lossy() -> None:
    assert compare("abc def", "abc d", tail_cut=True) is Level.CUT
    assert compare("abc def", "c def", head_cut=True) is Level.CUT
    assert compare("abc def", "abc d") is Level.LOSSY


@given(st.text(max_size=40), st.text("\t\n \u3000\u200b", max_size=3), st.integers(0, 40))
def test_white_space_never_decides_the_loose_key(text: str, space: str, at: int) -> None:
    assert loose(text[:at] + space + text[at:]) == loose(text)


@pytest.mark.parametrize(
    ("raw", "decoded", "kind", "offset"),
    [
        ("The NASA launch", "the nasa launch", "case folded", 0),
        ("see NASA", "see nasa", "case folded", 4),
        ("un caf\u00e9 noir", "un cafe noir", "accents stripped", 6),
        ("a \U0001f600 b", "a b", "characters dropped", 2),
        ("one two three four", "onetwo three four", "white space dropped", 0),
        ("one  two three four", "one two threefour", "white space dropped", 9),
        ("Caf\u00e9", "cafe", "case folded and accents stripped", 0),
        ("one two three four", "one t wothree four", "white space moved", 4),
    ],
)
def test_the_first_loss_is_shown_with_its_kind(raw: str, decoded: str, kind: str, offset: int) -> None:
    loss = first_loss(raw, decoded)
    assert (loss.kind, loss.offset) == (kind, offset)
    assert raw[offset:].startswith(loss.original)


def test_damaged_documents_are_told_from_other_documents() -> None:
    assert same_document(LONG, LONG.lower())
    assert same_document(LONG, LONG.replace("o", ""))
    assert same_document("\u65e5\u672c\u8a9e ab \u65e5\u672c", "ab")
    assert not same_document(LONG, "Insurance Company Declares Living Man Dead. George Johannesen is alive. " * 5)


def upstream_case(text: str) -> str:
    """The published forward rules, word by word: title, all capitals, or one operator a capital; operators escaped."""

    def word(match: re.Match[str]) -> str:
        found = match[0]
        if found in ("\ue001", "\ue002", "\ue003", "\ue004"):
            return "\ue004" + found
        if found.islower():
            return found
        if len(found) >= 2 and found.isupper():
            return "\ue002" + found.lower()
        if found[1:].islower() or len(found) == 1:
            return "\ue001" + found.lower()
        head = "\ue001" if found[0].isupper() else ""
        return head + found[0].lower() + "".join("\ue003" + c.lower() if c.isupper() else c for c in found[1:])

    return re.sub("[A-Za-z]+|[\ue001-\ue004]", word, text)


@given(st.text(st.sampled_from("aBcDé .1\ue001\ue002\ue003\ue004ß"), max_size=30))
def test_the_case_transform_is_undone(text: str) -> None:
    assert restore_case(upstream_case(text)) == text


def test_every_short_mixture_of_letters_and_operators_is_undone() -> None:
    for letters in itertools.product("aB\ue004 ", repeat=5):
        assert restore_case(upstream_case("".join(letters))) == "".join(letters)


@pytest.mark.parametrize("text", ["\ue001", "\ue001 the", "\ue002Abc", "a\ue003", "end\ue004", "\ue001\ue001a"])
def test_operators_with_nothing_to_work_on_are_refused(text: str) -> None:
    assert restore_case(text) is None


def test_an_operator_behind_a_sign_that_became_a_letter_still_works() -> None:
    assert restore_case("32o\ue001c") == "32oC"


def fold(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def strip_accents(text: str) -> str:
    return text.replace("\u00e9", "e").replace("\u00ef", "i")


def test_case_folded_text_fails_although_every_byte_sum_agrees(tmp_path: Path) -> None:
    docs = [LONG, *DOCS]

    def encode(text: str) -> list[int]:
        return greedy(PIECES)(fold(text))

    folder = write_set(tmp_path, docs, encode, model_bytes(PIECES), sidecar=honest_sidecar)
    assert run("PG101", folder).verdict is Verdict.PASS  # the sums agree to the byte, and that proves nothing
    assert run("PG102", folder).verdict is Verdict.PASS
    finding = run("PG111", folder)
    assert finding.verdict is Verdict.FAIL
    assert "case folded at character 0" in finding.says
    assert finding.where == "fineweb_val_000000.bin:0:document 0"


def test_dropped_spaces_fail_although_a_sidecar_pays_for_them(tmp_path: Path) -> None:
    def encode(text: str) -> list[int]:
        return greedy(PIECES)(text.replace(" ", ""))

    folder = write_set(tmp_path, [LONG, *DOCS], encode, model_bytes(PIECES), sidecar=honest_sidecar)
    assert run("PG102", folder).verdict is Verdict.PASS
    finding = run("PG111", folder)
    assert finding.verdict is Verdict.FAIL
    assert "white space dropped at character 0: 'The Quick Br'" in finding.says


def test_spaces_moved_to_the_head_fail_although_words_and_sidecar_are_as_many(tmp_path: Path) -> None:
    def moved(text: str) -> str:
        count, joined = len(text.split()), "".join(text.split())
        return " ".join([*joined[: count - 1], joined[count - 1 :]])

    def encode(text: str) -> list[int]:
        return greedy(PIECES)(moved(text))

    folder = write_set(tmp_path, [LONG, LONG[4:]], encode, model_bytes(PIECES), sidecar=honest_sidecar)
    assert run("PG102", folder).verdict is Verdict.PASS
    finding = run("PG111", folder)
    assert finding.verdict is Verdict.FAIL
    assert "white space moved" in finding.says


def test_stripped_accents_and_unknown_characters_fail(tmp_path: Path) -> None:
    accents = write_set(tmp_path / "a", DOCS, lambda text: greedy(PIECES)(strip_accents(text)), model_bytes(PIECES))
    assert "accents stripped" in run("PG111", accents).says
    unknown = next(i for i, (_, kind) in enumerate(PIECES) if kind == UNKNOWN)

    def without_fallback(text: str) -> list[int]:
        ids = [unknown if 4 <= token < 260 else token for token in greedy(PIECES)(text)]
        return [token for at, token in enumerate(ids) if not (token == unknown and at and ids[at - 1] == unknown)]

    lost = write_set(tmp_path / "b", DOCS, without_fallback, model_bytes(PIECES))
    assert run("PG111", lost).verdict is Verdict.FAIL
    assert run("PG604", lost).verdict is Verdict.FAIL


def test_one_document_in_a_thousand_may_be_damaged(tmp_path: Path) -> None:
    docs = [*["the end of the text"] * 1500, "The end of the text"]

    def encode(text: str) -> list[int]:
        return greedy(PIECES)(fold(text))

    finding = run("PG111", write_set(tmp_path / "a", docs, encode, model_bytes(PIECES)))
    assert finding.verdict is Verdict.PASS
    assert "but for 1 in 1,501" in finding.says
    assert run("PG111", write_set(tmp_path / "b", docs[600:], encode, model_bytes(PIECES))).verdict is Verdict.FAIL


def test_the_challenges_normaliser_passes_on_nasty_documents(tmp_path: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    sp = spm.SentencePieceProcessor()
    sp.LoadFromSerializedProto(trained("bpe"))
    docs = [*DOCS, "\u00bd\ufb01 \u2460\u3000x\u00b4 \u200b\u2028\ufeff\x07\u2581 y", "\ufffd\u00a0 \t\r\n"]
    finding = run("PG111", write_set(tmp_path, docs, sp.encode, trained("bpe")))
    assert finding.verdict is Verdict.PASS, finding


def test_the_public_case_vocabulary_on_real_documents(real_data: Path, tmp_path: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    from bpb_audit.documents import read_documents

    texts = [d.text for d, _ in zip(read_documents(real_data / "text/verify_docs_raw.jsonl"), range(70), strict=False)]
    place = real_data / "tokenizers/fineweb_8192_caseops_reserved.model"
    sp = spm.SentencePieceProcessor(model_file=str(place))

    def encode(text: str) -> list[int]:
        return sp.encode(upstream_case(text))

    folder = write_set(tmp_path, texts, encode, place.read_bytes(), sidecar=honest_sidecar)
    for code in ("PG101", "PG102", "PG104", "PG111", "PG604", "PG605", "PG607"):
        assert run(code, folder).verdict is Verdict.PASS, run(code, folder)

"""The recount of transformed text and of sidecars: bytes moved between documents, or from the tail to what counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bpb_audit.evidence import Evidence
from bpb_audit.finding import Verdict
from bpb_audit.recount import measure_truth
from tests.audit_makers import (
    CONTROL,
    DOCS,
    SPACE,
    UNKNOWN,
    USER,
    greedy,
    honest_sidecar,
    model_bytes,
    plain_pieces,
    shard_bytes,
    write_set,
)
from tests.test_bpb_audit_recount import MODEL, PIECES, run, verdicts


def shifted(text: str, ids: list[int]) -> list[int]:
    return [len(text.encode()) + 1, *[0] * (len(ids) - 1)] if ids else []


def one_document_robs_another() -> Callable[[str, list[int]], list[int]]:
    """Totals agree, documents do not."""
    step = iter([3, -3] + [0] * 100)

    def sidecar(text: str, ids: list[int]) -> list[int]:
        return [len(text.encode()) + next(step), *[0] * (len(ids) - 1)] if ids else []

    return sidecar


@pytest.mark.parametrize(("moved", "verdict"), [(0, Verdict.PASS), (8, Verdict.PASS), (30, Verdict.FAIL)])
def test_bytes_moved_from_the_tail_to_scored_targets_are_seen(tmp_path: Path, moved: int, verdict: Verdict) -> None:
    """Every document keeps its sum; the loss of fewer targets is divided by bytes they do not stand for."""
    text, encode = "the end of a line, " * 40, greedy(PIECES)
    sizes = {i: len(word.replace(SPACE, " ").encode()) for i, (word, _) in enumerate(PIECES)}

    def shifted_sidecar(text: str, ids: list[int]) -> list[int]:
        counted = [sizes[token] for token in ids]
        counted[0] += moved
        left = moved
        for place in range(len(ids) - 1, 0, -1):
            taken = min(left, counted[place])
            counted[place] -= taken
            left -= taken
        return counted

    folder = write_set(tmp_path, [text], encode, MODEL, sidecar=shifted_sidecar)
    seq_len = (len(encode(text)) - 50) // 3  # a tail of fifty tokens or a few more
    [finding] = run("PG102", folder, seq_len=seq_len)
    assert finding.verdict is verdict, finding
    assert verdict is Verdict.PASS or "30 bytes of the unscored tail to scored targets" in finding.says
    truth = measure_truth(Evidence(folder, docs=folder / "docs.jsonl", shards=folder, seq_len=seq_len))
    assert truth is not None
    assert truth.bytes_raw is not None
    assert truth.bytes_sidecar == truth.bytes_raw + moved
    assert truth.bytes_raw == sum(sizes[token] for token in encode(text)[: truth.targets])


def trimmed(text: str, ids: list[int]) -> list[int]:
    return [len(text.strip().encode()), *[0] * (len(ids) - 1)] if ids else []


@pytest.mark.parametrize("fault", [shifted, one_document_robs_another()])
def test_a_sidecar_is_judged_document_by_document(tmp_path: Path, fault) -> None:
    [finding] = run("PG102", write_set(tmp_path, DOCS, greedy(PIECES), MODEL, sidecar=fault))
    assert finding.verdict is Verdict.FAIL
    assert finding.where == "fineweb_val_000000.bin:0:document 0"
    assert "document 0 (line 1)" in finding.says


def test_a_sidecar_without_outer_white_space_passes_and_says_so(tmp_path: Path) -> None:
    docs = [" the end\n", "the cat"]
    [finding] = run("PG102", write_set(tmp_path, docs, greedy(PIECES), MODEL, sidecar=trimmed))
    assert finding.verdict is Verdict.PASS
    assert "1 documents without outer white space" in finding.says


def test_a_sidecar_of_other_shards_is_not_used(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL)
    (folder / "fineweb_val_000000.bytes").write_bytes(shard_bytes([0, 1]))
    [finding] = run("PG102", folder)
    assert finding.verdict is Verdict.UNCHECKED
    assert "belongs to other shards" in finding.says


def test_runs_of_spaces_in_a_piece_are_overcounted_by_the_table_and_found(tmp_path: Path) -> None:
    pieces = plain_pieces([SPACE * 4])
    docs = ["the    end" * 20, "a    b"]
    [finding] = run("PG101", write_set(tmp_path, docs, greedy(pieces), model_bytes(pieces)))
    assert finding.verdict is Verdict.FAIL
    assert "21 times, +126 bytes" in finding.says  # three inner U+2581 of three bytes each, where spaces have one


def test_transformed_text_that_grew_fails_where_the_challenges_normaliser_passes(tmp_path: Path) -> None:
    docs = ["\u00bd cup " * 30 + "end"]  # one half: 2 bytes, 5 as 1, fraction slash, 2

    def encode(text: str) -> list[int]:
        return greedy(PIECES)(text.replace("\u00bd", "1\u20442"))

    for rules, verdict in (("nmt_nfkc", Verdict.PASS), ("user_defined", Verdict.FAIL)):
        folder = write_set(tmp_path / rules, docs, encode, model_bytes(PIECES, rules=rules))
        assert verdicts("PG101", folder) == [verdict]


def test_spaces_that_become_three_bytes_fail_under_the_challenges_normaliser_too(tmp_path: Path) -> None:
    """A vocabulary without a U+2581 piece writes each lone space as three byte tokens."""
    without = [each for each in PIECES if each[0] != SPACE]
    docs = ["the cat q x the mat", "A B C D E"]
    whole = write_set(tmp_path / "a", docs, greedy(PIECES), model_bytes(PIECES, rules="nmt_nfkc"))
    assert verdicts("PG101", whole) == [Verdict.PASS]

    def encode(text: str) -> list[int]:  # the greedy encoder writes a missing piece's own character as bytes
        return greedy(without)(text)

    broken = write_set(tmp_path / "b", docs, encode, model_bytes(without, rules="nmt_nfkc"))
    [finding] = run("PG101", broken)
    assert finding.verdict is Verdict.FAIL
    assert "7 spaces are counted as U+2581" in finding.says


OPERATORS = ["\ue001", "\ue002", "\ue003", "\ue004"]
CASE_PIECES = [*PIECES[:4], *[(sign, USER) for sign in OPERATORS], *PIECES[4:]]


def lower(text: str) -> str:
    """The case transform, the slow way: every capital by its own operator, which is legal though not minimal."""
    return "".join("\ue003" + c.lower() if c.isascii() and c.isupper() else c for c in text)


def encode_case(text: str) -> list[int]:
    return greedy(CASE_PIECES)(lower(text))


def test_a_case_transform_needs_its_sidecar(tmp_path: Path) -> None:
    data = model_bytes(CASE_PIECES)
    with_sidecar = write_set(tmp_path / "a", DOCS, encode_case, data, sidecar=honest_sidecar)
    for code in ("PG101", "PG102", "PG111"):
        assert verdicts(code, with_sidecar) == [Verdict.PASS], run(code, with_sidecar)
    without = write_set(tmp_path / "b", DOCS, encode_case, data)
    assert verdicts("PG101", without) == verdicts("PG102", without) == [Verdict.FAIL]
    assert "\\ue003" in run("PG101", without)[0].says

    def surface(text: str, ids: list[int]) -> list[int]:
        return [len(lower(text).encode()), *[0] * (len(ids) - 1)] if ids else []

    counted = write_set(tmp_path / "c", DOCS, encode_case, data, sidecar=surface)
    assert verdicts("PG102", counted) == [Verdict.FAIL]


def test_special_text_encoded_as_text_passes_and_as_ids_fails(tmp_path: Path) -> None:
    honest = write_set(tmp_path / "a", DOCS, greedy(PIECES), MODEL)
    [finding] = run("PG104", honest)
    assert finding.verdict is Verdict.PASS
    assert "'<s>' in 1" in finding.says
    names = {text: i for i, (text, kind) in enumerate(PIECES) if kind in (CONTROL, UNKNOWN) and i != 1}

    def injected(text: str) -> list[int]:
        out: list[int] = []
        for part in text.replace("<pad>", "\0<pad>\0").replace("</s>", "\0</s>\0").split("\0"):
            out += [names[part]] if part in names else greedy(PIECES)(part)
        return out

    [finding] = run("PG104", write_set(tmp_path / "b", DOCS, injected, MODEL))
    assert finding.verdict is Verdict.FAIL
    assert "id 0 1 times, id 2 1 times" in finding.says

"""The recount: the meter against a slow one, and every way of miscounting beside its honest twin."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.counting import Meter, per_document
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Finding, Verdict
from bpb_audit.recount import measure_truth, scored_targets
from bpb_audit.rules import all_rules, run_rule
from bpb_audit.tokenizer_files import parse_tokenizer
from bpb_audit.vocabulary import ByteTable, Vocabulary
from tests.audit_makers import (
    CONTROL,
    DOCS,
    SPACE,
    UNKNOWN,
    USER,
    damaged,
    docs_bytes,
    greedy,
    honest_sidecar,
    model_bytes,
    plain_pieces,
    shard_bytes,
    trained,
    write_set,
)

PIECES = plain_pieces()
MODEL = model_bytes(PIECES)


def run(code: str, folder: Path, **more: object) -> list[Finding]:
    given_ = {"docs": folder / "docs.jsonl", "shards": folder} | more
    [one] = [rule for rule in all_rules() if rule.code == code]
    return run_rule(one, Evidence(folder / "nothing", **given_))  # type: ignore[arg-type]


def verdicts(code: str, folder: Path, **more: object) -> list[Verdict]:
    return [finding.verdict for finding in run(code, folder, **more)]


columns = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 300), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size),
    )
)


@given(columns, st.lists(st.integers(0, 14), max_size=40), st.none() | st.integers(0, 14))
def test_the_meter_counts_as_the_official_rule_says(table, ids: list[int], before: int | None) -> None:
    base, spaced, boundary = table
    meter = Meter(ByteTable(np.array(base), np.array(spaced), np.array(boundary)))
    slow = []
    for at, token in enumerate(ids):
        previous = ids[at - 1] if at else before
        behind = previous is None or (previous < len(base) and boundary[previous])
        slow.append((base[token] + (spaced[token] and not behind)) if token < len(base) else 0)
    array = np.array(ids, np.uint16)
    assert meter.each(array, before).tolist() == slow
    assert meter.total(array, before) == sum(slow)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=5))
def test_sums_per_document(parts: list[list[int]]) -> None:
    starts = np.cumsum([0, *map(len, parts)])
    flat = np.array([value for part in parts for value in part], np.uint16)
    assert per_document(flat, starts).tolist() == [sum(part) for part in parts]


def test_three_denominators_agree_on_a_lossless_vocabulary(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL, sidecar=honest_sidecar)
    raw = sum(len(text.encode()) for text in DOCS)
    table = npz_of(parse_tokenizer(MODEL, "m"))
    (folder / "token_table.npz").write_bytes(table)
    for code in ("PG101", "PG102", "PG103", "PG104"):
        [finding] = run(code, folder)
        assert finding.verdict is Verdict.PASS, finding
        assert code == "PG104" or f"{raw:,} " in finding.found
    truth = measure_truth(Evidence(folder, docs=folder / "docs.jsonl", shards=folder))
    assert truth is not None
    assert truth.bytes_raw == truth.bytes_table == truth.bytes_sidecar == truth.bytes_raw_all == raw
    assert truth.documents == len(DOCS)
    assert truth.targets == truth.tokens - 1


def npz_of(view: object, change: Callable[[np.ndarray], None] | None = None) -> bytes:
    assert isinstance(view, Vocabulary)
    base = view.table.base_bytes.copy()
    if change:
        change(base)
    out = io.BytesIO()
    np.savez(
        out,
        base_bytes=base.astype(np.uint16),
        has_leading_space=view.table.has_leading_space,
        is_boundary=view.table.is_boundary,
    )
    return out.getvalue()


@pytest.mark.parametrize("seq_len", [1, 7, 64])
def test_the_tail_is_taken_off_every_denominator_alike(tmp_path: Path, seq_len: int) -> None:
    encode = greedy(PIECES)
    folder = write_set(tmp_path, DOCS, encode, MODEL)
    truth = measure_truth(Evidence(folder, docs=folder / "docs.jsonl", shards=folder, seq_len=seq_len))
    assert truth is not None
    flat = [token for text in DOCS for token in (1, *encode(text))]
    targets = (len(flat) - 1) // seq_len * seq_len
    sizes = {i: len(text.replace(SPACE, " ").encode()) for i, (text, _) in enumerate(PIECES)}
    sizes.update(dict.fromkeys(range(4), 0) | dict.fromkeys(range(4, 260), 1))
    assert truth.targets == targets == scored_targets(len(flat), seq_len)
    assert truth.bytes_raw == truth.bytes_table == sum(sizes[token] for token in flat[1 : targets + 1])


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_the_challenges_own_options_pass_with_each_denominator_named(tmp_path: Path, algorithm: str) -> None:
    spm = pytest.importorskip("sentencepiece")
    data = trained(algorithm)
    sp = spm.SentencePieceProcessor()
    sp.LoadFromSerializedProto(data)
    folder = write_set(tmp_path, DOCS, sp.encode, data, sidecar=honest_sidecar)
    for code in ("PG101", "PG102", "PG104", "PG111", "PG602", "PG603", "PG604", "PG605"):
        assert verdicts(code, folder, documents=len(DOCS)) == [Verdict.PASS], run(code, folder)
    assert "normalised" in run("PG101", folder)[0].found


def byte_wrong(base: np.ndarray) -> None:
    base[4:260] = 3


def every_space_twice(base: np.ndarray) -> None:
    base[[i for i, (text, _) in enumerate(PIECES) if text.startswith(SPACE)]] += 1


def constant(base: np.ndarray) -> None:
    base[4:] = 2


@pytest.mark.parametrize("fault", [byte_wrong, every_space_twice, constant])
def test_a_shipped_table_is_judged_by_its_effect_on_the_shards(tmp_path: Path, fault) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL)
    view = parse_tokenizer(MODEL, "m")
    (folder / "token_table.npz").write_bytes(npz_of(view))
    assert verdicts("PG103", folder) == [Verdict.PASS]
    (folder / "token_table.npz").write_bytes(npz_of(view, fault))
    [finding] = run("PG103", folder)
    assert finding.verdict is Verdict.FAIL
    assert "token " in finding.says


def test_a_shipped_table_that_differs_only_where_nothing_occurs_passes(tmp_path: Path) -> None:
    folder = write_set(tmp_path, ["the end"], greedy(PIECES), MODEL)
    unused = next(i for i, (text, _) in enumerate(PIECES) if text == "~")
    table = npz_of(parse_tokenizer(MODEL, "m"), lambda base: base.__setitem__(unused, 9))
    (folder / "token_table.npz").write_bytes(table)
    assert verdicts("PG103", folder) == [Verdict.PASS]


def test_a_table_without_a_tokenizer_is_held_against_the_documents(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL)
    (folder / "tokenizer.model").unlink()
    view = parse_tokenizer(MODEL, "m")
    place = folder / "public.meta.npz"
    place.write_bytes(npz_of(view))
    [finding] = run("PG103", folder)
    assert finding.verdict is Verdict.PASS
    assert "every document exactly" in finding.says
    assert verdicts("PG103", folder, docs=None) == [Verdict.UNCHECKED]
    place.write_bytes(npz_of(view, byte_wrong))
    [finding] = run("PG103", folder)
    assert finding.verdict is Verdict.FAIL
    assert "document 2 (line 3): raw 38, table 72 bytes" in finding.says
    place.write_bytes(npz_of(view, lambda base: base.__setitem__(slice(4, 260), 0)))
    assert verdicts("PG103", folder) == [Verdict.UNCHECKED]  # fewer bytes flatter nobody, and prove nothing
    assert verdicts("PG111", folder) == [Verdict.UNCHECKED]


def test_a_tokenizer_that_cannot_be_read_leaves_the_rest_to_count(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL, sidecar=honest_sidecar)
    (folder / "tokenizer.model").write_bytes(b"a format of one's own")
    (folder / "token_table.npz").write_bytes(npz_of(parse_tokenizer(MODEL, "m")))
    for code in ("PG101", "PG104", "PG111"):
        [finding] = run(code, folder)
        assert finding.verdict is Verdict.UNCHECKED
        assert code == "PG104" or "tokenizer.model: " in finding.says
    for code in ("PG102", "PG103", "PG603"):
        assert verdicts(code, folder, documents=len(DOCS)) == [Verdict.PASS], run(code, folder)


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


def test_without_evidence_each_rule_says_what_it_needs(tmp_path: Path) -> None:
    mine = [rule for rule in all_rules() if rule.check.__module__.rpartition(".")[2] in MODULES]
    assert len(mine) >= 12
    for rule in mine:
        [finding] = run_rule(rule, Evidence(tmp_path))
        assert finding.verdict is Verdict.UNCHECKED
        assert "--shards" in finding.fix


MODULES = ("check_recount", "check_round_trip", "check_shards", "check_coverage")


def test_shards_alone_give_numbers_and_no_verdict(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL)
    [finding] = run("PG101", folder, docs=None)
    assert finding.verdict is Verdict.UNCHECKED
    assert "table" in finding.says
    (folder / "tokenizer.model").unlink()
    assert verdicts("PG101", folder) == [Verdict.UNCHECKED]


def test_a_damaged_file_is_told_once_by_every_rule(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS, greedy(PIECES), MODEL)
    (folder / "docs.jsonl").write_bytes(docs_bytes(DOCS[:3]) + b"{broken\n")
    [finding] = run("PG101", folder)
    assert finding.verdict is Verdict.UNCHECKED
    assert "docs.jsonl:4" in finding.says


def test_any_damage_to_any_file_is_findings_and_never_another_error(tmp_path: Path) -> None:
    folder = write_set(tmp_path, DOCS[:4], greedy(PIECES), MODEL, sidecar=honest_sidecar, train=DOCS[4:6])
    (folder / "token_table.npz").write_bytes(npz_of(parse_tokenizer(MODEL, "m")))
    (folder / "manifest.json").write_text('{"files": {"fineweb_val_000000.bin": {"tokens": 3}}, "corpus": {}}')
    mine = [rule for rule in all_rules() if rule.check.__module__.rpartition(".")[2] in MODULES]
    for place in sorted(folder.iterdir()):
        whole = place.read_bytes()
        for broken in list(damaged(whole, 40))[::25]:
            place.write_bytes(broken)
            evidence = Evidence(folder / "nothing", docs=folder / "docs.jsonl", shards=folder, seq_len=16)
            for rule in mine:
                for finding in run_rule(rule, evidence):
                    assert finding.says
        place.write_bytes(whole)


def test_official_tokenizers_on_real_documents_pass(real_data: Path, tmp_path: Path) -> None:
    spm = pytest.importorskip("sentencepiece")
    docs = real_data / "text/verify_docs_raw.jsonl"
    from bpb_audit.documents import read_documents

    texts = [document.text for document in read_documents(docs)][:80]
    for size in ("1024_bpe", "4096_bpe", "8192_bpe_sp", "16384_bpe"):
        place = real_data / f"tokenizers/fineweb_{size}.model"
        sp = spm.SentencePieceProcessor(model_file=str(place))
        folder = write_set(tmp_path / size, texts, sp.encode, place.read_bytes(), sidecar=honest_sidecar)
        for code in ("PG101", "PG102", "PG104", "PG111", "PG602", "PG603", "PG604", "PG605", "PG607"):
            assert verdicts(code, folder, documents=len(texts)) == [Verdict.PASS], run(code, folder)

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
    DOCS,
    SPACE,
    damaged,
    docs_bytes,
    greedy,
    honest_sidecar,
    model_bytes,
    plain_pieces,
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

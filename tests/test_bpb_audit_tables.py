"""Byte tables as .npz and .npy: ours, the public form, broken and hostile ones."""

import contextlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.errors import AuditError
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Finding, Verdict
from bpb_audit.meta_npz import byte_table, read_npy, read_npz
from bpb_audit.rules import all_rules, run_rule
from bpb_audit.tokenizer_files import open_tokenizer, parse_tokenizer
from bpb_audit.vocabulary import ByteTable, Vocabulary
from tests.audit_makers import damaged, model_bytes, plain_pieces


def npz(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def npy(array: object) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)  # type: ignore[arg-type]
    return out.getvalue()


LAB = {
    "base_bytes": np.array([0, 1, 3], np.uint16),
    "has_leading_space": np.array([False, False, True]),
    "is_boundary": np.array([True, False, False]),
}
PUBLIC = {
    "format_version": np.int64(1),
    "tokenizer_kind": np.array("tokenmonster"),
    "vocab_size": np.int64(3),
    "base_bytes": np.array([0, 1, 3], np.int16),
    "has_leading_space": np.array([False, False, True]),
    "is_boundary_token": np.array([True, False, False]),
}


@pytest.mark.parametrize("arrays", [LAB, PUBLIC])
def test_both_forms_give_the_same_table(arrays: dict[str, np.ndarray]) -> None:
    table = byte_table(read_npz(npz(**arrays), "t"), "t")
    assert table.base_bytes.tolist() == [0, 1, 3]
    assert table.has_leading_space.tolist() == [False, False, True]
    assert table.is_boundary.tolist() == [True, False, False]


def test_compressed_files_bare_lengths_and_whole_floats_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "t.npz", token_bytes=np.array([0.0, 4.0]))
    table = open_tokenizer(tmp_path / "t.npz")
    assert isinstance(table, ByteTable)
    assert table.base_bytes.tolist() == [0, 4]
    bare = parse_tokenizer(npy(np.array([1, 2, 3])), "t")
    assert isinstance(bare, ByteTable)
    assert not bare.is_boundary.any()


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=50), st.sampled_from(["<i2", ">i4", "|u1", "<u2", "<f8"]))
def test_npy_agrees_with_numpys_own_reader(values: list[int], kind: str) -> None:
    array = np.array(values).astype(kind)
    data = npy(array)
    assert np.array_equal(read_npy(data, "t"), np.load(io.BytesIO(data)))


def member(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


BROKEN = {
    "not a zip": b"PK but no zip",
    "no arrays": npz(),
    "no lengths": npz(other=np.arange(3)),
    "objects": npz(base_bytes=np.array([{}], dtype=object)),
    "negative": npz(base_bytes=np.array([-1])),
    "too long": npz(base_bytes=np.array([70_000])),
    "halves": npz(base_bytes=np.array([0.5])),
    "not a number": npz(base_bytes=np.array([np.nan])),
    "infinite": npz(base_bytes=np.array([np.inf])),
    "two dimensions": npz(base_bytes=np.zeros((2, 2), int)),
    "empty": npz(base_bytes=np.zeros(0, int)),
    "columns of other lengths": npz(base_bytes=np.zeros(3, int), has_leading_space=np.zeros(2, bool)),
    "columns of texts": npz(base_bytes=np.zeros(1, int), is_boundary=np.array(["x"])),
    "a header that promises a terabyte": member(
        "base_bytes.npy", header("{'descr': '<i8', 'fortran_order': False, 'shape': (999999999,), }\n")
    ),
    "a header that is code": member(
        "base_bytes.npy", header("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }\n")
    ),
    "a member that is no array": member("base_bytes.npy", b"hello"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_raise_the_one_error(name: str) -> None:
    with pytest.raises(AuditError, match=r"^t: "):
        parse_tokenizer(BROKEN[name], "t")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("base_bytes.npy", bytes(1 << 27))
    with pytest.raises(AuditError, match="above"):
        read_npz(out.getvalue(), "t")


def test_damage_gives_a_value_or_the_one_error() -> None:
    for broken in [*damaged(npz(**LAB), 800), *damaged(npy(np.arange(9)), 400)]:
        with contextlib.suppress(AuditError):
            assert len(parse_tokenizer(broken, "t")) > 0


@pytest.mark.parametrize("flag", ["folder", "table", "tokenizer"])
def test_table_and_tokenizer_of_a_folder_are_compared_id_by_id_without_shards(tmp_path: Path, flag: str) -> None:
    record, apart = tmp_path / "record", tmp_path / "apart"
    record.mkdir()
    apart.mkdir()
    model = (apart if flag == "tokenizer" else record) / "tokenizer.model"
    table = (apart if flag == "table" else record) / "candidate.meta.npz"
    model.write_bytes(model_bytes(plain_pieces()))
    true = open_tokenizer(model)
    assert isinstance(true, Vocabulary)
    named = {"folder": None, "table": table, "tokenizer": model}[flag]
    [rule] = [one for one in all_rules() if one.code == "PG103"]

    def judged(base: np.ndarray) -> Finding:
        spaced, silent = true.table.has_leading_space, true.table.is_boundary
        np.savez(table, base_bytes=base.astype(np.int16), has_leading_space=spaced, is_boundary_token=silent)
        [finding] = run_rule(rule, Evidence(record, tokenizer=named))
        return finding

    assert judged(true.table.base_bytes).verdict is Verdict.PASS
    wrong = true.table.base_bytes.copy()
    byte = next(i for i in range(len(true)) if true.token(i) == b"\xc3")
    wrong[byte] = 3  # as a table sized by U+FFFD has it
    finding = judged(wrong)
    assert finding.verdict is Verdict.UNCHECKED
    assert f"1 ids of the shipped table count otherwise than the tokenizer says (id {byte} counts 3 instead of 1)" in (
        finding.says
    )

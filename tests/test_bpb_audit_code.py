"""The submission's own counting code: found, unpacked, held, run and compared, with honest twins beside broken."""

import ast
import base64
import json
import lzma
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bpb_audit.isolation as isolation
from bpb_audit import own_table
from bpb_audit.audit import audit
from bpb_audit.builder_finder import find_builders
from bpb_audit.code_signs import signs
from bpb_audit.errors import AuditError
from bpb_audit.evidence import Evidence
from bpb_audit.finding import Finding, Report, Verdict
from bpb_audit.isolation import LEVELS, level, run_isolated, works
from bpb_audit.own_table import compare, probe_model, run_builder
from bpb_audit.program import read_program
from bpb_audit.spm_model import read_spm_model
from bpb_audit.unpack import Source, parse, unpacked
from tests.audit_submissions import BYTES, HEAD, LOOP, TABLE, Run, packed, write

ONE_LINE = """
def luts(tok, V):
    rows = [tok.id_to_piece(i) for i in range(V)]
    silent = lambda i: tok.is_control(i) or tok.is_unknown(i) or tok.is_unused(i)
    base = [0 if silent(i) else 1 if tok.is_byte(i) else len(p.lstrip("\\u2581").encode()) for i, p in enumerate(rows)]
    lead = [p.startswith("\\u2581") and not silent(i) for i, p in enumerate(rows)]
    return np.array(base), np.array(lead), np.array([silent(i) for i in range(V)])
"""
WHOLE = """
def piece_bytes(sp, vocab_size):
    out = torch.zeros(vocab_size, dtype=torch.int32)
    for i in range(sp.vocab_size()):
        if not (sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i)):
            out[i] = 1 if sp.is_byte(i) else len(sp.id_to_piece(i).replace("\\u2581", " ").encode("utf-8"))
    return out
"""
HELPED = """
SPACE: str = "\\u2581"

def measure(text: str) -> int:
    return len(text.encode("utf-8"))
""" + TABLE.replace('"\u2581"', "SPACE").replace('len(piece.encode("utf-8"))', "measure(piece)")
HONEST = {"official": TABLE, "in three lines": ONE_LINE, "with helpers": HELPED, "one table, space inside": WHOLE}

BROKEN = {
    "space twice": (TABLE.replace('encode("utf-8"))', 'encode("utf-8")) + int(has_leading_space[i])'), "counted twice"),
    "space twice, plus one": (
        TABLE.replace(
            "            piece = piece[1:]\n", "            piece = piece[1:]\n            own[i] += 1\n"
        ).replace('own[i] = len(piece.encode("utf-8"))', 'own[i] += len(piece.encode("utf-8"))'),
        "counted twice",
    ),
    "literal lost to ?": (TABLE.replace("\u2581", "?"), "not stripped"),
    "literal lost to mojibake": (TABLE.replace("\u2581", "\u00e2\u2013\u0081"), "not stripped"),
    "byte pieces as text": (TABLE.replace("own[i] = 1\n            continue", "pass"), "six characters"),
    "byte pieces decoded": (TABLE.replace("own[i] = 1\n", "own[i] = len(sp.decode([i]).encode())\n"), "byte tokens"),
    "byte pieces as U+FFFD": (TABLE.replace("own[i] = 1\n", "own[i] = len('\ufffd'.encode())\n"), "U+FFFD"),
    "control pieces charged": (TABLE.replace("sp.is_control(i) or ", ""), "no text"),
    "nothing is silent": (
        TABLE.replace("if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i):", "if i == 2:"),
        "no text",
    ),
    "a constant": (TABLE.replace('len(piece.encode("utf-8"))', "4"), "constant"),
    "characters": (TABLE.replace('len(piece.encode("utf-8"))', "len(piece)"), "characters"),
    "characters, one table": (WHOLE.replace('.encode("utf-8")', ""), "characters"),
}

WRONG = 1.21 * BYTES  # the log's denominator: where that is right, a wrong table is only flagged
BAD = Run(table=BROKEN["literal lost to ?"][0], bytes=WRONG)


def judged(folder: Path, *rules: str) -> Report:
    return audit(Evidence(folder), rules or ("PG301",))


def of(report: Report, verdict: Verdict) -> list[Finding]:
    return [one for one in report.findings if one.verdict is verdict]


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_table_passes(tmp_path: Path, name: str) -> None:
    loop = "" if name.startswith("one table") else LOOP
    report = judged(write(tmp_path / "record", [Run(table=HONEST[name], loop=loop)]))
    assert not of(report, Verdict.FAIL), report.findings
    if name != "one table, space inside":  # which counts a space behind a document mark too: one byte a document
        assert of(report, Verdict.PASS)
        assert report.isolation


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_table_fails_by_its_numbers(tmp_path: Path, name: str) -> None:
    table, word = BROKEN[name]
    loop = "" if "one table" in name else LOOP
    found = of(judged(write(tmp_path / "record", [Run(table=table, loop=loop, bytes=WRONG)])), Verdict.FAIL)
    assert any(word in one.says for one in found), [one.says for one in found]
    assert all(one.where.startswith("train_gpt.py:") and one.found and one.expected for one in found)


@pytest.mark.parametrize("how", ["lzma85", "raw85", "zlib64", "twice"])
def test_packed_scripts_are_read_without_running_them(tmp_path: Path, how: str) -> None:
    mark = tmp_path / "it_ran"
    source = BAD.source + f"\nopen({str(mark)!r}, 'w').write('x')\n"
    folder = write(tmp_path / "record", [Run(bytes=WRONG)], dump=False)
    (folder / "train_gpt.py").write_text(packed(source, how), encoding="utf-8")
    found = of(judged(folder), Verdict.FAIL)
    assert "not stripped" in found[0].says
    assert "unpacked" in found[0].where
    assert not mark.exists()
    (folder / "train_gpt.py").write_text(packed(Run().source, how), encoding="utf-8")
    assert not of(judged(folder), Verdict.FAIL)


def test_a_script_damaged_after_an_honest_run_is_only_flagged(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [Run()], dump=False)
    script = folder / "train_gpt.py"
    script.write_text(script.read_text(encoding="utf-8").replace("\u2581", "\u0393\u00fb\u00fc"), encoding="utf-8")
    report = judged(folder)
    assert not of(report, Verdict.FAIL)
    assert "changed after the run" in of(report, Verdict.UNCHECKED)[0].says


def test_a_table_only_in_the_logs_dump_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "record", [BAD])
    (folder / "train_gpt.py").write_text("exec(__import__('os').read(0, 10))\n", encoding="utf-8")
    found = of(judged(folder), Verdict.FAIL)
    assert found[0].where.startswith("train.log:")


def test_the_real_tokenizers_table(tmp_path: Path, real_data: Path) -> None:
    model = read_spm_model((real_data / "tokenizers" / "fineweb_1024_bpe.model").read_bytes(), "sp1024")
    builder = find_builders(read_program(HEAD + TABLE))[0]
    own = run_builder(builder, model)
    assert own is not None
    assert compare(own, model, True) == ([], "")
    wrong = run_builder(find_builders(read_program(HEAD + BROKEN["literal lost to ?"][0]))[0], model)
    assert wrong is not None
    differences, _ = compare(wrong, model, True)
    assert differences[0].count == sum(piece.startswith("\u2581") for piece in model.pieces)


def test_signs_only_flag(tmp_path: Path) -> None:
    odd = TABLE.replace("\u2581", "_") + "\nBYTES_PER_TOKEN = 2.44\ndef bpb_of(loss):\n    bpb = loss / 0.6931 / 3.67\n"
    report = judged(write(tmp_path / "record", [Run(table=odd)], dump=False), "PG302")
    assert not of(report, Verdict.FAIL)
    told = {one.where: one.says for one in of(report, Verdict.UNCHECKED)}
    source = Run(table=odd).source.splitlines()
    for line, text in enumerate(source, 1):
        for word in ("startswith", "BYTES_PER_TOKEN", "3.67"):
            if word in text:
                assert f"train_gpt.py:{line}" in told
    honest = judged(write(tmp_path / "honest", [Run()], dump=False), "PG302")
    assert honest.good


def test_plus_one_with_a_later_addition_is_a_sign() -> None:
    table = TABLE.replace('own[i] = len(piece.encode("utf-8"))', 'own[i] = len(piece.encode("utf-8")) + 1')
    assert any("again at line" in one.says for one in signs(read_program(HEAD + table + LOOP)))
    assert not list(signs(read_program(HEAD + TABLE + LOOP)))


def test_two_tables_are_a_sign(tmp_path: Path) -> None:
    report = judged(write(tmp_path / "record", [Run(table=TABLE + WHOLE)], dump=False), "PG302")
    assert "2 different byte tables" in of(report, Verdict.UNCHECKED)[0].says


EVIL = {
    "a file": "open('/tmp/bpb_audit_was_here', 'w').write('x')",
    "the network": "import socket; socket.socket().connect(('127.0.0.1', 9))",
    "a process": "import subprocess; subprocess.run(['true'])",
    "the system": "import os; os.system('true')",
    "memory": "x = [0] * (10 ** 10)",
    "a crash": "raise SystemExit(3)",
    "a wrong answer": "return 'no table'",
    "deep recursion": "f = lambda: f()\n    f()",
}


@pytest.mark.parametrize("name", EVIL)
def test_a_hostile_function_gives_a_sentence(name: str) -> None:
    code = f"def table(sp, vocab_size):\n    {EVIL[name]}\n    return [sp.id_to_piece(0).encode()]\n"
    task = {"code": code, "function": "table", "roles": ["sp", "size"], "pieces": [["a", 1]], "size": 1}
    answer = run_isolated(task)
    assert "error" in answer or answer == {"arrays": []}
    assert not Path("/tmp/bpb_audit_was_here").exists()


def test_an_endless_function_is_ended() -> None:
    task = {"code": "def f(sp):\n    while True: pass\n", "function": "f", "roles": ["sp"], "pieces": [], "size": 0}
    with pytest.raises(AuditError, match="without an answer"):
        run_isolated(task, wall_seconds=1.5)


def test_without_isolation_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(isolation, "works", lambda prefix: False)
    level.cache_clear()
    try:
        report = judged(write(tmp_path / "record", [BAD]))
        assert "isolation is none" in of(report, Verdict.UNCHECKED)[0].says
        assert not of(report, Verdict.FAIL)
    finally:
        level.cache_clear()


def test_the_probe_finds_a_level_that_works() -> None:
    assert level() in {*LEVELS, "none"}
    assert not works(("no-such-program-here",))
    if level() != "none":
        assert works(LEVELS[level()])


def test_unpacking_refuses_what_it_does_not_know() -> None:
    for text, word in [
        ("exec(input())", "input"),
        ("import brotli\nexec(brotli.decompress(b'x'))", "brotli.decompress"),
        ("exec(x[0])", "Subscript"),
        ("import zlib\nexec(zlib.decompress(b'no zlib data'))", "does not decompress"),
    ]:
        found = unpacked(Source("train_gpt.py", text), {})
        assert len(found) == 1
        assert word in found[0].note


def test_a_packed_bomb_is_refused() -> None:
    bomb = base64.b85encode(lzma.compress(bytes(64 << 20))).decode()
    found = unpacked(Source("x.py", f"import lzma,base64\nexec(lzma.decompress(base64.b85decode('{bomb}')))"), {})
    assert "above" in found[0].note


def test_a_sibling_is_followed() -> None:
    files = {"train_gpt.py": 'exec(open(__file__.replace("train_gpt.py", "code.py")).read())', "code.py": TABLE}
    assert [one.text for one in unpacked(Source("train_gpt.py", files["train_gpt.py"]), files)] == [
        files["train_gpt.py"],
        TABLE,
    ]


def test_newer_python_is_read_in_other_words_and_broken_python_block_by_block() -> None:
    text = HEAD + TABLE + "\ndef later[T](x: T) -> T:\n    return x\n"
    program = read_program(text)
    assert program.newer
    assert [one.function for one in find_builders(program)] == ["build_tables"]
    odd = read_program(text + "\nx = = 1\n")
    assert odd.partial
    assert [one.function for one in find_builders(odd)] == ["build_tables"]


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_not(text: str) -> None:
    tree = parse(text)
    assert tree is None or isinstance(tree, ast.Module)
    assert unpacked(Source("x", text), {})[0].text == text


@given(st.binary(max_size=60))
def test_any_packed_bytes_are_text_or_a_note(data: bytes) -> None:
    body = base64.b64encode(data).decode()
    found = unpacked(Source("x", f"import base64,zlib\nexec(zlib.decompress(base64.b64decode('{body}')))"), {})
    assert len(found) == 2 or found[0].note


def test_the_probe_has_one_piece_of_every_kind() -> None:
    model = probe_model()
    assert set(np.unique(model.types).tolist()) == {1, 2, 3, 4, 5, 6}
    assert json.dumps(list(model.pieces))


@pytest.mark.parametrize("table", [TABLE, TABLE.replace("own[i] = 1\n", "own[i] = 6\n")], ids=["right", "wrong"])
def test_a_builder_that_the_log_did_not_use_proves_nothing(tmp_path: Path, table: str) -> None:
    folder = write(tmp_path / "record", [Run(table=table)])
    log = folder / "train.log"
    log.write_text(log.read_text(encoding="utf-8").replace("kind=sentencepiece", "kind=token_table"), encoding="utf-8")
    [told] = judged(folder, "PG301").findings
    assert told.verdict is Verdict.UNCHECKED
    assert "a builder in the code" in told.says
    np.savez(folder / "token_table.npz", base_bytes=np.zeros(4, np.uint16))
    [told] = judged(folder, "PG301").findings
    assert told.verdict is (Verdict.PASS if table == TABLE else Verdict.UNCHECKED)
    assert "a builder in the code" in told.says


@pytest.mark.parametrize("last", ["bytes(800_000_000)", "('a' * 1).join(S)", "'aaaaaaaaaaaaaaaaaaaa'.replace('a', S)",
                                  "S.join(['a', 'b', 'c', 'd'])"])  # fmt: skip
def test_what_grows_beyond_all_bounds_is_not_made(last: str) -> None:
    body = base64.b64encode(zlib.compress(b"x" * (8 << 20))).decode()
    text = f"import base64,zlib\nS = zlib.decompress(base64.b64decode('{body}')).decode()\nexec({last})\n"
    tracemalloc.start()
    found = unpacked(Source("x", text), {})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "is not unpacked" in found[0].note
    assert most < 64 << 20


def test_unpacking_leaves_the_shared_tree_as_it_was() -> None:
    text = "S = 'a'\n" + "S = S + S\n" * 12 + "exec(S)\n"
    before = ast.dump(parse(text) or ast.Module([], []))
    unpacked(Source("x", text), {})
    assert ast.dump(parse(text) or ast.Module([], [])) == before


@pytest.mark.parametrize(
    "values",
    [["x"], 5, {"a": 1}, [[1, 2]], [10**400], [[1], [2, 3]]],
    ids=["word", "5", "table", "pairs", "far", "odd"],
)
@pytest.mark.parametrize("kind", ["i", ""])
def test_a_function_that_answers_with_nonsense_is_a_sentence(kind: str, values: Any, monkeypatch) -> None:
    many = values * 300 if isinstance(values, list) else values
    monkeypatch.setattr(own_table, "_answer", lambda *_: {"arrays": [{"kind": kind, "values": many}]})
    with pytest.raises(AuditError, match=r"gave (no )?tables"):
        run_builder(find_builders(read_program(TABLE))[0], probe_model())

"""`pglab codec` as a person runs it: exit status, one JSON document, sentences for what is wrong."""

import json
import shutil
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from compress import bench, bench_peers
from compress.errors import CodecError
from compress.measure import gaussian_bound
from compress.official import quantize_official
from compress.sweep import sweep_all
from compress.text_sizes import joined_text, text_rows, unzpaq, zpaq
from compress.torch_file import write_ptz
from pglab import run


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    place = tmp_path / "model.npz"
    np.savez(place, **{f"blocks.{i}.w": rng.normal(size=(64, 64)).astype(np.float32) for i in range(2)}, b=np.ones(5))
    return place


def test_list_names_every_stage(capsys) -> None:
    assert run(["codec", "list", "--json"]) == 0
    names = {row["stage"] for row in json.loads(capsys.readouterr().out)["stages"]}
    assert {"official", "int6-row", "brotli11", "mix", "planes6", "trellis32-0.02"} <= names


def test_sweep_measures_written_files(checkpoint: Path, tmp_path: Path, capsys) -> None:
    recipes = ["--recipe", "int6-row+zlib9", "--recipe", "int6-row+mix"]
    assert run(["codec", "sweep", str(checkpoint), *recipes, "--control", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [found["path"].endswith("control)") for found in answer["checkpoints"]] == [False, True]
    rows = {row["recipe"]: row for row in answer["checkpoints"][0]["rows"]}
    row = rows["int6-row+mix"]
    assert row["bytes"] == row["payload"] + row["scales"] + row["rest"] + row["header"]
    assert row["margin"] == 16_000_000 - row["bytes"] - row["decoder"]
    assert row["quantized_weights"] == 2 * 64 * 64
    assert 0 < row["mse"] < 1e-2
    assert "is the smallest" in answer["says"]
    assert run(["codec", "sweep", str(checkpoint), *recipes, "--out", str(tmp_path / "sizes.md")]) == 0
    assert "| int6-row+mix |" in (tmp_path / "sizes.md").read_text()


def test_pack_verify_unpack(checkpoint: Path, tmp_path: Path, capsys) -> None:
    packed, back = str(tmp_path / "a.pgc"), str(tmp_path / "b.npz")
    assert run(["codec", "pack", str(checkpoint), packed, "--recipe", "int8-row+mix"]) == 0
    assert run(["codec", "verify", packed]) == 0
    assert run(["codec", "verify", packed, str(checkpoint)]) == 1, "int8 is not exact"
    assert run(["codec", "verify", packed, str(checkpoint), "--tolerance", "1e-3"]) == 0
    assert run(["codec", "unpack", packed, back]) == 0
    assert run(["codec", "verify", packed, back]) == 0
    assert run(["codec", "verify", packed, back, "--tolerance", "-1"]) == 2
    assert run(["codec", "verify", packed, back, "--tolerance", "nan"]) == 2
    capsys.readouterr()
    Path(packed).write_bytes(Path(packed).read_bytes()[:-1])
    assert run(["codec", "verify", packed]) == 2
    assert capsys.readouterr().err.startswith(f"error: {packed}: the head declares")


def test_fit_command(checkpoint: Path, tmp_path: Path, capsys) -> None:
    assert run(["codec", "fit", str(checkpoint), str(tmp_path / "f.pgc"), "--budget", "16000", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["bytes"] == (tmp_path / "f.pgc").stat().st_size
    assert answer["total"] <= 16000


@pytest.mark.parametrize(
    "words",
    [
        ["sweep", "no.npz"], ["sweep", "SRC", "--recipe", "int6"], ["pack", "SRC", "x.pgc", "--recipe", "a+b"],
    ],
)  # fmt: skip
def test_mistakes_are_sentences(words: list[str], checkpoint: Path, capsys) -> None:
    assert run(["codec", *(str(checkpoint) if w == "SRC" else w for w in words)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_text_of_documents(tmp_path: Path, capsys) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_text(
        "".join(json.dumps({"text": f"Ein Satz, {n} Mal. " * 20}) + "\n" for n in range(9)), encoding="utf-8"
    )
    assert run(["codec", "text", str(docs), "--field", "text", "--documents", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["bytes"] == 2 * len("Ein Satz, 0 Mal. " * 20)
    for row in answer["rows"]:
        assert row["bpb"] == pytest.approx(8 * row["bytes"] / answer["bytes"])
    assert {"zlib-9", "zstd-22", "brotli-11", "lzma-9"} <= {row["coder"] for row in answer["rows"]}


def test_primed_text_costs_less() -> None:
    text = bytes(range(32, 120)) * 3
    rows = {row["coder"]: row for row in text_rows(text, prime=text * 4)}
    assert all(row["primed_bytes"] < row["bytes"] for row in rows.values())


def test_zpaq_that_fails_or_is_not_there_is_a_sentence(tmp_path: Path, monkeypatch) -> None:
    program = tmp_path / "zpaq"
    program.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    program.chmod(0o755)
    for place, says in ((tmp_path, "zpaq add ended with 3: no room"), (tmp_path / "absent", "not on the PATH")):
        monkeypatch.setenv("PATH", str(place))
        with pytest.raises(CodecError, match=says):
            text_rows(b"some text", with_zpaq=True)


@pytest.mark.skipif(not shutil.which("zpaq"), reason="zpaq is not installed")
def test_zpaq_gives_text_back_and_counts_what_it_adds() -> None:
    words = np.random.default_rng(0).choice(["the ", "cat ", "sat ", "on a ", "mat. "], 4000)
    text, prime = "".join(words[:2000]).encode(), "".join(words[2000:]).encode()
    row = next(row for row in text_rows(text, prime, True) if row["coder"] == "zpaq -m5")
    assert 0 < row["primed_bytes"] < row["bytes"] < len(text) / 4
    assert unzpaq(zpaq(b"\0\xff" * 99), 198) == b"\0\xff" * 99


def test_text_mistakes(tmp_path: Path, capsys) -> None:
    with pytest.raises(CodecError, match="no text"):
        text_rows(b"")
    place = tmp_path / "d.jsonl"
    for line in ("not json", "[]", '{"text": 7}', '{"other": "x"}', "[" * 100_000):
        place.write_text(line + "\n")
        with pytest.raises(CodecError, match="line 1 is no JSON object"):
            joined_text([place], "text", None)
    for field, documents in ((None, 5), ("text", 0)):
        with pytest.raises(CodecError, match="wants 1 or more JSON lines"):
            joined_text([place], field, documents)
    (tmp_path / "none").touch()
    (tmp_path / "text").write_text("abc")
    assert run(["codec", "text", str(tmp_path / "text"), "--prime", str(tmp_path / "none")]) == 0
    assert "prime" not in capsys.readouterr().out


def test_sweep_sets_own_integers_beside_the_same_recipe_and_asks_for_some(checkpoint: Path, tmp_path: Path) -> None:
    place = tmp_path / "a.int8.ptz"
    write_ptz(place, quantize_official({"w": np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)}))
    rows = sweep_all([place], ["official+zlib1", "same+zlib1"])["checkpoints"][0]["rows"]
    assert [row["recipe"] for row in rows] == ["official .int8.ptz", "official+zlib1", "same+zlib1"]
    with pytest.raises(CodecError, match="none is given"):
        sweep_all([checkpoint], ["same+zlib1"])


def test_a_sweep_by_an_executor_finds_what_one_process_finds(checkpoint: Path) -> None:
    names = ["int6-row+zlib9", "int4-row+zlib9"]

    def rows(executor: Executor | None) -> list[dict[str, object]]:
        found = sweep_all([checkpoint], names, True, executor)["checkpoints"]
        return [{k: v for k, v in row.items() if not k.endswith("_s")} for one in found for row in one["rows"]]

    with ThreadPoolExecutor(2) as executor:
        assert rows(executor) == rows(None)


def test_a_folder_that_is_not_there_is_named_before_the_work(checkpoint: Path, tmp_path: Path, capsys) -> None:
    for words in (["fit", "no weights", "none/a.pgc"], ["pack", "no weights", "none/a.pgc"]):
        assert run(["codec", *words[:2], str(tmp_path / words[2])]) == 2
        assert capsys.readouterr().err == f"error: {tmp_path / 'none'}: no such file or directory.\n"
    assert run(["codec", "unpack", str(checkpoint), str(tmp_path / "none" / "a.npz")]) == 2
    assert "none: no such" in capsys.readouterr().err


def test_bench_sets_coders_and_installed_peers_side_by_side(
    checkpoint: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.delitem(bench_peers.PEERS, "lrzip")  # takes a gigabyte and long even for a small file
    command = ["bench", "codecs", str(checkpoint), "--peers", "--keep", str(tmp_path / "rows"), "--json"]
    assert run(command) == 0
    rows = json.loads(capsys.readouterr().out)["checkpoints"][0]["rows"]
    found = {row["recipe"]: row for row in rows}
    assert found["int6-sigma+mix"]["of_general"] > 0
    peers = [row for row in rows if row["recipe"].startswith("zpaq")]
    assert len(peers) == bool(shutil.which("zpaq"))
    assert all(row["bytes"] > 0 for row in peers)
    kept = (tmp_path / "rows").read_text().splitlines()
    (tmp_path / "rows").write_text("\n".join(kept[:-2]) + "\n" + kept[-2][:50])  # killed while it wrote
    monkeypatch.setattr(bench, "measure_ptz", None)  # what is kept is not run again
    assert run(command) == 0
    again = json.loads(capsys.readouterr().out)["checkpoints"][0]["rows"]
    assert [row["bytes"] for row in again] == [row["bytes"] for row in rows]
    monkeypatch.setattr(bench, "measure_recipe", None)  # nor is what was added behind the torn line
    assert run(command) == 0


def test_bench_times_an_artifact_of_a_wanted_size(checkpoint: Path, capsys) -> None:
    assert run(["bench", "codecs", str(checkpoint), "--megabytes", "0.1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["bytes"] >= 100_000
    assert row["copies"] > 1


def test_bench_asks_for_sensible_numbers_and_for_a_file_of_its_own(checkpoint: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "weights").write_bytes(b"\xff\xfe\0")
    for words, says in {
        ("--megabytes", "-1"): "megabytes 0 to 1,000",
        ("--megabytes", "inf"): "megabytes 0 to 1,000",
        ("--rounds", "0"): "rounds are 1 or more",
        ("--keep", str(tmp_path / "weights")): "not a file of rows",
    }.items():
        assert run(["bench", "codecs", str(checkpoint), *words]) == 2
        assert says in capsys.readouterr().err


def test_gaussian_bound_is_half_the_log_of_signal_to_noise() -> None:
    x = np.random.default_rng(0).normal(0, 2, (64, 64))
    back = x + np.random.default_rng(1).normal(0, 0.25, (64, 64))
    assert abs(gaussian_bound({"w": x}, {"w": back}, {"w"}) - 3) < 0.1
    assert gaussian_bound({"w": x}, {"w": x}, {"w"}) is None

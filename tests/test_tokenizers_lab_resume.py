"""An export that is killed: whatever moment it dies at, the same command continues and ends with the same bytes."""

import gzip
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from tokenizers_lab.errors import VocabError
from tokenizers_lab.shard_plan import plan_units, read_unit
from tokenizers_lab.shard_writer import write_shards

UNIT = 20_000
DIES = """
import os, signal, sys
from pathlib import Path
left, real = int(sys.argv[4]), os.fsync
def fsync(handle):
    global left
    real(handle)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
from tokenizers_lab.shard_writer import write_shards
write_shards(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), 30_011, unit_bytes=80_000)
"""


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def whole(small_lab: Path) -> dict[str, bytes]:
    write_shards(small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes", small_lab / "whole", 30_011)
    return folder_bytes(small_lab / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is not known there")
@pytest.mark.parametrize("dies_after", [pytest.param(6, marks=pytest.mark.slow), 12])
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    small_lab: Path, whole: dict[str, bytes], tmp_path: Path, dies_after: int
) -> None:
    arguments = [str(small_lab / "corpus/docs.jsonl"), str(small_lab / "vocab/bytes"), str(tmp_path / "s")]
    for deaths in range(60):
        run = subprocess.run([sys.executable, "-c", DIES, *arguments, str(dies_after + deaths)], check=False)
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
        if (tmp_path / "s/manifest.json").exists():
            found = folder_bytes(tmp_path / "s")
            assert {name: data for name, data in found.items() if not name.startswith(".units")} == whole
    else:
        pytest.fail("it never came to an end")
    assert deaths >= 2
    assert folder_bytes(tmp_path / "s") == whole


def test_units_cut_at_any_size_give_the_same_shards(small_lab: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    docs, vocabulary = small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes"
    for unit_bytes in (1, 5_000, 1 << 30):
        write_shards(docs, vocabulary, tmp_path / str(unit_bytes), 30_011, unit_bytes=unit_bytes)
        assert folder_bytes(tmp_path / str(unit_bytes)) == whole


@pytest.mark.parametrize(("name", "pack"), [("docs.jsonl.gz", gzip.compress), ("docs.jsonl.zst", zstandard.compress)])
def test_packed_documents_give_the_same_shards(
    small_lab: Path, whole: dict[str, bytes], tmp_path: Path, name: str, pack
) -> None:
    (tmp_path / name).write_bytes(pack((small_lab / "corpus/docs.jsonl").read_bytes()))
    (tmp_path / "corpus.json").write_bytes((small_lab / "corpus/corpus.json").read_bytes())
    write_shards(tmp_path / name, small_lab / "vocab/bytes", tmp_path / "s", 30_011, unit_bytes=UNIT)
    assert folder_bytes(tmp_path / "s") == whole


@pytest.mark.parametrize("pool", [ThreadPoolExecutor])
def test_any_executor_gives_the_same_shards(small_lab: Path, whole: dict[str, bytes], tmp_path: Path, pool) -> None:
    with pool(3) as executor:
        write_shards(
            small_lab / "corpus/docs.jsonl",
            small_lab / "vocab/bytes",
            tmp_path / "s",
            30_011,
            executor=executor,
            unit_bytes=UNIT,
        )
    assert folder_bytes(tmp_path / "s") == whole


@pytest.mark.slow
def test_two_spawned_workers_give_the_same_shards(small_lab: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    write_shards(
        small_lab / "corpus/docs.jsonl",
        small_lab / "vocab/bytes",
        tmp_path / "s",
        30_011,
        workers=2,
        unit_bytes=UNIT,
    )
    assert folder_bytes(tmp_path / "s") == whole


class Mortal(Executor):
    """Runs jobs at once, and then its workers die."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs

    def submit(self, fn, /, *args, **kwargs):
        from concurrent.futures.process import BrokenProcessPool

        future: Future = Future()
        self.left -= 1
        if self.left < 0:
            future.set_exception(BrokenProcessPool("a child is gone"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_dead_worker_is_one_sentence_and_its_siblings_work_is_kept(
    small_lab: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    docs, vocabulary = small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes"
    with pytest.raises(VocabError, match="a worker process died"):
        write_shards(docs, vocabulary, tmp_path / "s", 30_011, executor=Mortal(3), unit_bytes=UNIT)
    kept = sorted(path.name for path in (tmp_path / "s/.units").glob("*.json"))
    assert len([name for name in kept if name != "plan.json"]) == 3
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "s/.units").glob("*.part")}
    with pytest.raises(VocabError):
        write_shards(docs, vocabulary, tmp_path / "s", 30_011, executor=Mortal(4), unit_bytes=UNIT)
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "s/.units").glob("*.part")}
    assert {name: again[name] for name in times} == times, "a finished unit was done twice"
    write_shards(docs, vocabulary, tmp_path / "s", 30_011, unit_bytes=UNIT)
    assert folder_bytes(tmp_path / "s") == whole


def test_units_of_another_plan_are_not_taken_over(small_lab: Path, tmp_path: Path) -> None:
    docs = small_lab / "corpus/docs.jsonl"
    with pytest.raises(VocabError):
        write_shards(docs, small_lab / "vocab/bytes", tmp_path / "s", executor=Mortal(2), unit_bytes=UNIT)
    write_shards(docs, small_lab / "vocab/bpe", tmp_path / "s", unit_bytes=UNIT)
    write_shards(docs, small_lab / "vocab/bpe", tmp_path / "t")
    assert folder_bytes(tmp_path / "s") == folder_bytes(tmp_path / "t")


def test_a_damaged_part_is_found_and_done_anew(small_lab: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    docs, vocabulary = small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes"
    with pytest.raises(VocabError):
        write_shards(docs, vocabulary, tmp_path / "s", 30_011, executor=Mortal(3), unit_bytes=UNIT)
    part = tmp_path / "s/.units/000001.part"
    part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
    with pytest.raises(VocabError, match=r"000001\.part: was damaged"):
        write_shards(docs, vocabulary, tmp_path / "s", 30_011, unit_bytes=UNIT)
    write_shards(docs, vocabulary, tmp_path / "s", 30_011, unit_bytes=UNIT)
    assert folder_bytes(tmp_path / "s") == whole


def test_a_finished_folder_is_left_alone_and_a_damaged_one_is_not(
    small_lab: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    docs, vocabulary = small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes"
    write_shards(docs, vocabulary, tmp_path, 30_011)
    shard = tmp_path / "fineweb_val_000000.bin"
    before = shard.stat().st_ino, shard.stat().st_mtime_ns
    write_shards(docs, vocabulary, tmp_path, 30_011)
    assert (shard.stat().st_ino, shard.stat().st_mtime_ns) == before
    shard.write_bytes(shard.read_bytes()[:-2])
    write_shards(docs, vocabulary, tmp_path, 30_011)
    assert folder_bytes(tmp_path) == whole


def test_training_sidecars_on_request(small_lab: Path, tmp_path: Path) -> None:
    docs = small_lab / "corpus/docs.jsonl"
    manifest = write_shards(docs, small_lab / "vocab/sp_bpe", tmp_path, 10_007, train_sidecar=True)
    from tokenizers_lab.shard_verify import verify_shards

    assert sum(name.endswith(".bytes") for name in manifest["files"]) == len(manifest["files"]) / 2
    found = verify_shards(tmp_path, docs)
    assert found.differences == 0
    assert found.sidecar_bytes == manifest["corpus"]["bytes"]


def test_units_cover_the_lines_whatever_their_size(tmp_path: Path) -> None:
    docs = tmp_path / "d.jsonl"
    texts = ["a", "é" * 30, "", "last, without a line end"]
    docs.write_bytes(b"\n".join([b"", *(json.dumps({"text": text}).encode() for text in texts[:3]), b"", b" "]) + b"\n")
    docs.write_bytes(docs.read_bytes() + json.dumps({"text": texts[3]}).encode())
    for unit_bytes in range(1, 200, 7):
        for validation in range(5):
            plan = plan_units(docs, validation, unit_bytes)
            found = [document for unit in plan.units for document in read_unit(docs, unit, docs)]
            assert [document.text for document in found] == texts
            assert [document.where for document in found] == [f"{docs}:{line}" for line in (2, 3, 4, 7)]
            assert plan.documents("val") == min(validation, 4)


def test_a_full_disk_is_an_os_error_and_leaves_no_manifest(
    small_lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tokenizers_lab.aside.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_shards(small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes", tmp_path / "s")
    assert [path.name for path in (tmp_path / "s").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("system", ["POSIX", "without fcntl"])
def test_a_second_export_into_the_same_folder_is_refused(
    small_lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    from tokenizers_lab.aside import alone_in

    if system != "POSIX":
        pytest.importorskip("filelock")  # takes fcntl while it is there
        monkeypatch.setitem(sys.modules, "fcntl", None)
    words = (small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes", tmp_path)
    with alone_in(tmp_path), pytest.raises(VocabError, match="another command is writing into this folder"):
        write_shards(*words)
    assert write_shards(*words)["files"], "the folder is free again"
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize(("more", "says"), [({"workers": 0}, "--workers 0"), ({"shard_tokens": 1 << 31}, "at most")])
def test_numbers_that_mean_nothing_are_refused_before_a_folder_is_made(
    small_lab: Path, tmp_path: Path, more: dict[str, int], says: str
) -> None:
    with pytest.raises(VocabError, match=says):
        write_shards(small_lab / "corpus/docs.jsonl", small_lab / "vocab/bytes", tmp_path / "no", **more)
    assert not (tmp_path / "no").exists()

"""Exports, searches and sweeps on a real scheduler with two worker processes, one of them killed on the way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pglab
from pglab_dask import ClusterError, check_address
from tokenizers_lab.shard_units import Job
from tokenizers_lab.shard_workers import run_jobs
from tokenizers_lab.shard_writer import write_shards


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786", "tls://node7.example.org:8786"]
)
def test_safe_addresses_are_taken(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("tcp://10.0.0.7:8786", "plain tcp has no authentication"),
        ("tcp://node7:8786", "say tls://node7:8786"),
        ("tcp://127.0.0.1.example.org:8786", "plain tcp has no authentication"),
        ("127.0.0.1:8786", "not an address"),
        ("tcp://127.0.0.1", "not an address"),
        ("http://127.0.0.1:8786", "not an address"),
        ("tcp://127.0.0.1:99999", "not an address"),
        ("", "not an address"),
    ],
)
def test_other_addresses_are_refused_with_a_way_on(address: str, says: str) -> None:
    with pytest.raises(ClusterError, match=says):
        check_address(address)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """(address, two workers) of a scheduler on loopback; everything is ended afterwards by its own handle."""
    pytest.importorskip("distributed")
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    here = ["--no-dashboard", "--host", "127.0.0.1"]
    dask = [sys.executable, "-m", "distributed.cli"]
    scheduler = subprocess.Popen([*dask[:2], "distributed.cli.dask_scheduler", *here, "--port", str(port)], **quiet)
    workers = [
        subprocess.Popen(
            [*dask[:2], "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *here], **quiet
        )
        for _ in range(2)
    ]
    try:
        yield address, workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_two_workers_one_killed_the_same_shards(
    small_lab: Path, tmp_path: Path, cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    address, workers = cluster
    with Client(address, timeout="60s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    docs, vocabulary = small_lab / "corpus/docs.jsonl", small_lab / "vocab/bpe"
    write_shards(docs, vocabulary, tmp_path / "local", 30_011)

    done: list[Job] = []

    def killing(*arguments, **named) -> Iterator[Job]:
        for job in run_jobs(*arguments, **named):
            done.append(job)
            if len(done) == 3:
                os.kill(workers[0].pid, signal.SIGKILL)
            yield job

    monkeypatch.setattr("tokenizers_lab.shard_writer.run_jobs", killing)
    from pglab_dask import dask_executor

    began = time.monotonic()
    with dask_executor(address) as (executor, threads):
        assert threads == 2
        write_shards(docs, vocabulary, tmp_path / "dask", 30_011, executor=executor, unit_bytes=10_000)
    assert time.monotonic() - began < 120
    assert len(done) > 10
    assert workers[0].wait() == -signal.SIGKILL
    for path in (tmp_path / "local").iterdir():
        assert path.read_bytes() == (tmp_path / "dask" / path.name).read_bytes(), path.name
    words = ["shards", "write", "--docs", docs, "--vocab", vocabulary, "--out", tmp_path / "cli", "--dask", address]
    assert pglab.run([str(word) for word in words]) == 0
    capsys.readouterr()
    found = []
    for more in ([], ["--dask", address]):
        words = ["shards", "verify", tmp_path / "local", "--docs", docs, "--json", *more]
        assert pglab.run([str(word) for word in words]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_search_on_workers_finds_what_one_process_finds(
    small_lab: Path, tmp_path: Path, cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import Client

    address, workers = cluster
    with Client(address, timeout="60s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    docs = small_lab / "corpus/docs.jsonl"
    words = [
        "vocab",
        "search",
        "--docs",
        docs,
        "--kinds",
        "bpe",
        "--kinds",
        "bytes",
        "--sizes",
        "300",
        "--sizes",
        "400",
    ]
    found = []
    for more in ([], ["--dask", address]):
        assert pglab.run([str(word) for word in [*words, "--out", tmp_path / f"s{len(found)}", "--json", *more]]) == 0
        found.append(json.loads(capsys.readouterr().out)["rows"])
        workers[0].kill()  # the second run has one worker left
    assert found[0] == found[1]
    assert (tmp_path / "s0/bpe300/tokenizer.json").read_bytes() == (tmp_path / "s1/bpe300/tokenizer.json").read_bytes()


@pytest.mark.slow
def test_a_sweep_of_codecs_on_workers_finds_the_same_sizes(
    tmp_path: Path, cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    address, workers = cluster
    with Client(address, timeout="60s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    np.savez(tmp_path / "w.npz", w=weights)
    monkeypatch.chdir(tmp_path)  # the workers stand elsewhere
    words = ["codec", "sweep", "w.npz", "--recipe", "int6-row+zlib9", "--recipe", "int4-row+zlib9", "--json"]
    found = []
    for more in ([], ["--dask", address]):
        assert pglab.run([*words, *more]) == 0
        rows = json.loads(capsys.readouterr().out)["checkpoints"][0]["rows"]
        found.append([(row["recipe"], row["bytes"], row["mse"]) for row in rows])
        workers[0].kill()  # the second run has one worker left
    assert found[0] == found[1]
    assert len(found[0]) == 3


@pytest.mark.slow
def test_no_scheduler_is_one_sentence(
    small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("pglab_dask.PATIENCE", "1s")
    words = ["--docs", small_lab / "corpus/docs.jsonl", "--vocab", small_lab / "vocab/bpe", "--out", tmp_path / "s"]
    status = pglab.run(["shards", "write", *map(str, words), "--dask", f"tcp://127.0.0.1:{free_port()}"])
    assert status == 2
    assert "no scheduler answers" in capsys.readouterr().err

"""Downloads from a hub that runs in the test: hashes, breaks and continuation, and everything that a hub can say."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import pglab
from tokenizers_lab.builders import open_vocabulary
from tokenizers_lab.data_download import Published, is_right, read_published
from tokenizers_lab.errors import VocabError
from tokenizers_lab.pure_bytes import to_file
from tokenizers_lab.shard_format import header

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FOLDER = "datasets/datasets/fineweb10B_byte260"


def shard(count: int, seed: int) -> bytes:
    tokens = np.random.default_rng(seed).integers(4, 260, count).astype("<u2")
    return header(count) + tokens.tobytes()


class FakeHub(ThreadingHTTPServer):
    """What the hub answers to HEAD and GET; `breaks` says how often a file's connection closes midway."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.stated: dict[str, str] = {}  # another hash than the true one
        self.breaks: dict[str, int] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        found = re.fullmatch(r"/datasets/(some/export)/resolve/([^/]+)/(.+)", self.path)
        name = found[3] if found else ""
        self.server.asked.append((self.command, name, self.headers.get("Range")))
        if not found or name not in self.server.files:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if found else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = self.server.files[name]
        large = name.endswith(".bin")
        etag = hashlib.sha256(data).hexdigest() if large else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        start = int(re.sub(r"\D", "", (self.headers.get("Range") or "0").split("-")[0]) or 0)
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{self.server.stated.get(name, etag)}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            stop = len(data)
            if self.server.breaks.get(name):
                self.server.breaks[name] -= 1
                stop = start + (len(data) - start) // 2
            self.wfile.write(data[start:stop])
            if stop < len(data):
                self.wfile.flush()
                self.connection.close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FakeHub()
    manifest = {
        "tokenizers": [{"name": "pure_byte_260", "path": "tokenizers/fineweb_pure_byte_260.json"}],
        "datasets": [
            {
                "name": "fineweb10B_byte260",
                "tokenizer_name": "pure_byte_260",
                "stats": {"files_train": 3, "files_val": 2},
            }
        ],
    }
    server.files = {
        "datasets/manifest.json": json.dumps(manifest).encode(),
        "datasets/tokenizers/fineweb_pure_byte_260.json": to_file(),
        **{f"{FOLDER}/fineweb_val_{i:06d}.bin": shard(3000 + i, i) for i in range(2)},
        **{f"{FOLDER}/fineweb_train_{i:06d}.bin": shard(300_000, 10 + i) for i in range(3)},
    }
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run(hub: FakeHub, out: Path, *more: str, variant: str = "byte260") -> int:
    words = {"--out": str(out), "--repository": "some/export", "--endpoint": hub.address}
    words |= dict(zip(more[::2], more[1::2], strict=False))
    flags = ["--json"] if more[-1:] == ("--json",) else []
    return pglab.run(["data", "download", variant, *(part for pair in words.items() for part in pair), *flags])


def test_an_export_comes_whole(hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hub, tmp_path / "d", "--train-shards", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["revision"] == COMMIT
    assert found["tokens"] == 3000 + 3001 + 2 * 300_000
    names = {f"fineweb_val_{i:06d}.bin" for i in range(2)} | {f"fineweb_train_{i:06d}.bin" for i in range(2)}
    assert set(found["fetched"]) == names | {"fineweb_pure_byte_260.json"}
    for name in names:
        assert (tmp_path / "d" / name).read_bytes() == hub.files[f"{FOLDER}/{name}"]
    assert open_vocabulary(tmp_path / "d/vocab")[1].size == 260
    assert (tmp_path / "d/token_table.npz").is_file()
    assert not (tmp_path / "d/.download").exists()


def test_what_is_there_and_right_stays_and_what_is_wrong_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    assert run(hub, tmp_path / "d") == 0
    hub.asked.clear()
    assert run(hub, tmp_path / "d") == 0
    assert [method for method, _, _ in hub.asked if method == "GET"] == []
    damaged = tmp_path / "d/fineweb_val_000001.bin"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    assert run(hub, tmp_path / "d", "--train-shards", "0") == 0
    got = [name for method, name, _ in hub.asked if method == "GET"]
    assert got == [f"{FOLDER}/fineweb_val_000001.bin"]
    assert damaged.read_bytes() == hub.files[got[0]]


def test_a_broken_transfer_continues_where_it_broke(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what is kept when a connection breaks
    monkeypatch.setattr("time.sleep", lambda _: None)
    logging.set_verbosity_error()
    name = f"{FOLDER}/fineweb_train_000000.bin"
    hub.breaks[name] = 100  # more than the library tries by itself
    assert run(hub, tmp_path / "d") == 2
    assert "the same command continues" in capsys.readouterr().err
    assert not (tmp_path / "d/fineweb_train_000000.bin").exists()
    hub.breaks.clear()
    hub.asked.clear()
    assert run(hub, tmp_path / "d") == 0
    spans = [span for method, asked, span in hub.asked if method == "GET" and asked == name]
    assert int(re.sub(r"\D", "", spans[0])) > 100_000, "it began where it had come to"
    assert (tmp_path / "d/fineweb_train_000000.bin").read_bytes() == hub.files[name]


def test_a_file_that_is_not_what_its_hash_says_gets_no_name(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.stated[f"{FOLDER}/fineweb_train_000000.bin"] = "0" * 64
    assert run(hub, tmp_path / "d") == 2
    assert "not what the repository's hash 000000000000... says" in capsys.readouterr().err
    assert not (tmp_path / "d/fineweb_train_000000.bin").exists()
    assert not (tmp_path / "d/download.json").exists()


@pytest.mark.parametrize(
    ("change", "words", "says"),
    [
        (lambda h: None, ["--train-shards", "4"], "byte260 has 3 of them"),
        (lambda h: None, ["--train-shards", "-1"], "wanted 0 or more"),
        (lambda h: None, ["--repository", "no/such"], "manifest.json of no/such"),
        (lambda h: None, ["--repository", "a/b/c/d"], "manifest.json of a/b/c/d"),
        (lambda h: h.files.pop("datasets/manifest.json"), [], "manifest.json of some/export"),
        (lambda h: h.files.pop(f"{FOLDER}/fineweb_val_000001.bin"), [], "fineweb_val_000001.bin of some/export"),
        (lambda h: h.files.update({"datasets/manifest.json": b"<html>"}), [], "no manifest of exports"),
        (lambda h: h.files.update({f"{FOLDER}/fineweb_val_000000.bin": b"short"}), [], "shorter than a shard's header"),
        (lambda h: h.stated.update({f"{FOLDER}/fineweb_val_000000.bin": "weak"}), [], "wanted both, to check by"),
    ],
)
def test_what_a_hub_can_say_is_one_sentence(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], change, words: list[str], says: str
) -> None:
    change(hub)
    assert run(hub, tmp_path / "d", *words) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "fault of the lab" not in err
    assert not (tmp_path / "d/download.json").exists()


def test_an_unknown_variant_names_those_there_are(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hub, tmp_path / "d", variant="sp9") == 2
    assert "'sp9' is not published there; wanted one of byte260." in capsys.readouterr().err


def test_no_hub_and_no_room_are_one_sentence(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10_000}))
    assert run(hub, tmp_path / "d") == 2
    assert "10,000 are free" in capsys.readouterr().err
    assert run(hub, tmp_path / "e", "--endpoint", "http://127.0.0.1:9") == 2
    assert "the same command continues" in capsys.readouterr().err


@pytest.mark.parametrize(
    "entry",
    [
        {"datasets": [{"name": "fineweb10B_x", "tokenizer_name": "t", "stats": {"files_train": 1, "files_val": -1}}]},
        {"datasets": [{"name": "fineweb10B_x", "tokenizer_name": "t", "stats": {}}]},
        {"datasets": [{"name": "fineweb10B_x", "tokenizer_name": "u", "stats": {"files_train": 1, "files_val": 1}}]},
        {"datasets": {"name": 1}},
        [],
    ],
)
def test_a_manifest_that_cannot_be_followed_is_one_sentence(entry: object) -> None:
    tools = {"tokenizers": [{"name": "t", "model_path": "../../etc/passwd"}]}
    data = json.dumps({**tools, **entry} if isinstance(entry, dict) else entry).encode()
    with pytest.raises(VocabError, match="manifest"):
        read_published(data, "manifest.json", "x")


def test_a_path_out_of_the_folder_is_refused() -> None:
    stats = {"files_train": 1, "files_val": 1}
    entry = {"name": "fineweb10B_x", "tokenizer_name": "t", "stats": stats}
    for path in ("../../etc/passwd", "/etc/passwd"):
        data = json.dumps({"datasets": [entry], "tokenizers": [{"name": "t", "model_path": path}]}).encode()
        with pytest.raises(VocabError, match="not a manifest to follow"):
            read_published(data, "manifest.json", "x")


def test_hashes_are_those_of_git_and_of_sha256(tmp_path: Path) -> None:
    place = tmp_path / "x"
    place.write_bytes(b"hello\n")
    assert is_right(place, Published("x", "x", 6, "ce013625030ba8dba906f756967f9e9ca394464a"))  # git hash-object
    assert is_right(place, Published("x", "x", 6, hashlib.sha256(b"hello\n").hexdigest()))
    assert not is_right(place, Published("x", "x", 5, "ce013625030ba8dba906f756967f9e9ca394464a"))
    assert not is_right(place, Published("x", "x", 6, "0" * 40))

"""Pack: the bytes that are counted are the bytes written; a stranger's code is read and never run."""

import base64
import json
import lzma
import subprocess
import sys
from pathlib import Path

import brotli
import pytest

import pglab
import records
from records.errors import RecordError
from records.pack import READABLE, inspect, pack_record, self_extracting
from records.proof import DRIVER, is_ours, prove, sandbox_works
from records.script_reader import read_source

SCRIPT = (
    '"""A script of many words, some of them \u2581 odd."""\nimport sys\n\nprint("hello", len(sys.argv))\n'
    + "# word\n" * 99
)


@pytest.fixture
def record(tmp_path):
    """A small record folder with its artifact."""
    folder = tmp_path / "2026-03-18_Small"
    folder.mkdir()
    (folder / "README.md").write_text("# Small\n")
    (folder / "train.log").write_text("step:1/2 train_loss:2.0 train_time:1ms\n")
    (folder / "train_gpt.py").write_text(SCRIPT)
    (folder / "submission.json").write_text('{"author": "Ada", "val_bpb": 1.25000000, "bytes_total": 1}')
    (folder / "final_model.pgc").write_bytes(b"w" * 1000)
    return folder


def test_the_plain_folder_is_copied_with_true_sizes(record, tmp_path):
    made = pack_record(record, tmp_path / "out")
    assert (made.path / "train_gpt.py").read_bytes() == SCRIPT.encode()
    assert made.total == len(SCRIPT.encode()) + 1000
    told = json.loads((made.path / "submission.json").read_text())
    assert told["bytes_total"] == made.total
    assert told["bytes_code"] == (made.path / "train_gpt.py").stat().st_size
    assert told["author"] == "Ada"


def test_the_packed_script_is_what_is_counted_and_runs(record, tmp_path):
    made = pack_record(record, tmp_path / "out", packed=True)
    script = made.path / "train_gpt.py"
    assert made.bytes_code == script.stat().st_size < len(SCRIPT.encode())
    assert (made.path / READABLE).read_text() == SCRIPT
    assert read_source("train_gpt.py", script.read_text()).inner == SCRIPT
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert said == "hello 1\n"


def test_the_cap_is_strict(record, tmp_path):
    size = len(SCRIPT.encode())
    (record / "final_model.pgc").write_bytes(b"\0" * (16_000_000 - size))
    with pytest.raises(RecordError, match="16,000,000 bytes"):
        pack_record(record, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (record / "final_model.pgc").write_bytes(b"\0" * (16_000_000 - size - 1))
    assert pack_record(record, tmp_path / "out").total == 15_999_999


def test_what_is_missing_is_named(record, tmp_path):
    (record / "final_model.int8.ptz").write_bytes(b"x")
    with pytest.raises(RecordError, match="Name it with --artifact"):
        pack_record(record, tmp_path / "out")
    (record / "train_gpt.py").write_text("def (:\n")
    with pytest.raises(RecordError, match="does not compile"):
        pack_record(record, tmp_path / "out", record / "final_model.pgc")
    (record / "train_gpt.py").unlink()
    with pytest.raises(RecordError, match=r"no train_gpt\.py"):
        pack_record(record, tmp_path / "out")


def test_a_strangers_script_is_read_and_never_run(tmp_path):
    flag = tmp_path / "ran"
    inner = f"import socket\nopen({str(flag)!r}, 'w')\nsocket.create_connection(('x', 1))\n" + "# pad\n" * 60
    script = tmp_path / "train_gpt.py"
    script.write_text(self_extracting(inner))
    told = inspect(script)
    assert told["packed"]
    assert told["bytes_inside"] == len(inner)
    assert any("socket" in call for call in told["network"])
    assert not is_ours(script)
    with pytest.raises(RecordError, match="not a bundle"):
        prove(tmp_path, "x", tmp_path)
    assert not flag.exists()


# it carries every mark of a bundle, which anyone can type, and reports a score of its own
FORGED = """# ---- model/gpt.py ----
import os, types
def read_artifact(path): ...
def score_file(*given):
    tried = []
    for place in TRIED:
        try: open(place, "w").close()
        except OSError: tried.append(place)
    print("PROOF", '{"bpb_table": 1.0, "refused": %d, "lab": %d}' % (len(tried), os.path.exists(LAB)), flush=True)
    os._exit(0)
def layered_config(*given): return None
read_validation = open_ranks = lambda *given: types.SimpleNamespace(device="cpu")
class GPT:
    def __init__(self, config): pass
    def to(self, device): return self
RECIPE = {}
"""


@pytest.mark.skipif(not sandbox_works(), reason="bubblewrap does not work here")
def test_a_forged_bundle_can_write_nothing_outside_its_copy(tmp_path):
    flag = tmp_path / "outside"
    lab = Path(records.__file__).parent / "proof.py"
    (tmp_path / "rec").mkdir()
    head = f"TRIED = [{str(flag)!r}, {str(Path.home() / 'outside')!r}]\nLAB = {str(lab)!r}\n"
    (tmp_path / "rec/train_gpt.py").write_text(head + FORGED)
    proof = prove(tmp_path / "rec", "x", tmp_path)
    assert proof.score["refused"] == 2
    assert not proof.score["lab"]
    assert not flag.exists()
    assert proof.isolation.startswith("bubblewrap")


def test_without_bubblewrap_nothing_runs_unless_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr("records.proof.sandbox_works", lambda: False)
    flag = tmp_path / "outside"
    (tmp_path / "train_gpt.py").write_text(f"TRIED = [{str(flag)!r}]\nLAB = '/'\n" + FORGED)
    with pytest.raises(RecordError, match="bubblewrap does not work here"):
        prove(tmp_path, "x", tmp_path)
    assert not flag.exists()
    assert "not held" in prove(tmp_path, "x", tmp_path, trusted=True).isolation
    assert flag.exists()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_layers_of_packing_are_opened(layers, tmp_path):
    text = "x = 1\n" + "# pad\n" * 60
    packed = text
    for _ in range(layers):
        packed = self_extracting(packed) if packed != text else self_extracting(text)
    assert read_source("t", packed).body == text


def test_a_bomb_is_bounded():
    bomb = base64.b85encode(lzma.compress(b"#" * (64 << 20))).decode()
    source = read_source("t", f'import lzma,base64\nexec(lzma.decompress(base64.b85decode("{bomb}")))\n')
    assert source.inner is None or len(source.inner) <= 16 << 20


def test_a_bomb_of_brotli_is_bounded():
    bomb = base64.b85encode(brotli.compress(bytes(64 << 20), quality=5, lgwin=24)).decode()
    text = f'import brotli,base64\nexec(brotli.decompress(base64.b85decode("{bomb}")))\n'
    assert len(text) < 1000
    assert read_source("t", text).inner is None


def test_bytes_digits_and_letters_of_a_record_stay_as_they_are(record, tmp_path):
    script = SCRIPT.replace("\n", "\r\n").encode()
    (record / "train_gpt.py").write_bytes(script)
    (record / "README.md").write_bytes(b"# \xff\r\n")
    (record / "submission.json").write_text('{"author": "Zo\u00eb", "val_bpb": 1.25000000, "deep": [1.10e-3]}', "utf-8")
    made = pack_record(record, tmp_path / "out")
    assert (made.path / "train_gpt.py").read_bytes() == script
    assert made.bytes_code == len(script)
    text = (made.path / "submission.json").read_text("utf-8")
    assert '"val_bpb": 1.25000000' in text
    assert '"author": "Zo\u00eb"' in text
    assert "1.10e-3" in text
    packed = pack_record(record, tmp_path / "packed", packed=True)
    assert (packed.path / "README.md").read_bytes().startswith(b"# \xff\r\n\n## Packed")
    assert (packed.path / READABLE).read_bytes() == script
    (record / "train_gpt.py").write_bytes(b"# \xff\n" + script)
    with pytest.raises(RecordError, match="byte 2 is no UTF-8"):
        pack_record(record, tmp_path / "other")


def test_the_lone_process_refuses_the_lab_and_the_network(tmp_path):
    """The driver's own guards, on a script that tries each."""
    tries = {
        "import records": "the lab is not importable",
        "import pglab_report": "the lab is not importable",
        "import socket; socket.create_connection(('127.0.0.1', 9))": "no network",
    }
    for code, says in tries.items():
        (tmp_path / "train_gpt.py").write_text(code + "\n")
        words = json.dumps([["records"], "x", "/nowhere"])
        done = subprocess.run([sys.executable, "-I", "-c", DRIVER, words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode != 0
        assert says in done.stderr


def test_a_folder_without_a_script_gets_the_bundlers(record, tmp_path):
    (record / "train_gpt.py").unlink()
    with pytest.raises(RecordError, match="--recipe bundles"):
        pack_record(record, tmp_path / "none")
    made = pack_record(record, tmp_path / "out", recipe="tour")
    script = made.path / "train_gpt.py"
    assert is_ours(script)
    assert made.bytes_code == script.stat().st_size
    with pytest.raises(RecordError, match="bundler wrote no script"):
        pack_record(record, tmp_path / "other", recipe="no-such-recipe")
    assert not (tmp_path / "other").exists()


def test_a_record_is_never_bundled_again(record, tmp_path):
    with pytest.raises(RecordError, match="never bundled again"):
        pack_record(record, tmp_path / "out", recipe="tour")


@pytest.mark.slow
@pytest.mark.skipif(not sandbox_works(), reason="bubblewrap does not work here")
def test_a_record_as_the_lab_makes_it_scores_alone(tmp_path, capsys):
    pytest.importorskip("torch")
    from tests.proof_makers import tiny_tour

    home = tiny_tour(tmp_path)
    record = tmp_path / "2026-11-21_Tiny"
    record.mkdir()
    train, shards = home / "train", home / "shards"
    assert pglab.run(f"model bundle --recipe baseline --out {record}/train_gpt.py".split()) == 0
    assert pglab.run(f"model eval {train}/final_model.pgc --shards {shards} --json".split()) == 0
    score = json.loads("{" + capsys.readouterr().out.partition("{")[2])
    (record / "submission.json").write_text(json.dumps({"val_bpb": score["bpb_table"]}))
    line = f"record pack {record} --out {tmp_path}/out --artifact {train}/final_model.pgc --shards {shards} --json"
    assert pglab.run([*line.split(), "--config", f"{train}/config.json"]) == 0
    told = json.loads(capsys.readouterr().out)["proof"]
    assert told["reproduced"]
    assert told["bpb_raw"] == pytest.approx(score["bpb_raw"], abs=1e-6)  # one by hand, one as written plainly

"""Rules: an honest folder passes, and each way of being wrong fails by its own rule and by no other of its family."""

import base64
import json
import lzma
import os
import shutil
from pathlib import Path

import pytest

import pglab
from records.check import check_folder, check_paths
from records.errors import RecordError
from records.finding import FAIL, PASS, UNCHECKED
from records.folder import find_folders, open_folder
from records.rules import explain, load_rules

SCRIPT = (
    '"""Train."""\nimport os\n\nimport torch\n\nSEED = int(os.environ.get("SEED", 1337))\nprint(torch, SEED)\n\n\n'
    "def eval_val(model, tokens):\n    return model(tokens)\n"
)
NAME = "2026-03-18_Honest"


def log_text(seed: int, bpb: float, script: str = SCRIPT, **change: object) -> str:
    """A log as the challenge's script prints it; `change` replaces one number."""
    size, model = len(script.encode()), 15_000_000
    told = {"world": 8, "train_ms": 600_038, "eval_ms": 1_401, "code": size, "total": model + size, **change}
    return (
        f"{script}{'=' * 100}\n| 0  NVIDIA H100 80GB HBM3  On |\n"
        f"world_size:{told['world']} grad_accum_steps:1\nseed:{seed}\n"
        f"step:0/20000 val_loss:6.9370 val_bpb:4.0978 train_time:0ms step_avg:0.01ms\n"
        f"step:100/20000 train_loss:2.5 train_time:4300ms step_avg:43.0ms\n"
        f"step:13780/20000 val_loss:{1.6931 * (bpb - 0.007):.4f} val_bpb:{bpb - 0.007:.4f} "
        f"train_time:{told['train_ms']}ms step_avg:43.54ms\n"
        f"Serialized model int8+zlib: {model} bytes (payload:1 raw_torch:2 payload_ratio:3x)\n"
        f"Code size: {told['code']} bytes\nTotal submission size int8+zlib: {told['total']} bytes\n"
        f"final_int8_zlib_roundtrip val_loss:{1.6931 * bpb:.4f} val_bpb:{bpb:.4f} eval_time:{told['eval_ms']}ms\n"
        f"final_int8_zlib_roundtrip_exact val_loss:{1.6931 * bpb:.8f} val_bpb:{bpb:.8f}\n"
    )


SCORES = {1337: 1.22436570, 42: 1.22501111, 7: 1.22399990}
MEAN = sum(SCORES.values()) / 3


def claim(**change: object) -> dict[str, object]:
    """submission.json of the honest folder."""
    size = len(SCRIPT.encode())
    return {
        "author": "Ada",
        "github_id": "ada",
        "name": "Honest",
        "blurb": "Three seeds of the baseline.",
        "date": "2026-03-18",
        "val_loss": round(1.6931 * MEAN, 8),
        "val_bpb": round(MEAN, 8),
        "bytes_total": 15_000_000 + size,
        "bytes_code": size,
        "seed_results": {str(seed): {"val_bpb": bpb} for seed, bpb in SCORES.items()},
        **change,
    }


@pytest.fixture(autouse=True)
def no_auditor(monkeypatch):
    """The auditor has its own tests; here it would only take time."""
    monkeypatch.setattr("bpb_audit.rules.all_rules", list)


@pytest.fixture
def honest(tmp_path):
    """A folder in which nothing is wrong."""
    folder = tmp_path / "track_10min_16mb" / NAME
    folder.mkdir(parents=True)
    page = f"# Honest: val_bpb {MEAN:.5f}\n\n" + "Three seeds of the baseline, nothing changed. " * 10
    (folder / "README.md").write_text(page)
    (folder / "train_gpt.py").write_text(SCRIPT)
    (folder / "submission.json").write_text(json.dumps(claim()))
    for seed, bpb in SCORES.items():
        (folder / f"train_seed{seed}.log").write_text(log_text(seed, bpb))
    return folder


def verdicts(folder) -> dict[str, set]:
    """rule -> its verdicts; RC701 is the auditor's own business."""
    told: dict[str, set] = {}
    for finding in check_folder(folder).findings:
        told.setdefault(finding.rule, set()).add(finding.verdict)
    told.pop("RC701", None)
    return told


def failed(folder) -> set[str]:
    return {rule for rule, seen in verdicts(folder).items() if FAIL in seen}


def test_the_honest_folder_passes_every_rule(honest):
    told = verdicts(honest)
    assert set(told) == set(load_rules()) - {"RC701", "RC108"}
    assert all(seen == {PASS} for seen in told.values()), {r: s for r, s in told.items() if s != {PASS}}


def rewrite(folder, name, change):
    (folder / name).write_text(change((folder / name).read_text()))


def set_claim(folder, **change):
    (folder / "submission.json").write_text(json.dumps(claim(**change)))


def all_logs(folder, **change):
    for seed, bpb in SCORES.items():
        (folder / f"train_seed{seed}.log").write_text(log_text(seed, bpb, **change))


def pack(text: str) -> str:
    data = base64.b85encode(lzma.compress(text.encode())).decode()
    return f'import lzma as L,base64 as B\nexec(L.decompress(B.b85decode("{data}")))\n'


BROKEN = {
    "a name with a space": ("RC101", lambda f: f.rename(f.with_name("2026-03-18_My run"))),
    "a day that is none": ("RC101", lambda f: f.rename(f.with_name("2026-02-30_Honest"))),
    "no README": ("RC102", lambda f: (f / "README.md").unlink()),
    "an empty README": ("RC102", lambda f: (f / "README.md").write_text("")),
    "another json": ("RC103", lambda f: (f / "submission.json").rename(f / "submission_x.json")),
    "another script name": ("RC105", lambda f: (f / "train_gpt.py").rename(f / "train_gpt_v5.py")),
    "a README of another score": ("RC206", lambda f: rewrite(f, "README.md", lambda t: t.replace("1.224", "1.214"))),
    "a link": ("RC106", lambda f: (f / "data").symlink_to("/etc/hostname")),
    "cut json": ("RC201", lambda f: rewrite(f, "submission.json", lambda t: t[:-1])),
    "no github id": ("RC202", lambda f: set_claim(f, github_id="")),
    "bpb as text": ("RC203", lambda f: set_claim(f, bytes_code="many")),
    "a date in words": ("RC204", lambda f: set_claim(f, date="18 March")),
    "bits in the loss": ("RC205", lambda f: set_claim(f, val_loss=round(MEAN, 8))),
    "another loss": ("RC205", lambda f: set_claim(f, val_loss=2.01234567)),
    "a better number": ("RC301", lambda f: set_claim(f, val_bpb=1.2144)),
    "a better seed": (
        "RC302",
        lambda f: set_claim(f, seed_results={"1337": {"val_bpb": 1.22400001}, "42": {"val_bpb": SCORES[42]}}),
    ),
    "seeds swapped": (
        "RC302",
        lambda f: set_claim(f, seed_results={"1337": {"val_bpb": SCORES[42]}, "42": {"val_bpb": SCORES[1337]}}),
    ),
    "before quantisation": ("RC303", lambda f: set_claim(f, val_bpb=round(SCORES[1337] - 0.007, 4), seed_results={})),
    "the best run": ("RC304", lambda f: set_claim(f, val_bpb=SCORES[7])),
    "two runs": ("RC311", lambda f: (f / "train_seed7.log").unlink()),
    "one seed three times": (
        "RC311",
        lambda f: [
            (f / f"train_seed{s}.log").rename(f / f"train{s}x.log")
            and (f / f"train{s}x.log").write_text(log_text(5, b))
            for s, b in SCORES.items()
        ],
    ),
    "the name of another seed": ("RC312", lambda f: (f / "train_seed7.log").rename(f / "train_seed8.log")),
    "a log twice": ("RC313", lambda f: shutil.copy(f / "train_seed7.log", f / "train_seed9.log")),
    "a seed without a log": (
        "RC314",
        lambda f: set_claim(f, seed_results={str(s): {"val_bpb": b} for s, b in {**SCORES, 99: 1.20000001}.items()}),
    ),
    "a claim at the cap": ("RC401", lambda f: set_claim(f, bytes_total=16_000_000)),
    "code that was not counted": (
        "RC402",
        lambda f: rewrite(f, "train_gpt.py", lambda t: t + "".join(f"# {i} is a number\n" for i in range(70_000))),
    ),
    "a smaller claim": ("RC403", lambda f: set_claim(f, bytes_total=15_000_001)),
    "another code size": ("RC404", lambda f: set_claim(f, bytes_code=99)),
    "logs of another script": ("RC405", lambda f: all_logs(f, code=99)),
    "logs over the cap": ("RC406", lambda f: all_logs(f, total=16_000_001)),
    "a slip of syntax": ("RC501", lambda f: rewrite(f, "train_gpt.py", lambda t: t + "def (:\n")),
    "a slip inside a packed script": ("RC501", lambda f: (f / "train_gpt.py").write_text(pack("x = = 1\n" * 40))),
    "a strange package": ("RC502", lambda f: rewrite(f, "train_gpt.py", lambda t: t + "import strangepkg\n")),
    "a download": (
        "RC503",
        lambda f: rewrite(f, "train_gpt.py", lambda t: t + "from urllib.request import urlopen\nurlopen('x')\n"),
    ),
    "a download in a packed script": (
        "RC503",
        lambda f: (f / "train_gpt.py").write_text(pack("import subprocess\nsubprocess.run(['curl', 'x'])\n" * 9)),
    ),
    "another source in the log": ("RC505", lambda f: all_logs(f, script=SCRIPT + "y = 1\n")),
    "too long training": ("RC601", lambda f: all_logs(f, train_ms=602_000)),
    "too long evaluation": ("RC602", lambda f: all_logs(f, eval_ms=602_000)),
    "one GPU": ("RC603", lambda f: all_logs(f, world=1)),
}


@pytest.mark.parametrize("way", BROKEN)
def test_each_way_of_being_wrong_fails_by_its_rule(honest, way):
    rule, breaks = BROKEN[way]
    moved = breaks(honest)
    folder = moved if hasattr(moved, "name") and moved.is_dir() else honest
    assert rule in failed(folder)


def test_every_rule_that_can_fail_is_made_to_fail():
    assert {rule for rule, _ in BROKEN.values()} | {"RC104", "RC107", "RC108", "RC504", "RC506", "RC701"} >= set(
        load_rules()
    )


def test_rules_of_whole_folders_fail(tmp_path, honest):
    for place in honest.glob("*.log"):
        place.unlink()
    assert "RC104" in failed(honest)
    assert verdicts(honest)["RC301"] == {UNCHECKED}


def test_an_empty_folder_or_a_name_alone_never_passes(tmp_path):
    folder = tmp_path / "2026-03-18_Name"
    folder.mkdir()
    report = check_folder(folder)
    assert report.status == 1
    assert {"RC102", "RC103", "RC104", "RC105", "RC106"} <= {f.rule for f in report.findings if f.verdict is FAIL}
    with pytest.raises(RecordError, match="no such folder"):
        check_folder(tmp_path / "2026-03-18_Missing")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(RecordError, match="wanted the record folder"):
        check_folder(tmp_path / "x.json")


def test_a_path_outside_is_left_to_a_reviewer(honest):
    rewrite(honest, "train_gpt.py", lambda t: t + 'x = open("/root/cache/extra.bin")\n')
    assert verdicts(honest)["RC504"] == {UNCHECKED}


def test_unlimited_compute_must_be_said(honest):
    folder = honest.parent.with_name("track_non_record_16mb") / NAME
    shutil.copytree(honest, folder)
    all_logs(folder, train_ms=14_400_000, world=1)
    assert failed(folder) == {"RC107"}
    rewrite(folder, "README.md", lambda t: t + "\nUnlimited compute: 4 hours.\n")
    assert failed(folder) == set()


def test_a_packed_script_is_opened_and_not_run(honest, tmp_path):
    flag = tmp_path / "ran"
    (honest / "train_gpt.py").write_text(pack(f"open({str(flag)!r}, 'w')\n" + SCRIPT * 3))
    told = verdicts(honest)
    assert told["RC501"] == {PASS}
    assert not flag.exists()


def test_a_newer_python_is_no_fault(honest):
    rewrite(honest, "train_gpt.py", lambda t: t + "type Alias[T] = list[T]\n")
    seen = verdicts(honest)["RC501"]
    assert seen in ({UNCHECKED}, {PASS})


def test_folders_are_found_under_tracks(honest):
    assert find_folders(honest.parent) == [honest]
    assert find_folders(honest.parent.parent) == [honest]
    assert [r.path for r in check_paths([honest.parent.parent])] == [str(honest)]


def test_every_rule_has_a_page_with_a_fix():
    for code, rule in load_rules().items():
        assert "Fix:" in rule.page, code
        assert explain(code).startswith(code)
    with pytest.raises(RecordError, match="RC301"):
        explain("RC399")


def test_json_is_the_auditors_form(honest):
    told = check_folder(honest).as_json()
    assert {"path", "findings", "claimed_bpb", "corrected_bpb", "basis"} <= set(told)
    assert list(told["findings"][0]) == ["rule", "verdict", "says", "where", "found", "expected", "fix"]
    assert told["claimed_bpb"] == round(MEAN, 8)
    json.dumps(told)


def test_any_garbage_in_the_files_is_judged_not_tripped_over(honest):
    for name in list(open_folder(honest).files):
        for garbage in (b"", b"\x00" * 50, b"\xff\xfe\x00a" * 30, b"{" * 3000):
            kept = (honest / name).read_bytes()
            (honest / name).write_bytes(garbage)
            assert check_folder(honest).status == 1
            (honest / name).write_bytes(kept)


def test_the_track_is_known_without_its_folder(honest, tmp_path):
    alone = tmp_path / "elsewhere" / NAME
    shutil.copytree(honest, alone)
    assert open_folder(alone).track == ""
    rewrite(alone, "README.md", lambda t: t + "\n**Unlimited compute: not a ten-minute record.**\n")
    assert open_folder(alone).track == "non-record"
    assert open_folder(honest).track == "10min"


def test_a_repository_is_no_folder_but_holds_them(tmp_path):
    folder = tmp_path / "records" / "track_10min_16mb" / NAME
    folder.mkdir(parents=True)
    assert find_folders(tmp_path) == [folder]


def test_a_large_tree_is_refused_before_it_is_walked_and_a_name_is_no_text(honest, tmp_path, monkeypatch):
    (honest / os.fsdecode(b"\xff.md")).write_text("x")
    assert pglab.run(["record", "site", str(honest), "--out", str(tmp_path / "site")]) == 0
    inside = tmp_path / ".git" / honest.name
    inside.parent.mkdir()
    shutil.copytree(honest, inside)
    assert "train_gpt.py" in open_folder(inside).files
    seen = []

    def endless(self, pattern):
        while True:
            seen.append(1)
            yield self / "x"

    monkeypatch.setattr(Path, "rglob", endless)
    with pytest.raises(RecordError, match="more than 5,000 files"):
        open_folder(honest)
    assert len(seen) < 110_000

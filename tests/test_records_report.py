"""The report: one page, nothing from outside, whatever the run's files hold."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.errors import RecordError
from records.report import page, write_report

RUN = {
    "corpus/corpus.json": {
        "source": "speeches <of> the Union",
        "sha256": "ab" * 32,
        "documents": 240,
        "bytes": 12_185_751,
        "validation_documents": 12,
        "validation_bytes": 609_000,
        "train_documents": 228,
        "train_bytes": 11_576_751,
    },
    "vocab.json": {
        "rows": [
            {"name": "sp1024", "size": 1024, "bytes_per_token": 2.61, "lossless": "whitespace"},
            {"name": "byte260", "size": 260, "bytes_per_token": 0.9998, "lossless": "exact"},
        ]
    },
    "shards/manifest.json": {
        "vocabulary": {"name": "sp1024"},
        "files": {"fineweb_val_000000.bin": {"tokens": 222_300, "documents": 12, "bytes_raw": 609_000}},
    },
    "codecs.json": {"rows": [{"recipe": "int8+zlib", "bytes": 1_303_000}, {"recipe": "int6+lzma", "bytes": 930_000}]},
    "text.json": {"rows": [{"name": "zlib-9", "bpb": 2.69}, {"name": "brotli-11", "bpb": 2.14}]},
    "score.json": {
        "nats": 880_123.4,
        "tokens": 222_288,
        "bytes_raw": 609_000,
        "bytes_table": 609_012,
        "bpb_raw": 2.08492311,
        "bpb_table": 2.08488203,
        "val_loss": 3.9594,
    },
    "proof.json": {
        "bits": 902_208,
        "raw_bytes": 610_576,
        "bpb_proved": 1.4776342,
        "bpb_raw": 1.4684364,
        "documents": 14,
        "split": {"evaluated": 896_576.4, "precision": -20.5, "coder": 910.1, "framing": 4742.0, "residual": 0.0},
        "unchecked": ["what follows."],
        "wrong": [],
    },
    "audit.json": {
        "path": "x",
        "findings": [{"rule": "PG101", "verdict": "PASS", "says": "bytes agree", "where": "val", "fix": ""}],
    },
    "commands.json": [
        {"station": "corpus", "title": "A corpus", "command": "pglab corpus make", "seconds": 0.4},
        {"station": "corpus", "title": "A corpus", "command": "pglab corpus show", "seconds": 0.1, "says": "done"},
        {"station": "shards", "title": "Shards", "command": "pglab shards write"},
    ],
}
LOG = "".join(
    f"step:{i}/80 val_loss:{7 - i / 30:.4f} val_bpb:{4 - i / 50:.4f} train_time:{i * 75}ms step_avg:75ms\n"
    f"step:{i + 1}/80 train_loss:{7 - i / 30:.4f} train_time:{i * 75}ms step_avg:75ms\n"
    for i in range(0, 80, 10)
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "tour"
    for name, value in RUN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    (folder / "train").mkdir()
    (folder / "train" / "train.log").write_text(LOG)
    return folder


class Reader(HTMLParser):
    """Collects what a page would fetch, its text, and whether its tags nest."""

    VOID = frozenset(("meta", "br", "link", "img", "input", "hr"))

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "data", "action", "srcset") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {key}={value}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_a_proof_that_does_not_hold_is_said_so(run):
    broken = RUN["proof.json"] | {"wrong": ["document 3 differs."]}
    (run / "proof.json").write_text(json.dumps(broken))
    write_report(run, run / "report.html")
    words = read((run / "report.html").read_text()).words
    assert "The proof does not hold: document 3 differs." in words
    assert "came back from the proof" not in words


def test_the_page_says_what_the_run_holds(run):
    out = run / "report.html"
    assert write_report(run, out) == out.stat().st_size
    reader = read(out.read_text())
    for words in (
        "2.0849",
        "2.08488203",
        "12,185,751",
        "sp1024",
        "930,000",
        "brotli-11",
        "PG101",
        "112,776",  # bytes of the proof
        "1.477634",
        "Unchecked: what follows.",
        "pglab corpus make",
        "pglab shards write",
    ):
        assert words in reader.words, words
    assert "speeches <of> the Union" in reader.words
    assert "record folder (check.json)" in reader.words


def test_nothing_comes_from_outside_and_nothing_runs(run):
    text = page(run)
    reader = read(text)
    assert reader.outside == []
    assert "script" not in reader.tags
    assert not re.search(r"url\((?!#)|@import|<base", text)
    assert len(text) < 400_000


def test_pictures_follow_the_page(run):
    text = page(run)
    drawn = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawn) == 8  # four pictures, each wide and narrow
    for one in drawn:
        assert 'role="img"' in one
        assert 'aria-label="' in one
        assert "var(--" in one
        assert not re.search(r"#0[0-9]0[0-9]0[0-9]", one)
        assert "DejaVu" not in one
    assert "prefers-color-scheme: dark" in text


def test_tables_are_tables(run):
    text = page(run)
    assert text.count("<th scope=") > 20
    assert text.count("<h1") == 1
    assert '<html lang="en">' in text


def test_same_run_same_pictures(run):
    strip = lambda text: re.sub(r"Made \d{4}-\d\d-\d\d \d\d:\d\d", "", text)  # noqa: E731
    assert strip(page(run)) == strip(page(run))


@pytest.fixture
def no_pictures(monkeypatch):
    """Pages without their pictures: drawing is most of a page's time."""
    monkeypatch.setattr("pglab_report_figure.svg", lambda draw, alt, size, narrow: "<svg></svg>")


@pytest.mark.parametrize("name", [*RUN, "train/train.log"])
def test_any_one_file_may_be_missing_or_broken(run, name, no_pictures):
    (run / name).write_bytes(b'{"rows": [')
    read(page(run))
    (run / name).unlink()
    read(page(run))


def test_a_folder_with_nothing_is_refused(tmp_path):
    with pytest.raises(RecordError, match="pglab tour"):
        page(tmp_path)
    with pytest.raises(RecordError, match="no such folder"):
        write_report(tmp_path / "missing", tmp_path / "x.html")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rows", "name", "bytes", "bpb", "findings", "verdict", "files", "x", "size", "artifact"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values, name=st.sampled_from(list(RUN)))
def test_any_json_makes_a_page(run, no_pictures, value, name):
    (run / name).write_text(json.dumps(value))
    read(page(run))


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values, name=st.sampled_from(["vocab.json", "codecs.json", "text.json", "score.json"]))
def test_any_json_makes_a_page_with_its_pictures(run, value, name):
    (run / name).write_text(json.dumps(value))
    read(page(run))


def browser() -> str:
    found = next((shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome") if shutil.which(n)), None)
    if not found:
        pytest.skip("no Chromium here; .ci/run installs it")
    return found


@pytest.mark.slow
def test_a_real_browser_shows_the_page(run, tmp_path):
    chromium = browser()
    write_report(run, run / "report.html")
    for width, extra in ((1000, []), (1000, ["--blink-settings=preferredColorScheme=0"]), (500, [])):
        shot = tmp_path / "shot.png"
        subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", *extra),
                *(f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", f"--window-size={width},1200"),
                (run / "report.html").as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=60,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert shot.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("audit.json", {"findings": 7}),
        ("shards/manifest.json", {"files": {"a.bin": {"name": 1.5, "tokens": 10**400}}}),
        ("score.json", {"bpb_raw": 10**400, "bpb_table": 1.5}),
    ],
)
def test_lists_names_and_numbers_that_are_none_make_a_page(place, value, tmp_path):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(json.dumps(value))
    (tmp_path / "corpus.json").write_text('{"source": "a corpus", "bytes": 10}')
    assert "a corpus" in page(tmp_path)

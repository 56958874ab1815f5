"""The reporting layer: one report, six forms of it, and nothing a stranger's name can do to any of them."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App
from hypothesis import given
from hypothesis import strategies as st

import pglab_report_text
from pglab_report import Column, Limit, Plot, Report, ReportError, Series, Table, Ways, show, write_report
from pglab_report_html import as_html
from pglab_report_machine import as_csv, as_json
from pglab_report_markdown import as_markdown
from pglab_report_plot import as_svg
from pglab_report_text import as_text
from tests.contrast import contrast

COLUMNS = [
    Column("name", "codec"),
    Column("bytes", "size", "bytes", ",d"),
    Column("bpb", "score", "bits per byte", "{bpb:.3f} [{low:.3f}, {high:.3f}]"),
    Column("low", hidden=True),
    Column("high", hidden=True),
    Column("verdict", verdict=True),
]
ROWS = [
    {"name": "zlib", "bytes": 12345, "bpb": 1.2, "low": 1.1, "high": 1.3, "verdict": "PASS"},
    {"name": "<b>|`x`", "bytes": None, "bpb": float("nan"), "verdict": "FAIL"},
]
CURVE = Plot(
    "curve",
    "Curves",
    "step",
    "nats per token",
    [
        Series("one", range(5), [5, 4, 3, 2, 1], [4, 3, 2, 1, 0.5], [6, 5, 4, 3, 2], "both"),
        Series("two", [0, 1], [1.5, float("nan")]),
    ],
    limits=[Limit(2.5, "limit")],
)
BARS = Plot("bars", "Sizes", "bytes", "codec", [Series("size", (), [10, 2000], style="bars", names=["a", "b"])])
REPORT = Report("Codecs", ["zlib wins."], [Table("sizes", "Sizes of two", COLUMNS, ROWS, best=(0,))], [CURVE, BARS],
                ["Small text."], data={"rows": ROWS})  # fmt: skip


def report_of(name: str) -> Report:
    """A report in which a stranger chose every word."""
    table = Table("t", name, [Column("a", name), Column("n", "number", name, ".3f")], [{"a": name, "n": 1.5}])
    return Report(name, [name], [table], [], [name])


def test_text_holds_every_number_and_the_answer_last() -> None:
    assert as_text(REPORT).splitlines() == [
        "Codecs",
        "",
        "Sizes of two",
        "",
        "codec     size, bytes   score, bits per byte   verdict",
        "──────────────────────────────────────────────────────",
        "zlib           12,345   1.200 [1.100, 1.300]   PASS",
        "<b>|`x`             -                      -   FAIL",
        "",
        "zlib wins.",
        "note: Small text.",
    ]


def test_a_pipe_never_cuts_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "x" * 500 in as_text(report_of("x" * 500))


def terminal(report: Report, monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: True)
    pglab_report_text.print_report(report, file)
    return file.getvalue()


def test_a_narrow_terminal_gets_one_value_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    said = re.sub(r"\x1b\[[\d;]*m", "", terminal(REPORT, monkeypatch, 40))
    assert "  size, bytes           12,345" in said
    assert max(len(line) for line in said.splitlines()) <= 44
    assert "size, bytes   score" in re.sub(r"\x1b\[[\d;]*m", "", terminal(REPORT, monkeypatch, 100))


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(r"\x1b\[[\d;]*32m", terminal(REPORT, monkeypatch, 100))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*3\dm", terminal(REPORT, monkeypatch, 100))


def test_json_has_its_schema_and_the_rooms_own_fields_at_the_top() -> None:
    it = json.loads(as_json(REPORT, "pglab x"), parse_constant=pytest.fail)
    assert (it["schema"], it["version"], it["status"], it["command"]) == ("pglab-report", 1, 0, "pglab x")
    assert it["tables"]["sizes"]["columns"][1] == {"key": "bytes", "heading": "size", "unit": "bytes"}
    assert it["tables"]["sizes"]["rows"][1]["bpb"] is None  # not a number: JSON has no word for it
    assert it["rows"][0]["bytes"] == 12345
    assert it["plots"]["curve"]["series"][0]["x"] == [0, 1, 2, 3, 4]


def test_json_takes_what_numpy_gives() -> None:
    rows = [{"a": np.float32(0.5), "b": np.int64(3), "c": np.arange(2), "d": Path("a") / "b", "e": "\udcff"}]
    it = json.loads(as_json(Report("n", tables=[Table("t", "", [Column(k) for k in "abcde"], rows)])))
    assert it["tables"]["t"]["rows"] == [{"a": 0.5, "b": 3, "c": [0, 1], "d": "a/b", "e": "\\udcff"}]


def test_data_may_not_take_a_field_of_the_report() -> None:
    with pytest.raises(ReportError, match="tables"):
        as_json(Report("n", data={"tables": []}))


def test_csv_holds_raw_values_of_one_table() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(REPORT))))
    assert rows[0] == {"name": "zlib", "bytes": "12345", "bpb": "1.2", "low": "1.1", "high": "1.3", "verdict": "PASS"}
    assert rows[1]["bpb"] == rows[1]["bytes"] == ""
    with pytest.raises(ReportError, match="there are: sizes"):
        as_csv(REPORT, "other")


def test_markdown_is_a_table_that_names_cannot_break() -> None:
    lines = as_markdown(REPORT, "pglab x").splitlines()
    assert "| codec | size, bytes | score, bits per byte | verdict |" in lines
    assert "|---|---:|---:|---|" in lines
    assert "| **zlib** | **12,345** | **1.200 \\[1.100, 1.300\\]** | **PASS** |" in lines
    assert "| &lt;b>\\|\\`x\\` | - | - | FAIL |" in lines


class Page(HTMLParser):
    """What a browser would make of a page: tags, their attributes, the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_page_is_whole_accessible_and_alone() -> None:
    text = as_html(REPORT, "pglab x --out y.html")
    page = Page(text)
    assert not page.all("script") + page.all("link") + page.all("img") + page.all("iframe")
    assert not re.search(r"(?:src|href)=\"(?!#)|url\((?!#)|@import", text)
    assert page.all("html")[0]["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("h1", "h2", "main", "caption", "svg", "desc")] == [1, 3, 1, 1, 4, 4]
    assert {th.get("scope") for th in page.all("th")} == {"col", "row"}
    assert all(svg["role"] == "img" and len(svg["aria-label"] or "") > 20 for svg in page.all("svg"))
    assert {"one", "two", "limit", "zlib", "12,345", "pglab x --out y.html"} <= set(
        map(str.strip, re.split(r"\n|(?<=\d) (?=\D)", page.text))
    )
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    used = re.findall(r"aria-labelledby=\"([^\"]+)\"", text)
    assert set(used) <= set(ids)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_a_page_of_the_same_report_is_the_same_bytes() -> None:
    assert as_html(REPORT) == as_html(REPORT)


@pytest.mark.parametrize("scheme", [0, 1])
def test_the_page_s_colours_have_contrast(scheme: int) -> None:
    from pglab_report_page import COLOUR_RULES

    light, dark = COLOUR_RULES.split("@media")
    colours = dict(re.findall(r"--(\w+): #([0-9a-f]{6})", (light, dark)[scheme]))

    for name in set(colours) - {"paper", "raised", "line"}:
        for ground in ("paper", "raised"):
            assert contrast(colours[name], colours[ground]) >= 4.5, f"{name} on {ground}"


@given(st.text(max_size=40))
def test_no_name_breaks_a_form(name: str) -> None:
    report = report_of(name)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", as_text(report))
    assert json.loads(as_json(report))["tables"]["t"]["rows"][0]["n"] == 1.5
    assert len(list(csv.reader(io.StringIO(as_csv(report), newline="")))) == 2
    table = [line for line in as_markdown(report).split("\n") if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table} == {3}
    tags = {tag for tag, _ in Page(as_html(report)).tags}
    assert tags - {"br", "span"} == {tag for tag, _ in Page(as_html(report_of("x"))).tags} - {"br", "span"}


def test_a_log_axis_and_a_wild_value_are_drawn() -> None:
    wild = Series("w", [1, 10, 1000], [1e-6, float("inf"), 1e6], style="dots", names=["", "b", "c"])
    text = as_svg(Plot("p", "Wild", "x", "y", [wild], x_log=True, y_log=True))
    assert text.startswith("<?xml")
    assert "</svg>" in text
    assert "prefers-color-scheme" in text


def test_series_must_agree() -> None:
    with pytest.raises(ReportError, match="1 x for 2 y"):
        Series("a", [1], [1, 2])


def tried(*words: str) -> int:
    app = App()

    @app.default
    def sweep(*, ways: Ways = Ways()) -> int:
        return show(REPORT, ways)

    return app(list(words), exit_on_error=False, print_error=False, result_action="return_value")


def test_the_options_of_every_comparing_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / f"new/r{kind}" for kind in (".txt", ".json", ".csv", ".md", ".html", ".svg", ".sizes.csv")]
    assert tried("--json", *[word for file in files for word in ("--out", str(file))]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["title"] == "Codecs"
    assert len(err.splitlines()) == 7
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(f.name for f in files)
    assert (tmp_path / "new/r.sizes.csv").read_text() == as_csv(REPORT)
    assert tried("--quiet") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["r.doc", "r", "."])
def test_a_wrong_file_is_told_before_the_work(name: str) -> None:
    with pytest.raises(ReportError, match="wanted"):
        Ways(out=(Path(name),))


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    (tmp_path / "r.md").write_text("old")
    with pytest.raises(OSError, match="full"):
        write_report(REPORT, tmp_path / "r.md")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("r.md", "old")]


def test_a_report_without_a_plot_has_no_svg(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no plot"):
        write_report(Report("n"), tmp_path / "r.svg")


def chromium() -> str:
    found = next((shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome") if shutil.which(n)), None)
    if not found:
        pytest.skip("no Chromium here; .ci/run installs it")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (1100, True), (500, False)])
def test_a_real_browser_shows_the_page(width: int, dark: bool, tmp_path: Path) -> None:
    browser, shot = chromium(), tmp_path / "shot.png"
    write_report(REPORT, tmp_path / "page.html", "pglab x")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
               f"--user-data-dir={tmp_path / 'it'}", f"--screenshot={shot}", f"--window-size={width},1400"]  # fmt: skip
    command += ["--blink-settings=preferredColorScheme=0"] * dark
    env = {**os.environ, "HOME": str(tmp_path)}
    page = (tmp_path / "page.html").as_uri()
    subprocess.run([*command, page], check=True, capture_output=True, timeout=60, env=env)
    from matplotlib.image import imread

    pixels = imread(shot)[..., :3]
    assert pixels.shape[1] == width
    corner = float(pixels[:20, :20].mean())
    assert corner < 0.2 if dark else corner > 0.9
    assert float(abs(pixels - pixels[0, 0]).max(axis=2)[:, -8:].max()) < 0.02, "something sticks out at the right"
    assert float((abs(pixels - pixels[0, 0]).max(axis=2) > 0.3).mean()) > 0.005, "an empty page"

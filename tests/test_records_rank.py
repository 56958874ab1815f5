"""Rank and site: recomputed from the folders, and readable in a real browser without anything from outside."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from records.errors import RecordError
from records.rank import DOUBTED, SUPPORTED, UNSUPPORTED, as_json, rank
from records.rank_report import report_of
from records.site import MARK, write_site

SCORES = {1337: 1.22436570, 42: 1.22501111, 7: 1.22399990}
MEAN = sum(SCORES.values()) / 3
NAME = "2026-03-18_Honest"


def write_record(folder, *, logs=True, **change):
    """A record of three seeds; `change` replaces fields of its claim."""
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# A record\n" + "Three seeds of the baseline. " * 20)
    (folder / "train_gpt.py").write_text("import torch\n")
    told = {"author": "Ada", "github_id": "ada", "name": "Honest", "blurb": "x", "date": folder.name[:10]}
    (folder / "submission.json").write_text(json.dumps({**told, "val_bpb": round(MEAN, 8), **change}))
    for seed, bpb in SCORES.items() if logs else ():
        (folder / f"train_seed{seed}.log").write_text(
            f"world_size:8\nseed:{seed}\n"
            "step:0/100 val_loss:6.9 val_bpb:4.1 train_time:0ms step_avg:0ms\n"
            "step:100/100 train_loss:2.1 train_time:600000ms step_avg:6000ms\n"
            "Code size: 13 bytes\nTotal submission size int8+zlib: 15000013 bytes\n"
            f"final_int8_zlib_roundtrip_exact val_loss:{1.6931 * bpb:.8f} val_bpb:{bpb:.8f}\n"
        )


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Three records: an honest one, one that claims a better number, one without a log. The auditor is left out."""
    monkeypatch.setattr("bpb_audit.rules.all_rules", list)
    track = tmp_path / "track_10min_16mb"
    write_record(track / NAME)
    write_record(track / "2026-03-19_Better", val_bpb=1.1, name="Better <b>")
    write_record(track / "2026-03-20_Silent", logs=False, val_bpb=1.05)
    return track


def test_rows_are_recomputed_and_marked(shelf):
    rows = {row.folder: row for row, _, _ in rank([shelf])}
    good = rows[NAME]
    assert good.state == SUPPORTED
    assert good.mean == pytest.approx(MEAN)
    assert good.best == min(SCORES.values())
    assert good.runs == 3
    assert set(good.seeds) == {"1337", "42", "7"}
    assert rows["2026-03-19_Better"].state == DOUBTED
    assert rows["2026-03-20_Silent"].state == UNSUPPORTED
    assert rows["2026-03-20_Silent"].mean is None


def test_order_and_the_report(shelf):
    rows = [row for row, _, _ in rank([shelf])]
    assert [row.score for row in rows] == sorted(row.score for row in rows)
    told = json.loads(json.dumps(as_json(rows)))
    assert [item["rank"] for item in told] == [1, 2, 3]
    report = report_of(rows)
    table = report.tables[0]
    assert table.cells()[2][:2] == ["3", f"{MEAN:.5f}"]
    assert report.data["rows"] == as_json(rows)
    assert sum(len(series.x) for series in report.plots[0].series) == 3


def test_nothing_to_rank_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="no record folder"):
        rank([tmp_path], "10min" if (tmp_path / "x").exists() else "non-record")


def test_the_site_holds_together(shelf, tmp_path):
    out = tmp_path / "site"
    pages, size = write_site([shelf], out)
    assert pages == 4
    assert size == sum(p.stat().st_size for p in out.iterdir())
    for page in out.glob("*.html"):
        links = re.findall(r'(?:href|src)="([^#"][^"]*)"', page.read_text())
        assert links
        assert all((out / link).is_file() for link in links), links
    index = (out / "index.html").read_text()
    assert "Better &lt;b&gt;" in index
    assert index.count("<tr>") == 4
    assert "RC301" in index  # the failed rules of a row, on hovering over their number
    assert not re.search(r"https?://", index.replace("http://www.w3.org", ""))


def test_a_site_is_made_anew_and_nothing_else_is_overwritten(shelf, tmp_path):
    out = tmp_path / "site"
    write_site([shelf], out)
    (out / "old.html").write_text("old")
    write_site([shelf], out)
    assert not (out / "old.html").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("keep")
    with pytest.raises(RecordError, match="not written as a site"):
        write_site([shelf], mine)
    assert (mine / "thesis.txt").read_text() == "keep"
    assert (out / MARK).is_file()


DRIVE = """
<script>
addEventListener("load", () => {
  const rows = () => [...document.querySelectorAll("table.board tbody tr")];
  const order = () => rows().filter(r => !r.hidden).map(r => r.cells[6].textContent);
  const before = order();
  const heads = document.querySelectorAll("table.board thead button");
  heads[6].click(); const up = order(); heads[6].click(); const down = order();
  const filter = document.querySelector("#filter");
  filter.value = "better"; filter.dispatchEvent(new Event("input")); const one = order();
  document.title = JSON.stringify({before, up, down, one, wide: document.documentElement.scrollWidth <= innerWidth});
});
</script>
"""


@pytest.mark.slow
def test_sorting_and_filtering_in_a_real_browser(shelf, tmp_path):
    chromium = next(
        (found for n in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(n))), ""
    )
    if not chromium:
        pytest.skip("no Chromium here; .ci/run installs it")
    out = tmp_path / "site"
    write_site([shelf], out)
    text = (out / "index.html").read_text()
    (out / "index.html").write_text(text.replace("</body>", DRIVE + "</body>"))
    for width in (1000, 500):
        done = subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", "--dump-dom"),
                *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"),
                (out / "index.html").as_uri(),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        told = json.loads(re.search(r"<title>(.*?)</title>", done.stdout)[1])
        days = ["2026-03-18", "2026-03-19", "2026-03-20"]
        assert told["up"] == days
        assert told["down"] == days[::-1]
        assert told["one"] == ["2026-03-19"]
        assert told["wide"], "the page scrolls sideways"


def test_a_site_that_cannot_take_its_place_leaves_the_old_one(shelf, tmp_path, monkeypatch):
    out = tmp_path / "site"
    write_site([shelf], out)
    before = (out / "index.html").read_bytes()
    real = Path.replace

    def full(self, target):
        if target == out and not self.name.endswith("-old"):
            raise OSError("no room")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no room"):
        write_site([shelf], out)
    assert (out / "index.html").read_bytes() == before
    assert not list(tmp_path.glob(".site-*"))

"""The command line, the four formats, the rules' page, the zipapp, and exit statuses."""

import csv
import html.parser
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bpb_audit.cli import main
from bpb_audit.errors import AuditError
from bpb_audit.finding import Finding, Report, Verdict, failed, passed, unchecked
from bpb_audit.report import as_csv, as_json, as_markdown, as_text
from bpb_audit.report_page import as_html
from bpb_audit.rules import REGISTRY, all_rules, documented, explain, pages, rule
from bpb_audit.submission import read_submission
from bpb_audit.zipapp_build import archive, build
from bpb_audit.zipapp_build import main as build_main
from tests.audit_submissions import BYTES, Run, write

ROOM = Path(__file__).parent.parent / "bpb_audit"
KEYS = ["rule", "verdict", "says", "where", "found", "expected", "fix"]
NASTY = Finding("PG999", Verdict.FAIL, "<b>|\x1b[31m\n", "a|b", "<script>", "`x`", "\\|", None, "")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write(tmp_path / "record", [Run()])


def test_json_has_the_published_shape(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(record), "--json"]) == 1
    one = json.loads(capsys.readouterr().out)
    assert list(one) == ["path", "findings", "claimed_bpb", "corrected_bpb", "basis"]
    assert all(list(finding) == KEYS for finding in one["findings"])
    assert {finding["verdict"] for finding in one["findings"]} <= {"PASS", "FAIL", "UNCHECKED"}
    assert one["claimed_bpb"] == pytest.approx(Run().bpb(Run().loss), abs=1e-8)
    assert main([str(record), str(record), "--format", "json"]) == 1
    two = json.loads(capsys.readouterr().out)
    assert two == [one, one]


def broken(folder: Path) -> Path:
    """Documents of which the first cannot be read."""
    place = folder / "docs.jsonl"
    place.write_text('{"text": null}\n{"text": "b"}\n', encoding="utf-8")
    return place


def test_exit_statuses(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(record), "--only", "PG121", "--only", "PG402"]) == 0
    wrong = write(tmp_path / "broken", [Run(bytes=BYTES * 1.1667)])
    assert main([str(wrong), "--only", "pg121"]) == 1
    assert "twice" in capsys.readouterr().out
    assert main([str(record)]) == 1  # something stays unchecked
    capsys.readouterr()
    for words in (
        [],
        [str(tmp_path / "nothing")],
        [str(record), "--docs", str(tmp_path / "nothing")],
        [str(record), "--shards", str(record / "train.log")],
        [str(record), "--seq-len", "0"],
        [""],
        [str(record), "--docs", ""],
        [str(record), "--documents", "0"],
        [str(record), "--documents", "many"],
        [str(record), "--seq-len", "1000000000"],
        [str(record), "--stride", "99999999"],
        [str(record), "--seq-len", "1024", "--stride", "2048"],
        [str(record), "--docs", str(record / "README.md")],
        [str(record), "--tokenizer", str(record / "README.md")],
        [str(record), "--docs", str(broken(tmp_path))],
        [str(record), "--only", "PG511"],
        [str(record), "--only", "PG000"],
        ["--explain", "PG000"],
        ["--no-such-flag"],
    ):
        assert main(words) == 2
        said = capsys.readouterr()
        assert said.err
        assert not said.out


def test_an_empty_folder_is_an_error_not_a_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no log, script or submission.json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["train.log", "train_gpt.py", "submission.json"])
def test_a_single_file_is_a_submission(record: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(record / name), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"]


def test_out_writes_whole_files(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("text", "json", "csv", "markdown", "html"):
        place = tmp_path / f"report.{kind}"
        assert main([str(record), "--format", kind, "--out", str(place), "--only", "PG121"]) == 0
        assert "PG121" in place.read_text(encoding="utf-8")
    assert not capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "record",
        "report.csv",
        "report.html",
        "report.json",
        "report.markdown",
        "report.text",
    ]


@pytest.mark.parametrize(
    ("name", "start"), [("a.csv", "path,rule"), ("a.html", "<!doctype"), ("a.md", "## "), ("a.json", "{"), ("a.x", "/")]
)
def test_the_name_of_the_file_chooses_the_form(record: Path, tmp_path: Path, name: str, start: str) -> None:
    assert main([str(record), "--out", str(tmp_path / name), "--only", "PG121"]) == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_the_lines_of_csv_hold_one_finding_each_and_no_formula() -> None:
    formula = Finding("PG999", Verdict.FAIL, "=1+1", "a,b", '"', "c\nd")
    rows = list(csv.reader(io.StringIO(as_csv([Report("p", (NASTY, formula), None, None, "", "")]))))
    assert rows[0] == ["path", *KEYS[:3], "where", "found", "expected", "fix"]
    assert rows[2][3] == "'=1+1"
    assert {len(row) for row in rows} == {8}
    assert "\x1b" not in "".join(map("".join, rows))


def test_a_path_without_a_submission_keeps_no_other_from_its_report(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([str(empty), str(record), "--only", "PG121"]) == 2
    said = capsys.readouterr()
    assert "PG121 PASS" in said.out
    assert "no log, script or submission.json" in said.err


class Tags(html.parser.HTMLParser):
    """Counts elements."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1


def test_a_strangers_words_do_no_harm() -> None:
    report = Report("p<i>", (NASTY, NASTY), 1.2, 1.3, "b", "limits")
    tags = Tags()
    tags.feed(as_html([report]))
    assert "script" not in tags.seen
    assert tags.seen["article"] == 2
    assert "\x1b" not in as_text([report])
    rows = [line for line in as_markdown([report]).splitlines() if line.startswith("| PG999")]
    assert len(rows) == 2
    assert all(len(row.replace("\\\\", "").replace("\\|", "").split("|")) == 9 for row in rows)
    assert json.loads(as_json([report]))["findings"][0]["says"] == NASTY.says


def test_control_characters_of_a_file_name_reach_no_report() -> None:
    nasty = "tr\x1b[2J`<script>\n.log"
    report = Report(nasty, (Finding("PG999", Verdict.FAIL, nasty, nasty),), None, 1.2, nasty, nasty)
    for text in (as_text([report]), as_markdown([report]), as_html([report])):
        assert not any(c.isprintable() is False and c != "\n" for c in text)
        assert "[2J" in text
    assert "`<script>" not in as_markdown([report])
    assert "<script>" not in as_html([report])


def test_a_score_is_only_called_claimed_when_it_is(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(record)])
    said = capsys.readouterr().out
    assert "score: claimed 1.22" in said
    assert "the loss is taken from the log, not evaluated again" in said
    place = record / "submission.json"
    place.write_text('{"name": "A run", "val_bpb": "1.9"}', encoding="utf-8")
    main([str(record)])
    assert "score: no claim; the log says 1.22" in capsys.readouterr().out
    main([str(record), "--json"])
    assert json.loads(capsys.readouterr().out)["claimed_bpb"] is None


def test_failures_come_first_and_colour_only_where_asked() -> None:
    found = tuple(
        Finding(code, one.verdict, one.says)
        for code, one in (("PG101", passed("p")), ("PG102", unchecked("u")), ("PG103", failed("f")))
    )
    text = as_text([Report("x", found)])
    assert text.index("PG103") < text.index("PG102") < text.index("PG101")
    assert "1 failed, 1 unchecked, 1 passed" in text
    assert "\x1b[31;1m" in as_text([Report("x", found)], colour=True)


def test_nothing_found_is_not_good() -> None:
    assert not Report("x").good
    assert not Report("x", (Finding("PG101", Verdict.UNCHECKED, "u"),)).good
    assert Report("x", (Finding("PG101", Verdict.PASS, "p"),)).good


def test_the_rules_page_is_fresh() -> None:
    made = pages()
    assert (ROOM / "RULES.md").read_text(encoding="utf-8") == made, (
        "bpb_audit/RULES.md is stale; write it with: python -m bpb_audit --explain all > bpb_audit/RULES.md"
    )


@pytest.mark.parametrize("one", documented(), ids=lambda one: one.code)
def test_every_rule_explains_itself(one, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert main(["--explain", one.code.lower()]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"{one.code} {one.title}")
    assert len(page.split()) > 20
    assert explain(one.code) == page


def test_codes_are_not_taken_twice() -> None:
    with pytest.raises(AuditError, match="is taken"):

        @rule("PG121", "another")
        def another(evidence):  # type: ignore[no-untyped-def]
            """A page."""
            yield passed("x")

    with pytest.raises(AuditError, match="not PG and three digits"):
        rule("PG1", "short")(lambda evidence: iter(()))
    assert "PG1" not in REGISTRY


def test_the_zipapp_runs_alone(record: Path, tmp_path: Path) -> None:
    place = tmp_path / "alone" / "bpb-audit.pyz"
    assert build(place) == place.stat().st_size
    assert archive(ROOM) == archive(ROOM)
    done = subprocess.run(
        [sys.executable, "-I", str(place), str(record), "--json"], capture_output=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 1, done.stderr
    told = {finding["rule"]: finding["verdict"] for finding in json.loads(done.stdout)["findings"]}
    assert told["PG121"] == "PASS"
    assert told["PG301"] == "PASS"  # the runner in the sandbox comes out of the zip


def test_the_module_runs(record: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bpb_audit", str(record), "--only", "PG121"], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert b"1 passed" in done.stdout


@pytest.mark.parametrize("code", ["PG511", "PG512", "PG513", "PG514"])
def test_behaviour_probes_are_explained_and_no_audit_lists_them(
    code: str, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--explain", code]) == 0
    page = capsys.readouterr().out
    assert "from bpb_audit.behaviour import" in page
    assert "Fix:" in page
    main([str(record), "--json"])
    assert code not in {one["rule"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert main([str(record), "--only", code]) == 2
    assert f"--explain {code}" in capsys.readouterr().err


def test_the_pages_and_the_probes_have_the_same_codes() -> None:
    from bpb_audit.behaviour import CODES

    assert {one.code for one in documented()} - {one.code for one in all_rules()} == set(CODES.values())


def test_the_builder_of_the_zipapp_has_a_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build_main(["--help"]) == 0
    assert "usage: python -m bpb_audit.zipapp_build" in capsys.readouterr().out
    assert build_main(["--no-such-flag"]) == 2
    assert build_main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "is a folder" in said.err
    assert not said.out
    (tmp_path / "file").write_bytes(b"")
    assert build_main(["file/below.pyz"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
    assert build_main([]) == 0
    assert capsys.readouterr().out.startswith("bpb-audit.pyz: ")
    assert (tmp_path / "bpb-audit.pyz").is_file()


def test_an_empty_file_passes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.log").write_bytes(b"")
    assert main([str(tmp_path / "train.log")]) == 1
    assert " 0 passed" in capsys.readouterr().out


def test_colour_is_for_terminals_that_want_it(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(record), "--only", "PG121"]
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert main(words) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(words) == 0
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(words) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_log_of_any_name_is_found_and_a_page_of_words_is_none(tmp_path: Path) -> None:
    told = "step:1/2 train_loss:2.5 train_time:9ms\nfinal val_loss:2 val_bpb:1.2\n"
    (tmp_path / "byte_jepa_2000.txt").write_text(told)
    (tmp_path / "words.txt").write_text("nothing of the kind\n")
    (tmp_path / "requirements.txt").write_text("val_bpb\n")
    assert [place.as_posix() for place in read_submission(tmp_path).log_paths] == ["byte_jepa_2000.txt"]

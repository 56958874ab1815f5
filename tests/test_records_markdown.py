"""Markdown for a pull request: nothing from a folder may act there; read back by a parser of its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglab_report import Ways
from records.check import CheckReport
from records.check_markdown import LONGEST, markdown, plain
from records.cli import check
from records.errors import RecordError
from records.finding import FAIL, PASS, UNCHECKED, Finding


def cells(line: str) -> list[str]:
    """A table row's cells: split at pipes without a backslash before them."""
    return [part.strip() for part in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]]


def report(*findings: Finding) -> CheckReport:
    return CheckReport("x/2026-03-18_Mine", "10min", list(findings), 1.2, 1.2, "")


def test_failures_are_a_table_the_unchecked_are_folded_and_the_passed_are_codes():
    text = markdown(
        [
            report(
                Finding("RC201", PASS, "fine"),
                Finding("RC302", UNCHECKED, "no seeds"),
                Finding("RC304", FAIL, "the best run", "a.log:7", "1.1", "1.2", "claim the mean"),
            )
        ]
    )
    assert text.startswith("### 2026-03-18\\_Mine\n\n1 failed, 1 unchecked, 1 passed (10min track")
    assert "| RC304 | the best run | a.log:7 | 1.1 | 1.2 | claim the mean |" in text
    assert text.index("RC304") < text.index("<details><summary>Not checked: 1</summary>") < text.index("RC302")
    assert text.endswith("Passed: RC201.\n")


@pytest.mark.parametrize(
    "evil",
    ["a|b", "x\ny", "</details>", "<img src=x>", "@everyone", "[a](javascript:1)", "`", "\\|", "http://a.b", "#7"],
)
def test_what_comes_from_a_folder_cannot_act(evil):
    text = markdown([report(Finding("RC304", FAIL, evil, evil, evil, evil, evil))])
    row = next(line for line in text.splitlines() if line.startswith("| RC304"))
    assert not re.search(r"(?<!\\)[<\[`#]|@\w|://", row)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 7


@given(st.text(max_size=600))
def test_any_text_is_one_cell(text):
    cell = plain(text)
    assert "\n" not in cell
    assert len(cell) <= 3 * LONGEST
    assert len(cells(f"| RC1 | {cell} |")) == 2


def test_the_command_prints_it_and_refuses_two_forms(tmp_path, capsys):
    folder = tmp_path / "track_10min_16mb" / "2026-03-18_Empty"
    folder.mkdir(parents=True)
    assert check(folder, quick=True, markdown=True) == 1
    assert capsys.readouterr().out.startswith("### 2026-03-18\\_Empty\n")
    with pytest.raises(RecordError, match="Leave one out"):
        check(folder, quick=True, markdown=True, ways=Ways(json=True))

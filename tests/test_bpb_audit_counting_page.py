"""The examples in COUNTING.md run, and print what the page says."""

import doctest
from pathlib import Path

import bpb_audit


def test_the_page_runs_as_written() -> None:
    page = Path(bpb_audit.__file__).with_name("COUNTING.md")
    done = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert done.attempted >= 12
    assert done.failed == 0

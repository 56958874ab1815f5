"""The README does what it says: the tour, and then the three jobs in the tour's folder, outputs compared.

`PGLAB_TOUR=runs/tour pytest -m slow tests/test_readme.py --write-golden` puts the outputs of that tour into it.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.pages import blocks, run_page

README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.mark.slow
def test_the_readme_does_what_it_says(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    instead = {".venv/bin/pglab tour": "pglab tour --seconds 20"}  # another clock, the same lines
    if given := os.environ.get("PGLAB_TOUR"):
        shutil.copytree(given, tmp_path / "runs/tour")  # with its times, by which a tour knows what is done
        instead = {".venv/bin/pglab tour": "pglab tour"}
    run_page(README, tmp_path, request.config.getoption("--write-golden"), instead)


def test_every_block_with_output_is_run() -> None:
    for block in blocks(README.read_text("utf-8")):
        if block.kind == "console" and "not run" not in block.marks:
            assert any(step.shown for step in block.steps())
        elif not block.kind:
            assert "->" in block.text, f"nobody runs this block:\n{block.text[:200]}"

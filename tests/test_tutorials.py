"""The tutorials do what they say: each is run from its first block to its last in an empty folder, outputs compared.

`pytest -m slow tests/test_tutorials.py --write-golden` puts the true outputs into the pages.
"""

from pathlib import Path

import pytest

from tests.pages import agree, blocks, run_page

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = ["tokenizers_lab/TUTORIAL.md", "compress/TUTORIAL.md", "bpb_audit/TUTORIAL.md", "records/TUTORIAL.md"]


PAGE = """\
# A

<!-- file: in/a.txt -->
```
three
```

```console
$ cat in/a.txt
three
$ echo one \\
  two
one two
```

<!-- numbers vary -->
<!-- exit 1 -->
```console
$ echo took 3.5 s; false
took 9 s
```

<!-- some lines -->
```console
$ printf 'a\\nb\\nc\\n'
a
c
```

<!-- not run -->
```console
$ rm -r in
```
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_does_what_it_says(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Trainings are shorter than the page's, unless its outputs are to be written: the numbers vary anyway."""
    write, instead = request.config.getoption("--write-golden"), {}
    text = (ROOT / name).read_text("utf-8")
    if not write:
        long = [step.command for block in blocks(text) for step in block.steps() if "--seconds 100" in step.command]
        instead = {command: command.replace("--seconds 100", "--seconds 5") for command in long}
    run_page(ROOT / name, tmp_path, write, instead)


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_shows_what_is_printed(name: str) -> None:
    console = [block for block in blocks((ROOT / name).read_text("utf-8")) if block.kind == "console"]
    steps = [step for block in console for step in block.steps()]
    assert len(steps) >= 5
    assert sum(bool(step.shown) for step in steps) >= 4


def test_a_page_is_run_and_held_to_its_words(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    run_page(page, tmp_path)
    before = page.read_text()
    page.write_text(before.replace("took 9 s", "took 9 min"))
    with pytest.raises(AssertionError, match="the page shows:\ntook 9 min"):
        run_page(page, tmp_path)
    run_page(page, tmp_path, write=True)
    assert page.read_text() == before.replace("9 s", "3.5 s")  # the lines that are not shown stay away
    page.write_text(before.replace("<!-- exit 1 -->\n", ""))
    with pytest.raises(AssertionError, match="-> 1"):
        run_page(page, tmp_path)


def test_numbers_may_vary_only_where_it_is_said() -> None:
    marks = ("numbers vary",)
    assert agree("a  1,024   3.5e-05 x\n ────", "a 7 9.1e+3 x\n ──────", marks)
    assert agree("step-0.0691215+mix", "step-0.00597637+mix", marks)  # eight digits behind a point are no hash
    assert agree("sha 0123456789abcdef", "sha fedcba98", marks)
    assert not agree("a 1 x", "a 2 x", ())
    assert not agree("a 1 x", "a 2 y", marks)
    assert not agree("a\nb", "b\na", ("some lines",))

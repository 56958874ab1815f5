"""--pr: a pull request adds one folder and touches nothing else. And: RULES.md is what the rules say."""

import os
import subprocess
from pathlib import Path

import pytest

from records.check import check_folder
from records.finding import FAIL, PASS, UNCHECKED
from records.rules_page import page


def git(where, *words):
    calm = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(where), *names, *words], check=True, capture_output=True, env=calm)


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit on main and a branch on which one record folder was added."""
    git(tmp_path, "init")
    (tmp_path / "README.md").write_text("hello\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "start")
    git(tmp_path, "checkout", "-b", "mine")
    folder = tmp_path / "records" / "track_10min_16mb" / "2026-03-18_Mine"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# Mine\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "record")
    return folder


def pull(folder, base="main"):
    return [(f.verdict, f) for f in check_folder(folder, pull_base=base).findings if f.rule == "RC108"]


def test_one_added_folder_passes(repository):
    assert [verdict for verdict, _ in pull(repository)] == [PASS]


def test_main_may_have_moved_on(repository):
    top = repository.parents[2]
    git(top, "checkout", "main")
    (top / "OTHER.md").write_text("moved on\n")
    git(top, "add", ".")
    git(top, "commit", "-m", "else")
    git(top, "checkout", "mine")
    assert [verdict for verdict, _ in pull(repository)] == [PASS]


@pytest.mark.parametrize("name", ["README.md", "train_gpt.py", "records/track_10min_16mb/2026-03-18_Mine2/x"])
def test_anything_else_fails(repository, name):
    top = repository.parents[2]
    (top / name).parent.mkdir(parents=True, exist_ok=True)
    (top / name).write_text("changed\n")
    git(top, "add", ".")
    git(top, "commit", "-m", "more")
    [(verdict, finding)] = pull(repository)
    assert verdict is FAIL
    assert name in finding.found


def test_what_git_refuses_is_unchecked(repository, tmp_path_factory):
    assert [v for v, _ in pull(repository, "nowhere")] == [UNCHECKED]
    assert [v for v, _ in pull(repository, "--output=/tmp/x")] == [UNCHECKED]
    elsewhere = tmp_path_factory.mktemp("plain") / "2026-03-18_X"
    elsewhere.mkdir()
    assert [v for v, _ in pull(elsewhere)] == [UNCHECKED]


def test_rules_page_is_fresh():
    import records

    text = (Path(records.__file__).parent / "RULES.md").read_text("utf-8")
    assert text == page(), "write it again: python -m records.rules_page records/RULES.md"

"""The workflow for pull requests: its own steps, run on a repository with good, false and hostile record folders."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

WORKFLOW = Path(__file__).resolve().parent.parent / "bpb_audit/pull-request.yml"


def script() -> str:
    """The text of the step that audits."""
    job = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["audit"]
    return next(step["run"] for step in job["steps"] if step.get("name") == "audit")


def test_the_workflow_may_read_and_nothing_else() -> None:
    held = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    assert held["permissions"] == {"contents": "read"}
    assert set(held[True]) == {"pull_request"}  # YAML reads `on` as true; never pull_request_target
    assert "${{ secrets" not in WORKFLOW.read_text("utf-8")
    assert "${{" not in script()  # nothing of the pull request is pasted into a shell


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """`head`: a base commit, then one that adds record folders; `base/.github/bpb-audit.pyz`: a stand-in."""

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path / "head"), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "head/records/track/2026-01-01_Old").mkdir(parents=True)
    (tmp_path / "head/records/track/2026-01-01_Old/README.md").write_text("old")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    (tmp_path / "sha").write_text(git("rev-parse", "HEAD"))
    for name in ("2026-02-01_Good", "2026-02-02_False", "2026-02-03_$(touch pwned) 'x'"):
        folder = tmp_path / "head/records/track" / name
        folder.mkdir()
        (folder / "submission.json").write_text("FAIL" if "False" in name else "{}")
    git("add", "-A")
    git("commit", "-qm", "records")
    stand_in = textwrap.dedent("""\
        import sys
        from pathlib import Path
        folder, out = Path(sys.argv[1]), Path(sys.argv[sys.argv.index("--out") + 1])
        bad = "FAIL" in (folder / "submission.json").read_text()
        out.write_text('{"verdict": "FAIL"}' if bad and "--json" in sys.argv else f"audited {folder}\\n")
        sys.exit(int(bad))
    """)
    (tmp_path / "base/.github").mkdir(parents=True)
    (tmp_path / "base/.github/bpb-audit.pyz").write_text(stand_in)
    return tmp_path


def run(repository: Path) -> tuple[int, str]:
    env = {
        **os.environ,
        "BASE_SHA": (repository / "sha").read_text(),
        "GITHUB_STEP_SUMMARY": str(repository / "summary"),
    }
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    done = subprocess.run(["bash", "-e", "-c", script()], cwd=repository, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, (repository / "summary").read_text()


def test_every_added_folder_is_audited_and_a_false_one_fails_the_job(repository: Path) -> None:
    status, summary = run(repository)
    assert status == 1
    assert "2026-02-01_Good" in summary
    assert "$(touch pwned) 'x'" in summary
    assert "Old" not in summary
    assert not list(repository.rglob("pwned"))


def test_only_good_folders_pass_and_none_is_said(repository: Path) -> None:
    (repository / "head/records/track/2026-02-02_False/submission.json").write_text("{}")
    assert run(repository)[0] == 0
    (repository / "sha").write_text("HEAD")
    assert "No record folder" in run(repository)[1]


@pytest.mark.slow
def test_the_built_auditor_runs_in_it(repository: Path) -> None:
    from bpb_audit.zipapp_build import build

    build(repository / "base/.github/bpb-audit.pyz")
    status, summary = run(repository)
    assert status in (0, 1)
    assert "2026-02-01_Good" in summary or "PG" in summary

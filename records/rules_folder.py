"""RC1xx: is this a record folder at all: its name, its four files, and nothing that is not what it seems."""

import re
from collections.abc import Iterator
from datetime import date

from .evidence import Case
from .finding import Finding, many
from .rules import Say, rule

UNLIMITED = re.compile(
    r"unlimited|non[- ]?record|not (?:a )?record|MAX_WALLCLOCK_SECONDS=0|no wall-?clock|\b\d+ ?-?h(?:ou)?rs?\b",
    re.IGNORECASE,
)


@rule("RC101", "folder name")
def folder_name(case: Case) -> Iterator[Finding]:
    """The folder is called `YYYY-MM-DD_ShortName`: a real date, an underscore, a name without spaces.

    Names sort by date, and links and shells take them as they are. A name that is not of this form fails.

    Fix: rename the folder, for example `git mv "my run" 2026-03-18_LowerLR`.
    """
    say, name = Say("RC101"), case.folder.name
    found = re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})_(.+)", name)
    form = "YYYY-MM-DD_ShortName"
    fix = f"rename the folder to {form}, without spaces"
    if not found:
        yield say.fail("the folder's name is not a date and a short name", found=name, expected=form, fix=fix)
        return
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        yield say.fail(
            "the folder's name starts with a day that is not in the calendar", found=name, expected=form, fix=fix
        )
        return
    if re.search(r"\s", name):
        yield say.fail("the folder's name holds white space", found=name, expected=form, fix=fix)
    else:
        yield say.ok("named by date and short name", found=name)


@rule("RC102", "README.md")
def readme(case: Case) -> Iterator[Finding]:
    """The folder holds a README.md that explains the submission in reasonable detail.

    A missing or empty one fails. Under 300 characters it is UNCHECKED: a person must say whether that is reasonable
    detail.

    Fix: `pglab record new` writes one from the run's log.
    """
    say, name = Say("RC102"), case.folder.readme
    if name is None or not case.folder.files[name]:
        yield say.fail(
            "README.md is missing or empty", found=name or "no README.md", expected="README.md", fix="write one"
        )
        return
    text = case.folder.text(name).strip()
    if len(text) < 300:
        yield say.unchecked(
            "README.md is very short; does it explain the submission?", where=name, found=f"{len(text)} characters"
        )
    else:
        yield say.ok("README.md explains the submission", where=name, found=f"{len(text):,} characters")


@rule("RC103", "submission.json")
def submission_json(case: Case) -> Iterator[Finding]:
    """The folder holds a file of exactly the name `submission.json`, not empty.

    Tools find it by its name; `submission_binary.json` is read by the other rules here, yet fails this one.

    Fix: rename the file.
    """
    say, name = Say("RC103"), case.folder.json_name
    if name == "submission.json" and case.folder.files[name]:
        yield say.ok("submission.json is there", where=name)
    else:
        yield say.fail(
            "there is no submission.json",
            found=name or "none",
            expected="submission.json",
            fix="add it, or rename the one there",
        )


@rule("RC104", "train log")
def train_log(case: Case) -> Iterator[Finding]:
    """The folder holds at least one log that the script printed: steps, and scores after training.

    Any name will do (`train.log`, `train_seed42.log`, `logs/train0.txt`). A folder without one fails. A log without a
    score after training is UNCHECKED: it may be cut.

    Fix: copy the file the run wrote, whole.
    """
    say, logs = Say("RC104"), case.folder.logs
    readable = [log for log in logs if log.metrics or log.curve]
    if not readable:
        yield say.fail(
            "there is no train log",
            found=", ".join(log.name for log in logs) or "none",
            expected="train.log",
            fix="copy the file the run wrote",
        )
    elif not any(log.finals for log in readable):
        yield say.unchecked(
            "no log holds a score after training", where=readable[0].name, found=many(len(readable), "log")
        )
    else:
        yield say.ok(f"{many(len(readable), 'log')}, {many(len(case.runs), 'run')}", where=readable[0].name)


@rule("RC105", "train_gpt.py")
def train_script(case: Case) -> Iterator[Finding]:
    """The folder holds a `train_gpt.py` of exactly this name, not empty.

    It is the file whose bytes are counted and which must run from inside the folder. A script of another name is read
    by the other rules, yet fails this one.

    Fix: rename the script, or put the submitted one there.
    """
    say, name = Say("RC105"), case.folder.script
    if name == "train_gpt.py":
        yield say.ok(f"train_gpt.py is there, {case.folder.files[name]:,} bytes", where=name)
        return
    size = case.folder.files.get("train_gpt.py")
    met = "an empty train_gpt.py" if size == 0 else (name or "none")
    yield say.fail(
        "there is no train_gpt.py with code in it",
        found=met,
        expected="train_gpt.py",
        fix="add the script, under this name",
    )


@rule("RC106", "plain files")
def plain_files(case: Case) -> Iterator[Finding]:
    """The folder holds plain files only; a link points out of what is submitted, or may.

    Fix: replace each link by a copy of what it points to.
    """
    say = Say("RC106")
    if not case.folder.files:
        yield say.fail(
            "the folder is empty",
            found="no files",
            expected="README.md, submission.json, train.log, train_gpt.py",
            fix="pglab record new fills one from a run",
        )
    elif case.folder.links:
        yield say.fail(
            "links in the folder",
            found=", ".join(case.folder.links[:5]),
            expected="plain files",
            fix="copy the files themselves",
        )
    else:
        yield say.ok(f"{len(case.folder.files)} plain files")


@rule("RC107", "unlimited compute is stated")
def unlimited(case: Case) -> Iterator[Finding]:
    """A run that trained for longer than the ten minutes says so in its README (non-record track).

    The non-record track takes such runs, when the README notes it. In the ten-minute track rule RC601 judges.

    Fix: add a line such as "Unlimited compute: trained for 4 hours" to README.md.
    """
    say = Say("RC107")
    if case.track == "10min":
        yield say.ok("ten-minute track: nothing to state (RC601 judges the time)")
        return
    times = [one.seconds for run in case.supporting or case.runs for one in run.train_times]
    if not times:
        yield say.unchecked("no log states its training time")
    elif max(times) <= 601:
        yield say.ok(f"trained for {max(times):,.0f} s, within ten minutes")
    elif case.folder.readme and UNLIMITED.search(case.folder.text(case.folder.readme)):
        yield say.ok(f"trained for {max(times):,.0f} s, and the README says so", where=case.folder.readme)
    else:
        yield say.fail(
            "trained for longer than ten minutes, and the README does not say so",
            found=f"{max(times):,.0f} s",
            expected="a word on unlimited compute",
            fix="add it to README.md",
            where=case.folder.readme or "",
        )

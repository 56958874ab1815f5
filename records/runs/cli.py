"""The words `pglab run`, `pglab runs ...` and `pglab watch`. Thin, and nothing heavy imported early."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from pglab_report import Ways

MOST_JOBS = 1024  # stages at a time; each is a process

runs = App(name="runs", help="Runs of a store: list them, look at one, set some beside each other, prune.")


def run(
    recipe: Path,
    /,
    *,
    store: Path = Path("runs"),
    jobs: int = 1,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    ways: Ways = Ways(),
) -> int:
    """A whole experiment from one file: vocabularies x models x codecs x seeds; nothing is computed twice.

    The file is TOML: name, docs, seeds, then any number of [[vocabulary]] (name, kind, size), [[model]] (name, recipe,
    seconds, set) and [[codec]] (recipe). Interrupt it when you like: the same command continues.

    Parameters
    ----------
    recipe
        The experiment, a TOML file.
    store
        Folder of runs; what was done in it before is used again.
    jobs
        Stages at a time.
    dry_run
        Only say what would be done, with guesses of seconds and bytes.
    """
    from pglab_report import show

    from .errors import RunError
    from .experiment import dry_run as planned
    from .experiment import run_experiment

    if not 1 <= jobs <= MOST_JOBS:
        raise RunError(f"--jobs {jobs}: wanted 1 to {MOST_JOBS:,}.")
    if store.exists() and not store.is_dir():
        raise RunError(f"--store {store}: is a file; wanted a folder of runs.")
    if dry_run:
        return show(planned(recipe, store, jobs), ways)

    def tell(line: str) -> None:
        if not ways.quiet:
            print(line, file=sys.stderr, flush=True)

    return show(run_experiment(recipe, store, jobs, tell, ways.quiet), ways)


@runs.command(name="list")
def list_(*, store: Path = Path("runs"), ways: Ways = Ways()) -> int:
    """Every experiment and training under a folder, the newest first.

    Parameters
    ----------
    store
        Folder of runs.
    """
    from pglab_report import Column, Report, Table, show

    from .index import list_runs

    rows = list_runs(store)
    columns = [
        Column("id", "run"),
        Column("kind"),
        Column("status"),
        Column("made", "begun"),
        Column("results", format=",d"),
        Column("bpb_raw", "best bpb_raw", format=".4f"),
        Column("bytes_total", "smallest", "bytes", ",d"),
    ]
    says = f"{len(rows):,} runs in {store}." if rows else f"No runs in {store}. Begin with: pglab run RECIPE.toml"
    return show(Report(f"Runs in {store}", [says], [Table("runs", "", columns, rows)]), ways)


@runs.command(name="show")
def show_(name: str, /, *, store: Path = Path("runs"), ways: Ways = Ways()) -> int:
    """One run: its scores with intervals over seeds, sizes, vocabularies, stages, curves.

    Parameters
    ----------
    name
        The run, as `pglab runs list` names it, the beginning of its name, or its folder.
    store
        Folder of runs.
    """
    from pglab_report import show

    from .chosen import choose, report_of_run

    return show(report_of_run(choose(name, store), store), ways)


@runs.command
def compare(*names: str, store: Path = Path("runs"), ways: Ways = Ways()) -> int:
    """Runs beside each other: scores with intervals over seeds, sizes, curves over each other.

    Parameters
    ----------
    names
        Runs, as `pglab runs list` names them, or their folders.
    store
        Folder of runs.
    """
    from pglab_report import show

    from .chosen import choose, compared
    from .errors import RunError

    if not names:
        raise RunError("no run was named, so there is nothing to compare. See: pglab runs list")
    return show(compared([choose(name, store) for name in names]), ways)


@runs.command
def prune(
    *,
    store: Path = Path("runs"),
    older_than: str = "",
    keep: int | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    ways: Ways = Ways(),
) -> int:
    """Remove stages that no experiment refers to, and first the experiments that the options name.

    An experiment goes when it is older than --older-than and not among the newest --keep; with one of the two, by that
    one. What is running, and stages that others need or a command holds, stays. Trainings that stand alone stay, too.

    Parameters
    ----------
    store
        Folder of runs.
    older_than
        Age since the experiment's end, such as 30d, 12h or 2w.
    keep
        How many of the newest experiments stay.
    dry_run
        Remove nothing; say what would go.
    """
    from pglab_report import show

    from .errors import RunError
    from .prune import age_of
    from .prune import prune as pruned

    if keep is not None and keep < 0:
        raise RunError(f"--keep {keep}: wanted 0 or more.")
    return show(pruned(store, age_of(older_than) if older_than else None, keep, dry_run), ways)


def watch(
    place: Path,
    /,
    *,
    every: float = 1.0,
    once: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Follow a training: loss, bits per byte, tokens a second, time left, and where it will end; leaves when it ends.

    Parameters
    ----------
    place
        Folder of the training, its train.log, or an experiment's folder (its newest training).
    every
        Seconds between two looks.
    once
        Say where it stands now and leave.
    json
        Say it as one line of JSON at each look at which something is new.
    """
    from .watch import follow

    return follow(place, every, once, json)

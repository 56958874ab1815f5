"""`pglab record ...`: a submission's life on the command line; thin, the work is in the modules beside it."""

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from pglab_report import Ways

from .cli_board import rank, significance, site, survey

record = App(name="record", help="A submission's life: new, check, pack, rank, report.")
for command in (significance, rank, survey, site):
    record.command(command)


NONE = Ways()


@record.command
def new(
    name: str,
    /,
    *,
    track: Literal["10min", "non-record"],
    run: Path,
    out: Path,
    author: str = "",
    github_id: str = "",
    date: str = "",
    blurb: str = "",
    artifact: Path | None = None,
    with_artifact: bool = False,
    json: bool = False,
) -> int:
    """Make a dated record folder from a finished run.

    Parameters
    ----------
    name
        Short name; the folder is called YYYY-MM-DD_NAME.
    track
        10min is the leaderboard; non-record takes any machine and any time.
    run
        Folder of the run: train_gpt.py, train.log, and the artifact.
    out
        Folder the record is put in, for example records/track_10min_16mb.
    author
        Your name.
    github_id
        Your GitHub id.
    date
        ISO date of the record; today when left out.
    blurb
        One sentence on what is new.
    artifact
        The compressed model that was scored; found in the run when left out.
    with_artifact
        Put the compressed model into the folder too.
    json
        Print one JSON document.
    """
    from .new import new_record

    made = new_record(
        name,
        track,
        run,
        out,
        author=author,
        github_id=github_id,
        day=date,
        blurb=blurb,
        artifact=artifact,
        with_artifact=with_artifact,
    )
    files = {item.name: item.stat().st_size for item in sorted(made.iterdir())}
    if json:
        print(json_module.dumps({"path": str(made), "files": files}))
    else:
        print(made)
        for item, size in files.items():
            print(f"  {item:<18} {size:>12,} bytes")
        if not author or not github_id:
            print("give --author and --github-id before you submit; they read `unknown` now.", file=sys.stderr)
    return 0


@record.command
def check(
    *paths: Path,
    docs: Path | None = None,
    shards: Path | None = None,
    tokenizer: Path | None = None,
    sidecar: Path | None = None,
    pr: str = "",
    explain: str = "",
    quick: Annotated[bool, Parameter(negative=())] = False,
    markdown: Annotated[bool, Parameter(negative=())] = False,
    all: Annotated[bool, Parameter(negative=())] = False,
    ways: Ways = NONE,
) -> int:
    """Judge record folders by every rule: PASS, FAIL or UNCHECKED, with what was found and how to mend it.

    Parameters
    ----------
    paths
        Record folders, or folders that hold them.
    docs
        Raw documents (JSON lines) for the auditor to count bytes from.
    shards
        Folder of the validation shards, for the auditor.
    tokenizer
        Tokenizer file, for the auditor.
    sidecar
        Byte sidecar of the validation shards, for the auditor.
    pr
        A git revision: also check that what changed since it is this folder alone.
    explain
        Print one rule's page (for example RC301) and leave.
    quick
        Leave the auditor out: no RC701.
    markdown
        Print Markdown, for a comment on a pull request.
    all
        Print the findings that passed, too.
    """
    from .check import check_paths
    from .check_text import show
    from .errors import RecordError
    from .rules import explain as page

    if explain:
        print(page(explain))
        return 0
    if not paths:
        raise RecordError(
            "no folder was given, so nothing was checked. Try: pglab record check records/track_10min_16mb"
        )
    audit = {k: v for k, v in {"docs": docs, "shards": shards, "tokenizer": tokenizer, "sidecar": sidecar}.items() if v}
    if ways.json and markdown:
        raise RecordError("--json and --markdown were both given, and one of them can be printed. Leave one out.")
    reports = check_paths(list(paths), audit, pr, quick)
    if ways.out:
        from pglab_report import show as show_report

        from .check_report import report_of

        show_report(report_of(reports), Ways(out=ways.out, quiet=True))
    if ways.json:
        data = [report.as_json() for report in reports]
        print(json_module.dumps(data[0] if len(data) == 1 else data, ensure_ascii=False, indent=1))
    elif markdown:
        from .check_markdown import markdown as as_markdown

        print(as_markdown(reports), end="")
    elif not ways.quiet:
        show(reports, everything=all)
    return max((report.status for report in reports), default=1)


@record.command
def rules(*, json: bool = False) -> int:
    """List every rule: its code, its name, and its first sentence.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    from .rules import load_rules

    table = [{"rule": r.code, "name": r.name, "says": r.page.split("\n")[0]} for r in load_rules().values()]
    if json:
        print(json_module.dumps(table, indent=1))
    else:
        for row in table:
            print(f"{row['rule']}  {row['name']:<40} {row['says']}")
    return 0


@record.command
def report(
    run: Path, /, *, out: Path = Path("report.html"), json: Annotated[bool, Parameter(negative=())] = False
) -> int:
    """One self-contained HTML page of a run folder: text, vocabularies, training, codecs, score, audit, record.

    Parameters
    ----------
    run
        Folder of a tour or run.
    out
        The page to write.
    json
        Print one JSON document.
    """
    from .report import write_report

    size = write_report(run, out)
    print(json_module.dumps({"path": str(out), "bytes": size}) if json else f"{out}  {size:,} bytes")
    return 0


@record.command
def pack(
    folder: Path,
    /,
    *,
    out: Path | None = None,
    artifact: Path | None = None,
    packed: Annotated[bool, Parameter(negative=())] = False,
    recipe: str = "",
    shards: Path | None = None,
    config: Path | None = None,
    trust: Annotated[bool, Parameter(negative=())] = False,
    json: bool = False,
) -> int:
    """Write the bytes that are counted, under the cap, and prove that the folder alone gives its score.

    Given a script instead of a folder, it is read and described, and never run.

    Parameters
    ----------
    folder
        A record folder, or a train_gpt.py of anybody's.
    out
        The packed folder to write.
    artifact
        The compressed model; found in the folder when left out.
    packed
        Ship the script in a self-extracting form, the readable text beside it.
    recipe
        The folder has no train_gpt.py: bundle one from this recipe first (a name or a TOML file).
    shards
        Validation shards to prove the score on; without them nothing is proved, and the exit status is 1.
    config
        The run's config.json, when it changed the settings in the script.
    trust
        The script is yours: run it where bubblewrap does not work, too.
    json
        Print one JSON document.
    """
    from .errors import RecordError
    from .pack import inspect, pack_record
    from .submission import CAP

    if folder.is_file():
        told = inspect(folder)
        if json:
            print(json_module.dumps(told, indent=1))
        else:
            form = f"packed, {told['bytes_inside']:,} bytes inside" if told["packed"] else "plain"
            print(f"{folder}: {told['bytes']:,} bytes, {form}; {'compiles' if told['compiles'] else told['error']}")
            if told["imports"] is None:
                why = "a newer Python may read it" if told["newer"] else "no Python reads it"
                print(f"imports and network calls are unknown: {why}")
            else:
                network = "; ".join(told["network"]) or "none"
                print(f"imports {', '.join(told['imports']) or 'nothing'}; network: {network}")
        return 0 if told["compiles"] and told["network"] == [] else 1
    if out is None:
        raise RecordError("--out is missing; give the folder to write, for example --out packed/2026-03-18_Name.")
    made = pack_record(folder, out, artifact, packed, recipe)
    answer = {"path": str(made.path), "artifact": made.artifact, "bytes_code": made.bytes_code}
    answer |= {"bytes_model": made.bytes_model, "bytes_total": made.total, "left": CAP - made.total}
    if not json:
        print(f"{made.path}: {made.bytes_code:,} (train_gpt.py) + {made.bytes_model:,} ({made.artifact}) = "
              f"{made.total:,} bytes, {CAP - made.total:,} left under {CAP:,}")  # fmt: skip
    if shards is None:
        if json:
            print(json_module.dumps({**answer, "proof": None}, indent=1))
        else:
            print("not proved: give --shards to score the folder alone.", file=sys.stderr)
        return 1
    return _prove(made.path, made.artifact, shards, config, trust, answer, json)


def _prove(
    path: Path, artifact: str, shards: Path, config: Path | None, trust: bool, answer: dict[str, Any], json: bool
) -> int:
    from .folder import open_folder
    from .proof import prove

    claims = open_folder(path).claims
    proof = prove(path, artifact, shards, config, trust)
    claimed = float(claims.val_bpb) if claims and claims.val_bpb else None
    got = float(proof.score["bpb_table"])
    same = claimed is not None and abs(got - claimed) <= 1e-4
    if json:
        told = {"isolation": proof.isolation, "claimed_bpb": claimed, "reproduced": same, **proof.score}
        print(json_module.dumps({**answer, "proof": told}, indent=1))
    else:
        print(f"alone it scores {got:.8f} bits per byte ({proof.isolation}); claimed {claimed}.")
        print("reproduced." if same else "not reproduced: the two differ by more than 0.0001.")
    return 0 if same else 1

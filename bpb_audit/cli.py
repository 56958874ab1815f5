"""The auditor's own command line, on the standard library: `pglab audit`, `python -m bpb_audit`, `bpb-audit.pyz`.

    pglab audit records/track_10min_16mb/2026-11-21_Name --docs docs.jsonl --shards shards --tokenizer tokenizer.model
    pglab audit --explain PG121

Exit status: 0 every finding passes, 1 something failed or could not be checked, 2 could not run.
"""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from .aside import write_aside
from .command_line import FINDINGS, GOOD, place, run_line
from .errors import AuditError
from .progress import Progress

if TYPE_CHECKING:
    from .finding import Report

SUFFIXES = {".txt": "text", ".json": "json", ".csv": "csv", ".md": "markdown", ".html": "html"}  # of --out -> --format
MOST_TOKENS = 1 << 20  # the longest sequence or stride that is no slip of the hand


def parser() -> argparse.ArgumentParser:
    """The options; every one has its line of help."""
    made = argparse.ArgumentParser(
        prog="pglab audit",
        description="Recount a submission's bits per byte from raw UTF-8, and say what could not be checked.",
        epilog="Exit status: 0 all pass, 1 something failed or could not be checked, 2 could not run.",
    )
    made.add_argument("paths", nargs="*", type=place, metavar="PATH", help="record folder, or one log, script or JSON")
    made.add_argument("--docs", type=place, metavar="FILE", help="raw documents, one JSON object with `text` a line")
    made.add_argument(
        "--shards", type=place, metavar="DIR", help="folder with fineweb_val_*.bin (and fineweb_train_*.bin)"
    )
    made.add_argument(
        "--tokenizer", type=place, metavar="FILE", help=".model, tokenizer.json, tiktoken ranks or .npz table"
    )
    made.add_argument("--sidecar", type=place, metavar="FILE", help="original bytes per validation token")
    made.add_argument(
        "--documents",
        type=int,
        metavar="N",
        help="how many first documents of --docs are validation (default: manifest)",
    )
    made.add_argument(
        "--seq-len", type=int, metavar="N", help="evaluation sequence length, tokens (default: from the log)"
    )
    made.add_argument("--stride", type=int, metavar="N", help="sliding-window stride, tokens")
    made.add_argument(
        "--allow-limits-only",
        action="store_true",
        help="run a submission's byte table even where only resource limits hold it (no bwrap, no unshare)",
    )
    made.add_argument(
        "--format", choices=tuple(SUFFIXES.values()), help="how to write the report (default: as --out ends, else text)"
    )
    made.add_argument("--json", action="store_true", help="the same as --format json")
    made.add_argument("--out", type=place, metavar="FILE", help="write the report there instead of standard output")
    made.add_argument("--only", action="append", default=[], metavar="RULE", help="run this rule only (repeatable)")
    made.add_argument("--explain", metavar="RULE", help="print what a rule wants, why, and how to fix it (or: all)")
    return made


def _given(options: argparse.Namespace) -> None:
    """What was named is there, readable at its start, and no nonsense. Raises AuditError."""
    from .documents import read_documents
    from .tokenizer_files import open_tokenizer

    for name in ("docs", "shards", "tokenizer", "sidecar"):
        given = getattr(options, name)
        if given is not None and not given.exists():
            raise AuditError(f"--{name} {given}: no such file or folder; name an existing one.")
    if options.shards is not None and not options.shards.is_dir():
        raise AuditError(f"--shards {options.shards}: is a file, wanted the folder that holds fineweb_val_*.bin.")
    for name, unit in (("seq_len", "token"), ("stride", "token"), ("documents", "document")):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise AuditError(f"--{name.replace('_', '-')} {value}: wanted at least 1 {unit}.")
        if value is not None and unit == "token" and value > MOST_TOKENS:
            raise AuditError(f"--{name.replace('_', '-')} {value}: wanted at most {MOST_TOKENS:,} tokens.")
    if options.seq_len and options.stride and options.stride > options.seq_len:
        raise AuditError(
            f"--stride {options.stride}: a window of {options.seq_len} tokens would skip targets; wanted at most that."
        )
    if options.tokenizer is not None:
        open_tokenizer(options.tokenizer)
    if options.docs is not None:
        next(read_documents(options.docs), None)


def _named(options: argparse.Namespace, reports: "list[Report]") -> None:
    """A file that the user named and that cannot be read to its end ends the audit, said once. Raises AuditError."""
    for given in (options.docs, options.tokenizer):
        start = f"could not be checked: {given}:"
        for finding in (one for report in reports for one in report.findings if given is not None):
            if finding.says.startswith(start):
                raise AuditError(finding.says.removeprefix("could not be checked: "))


def run(options: argparse.Namespace) -> int:
    """Audit what was asked for. Raises AuditError for what cannot be run."""
    from .audit import audit
    from .evidence import Evidence
    from .report import as_csv, as_json, as_markdown, as_text
    from .report_page import as_html
    from .rules import all_rules, explain, pages

    if options.explain:
        print(pages() if options.explain.lower() == "all" else explain(options.explain), end="")
        return GOOD
    if not options.paths:
        raise AuditError("nothing to audit; name a record folder. Try: pglab audit PATH --docs docs.jsonl --shards DIR")
    _given(options)
    known = {one.code for one in all_rules()}
    only = tuple(code.upper() for code in options.only)
    for code in only:
        if code not in known:
            explain(code)  # raises, naming the rules there are
            raise AuditError(
                f"--only {code}: a behaviour probe needs a scorer to call. Try: pglab audit --explain {code}"
            )
    tell = Progress("auditing", "rules", len(options.paths) * len(only or known))
    reports: list[Report] = []
    left_out: list[str] = []
    for path in options.paths:
        evidence = Evidence(
            path,
            options.docs,
            options.shards,
            options.tokenizer,
            options.sidecar,
            options.seq_len,
            options.stride,
            options.documents,
            options.allow_limits_only,
        )
        try:
            reports.append(audit(evidence, only, tell))
        except AuditError as error:  # one path without anything to audit keeps nobody from the reports of the others
            if len(options.paths) == 1:
                raise
            left_out.append(str(error))
        finally:
            tell.wipe()
    if not reports:
        raise AuditError(" ".join(left_out))
    _named(options, reports)
    kind = "json" if options.json else options.format
    if kind is None:
        kind = SUFFIXES.get(options.out.suffix.lower(), "text") if options.out is not None else "text"
    if kind == "text":
        colour = options.out is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        text = as_text(reports, colour)
    else:
        text = {"json": as_json, "csv": as_csv, "markdown": as_markdown, "html": as_html}[kind](reports)
    if options.out is not None:
        write_aside(options.out, text.encode("utf-8"))
        print(f"written: {options.out}", file=sys.stderr)
    else:
        sys.stdout.write(text)
    if left_out:
        raise AuditError(" ".join(left_out))
    return GOOD if all(one.good for one in reports) else FINDINGS


def main(argv: list[str]) -> int:
    """Run one command line (without the program's name); returns the exit status, errors as one sentence on stderr."""
    return run_line(parser(), run, argv)

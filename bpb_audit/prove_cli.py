"""The proof's own command line, on the standard library: `pglab prove`, `python -m bpb_audit prove`, and the zipapp.

    pglab prove write ARTIFACT --docs docs.jsonl --shards shards --out proof.pgp
    pglab prove check proof.pgp ARTIFACT --vocab shards
    pglab prove info proof.pgp

Exit status: 0 written, or restored and equal; 1 the proof does not hold; 2 could not run.
"""

import argparse
import json

from .command_line import FINDINGS, GOOD, leave_output, place, run_line
from .progress import Progress

MOST = 1 << 20


def count(word: str) -> int:
    """A whole number from 0 on. Raises argparse's error."""
    if not word.isascii() or not word.isdigit() or int(word) > MOST:
        raise argparse.ArgumentTypeError(f"{word!r}: wanted a whole number, 0 to {MOST:,}.")
    return int(word)


def parser() -> argparse.ArgumentParser:
    """The options; every one has its line of help."""
    made = argparse.ArgumentParser(
        prog="pglab prove",
        description="The validation text really compressed with the model, and restored: bits per byte without trust.",
        epilog="Exit status: 0 written, or restored and equal; 1 the proof does not hold; 2 could not run.",
    )
    verbs = made.add_subparsers(dest="verb", required=True, metavar="write|check|info")
    write = verbs.add_parser("write", help="compress the documents with the model into a proof, and verify it")
    write.add_argument("artifact", type=place, metavar="ARTIFACT", help="the trained model as it is submitted")
    write.add_argument(
        "--docs", type=place, required=True, metavar="FILE", help="raw documents, one JSON object a line"
    )
    write.add_argument("--shards", type=place, metavar="DIR", help="the scored tokens; made with --vocab if not given")
    write.add_argument(
        "--vocab", type=place, metavar="PATH", help="tokenizer file or folder (default: beside the shards)"
    )
    write.add_argument("--out", type=place, required=True, metavar="FILE", help="the proof, such as proof.pgp")
    write.add_argument(
        "--context",
        choices=("windows", "documents"),
        default="windows",
        help="where the model starts afresh: as the ordinary evaluation does, or at each document too",
    )
    write.add_argument(
        "--path", choices=("kv", "replay"), default="kv", help="kv: portable, fp64. replay: as evaluated"
    )
    write.add_argument("--rows", type=count, default=0, metavar="S", help="streams side by side at most (default: 64)")
    write.add_argument(
        "--sample", type=count, default=0, metavar="N", help="prove N documents only, and say how far off"
    )
    write.add_argument("--windows", type=count, metavar="N", help="verify N windows by steps (replay: 300), 0 for all")
    check = verbs.add_parser("check", help="restore the documents from a proof and the artifact alone, and compare")
    check.add_argument("proof", type=place, metavar="PROOF", help="the file that `write` made")
    check.add_argument("artifact", type=place, metavar="ARTIFACT", help="the model that it was made with")
    check.add_argument("--vocab", type=place, metavar="PATH", help="tokenizer file or folder (default: near ARTIFACT)")
    check.add_argument("--docs", type=place, metavar="FILE", help="compare with these documents, one by one, as well")
    check.add_argument("--documents", default="", metavar="LIST", help="only these, such as 17,4000:4100")
    check.add_argument("--sample", type=count, default=0, metavar="N", help="only N documents, drawn by --seed")
    check.add_argument("--out", type=place, metavar="FILE", help="write the restored documents there, as JSON lines")
    info = verbs.add_parser("info", help="what a proof says of itself, nothing decoded")
    info.add_argument("proof", type=place, metavar="PROOF", help="the file that `write` made")
    for verb in (write, check):
        verb.add_argument(
            "--workers", type=count, default=0, metavar="N", help="units at a time (default: 1 a processor, at most 4)"
        )
        verb.add_argument("--seed", type=count, default=0, metavar="N", help="of the sample (default 0)")
        verb.add_argument("--scorer", type=place, metavar="FILE", help="a Python file with start, next_distribution")
        verb.add_argument(
            "--command", default="", metavar="WORDS", help="any scorer command; {artifact} {rows} {length}"
        )
        verb.add_argument(
            "--length", type=count, default=0, metavar="T", help="tokens of a window (default: the model's)"
        )
        verb.add_argument("--dtype", default="", help="of the scorer's arithmetic (default: its own)")
        verb.add_argument("--device", default="", help="cpu or cuda (default: cpu)")
    for verb in (write, check, info):
        verb.add_argument("--json", action="store_true", help="numbers as JSON on standard output")
    return made


def run(options: argparse.Namespace) -> int:
    """Do what was asked. Raises AuditError or OSError for what cannot be run."""
    from .prove_check import Asked, check
    from .prove_command import Choice
    from .prove_format import ProofFile
    from .prove_report import header_text
    from .prove_write import Wish, write

    if options.verb == "info":
        proof = ProofFile(options.proof)
        print(header_text(proof, options.json), end="")
        return GOOD
    path = options.path if options.verb == "write" else _path_of(ProofFile(options.proof).header.about)
    choice = Choice(
        options.artifact, options.scorer, options.command, path, options.length, options.dtype, options.device
    )
    tell, wrong = Progress("proving", "tokens"), list[str]()
    try:
        if options.verb == "write":
            windows = options.windows if options.windows is not None else 300 * (path == "replay")
            report = write(
                Wish(
                    choice,
                    options.docs,
                    options.out,
                    options.shards,
                    options.vocab,
                    options.context == "documents",
                    options.rows,
                    options.sample,
                    options.seed,
                    windows,
                    options.workers,
                ),
                tell,
                tell.expect,
            )
        else:
            asked = Asked(
                options.proof,
                choice,
                options.vocab,
                options.docs,
                options.documents,
                options.sample,
                options.seed,
                options.out,
                options.workers,
            )
            report, wrong = check(asked, tell, tell.expect)
    finally:
        tell.wipe()
    if options.json:
        said = json.dumps(report.numbers() | {"wrong": wrong}, indent=1) + "\n"
    else:
        said = report.text() + "".join(f"FAIL {one}\n" for one in wrong)
        if options.verb == "write":
            said += f"What compressors make of it: pglab codec text {options.docs} --field text"
            said += f" --documents {report.header.documents} --prime FILE\n" if not report.header.sampled else "\n"
    try:
        print(said, end="", flush=True)
    except BrokenPipeError:  # the reader of our output left, as `head` does; the status is still the verdict's
        leave_output()
    return FINDINGS if wrong else GOOD


def _path_of(about: str) -> str:
    """Which way a proof's scorer went, as its header says it."""
    try:
        path = json.loads(about)["path"]
    except (ValueError, KeyError, TypeError):
        path = "kv"
    return path if path in ("kv", "replay") else "kv"


def main(argv: list[str]) -> int:
    """Run one command line (without the program's name); returns the exit status, errors as one sentence on stderr."""
    return run_line(parser(), run, argv)

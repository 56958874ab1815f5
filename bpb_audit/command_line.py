"""What the auditor's command lines share: paths as typed, exit statuses, and every error as one sentence on stderr.

Exit status: 0 good, 1 findings (something failed, or could not be checked), 2 could not run, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import AuditError

GOOD, FINDINGS, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130


def place(word: str) -> Path:
    """A path as typed. Raises argparse's error for an empty word, which would mean this folder, and for a NUL."""
    if not word:
        raise argparse.ArgumentTypeError("an empty path (an unset variable?); name one, or . for this folder.")
    if "\0" in word:
        raise argparse.ArgumentTypeError("a path with a zero byte in it; name another.")
    return Path(word)


def leave_output() -> None:
    """The reader of our output has left, as `head` does: what is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_line(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int], argv: list[str]) -> int:
    """Parse one command line (without the program's name) and run it; returns the exit status.

    run: raises AuditError or OSError for what it cannot do; both become a sentence and status 2.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us, as `>&-` does
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    try:
        options = parser.parse_args(argv)
    except SystemExit as leaving:  # argparse has printed help or what is wrong
        return leaving.code if isinstance(leaving.code, int) else COULD_NOT_RUN
    try:
        status = run(options)
        sys.stdout.flush()
        return status
    except AuditError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:
        leave_output()
        return GOOD
    except OSError as error:
        where = error.filename or getattr(options, "out", None) or getattr(options, "proof", None)
        print(f"error: {f'{where}: ' if where else ''}{error.strerror or error}.", file=sys.stderr)
    except MemoryError:
        print("error: not enough memory for this input.", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, and the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED
    return COULD_NOT_RUN

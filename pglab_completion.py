"""`pglab completion`: what makes a shell complete the lab's words, printed or installed."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Shell = Literal["bash", "zsh", "fish", "powershell"]


class CompletionError(ValueError):
    """No script can be made for this shell; the message is a sentence for the user."""

    sentence = True


def completion(
    shell: Shell | None = None, /, *, install: Annotated[bool, Parameter(negative=())] = False, out: Path | None = None
) -> int:
    """Make your shell complete commands and options: print the script, or install it.

    Parameters
    ----------
    shell
        bash, zsh, fish or powershell; the shell you are in without it.
    install
        Write it where the shell looks for such scripts, and name that place in the shell's start-up file.
    out
        Write it to this file instead; no start-up file is touched.
    """
    from cyclopts.exceptions import CycloptsError

    from pglab import build_app

    if out is not None and out.is_dir():
        raise CompletionError(f"--out {out}: is a folder; wanted the name of a file to write.")
    try:
        if install or out is not None:
            place = build_app().install_completion(shell=shell, output=out, add_to_startup=out is None)
            print(f"{place}: installed; begin a new shell to have it.")
        else:
            print(build_app().generate_completion(shell=shell))
    except (ValueError, RuntimeError, CycloptsError) as error:
        raise CompletionError(f"{str(error).rstrip('.')}. Name the shell: pglab completion bash") from None
    return 0

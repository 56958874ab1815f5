"""RC108: what a pull request touches, by git."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .errors import RecordError
from .evidence import Case
from .finding import Finding, many
from .rules import Say, rule


@rule("RC108", "pull request adds this folder only")
def adds_only(case: Case) -> Iterator[Finding]:
    """The pull request only adds files, and all of them inside this folder.

    Asked for with `--pr BASE`, a git revision such as `origin/main`; without it this rule is not run. Compared is the
    merge base of BASE and HEAD with HEAD, as a pull request is; files that are not committed are not part of it. Any
    path elsewhere fails, and so does a file that was there before and is changed, renamed or deleted.

    Fix: take the other paths out of the branch, `git checkout BASE -- PATH`.
    """
    say = Say("RC108")
    top = Path(git(case.folder.path, "rev-parse", "--show-toplevel").strip())
    changed = git(case.folder.path, "diff", "--name-status", "--no-renames", "-z", f"{case.pull_base}...HEAD").split(
        "\0"
    )
    pairs = list(zip(changed[::2], changed[1::2], strict=False))
    inside = case.folder.path.resolve().relative_to(top.resolve()).as_posix() + "/"
    if not pairs:
        yield say.unchecked(f"nothing is committed since {case.pull_base}", fix="commit the folder")
        return
    bad = [f"{status} {name}" for status, name in pairs if status != "A" or not name.startswith(inside)]
    if bad:
        yield say.fail(
            f"{many(len(bad), 'path')} outside this folder, or not newly added",
            where=bad[0].split(" ", 1)[1],
            found="; ".join(bad[:5]),
            expected=f"only new files in {inside}",
            fix=f"git checkout {case.pull_base} -- PATH",
        )
    else:
        yield say.ok(f"{many(len(pairs), 'new file')}, all in this folder", found=inside)


def git(where: Path, *words: str) -> str:
    """What git prints. Raises RecordError, in git's words, when it fails or is not there. No pager, no prompt."""
    calm = {"GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat", "GIT_OPTIONAL_LOCKS": "0"}
    if words and any(word.startswith("-") for word in words if "..." in word):
        raise RecordError(f"{words[-1]!r} is no git revision; give for example --pr origin/main.")
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            env={**os.environ, **calm},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RecordError(f"git could not be run ({error})") from error
    if done.returncode:
        raise RecordError(f"git says: {(done.stderr.strip().splitlines() or ['nothing'])[0]}")
    return done.stdout

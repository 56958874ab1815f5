"""Work in a process of its own: what crashes, hangs or leaves a GPU broken costs nothing but itself.

An illegal access to a GPU's memory breaks every later call of its process; a driver can abort it, or never answer.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from .errors import ModelError


def answer(back: Connection, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Send (result, "") or (None, what went wrong), in the process that works."""
    try:
        found = work(*given), ""
    except Exception as error:  # whatever a driver or a compiler says
        found = None, short(error)
    back.send(found)
    back.close()


def apart(work: Callable[..., Any], *given: Any, seconds: float) -> Any:
    """What `work`, a function of a module, gives in a fresh process. ModelError when it fails, dies or takes longer."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(False)
    child = spawn.Process(target=answer, args=(there, work, given))
    child.start()
    there.close()  # so that its end is seen here when it dies
    try:
        if not here.poll(seconds):
            raise ModelError(f"not over after {seconds:,.0f} s, so it was ended.")
        try:
            found, wrong = here.recv()
        except EOFError:
            child.join(5)
            raise ModelError(f"its process died with status {child.exitcode}; see what it said above.") from None
    finally:
        here.close()
        child.join(1)
        if child.is_alive():
            child.kill()
            child.join()
    if wrong:
        raise ModelError(wrong)
    return found


def short(error: BaseException) -> str:
    """The first line of what went wrong."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"

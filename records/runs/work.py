"""The stages of a plan, done in order, several at a time where asked for; one failure does not stop the rest."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from .child import end_all
from .plan import Plan
from .stage import Stage
from .store import Done, Store

Tell = Callable[[str], None]


@dataclass
class Outcome:
    """What became of a plan's stages, by key. left: stages not begun, since what they need failed."""

    done: dict[str, Done] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def work(plan: Plan, store: Store, jobs: int, tell: Tell, quiet: bool = False) -> Outcome:
    """Do every stage that is not done. jobs: stages at a time; with more than one, or quiet, commands speak into
    `said.log` in their folder. An interrupt lets the running commands save their work and is then raised."""
    stages = {stage.key: stage for stage in plan.stages}
    order = TopologicalSorter({key: {need.key for need in stage.needs.values()} for key, stage in stages.items()})
    order.prepare()
    outcome, number = Outcome(), 0
    running: dict[Future[Done], Stage] = {}
    asked = threading.Event()  # nothing new begins after an interrupt
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while order.is_active():
                for key in order.get_ready():
                    stage = stages[key]
                    if any(need.key not in outcome.done for need in stage.needs.values()):
                        outcome.left.append(key)
                        order.done(key)
                        continue
                    running[pool.submit(one, stage, store, tell, jobs > 1 or quiet, asked)] = stage
                if not running:
                    continue
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    stage, number = running.pop(future), number + 1
                    settle(stage, future, outcome)
                    tell(f"[{number}/{len(stages)}] {stage.name}: {words_of(stage, outcome)}")
                    order.done(stage.key)
        except BaseException as error:
            asked.set()
            end_all(ask=not isinstance(error, KeyboardInterrupt) or isinstance(error, Terminated))
            raise
    return outcome


def one(stage: Stage, store: Store, tell: Tell, to_file: bool, asked: threading.Event) -> Done:
    """One stage in a thread of its own."""
    if asked.is_set():
        raise KeyboardInterrupt
    log = store.stages / stage.folder / "said.log" if to_file else None
    return store.run(stage, tell if not to_file else lambda line: None, log)


def settle(stage: Stage, future: "Future[Done]", outcome: Outcome) -> None:
    """Note what became of a stage. A user's error is noted; a bug or an interrupt is raised."""
    error = future.exception()
    if error is None:
        outcome.done[stage.key] = future.result()
    elif getattr(type(error), "sentence", False) or isinstance(error, OSError):
        outcome.failed[stage.key] = str(error)
    else:
        raise error


def words_of(stage: Stage, outcome: Outcome) -> str:
    """The end of a stage's line."""
    if stage.key in outcome.failed:
        return f"FAILED: {outcome.failed[stage.key]}"
    done = outcome.done[stage.key]
    return f"{done.seconds:,.1f} s, {done.bytes:,} bytes" + ("" if done.fresh else ", done before")


class Terminated(KeyboardInterrupt):
    """A request to end that came to us alone (SIGTERM), so that our children have to be told."""


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """For the block, SIGTERM is an interrupt that lets running commands save their work."""

    def leave(number: int, frame: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # only there signals can be caught
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

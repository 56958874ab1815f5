"""What a person sees while a run goes on: a bar on stderr where that is a terminal, else its lines as they come."""

import re
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .config import RunConfig


class Rate(ProgressColumn):
    """Tokens a second so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} tokens/s" if task.speed else "")


class TokenBar:
    """A bar over tokens with their rate and the time left; called with how many more are done, and of how many.

    Silent unless stderr is a terminal. What is not known yet (no call has said it) is shown as a wait.
    """

    def __init__(self, line: str) -> None:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn(line), BarColumn(), Rate(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task(line, total=None)

    def __enter__(self) -> "TokenBar":
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.bar.stop()

    def __call__(self, more: int, total: int) -> None:
        self.bar.update(self.task, advance=more, total=total)


class Watcher:
    """Takes the lines of a run and shows where it stands."""

    def __init__(self, config: RunConfig) -> None:
        self.cap_ms = 1000 * config.max_wallclock_seconds
        console = Console(stderr=True)
        self.bar = console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[says]}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=console, transient=True, disable=not self.bar)
        self.task = self.progress.add_task("training", total=1.0, says="")

    def __enter__(self) -> "Watcher":
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.progress.stop()

    def line(self, text: str) -> None:
        """One line of the run."""
        if not self.bar:
            if not text.startswith("config:"):
                print(text, file=sys.stderr, flush=True)
            return
        if step := re.match(r"step:(\d+)/(\d+) (\w+_loss:\S+)(?: val_bpb:\S+)? train_time:(\d+)ms", text):
            number, last, loss, spent = int(step[1]), int(step[2]), step[3], int(step[4])
            part = max(number / last, spent / self.cap_ms if self.cap_ms else 0.0)
            self.progress.update(self.task, completed=part, says=f"step {number:,}  {loss}")
        elif text.startswith(("step:", "final_", "stopping", "resumed", "Total")):
            self.progress.console.print(text, markup=False, highlight=False)

"""What a run says, in the challenge's log lines, and the same numbers as JSON for machines.

`train.log` begins with the source of the running script, closed by a line of 100 `=`, then holds one line for each
event, spelled as the challenge spells it. `metrics.jsonl` has one object a line. Only rank 0 writes. Both files
remember how long they were at the last checkpoint, so that a resumed run cuts what the killed one wrote after it:
one clean curve.
"""

import json
import platform
from pathlib import Path
from types import TracebackType

import torch


class RunLog:
    """The two files of one run, and stdout. A rank other than 0 says nothing."""

    def __init__(self, folder: Path, speaks: bool) -> None:
        self.paths = [folder / "train.log", folder / "metrics.jsonl"]
        self.files = [path.open("ab") for path in self.paths] if speaks else []

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for file in self.files:
            file.close()

    def line(self, text: str, console: bool = True) -> None:
        """One line into train.log, and to stdout unless `console` is False."""
        if self.files:
            self.files[0].write((text + "\n").encode())
            self.files[0].flush()
            if console:
                print(text, flush=True)

    def numbers(self, **values: float | int | str | None) -> None:
        """One object into metrics.jsonl."""
        if self.files:
            self.files[1].write((json.dumps(values) + "\n").encode())
            self.files[1].flush()

    def sizes(self) -> list[int]:
        """How long both files are, to be kept with a checkpoint."""
        return [file.tell() for file in self.files]

    def cut(self, sizes: list[int]) -> None:
        """Drop what was written after a checkpoint; a file that is shorter stays as it is."""
        for file, size in zip(self.files, sizes, strict=False):
            if file.seek(0, 2) > size:
                file.truncate(size)
                file.seek(0, 2)

    def opening(self, source: str) -> None:
        """The head of train.log: the running script's source, versions and device, each closed by 100 `=`."""
        self.line(source, console=False)
        self.line("=" * 100, console=False)
        self.line(f"Running Python {platform.python_version()}", console=False)
        self.line(f"Running PyTorch {torch.__version__}", console=False)
        if torch.cuda.is_available():
            for index in range(torch.cuda.device_count()):
                self.line(f"device {index}: {torch.cuda.get_device_name(index)}", console=False)
        self.line("=" * 100, console=False)


def progress_words(step: int, last: int, train_ms: float) -> str:
    """The end of a step's line: total and average training time."""
    return f"train_time:{train_ms:.0f}ms step_avg:{train_ms / max(step, 1):.2f}ms"


def train_line(step: int, last: int, loss: float, train_ms: float) -> str:
    """A training step's line."""
    return f"step:{step}/{last} train_loss:{loss:.4f} {progress_words(step, last, train_ms)}"


def val_line(step: int, last: int, loss: float, bpb: float, train_ms: float) -> str:
    """A validation's line."""
    return f"step:{step}/{last} val_loss:{loss:.4f} val_bpb:{bpb:.4f} {progress_words(step, last, train_ms)}"

"""The sizes a log states, run by run: which code and which compressed model make which total.

A log may try several codecs, count its code raw and packed, print a total under another codec's label, or round. So a
total belongs to the model of its own label where there is one, else to any model of the same run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .log_reader import Log, Stated

MODEL, TOTAL = "serialized model", "total submission size"
ROUNDED = 0.001  # relative: a total printed in fewer digits than its parts


@dataclass(frozen=True, slots=True)
class Artifact:
    """One stated total and the models it can be of, bytes; `code` is the least code that the run counted."""

    log: Log
    total: Stated
    models: tuple[Stated, ...]
    codes: tuple[int, ...]
    sure: bool  # total and model carry the same label

    @property
    def size(self) -> int:
        """The total as stated."""
        return int(self.total.value)

    @property
    def sums(self) -> list[int]:
        """Every sum of a model and a code that could be this total."""
        return [int(model.value) + code for model in self.models for code in self.codes]

    @property
    def least(self) -> int:
        """The least size that the stated parts allow: the total, or the model of its label plus the least code."""
        return max(self.size, min(self.sums)) if self.sure and not self.holds else self.size

    @property
    def holds(self) -> bool:
        """True when the total is a sum of its parts, or no part is stated."""
        return not self.sums or any(abs(self.size - one) <= max(1, ROUNDED * self.size) for one in self.sums)


def is_code(name: str) -> bool:
    """True of a label for the size of code alone."""
    return "code" in name.lower() and "total" not in name.lower()


def artifacts(log: Log, shipped: tuple[int, ...] = ()) -> Iterator[Artifact]:
    """Every total of a log with its parts; `shipped` are the sizes of scripts, for logs that count no code."""
    for run in sorted({one.run for one in log.sizes}):
        sizes = [one for one in log.sizes if one.run == run]
        codes = tuple(int(one.value) for one in sizes if is_code(one.name)) or shipped or (0,)
        models = [one for one in sizes if one.name.lower().startswith(MODEL)]
        for total in (one for one in sizes if one.name.lower().startswith(TOTAL)):
            label = total.name.lower().removeprefix(TOTAL).strip()
            own = [one for one in models if one.name.lower().removeprefix(MODEL).strip() == label] if label else []
            packed = [one for one in models if not label or one.name.lower().removeprefix(MODEL).strip()]
            yield Artifact(log, total, tuple(own or packed), codes, bool(own))

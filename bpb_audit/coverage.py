"""The coverage ledger: which targets an evaluation scores, how often, and what falls off the end.

A stream of T tokens has T - 1 targets (every token but the first). A plain evaluation cuts them into sequences and
drops what is left; a sliding one moves a window of `seq_len` by `stride` and scores the last `stride` of each window
(all of the first). Either way every target must be scored exactly once, or bits per byte divides one set of tokens by
the bytes of another. Windows can also be given outright, for evaluations of another shape.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .errors import AuditError

Window = tuple[int, int, int]  # first input token, first and end of the targets it scores (target t is token t + 1)


@dataclass(frozen=True, slots=True)
class Ledger:
    """How often targets 0 .. targets - 1 are scored. `tail`: unscored targets behind the last scored one."""

    targets: int
    scored: int  # scored exactly once
    missed: int  # never scored, the tail not counted
    repeated: int  # scored more than once
    tail: int
    first_missed: int | None
    first_repeated: int | None
    windows: int
    shortest: int  # fewest tokens of context before a scored target, the stream's beginning not counted

    @property
    def whole(self) -> bool:
        """Every target up to the tail exactly once."""
        return not self.missed and not self.repeated


def plain_windows(targets: int, seq_len: int) -> np.ndarray:
    """(w, 3) int64 windows of a plain evaluation: sequences side by side, the rest dropped."""
    starts = np.arange(targets // seq_len, dtype=np.int64) * seq_len
    return np.stack((starts, starts, starts + seq_len), 1)


def sliding_windows(targets: int, seq_len: int, stride: int, last: str = "partial") -> np.ndarray:
    """(w, 3) int64 windows of a sliding evaluation as the public records write it.

    Windows start at 0, stride, 2 * stride, ...; each ends after seq_len tokens or with the stream and scores its last
    `stride` targets, the first all. Three public endings, `last`: "partial" keeps every window down to one token (which
    scores the end of the stream more than once), "stride" those with at least `stride` tokens, "context" those that
    reach beyond seq_len - stride tokens and score from there on.
    """
    if stride < 1 or seq_len < stride:
        raise AuditError(f"stride {stride:,} with sequences of {seq_len:,}; wanted 1 <= stride <= sequence length.")
    starts = np.arange(0, targets, stride, dtype=np.int64)
    ends = np.minimum(starts + seq_len, targets)
    if last == "context":
        keep = starts + (seq_len - stride) < targets
        first = starts + (seq_len - stride)
    elif last in ("partial", "stride"):
        keep = (ends - starts >= (stride if last == "stride" else 1)) | (starts == 0)
        first = np.maximum(ends - stride, starts)
    else:
        raise AuditError(f"no ending {last!r}; known: partial, stride, context.")
    first = np.where(starts == 0, 0, first)
    return np.stack((starts, first, ends), 1)[keep]


def ledger(targets: int, windows: np.ndarray | Iterable[Window]) -> Ledger:
    """Count how often each target is scored. windows: (w, 3) integers. Memory: that of the windows.

    Raises AuditError for a window that scores targets outside the stream, or before its own first token.
    """
    table = np.asarray(windows if isinstance(windows, np.ndarray) else list(windows), np.int64).reshape(-1, 3)
    start, first, end = table.T
    if len(table) and (first.min() < 0 or end.max() > targets or (first < start).any() or (end < first).any()):
        raise AuditError(
            f"windows score targets outside 0 to {targets:,} or before they begin. Check the ledger's windows."
        )
    places = np.concatenate((first, end, [targets]))
    order = np.argsort(places, kind="stable")
    places = places[order]
    depth = np.cumsum(np.concatenate((np.ones(len(table)), -np.ones(len(table)), [0]))[order].astype(np.int64))
    # Between two neighbouring places every target is scored `depth` times; before the first place, never.
    spans = np.diff(places)
    depth = depth[:-1]
    last = int(end.max()) if len(table) else 0
    gaps = (depth == 0) & (spans > 0) & (places[:-1] < last)
    again = (depth > 1) & (spans > 0)
    head = min(int(places[0]), last)
    missed_at = [0] if head else places[:-1][gaps].tolist()
    repeated_at = places[:-1][again].tolist()
    context = (first - start)[start > 0]
    return Ledger(
        targets,
        int(spans[depth == 1].sum()),
        int(spans[gaps].sum()) + head,
        int(spans[again].sum()),
        targets - last,
        missed_at[0] if missed_at else None,
        repeated_at[0] if repeated_at else None,
        len(table),
        int(context.min()) if len(context) else 0,
    )

"""Who codes what: the token stream cut into lanes, lanes into windows, lanes side by side into units.

A *target* is each token but the first. A *lane* is a run of consecutive targets coded as one byte string; lane l sits
in row l mod S of the scorer, and S lanes make a *unit*, which is written, checked and resumed as a whole. Inside a lane
the scorer starts afresh

    windows     every T tokens, as the ordinary evaluation does, documents or not
    documents   at each document, and every T tokens in it

with T its context length; T = 0 never starts afresh inside a lane (documents: but at each document).
"""

from dataclasses import dataclass

import numpy as np

from .errors import AuditError

# A lane costs the coder about 20 bits and the frame 50, so lanes are long, yet enough to fill a scorer's rows.
LONG_LANE = 1 << 16  # tokens of a lane where there are plenty
SHORT_LANE = 1 << 12  # at least so many where there are few
FEW_LANES = 44  # and no more lanes than these, until they are long: 0.02% of a million tokens
MOST_TOKENS = 1 << 27  # of a unit; decoding takes six bytes for each


@dataclass(frozen=True, slots=True)
class Layout:
    """How a stream of `count` tokens is cut. starts: (L + 1,) int64, lane l reads tokens[starts[l] : starts[l + 1]].

    The targets of a lane are the tokens after those it reads.
    """

    context: int
    by_document: bool
    rows: int
    starts: np.ndarray

    @property
    def lanes(self) -> int:
        return len(self.starts) - 1

    @property
    def units(self) -> int:
        return -(-self.lanes // self.rows)

    def unit(self, number: int) -> range:
        """The lanes of a unit."""
        return range(number * self.rows, min((number + 1) * self.rows, self.lanes))


def lanes_for(targets: int) -> int:
    """How many lanes to cut a stream into."""
    return max(-(-targets // LONG_LANE), min(FEW_LANES, targets // SHORT_LANE), 1)


def rows_for(targets: int, most: int, workers: int) -> int:
    """How many rows to run: a unit for every worker at least, and no more rows than `most`."""
    return max(1, min(most, -(-lanes_for(targets) // workers)))


def lay_out(tokens: np.ndarray, bos: int, context: int, by_document: bool, rows: int) -> Layout:
    """Cut a stream into lanes of about equal size. tokens: (N,) uint16. Raises AuditError for a stream of one token."""
    targets = len(tokens) - 1
    if targets < 1:
        raise AuditError(f"{len(tokens)} tokens, nothing to predict; wanted at least 2.")
    forgets = context or by_document  # a scorer that never does goes through the stream in one unit
    lanes = -(-lanes_for(targets) // rows) * rows if forgets else rows
    wanted = targets * np.arange(lanes) // lanes
    if by_document:
        marks = np.flatnonzero(tokens[:-1] == bos)
        marks = np.union1d([0], marks)
        wanted = marks[np.searchsorted(marks, wanted, "right") - 1]
    elif context:
        wanted = wanted // context * context
    return Layout(context, by_document, rows, np.append(np.unique(wanted), targets).astype(np.int64))


def restarts(tokens: np.ndarray, bos: int, context: int, by_document: bool) -> np.ndarray:
    """(w + 1,) int64: where the windows of a lane start, and where the last ends. tokens: (n,), what the lane reads."""
    begins = np.union1d([0], np.flatnonzero(tokens == bos)) if by_document else np.zeros(1, np.int64)
    ends = np.append(begins[1:], len(tokens))
    if context:
        counts = -(-(ends - begins) // context)
        more = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        begins = np.repeat(begins, counts) + more * context
    return np.append(begins, len(tokens)).astype(np.int64)

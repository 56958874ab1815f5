"""Which tokens a model may look at while it scores which targets: three plans, and one engine that carries them out.

A window reads the tokens from `start` up to `stop` and is charged for the targets from `first` to `stop`, each the
token after one it read; what lies before `first` is context only. Sequential windows stand side by side. Sliding
windows overlap: all but the first score only their last `stride` targets, so nearly every target has nearly `length`
tokens before it. Document windows slide as well, but none begins before the document it scores.

A plan is checked before it runs: every target exactly once. Windows are padded on the right, where a causal model does
not look, and scored in batches of like lengths.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .errors import ModelError
from .evaluate import ScoreSums, Told, ValidationText, share_sums, tell_nobody
from .gpt import GPT


@dataclass(frozen=True, slots=True)
class Windows:
    """A plan: int64 `(W,)` each. Window w reads tokens[start:stop] and scores the targets first..stop."""

    start: np.ndarray
    first: np.ndarray
    stop: np.ndarray


def sequential_windows(count: int, length: int) -> Windows:
    """Full sequences side by side over `count` tokens; the tail that fills none is left out, as the challenge does."""
    start = np.arange((count - 1) // length) * length
    return Windows(start, start + 1, start + length)


def sliding_windows(count: int, length: int, stride: int, begin: int = 0) -> Windows:
    """Every target of the tokens begin..count-1 once, with up to `length` tokens before it. Raises ModelError."""
    if not 1 <= stride <= length:
        raise ModelError(f"the stride is {stride}; wanted 1 to the sequence length, {length:,}.")
    last = count - 1  # the last target; the last token read is the one before it
    more = max(0, -(-(last - begin - length) // stride))
    stop = np.minimum(begin + length + stride * np.arange(1 + more), last)
    start = np.maximum(stop - length, begin)
    first = np.concatenate(([begin + 1], stop[:-1] + 1))
    return Windows(start, first, stop)


def document_windows(tokens: np.ndarray, bos: int, length: int, stride: int) -> Windows:
    """Every target once, none with tokens of another document before it but the end that announces it.

    A document is a `bos` and what follows it; the next document's `bos` is scored at the end of this one. Raises
    ModelError when there is no `bos`.
    """
    begins = np.flatnonzero(tokens == bos)
    if not begins.size:
        raise ModelError(f"no token {bos} (the begin of a document) among {tokens.size:,} tokens; give the right one.")
    begins = np.union1d([0], begins)
    ends = np.append(begins[1:], tokens.size - 1)  # the last target of each document
    plans = [sliding_windows(int(b) + 1, length, stride, int(a)) for a, b in zip(begins, ends, strict=True) if b > a]
    return Windows(*(np.concatenate([getattr(plan, part) for plan in plans]) for part in ("start", "first", "stop")))


def check_coverage(windows: Windows, until: int) -> None:
    """ModelError unless each target 1..until is scored by exactly one window, which reads the token before it."""
    counts = np.zeros(until + 2, np.int64)
    inside = (windows.start < windows.first) & (windows.first <= windows.stop) & (windows.stop <= until)
    if not (inside & (windows.start >= 0)).all():
        raise ModelError("a window scores what it does not read, or reads beyond the split. Please report this.")
    np.add.at(counts, windows.first, 1)
    np.add.at(counts, windows.stop + 1, -1)
    wrong = np.flatnonzero(np.cumsum(counts)[1 : until + 1] != 1)
    if wrong.size:
        raise ModelError(
            f"target {int(wrong[0]) + 1:,} is not scored exactly once by these windows. Please report this."
        )


@torch.no_grad()
def score_windows(
    model: GPT,
    text: ValidationText,
    windows: Windows,
    batch_tokens: int,
    rank: int = 0,
    world: int = 1,
    tell: Told = tell_nobody,
) -> ScoreSums:
    """Carry out a plan, this rank's share of it, and sum over all ranks. Raises ModelError for a plan with holes."""
    check_coverage(windows, int(windows.stop.max(initial=0)))
    device = next(model.parameters()).device
    lengths = windows.stop - windows.start
    order = np.argsort(-lengths, kind="stable")[rank::world]  # longest first
    nats = torch.zeros((), dtype=torch.float64, device=device)
    planned = int((windows.stop - windows.first + 1)[order].sum())
    padded = torch.from_numpy(text.tokens.astype(np.int64)).to(device)
    done = 0
    while done < order.size:
        longest = int(lengths[order[done]])
        some = order[done : done + max(batch_tokens // longest, 1)]
        done += some.size
        steps = torch.arange(longest, device=device)
        start, first, stop = (
            torch.from_numpy(a[some])[:, None].to(device) for a in (windows.start, windows.first, windows.stop)
        )
        place = torch.minimum(start + steps, stop - 1)  # (B, T); beyond its end a window repeats its last token
        with torch.autocast(device.type, torch.bfloat16, enabled=model.compute_dtype == torch.bfloat16):
            scored = model.nats(padded[place], padded[place + 1])  # (B, T)
        targets = start + steps + 1
        nats += scored.double()[(targets >= first) & (targets <= stop)].sum()
        tell(int((stop - first + 1).sum()), planned)
    raw_ends = None if text.raw is None else np.concatenate(([0], np.cumsum(text.raw, dtype=np.int64)))
    table_ends = np.concatenate(([0], np.cumsum(text.table)))
    own = [windows.first[order], windows.stop[order] + 1]
    tokens = int((own[1] - own[0]).sum())
    raw = 0 if raw_ends is None else int((raw_ends[own[1]] - raw_ends[own[0]]).sum())
    table = int((table_ends[own[1]] - table_ends[own[0]]).sum())
    sums = share_sums([float(nats), float(tokens), float(raw), float(table)], device)
    return ScoreSums(sums[0], int(sums[1]), None if raw_ends is None else int(sums[2]), int(sums[3]))

"""Does a scorer behave? Black-box probes of any Python callable that scores tokens: causality, normalisation, repeat.

A scorer takes a list of documents, each (T,) int64 token ids that begin with the document mark, and returns for each
(T - 1,) nats: what it charges for token t + 1 after seeing tokens 0..t (and earlier documents). It must begin afresh at
each call. `alone` makes one from a function of a single sequence, `from_log_probabilities` one from a function that
returns whole distributions.

Three promises of a score are probed, none of them by reading code:

- causality: change, permute or cut off what follows, in this document or in later ones; earlier scores must not move.
  A cache filled before scoring, or training on a chunk before it is scored, moves them.
- normalisation: put every token of the vocabulary in the target's place; the probabilities it is charged must sum to
  one. A hashed cache that is not normalised, or a mixture gated by the target, sums to something else.
- repeat: the same call twice gives the same scores; otherwise one call teaches the next.

A probe can show a fault; it cannot prove its absence. Every result says what was tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import AuditError
from .finding import Finding, Verdict

Documents = Sequence[np.ndarray]
Scorer = Callable[[Documents], Sequence[np.ndarray]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One promise probed. held: None when the budget ended before anything could be shown. worst: the largest breach
    seen (nats for causality and repeat, distance of the sum from 1 for normalisation). tried says what was done."""

    name: str
    held: bool | None
    worst: float
    where: str
    tried: str


def alone(score: Callable[[np.ndarray], np.ndarray]) -> Scorer:
    """A scorer of documents from `score(ids (T,)) -> (T - 1,) nats`, each document by itself."""
    return lambda documents: [np.asarray(score(ids)) for ids in documents]


def from_log_probabilities(predict: Callable[[np.ndarray], np.ndarray]) -> Scorer:
    """A scorer from `predict(ids (T,)) -> (T or T - 1, V) natural logs`, row t for the token after ids[t]."""

    def score(ids: np.ndarray) -> np.ndarray:
        rows = np.asarray(predict(ids))[: len(ids) - 1]  # (T - 1, V)
        return -rows[np.arange(len(ids) - 1), ids[1:]]

    return alone(score)


def _scores(scorer: Scorer, documents: Documents) -> list[np.ndarray]:
    """Call the scorer on copies, and check what comes back. Raises AuditError for wrong shapes or numbers."""
    given = [np.array(ids, np.int64) for ids in documents]
    returned = scorer(given)
    if len(returned) != len(documents):
        raise AuditError(f"the scorer returned {len(returned)} arrays for {len(documents)} documents; wanted one each.")
    scores = [np.asarray(each, np.float64) for each in returned]
    for number, (ids, each) in enumerate(zip(documents, scores, strict=True)):
        if each.shape != (max(len(ids) - 1, 0),) or np.isnan(each).any():
            raise AuditError(
                f"the scorer returned {each.shape} for document {number} of {len(ids)} tokens; "
                f"wanted ({len(ids) - 1},) nats without NaN."
            )
    return scores


def _moved(before: Sequence[np.ndarray], after: Sequence[np.ndarray], limits: Sequence[int]) -> tuple[float, str]:
    """The largest change among the first limits[d] scores of each document, and where it is."""
    worst, where = 0.0, ""
    for number, (old, new, limit) in enumerate(zip(before, after, limits, strict=False)):
        old, new = old[:limit], new[:limit]
        with np.errstate(invalid="ignore"):  # infinity minus infinity, where both are equal
            change = np.where(old == new, 0.0, np.abs(old - new))
        if limit and len(change) and change.max() > worst:
            worst, where = float(change.max()), f"document {number}, target {int(change.argmax()) + 1}"
    return worst, where


def probe_repeat(scorer: Scorer, documents: Documents, tolerance: float = 1e-4) -> Probe:
    """Score the same documents twice; a difference above `tolerance` nats means that calls teach one another."""
    first, second = _scores(scorer, documents), _scores(scorer, documents)
    worst, where = _moved(first, second, [len(each) for each in first])
    tokens = sum(map(len, first))
    return Probe("repeat", worst <= tolerance, worst, where, f"{len(documents)} documents, {tokens:,} targets, twice")


def probe_causality(
    scorer: Scorer, documents: Documents, vocab_size: int, *, cuts: int = 6, tolerance: float = 1e-4, seed: int = 0
) -> Probe:
    """Change what follows `cuts` random places in four ways each; scores before a place must not move.

    The ways: random tokens, the same tokens permuted, everything cut off, and later documents in reverse order.
    """
    rng = np.random.default_rng(seed)
    baseline = _scores(scorer, documents)
    long_enough = [d for d, ids in enumerate(documents) if len(ids) >= 4]
    if not long_enough:
        raise AuditError("no document of at least 4 tokens to probe; give longer documents.")
    worst, where, tried = 0.0, "", 0
    for cut in range(cuts):
        d = int(rng.choice(long_enough)) if cut else long_enough[0]
        ids = np.asarray(documents[d])
        at = int(rng.integers(1, len(ids) - 1))  # ids[at] is the last token left alone
        noise = [rng.integers(0, vocab_size, len(each)) for each in documents[d + 1 :]]
        for index, each in enumerate(noise):
            each[:1] = documents[d + 1 + index][:1]
        head, tail = ids[: at + 1], ids[at + 1 :]
        changed = {
            "random": [np.append(head, rng.integers(0, vocab_size, len(tail))), *noise],
            "permuted": [np.append(head, rng.permutation(tail)), *documents[d + 1 :]],
            "cut off": [head],
            "later documents": [ids, *list(documents[d + 1 :])[::-1]],
        }
        for way, rest in changed.items():
            again = _scores(scorer, [*documents[:d], *rest])
            whole = len(ids) - 1 if way == "later documents" else at
            limits = [len(each) for each in baseline[:d]] + [whole]
            change, place = _moved(baseline, again, limits)
            tried += 1
            if change > worst:
                worst, where = change, f"{place}, after {way} from token {at + 1} of document {d}"
    told = f"{tried} changes at {cuts} places of {len(documents)} documents: random, permuted, cut off, later documents"
    return Probe("causality", worst <= tolerance, worst, where, told)


def probe_normalisation(
    scorer: Scorer,
    documents: Documents,
    vocab_size: int,
    *,
    places: int = 2,
    calls: int = 20_000,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Probe:
    """At some places, charge every token of the vocabulary in the target's stead; the probabilities must sum to 1.

    Costs vocab_size calls a place, within `calls` in all. When they do not suffice the likeliest tokens (those in the
    documents) go first: a partial sum above 1 is a fault, one below shows nothing and `held` is None. The last
    document's places come first, where caches are full.
    """
    rng = np.random.default_rng(seed)
    last = len(documents) - 1
    seen = np.unique(np.concatenate([np.asarray(ids) for ids in documents]))
    order = np.concatenate((seen, np.setdiff1d(np.arange(vocab_size), seen)))
    if len(documents[last]) < 2:
        raise AuditError("the last document has no target to probe; give one of at least 2 tokens.")
    worst, where, done, complete = 0.0, "", 0, True
    for place in range(places):
        at = len(documents[last]) - 1 if place == 0 else int(rng.integers(1, len(documents[last])))
        share = min(vocab_size, (calls - done) // (places - place))
        total = 0.0
        for token in order[:share].tolist():
            ids = np.array(documents[last][: at + 1], np.int64)
            ids[at] = token
            total += float(np.exp(-_scores(scorer, [*documents[:last], ids])[last][at - 1]))
        done += share
        complete &= share == vocab_size
        breach = abs(total - 1) if share == vocab_size else max(total - 1, 0.0)
        if breach > worst:
            worst, where = breach, f"document {last}, target {at}: probabilities of {share:,} tokens sum to {total:.6f}"
    told = (
        f"{done:,} calls at {places} places, {'the whole' if complete else 'part of the'} vocabulary of {vocab_size:,}"
    )
    held = False if worst > tolerance else True if complete else None
    return Probe("normalisation", held, worst, where, told)


def probe_targets(predict: Callable[[np.ndarray], np.ndarray], documents: Documents, tolerance: float = 1e-4) -> Probe:
    """For a function that returns distributions: rows sum to 1, and no row depends on the token it predicts.

    predict(ids (T,)) -> (T or T - 1, V) natural logs. Each target in turn is replaced by another token; the row that
    predicts it must stay. Catches mixtures whose weights look at the answer.
    """
    worst, where, tried = 0.0, "", 0
    for number, ids in enumerate(documents):
        base = np.asarray(predict(np.array(ids, np.int64)), np.float64)[: len(ids) - 1]  # (T - 1, V)
        sums = np.abs(np.exp(base).sum(1) - 1)
        if sums.max() > worst:
            worst, where = float(sums.max()), f"document {number}, row {int(sums.argmax())} does not sum to 1"
        for at in range(1, len(ids), max(len(ids) // 8, 1)):
            other = np.array(ids, np.int64)
            other[at] = (other[at] + 1) % base.shape[1]
            row = np.asarray(predict(other), np.float64)[at - 1]
            change = float(np.abs(np.exp(row) - np.exp(base[at - 1])).max())
            tried += 1
            if change > worst:
                worst, where = change, f"document {number}, row {at - 1} moves with its own target"
    return Probe("targets", worst <= tolerance, worst, where, f"{tried} targets replaced in {len(documents)} documents")


CODES = {"causality": "PG511", "normalisation": "PG512", "targets": "PG513", "repeat": "PG514"}
FIXES = {
    "causality": "score every token before anything learns from it or from what follows it",
    "normalisation": "mix distributions over the whole vocabulary, with weights that do not see the target",
    "targets": "choose mixture weights from the context alone",
    "repeat": "begin each evaluation from the same state",
}


def finding(probe: Probe) -> Finding:
    """The probe as a finding of the report."""
    verdict = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.UNCHECKED}[probe.held]
    says = {
        True: f"{probe.name} held in all that was tried ({probe.tried}).",
        False: f"{probe.name} is broken by {probe.worst:.6g}.",
        None: f"{probe.name} was not shown either way ({probe.tried}).",
    }[probe.held]
    fix = "" if probe.held else FIXES[probe.name]
    return Finding(CODES[probe.name], verdict, says, probe.where, f"{probe.worst:.6g}", "0", fix)


def probe(
    scorer: Scorer, documents: Documents, vocab_size: int, *, seed: int = 0, calls: int = 20_000
) -> list[Finding]:
    """Repeat, causality and normalisation of one scorer, as findings. Raises AuditError when it cannot be called."""
    return [
        finding(probe_repeat(scorer, documents)),
        finding(probe_causality(scorer, documents, vocab_size, seed=seed)),
        finding(probe_normalisation(scorer, documents, vocab_size, seed=seed, calls=calls)),
    ]

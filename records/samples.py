"""The runs of a record as a sample for a test, and what about them could mislead.

A sample comes from a record folder (the runs its claim rests on, by their own last scores), or from numbers typed in:
`1.2244` is one number without spread, `1.2244,1.2250,1.2240` are three runs.
"""

import statistics
from pathlib import Path

from bpb_audit.log_lines import Metric

from .errors import RecordError
from .evidence import SPREAD, Case, Run, before_quantisation, method, near_mean, own_log
from .finding import many
from .folder import open_folder
from .script_reader import bare
from .significance import Sample


def sample_of(text: str) -> tuple[Sample, list[str]]:
    """(sample, warnings) from a record folder's path or from numbers. Raises RecordError for anything else."""
    if text.strip() and Path(text).is_dir():
        return sample_of_case(Case(open_folder(Path(text))))
    try:
        values = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        values = ()
    if not values or not all(0 < value < 100 for value in values):
        raise RecordError(
            f"{text!r} is neither a record folder nor bits per byte; wanted for example 1.2244 or 1.2244,1.2250,1.2240."
        )
    return Sample(text, values), []


def sample_of_case(case: Case) -> tuple[Sample, list[str]]:
    """(sample, warnings) of a record folder. Raises RecordError when neither logs nor claim give a score."""
    chosen = scores_of(case)
    if chosen:
        sample = Sample(
            case.folder.name,
            tuple(m.val_bpb for _, m in chosen),
            tuple(m.val_loss for _, m in chosen),
            tuple(str(run.seed) for run, _ in chosen),
        )
        return sample, [*warnings_of(case, [run for run, _ in chosen], sample)]
    claimed = [item for item in (case.claims.seeds if case.claims else []) if item.val_bpb]
    if claimed:
        losses = tuple(float(item.val_loss) if item.val_loss else None for item in claimed)
        numbers = tuple(float(item.val_bpb or 0) for item in claimed)
        names = tuple(item.seed for item in claimed)
        return Sample(case.folder.name, numbers, losses, names), ["the scores are claimed; no log prints them"]
    if case.claims and case.claims.val_bpb:
        return Sample(case.folder.name, (float(case.claims.val_bpb),)), ["one claimed number; no log prints it"]
    raise RecordError(
        f"{case.folder.path}: no score in its logs or its submission.json. `pglab record check` says more."
    )


def scores_of(case: Case) -> list[tuple[Run, Metric]]:
    """The runs that repeat the record's experiment, each with its score under one label."""
    if case.mean_match:
        return case.mean_match.pairs
    hits = [(run, m) for run, m in case.matches if not before_quantisation(m)]
    if hits:
        label = max(hits, key=lambda pair: pair[1].digits)[1].label
        claim = hits[0][1].val_bpb
        found = [(run, alike(run, label)) for run in case.runs]
        return [(run, m) for run, m in found if m is not None and abs(m.val_bpb - claim) <= SPREAD]
    by_seed = [own_log(seed, near) for seed, _, near in case.seed_matches if near]
    if by_seed or (case.claims and case.claims.val_bpb):
        return by_seed
    last = [(run, run.score) for run in case.runs if run.score]
    close = last and max(m.val_bpb for _, m in last) - min(m.val_bpb for _, m in last) <= 0.01
    return last if close else []


def alike(run: Run, label: str) -> Metric | None:
    """The run's last score under `label`, else its last by the same method: labels change from version to version."""
    same = [m for m in run.finals if m.label == label]
    near = [m for m in run.finals if method(m.label) == method(label) and not before_quantisation(m)]
    return (same or near or [None])[-1]  # type: ignore[list-item]


def warnings_of(case: Case, runs: list[Run], sample: Sample) -> list[str]:
    """What would let a result mislead, one sentence each."""
    said: list[str] = []
    claims = case.claims
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        said.append(f"the seeds are not distinct ({', '.join(map(str, seeds))})")
    if len(runs) > 1 and claims and claims.val_bpb and not near_mean(claims.val_bpb, statistics.fmean(sample.bpb)):
        best = min(sample.bpb)
        kind = "the best run" if abs(float(claims.val_bpb) - best) < 1e-4 else "not the mean"
        said.append(f"the claim {claims.val_bpb} is {kind}; the mean is {statistics.fmean(sample.bpb):.5f}")
    others = [run.name for run in case.runs if run not in runs and run.finals]
    if others:
        said.append(f"not part of the sample: {many(len(others), 'more run')} in the folder ({', '.join(others[:4])})")
    if claims is None or claims.val_bpb is None:
        said.append("no val_bpb is claimed; the runs' last scores are taken")
    if claims and any("all_runs" in key or "disclosure" in key for key in claims.raw):
        said.append("submission.json speaks of runs that are not given: the best of n flatters")
    sources = {bare(run.log.dumps[0].text) for run in runs if len(run.log.dumps) == 1}
    sizes = {one.value for run in runs for one in run.log.sizes[-6:] if one.name.lower().startswith("code size")}
    if len(sources) > 1 or (not sources and len(sizes) > 2):
        said.append("the runs are of different scripts")
    stated = claims.raw.get("val_bpb_std") if claims else None
    if stated is not None and len(sample.bpb) > 1 and str(stated).replace(".", "").isdigit():
        population, sd = statistics.pstdev(sample.bpb), statistics.stdev(sample.bpb)
        if abs(float(stated) - population) < abs(float(stated) - sd) and abs(population - sd) > 1e-6:
            said.append(f"the stated deviation {stated} is the population's (n), not the sample's (n - 1: {sd:.6f})")
    return said

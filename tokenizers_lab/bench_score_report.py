"""What `pglab bench score` found: the models, and how well each predictor put them in order."""

from collections.abc import Sequence
from dataclasses import asdict

from pglab_report import Column, Plot, Report, Series, Table

from .bench_score import PREDICTORS, Trained
from .rank_correlation import Correlation, spearman


def correlations(rows: Sequence[Trained], seed: int | None = None) -> dict[str, Correlation]:
    """Each predictor against the measured bits per byte, over the vocabularies that it gives a number for.

    seed: the place of one among the seeds; of the means without it.
    """
    found = {}
    for name in PREDICTORS:
        shown = [row for row in rows if getattr(row, name) is not None]
        pairs = [(getattr(row, name), row.measured if seed is None else row.by_seed[seed]) for row in shown]
        if len(pairs) >= 3 and all(len(set(side)) > 1 for side in zip(*pairs, strict=True)):
            found[name] = spearman([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return found


def report_of(rows: Sequence[Trained], parameters: int, steps: int, seeds: Sequence[int]) -> Report:
    """Tables, the picture, and one sentence with the correlation whatever it is."""
    found = correlations(rows)
    each = [correlations(rows, at) for at in range(len(seeds))] if len(seeds) > 1 else []
    named = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    models = Table(
        "models",
        f"{len(rows)} models of about {parameters:,} parameters, {steps * 2048:,} tokens each, {named}",
        [
            Column("name", "vocabulary"),
            Column("size", "ids", "", ",d"),
            Column("width", "", "", "d"),
            Column("stored_bytes", "stored", "bytes", ",d"),
            Column("measured", "measured", "bpb_raw", ".4f"),
            Column("in_artifact", "score", "own artifact", ".4f"),
            Column("standard", "score", "standard", ".4f"),
            Column("unlimited", "score", "unlimited", ".4f"),
            Column("tokens_per_byte", "tokens per byte", "", ".4f"),
        ],
        [asdict(row) for row in sorted(rows, key=lambda row: row.measured)],
    )
    ranks = Table(
        "correlations",
        "Spearman's rank correlation with the measured bits per raw byte",
        [
            Column("predictor"),
            Column("rho", "", "", "{rho:+.3f} [{low:+.3f}, {high:+.3f}]", align="right"),
            Column("p", "", "", ".4f"),
            Column("count", "vocabularies", "", "d"),
            *([Column("by_seed", "by seed", align="right")] if each else []),
            Column("low", hidden=True),
            Column("high", hidden=True),
        ],
        [
            {
                "key": name,
                "predictor": PREDICTORS[name],
                **asdict(value),
                **({"by_seed": ", ".join(f"{one[name].rho:+.3f}" for one in each)} if each else {}),
            }
            for name, value in found.items()
        ],
    )
    shown = [row for row in rows if row.standard is not None]
    picture = Plot(
        "score",
        "Predicted against measured",
        "bits per raw byte, our score as vocab score gives it",
        "bits per raw byte, trained GPT",
        [
            Series(
                "vocabularies",
                [row.standard or 0.0 for row in shown],
                [row.measured for row in shown],
                style="dots",
                names=[row.name for row in shown],
            )
        ],
    )
    says = [
        f"{PREDICTORS[name]}: rho {value.rho:+.3f} [{value.low:+.3f}, {value.high:+.3f}], p {value.p:.4f}"
        for name, value in found.items()
        if name in ("in_artifact", "standard")
    ]
    stored = [row.stored_bytes for row in rows]
    notes = [
        f"Stored sizes lie between {min(stored):,} and {max(stored):,} bytes.",
        f"Equal tokens, so larger vocabularies read more text; a small model, {named}, a short training.",
    ]
    data = {
        "rows": [asdict(row) for row in rows],
        "rank": {name: asdict(value) for name, value in found.items()},
        "rank_by_seed": {
            str(seed): {name: asdict(value) for name, value in one.items()}
            for seed, one in zip(seeds, each, strict=False)
        },
    }
    return Report(
        "Our score against trained models", ["; ".join(says) + "."], [models, ranks], [picture], notes, data=data
    )

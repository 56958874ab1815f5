"""`pglab bench audit`: the auditor's own bench as a report; what is measured stands in bpb_audit/bench.py.

The auditor also runs alone, on the standard library and numpy, so it has no reporting layer, and this door has.
"""

from pathlib import Path
from typing import Any

from pglab_report import Column, Plot, Report, Series, Table, Ways, show

WANTED = {"decode": "at least 20", "per token": "at least 100", "read": "at most 2"}  # ratio, by how its name begins


def bench(*, shards: Path | None = None, docs: Path | None = None, tokens: int = 8_000_000, ways: Ways = Ways()) -> int:
    """Time the recount against decoding every document and against per-token Python, in one run.

    Parameters
    ----------
    shards
        Folder with validation shards and their tokenizer; without it, synthetic documents are made.
    docs
        Raw documents of those shards; the full recount then compares texts too.
    tokens
        How many synthetic tokens to make.
    """
    from bpb_audit.bench import bench as measured

    return show(report_of(measured(shards, docs, tokens)), ways)


def report_of(found: dict[str, Any]) -> Report:
    """The ways with their CPU seconds and rates, then the ratios. found: as the auditor's bench gives it."""
    total = found["tokens"]
    ways = [{"way": way, "cpu_s": spent, "rate": total / spent / 1e6} for way, spent in found["cpu_seconds"].items()]
    ratios = [
        {
            "ratio": name,
            "times": value,
            "wanted": next(text for start, text in WANTED.items() if name.startswith(start)),
        }
        for name, value in found["ratios"].items()
    ]
    names = list(found["cpu_seconds"])
    bars = Series("CPU time", (), list(found["cpu_seconds"].values()), style="bars", names=names)
    slow = found["ratios"]["decode + encode / table path"]
    return Report(
        f"Bytes of {total:,} tokens counted, {found['table_bytes']:,} by the table",
        [
            f"the table path takes {slow:,.0f} times less CPU time than decoding every document, on the same shards in "
            "the same run."
        ],
        [
            Table("ways", "Ways", [
                Column("way"), Column("cpu_s", "CPU time", "s", ",.3f"), Column("rate", "rate", "Mtoken/s", ",.1f"),
            ], ways),
            Table("ratios", "Ratios", [
                Column("ratio"), Column("times", "times", "", ",.2f"), Column("wanted"),
            ], ratios),
        ],
        [Plot("time", "CPU time for all tokens", "seconds", "", [bars], x_log=True)],
        [
            f"decode + encode and per token ran on {found['sampled_tokens']:,} tokens and are scaled; bytes there: "
            + ", ".join(f"{way} {size:,}" for way, size in found["sampled_bytes"].items())
            + "."
        ],
        data=found,
    )  # fmt: skip

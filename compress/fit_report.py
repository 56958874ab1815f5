"""What `pglab codec fit` found, for people and machines: what each tensor costs and hurts, how full the budget is."""

from typing import Any

from pglab_report import Column, Plot, Report, Series, Table


def report_of(answer: dict[str, Any], target: str, checkpoint: str) -> Report:
    """The report of one fit. answer: what `fit.fit_budget` says."""
    known = answer["predicted_nats"] is not None
    hurt = "share of the predicted divergence" if known else "share of the squared error"
    table = Table(
        "tensors",
        f"{target}: {answer['bytes']:,} bytes; bytes a tensor are shares by entropy",
        [
            Column("tensor"),
            Column("weights", "weights", "", ",d"),
            Column("scheme"),
            Column("step", "step", "", ".3g"),
            Column("bytes", "bytes", "", ",d"),
            Column("bits", "bits/weight", "", ".3f"),
            Column("hurt", "hurt", hurt, ".2%"),
        ],
        answer["rows"],
    )
    rows = [row for row in answer["rows"] if row["bytes"] > 0]
    names = [row["tensor"] for row in rows]
    bars = Plot(
        "bytes", "Bytes by tensor", "bytes", "tensor",
        [Series("bytes", (), [row["bytes"] for row in rows], style="bars", names=names)],
    )  # fmt: skip
    loss = f"predicted divergence {answer['predicted_nats'] / 0.6931472:.6f} bits a token, " if known else ""
    says = f"{answer['recipe']}: {answer['total']:,} of {answer['budget']:,} bytes ({answer['filled']:.2%}), "
    says += f"{loss}weight error {answer['mse']:.2e}{'; ' + answer['says'] if answer['says'] else ''}."
    check = [f"Measure it: pglab model compare {checkpoint} {target} --shards DIR"] if known else []
    return Report(f"{checkpoint} in {answer['budget']:,} bytes", [says], [table], [bars], notes=check, data=answer)

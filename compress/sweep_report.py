"""What `pglab codec sweep`, `list` and `text` found, for people and machines: sizes beside each other."""

from pathlib import Path
from typing import Any

from pglab_report import Column, Limit, Plot, Report, Series, Table

CAP = 16_000_000  # bytes of code and weights together
COLUMNS = [
    Column("recipe"),
    Column("bytes", "file", "", ",d"),
    Column("ratio", "of first", "", ".4f"),
    Column("payload", "integers", "", ",d"),
    Column("scales", "scales", "", ",d"),
    Column("rest", "rest", "", ",d"),
    Column("header", "header", "", ",d"),
    Column("decoder", "decoder", "", ",d"),
    Column("bits", "bits/weight", "", ".4f"),
    Column("order0", "order-0", "", ".4f"),
    Column("bound", "R(D) bound", "", ".4f"),
    Column("mse", "error", "", ".2e"),
    Column("encode_s", "encode s", "", ".2f"),
    Column("decode_s", "decode s", "", ".2f"),
    Column("margin", "left for code", "", ",d"),
]


def sweep_report(result: dict[str, Any]) -> Report:
    """The report of `sweep.sweep_all`'s result."""
    tables, plots = [], []
    for number, found in enumerate(result["checkpoints"], 1):
        rows, name = found["rows"], Path(found["path"]).name
        best = min(range(len(rows)), key=lambda at: rows[at]["bytes"] + rows[at]["decoder"])
        title = f"{found['path']}: {found['parameters']:,} parameters"
        tables.append(Table(f"sizes{number}" if number > 1 else "sizes", title, COLUMNS, rows, (best,)))
        sizes = [row["bytes"] + row["decoder"] for row in rows]
        limits = [Limit(CAP, "the cap", "x")] if max(sizes) > CAP / 2 else []
        bars = Series("bytes", (), sizes, style="bars", names=[row["recipe"] for row in rows])
        plots.append(
            Plot(
                f"bars{number}", f"{name}: file and decoder", "bytes, decoder included", "recipe", [bars], limits=limits
            )
        )
        dots = [row for row in rows if row["mse"] and row["mse"] > 0]
        rated = [row for row in dots if row.get("bits") and row.get("bound")]
        if len(rated) > 1:
            real = Series("recipes", [row["bits"] for row in rated], [row["mse"] for row in rated], style="dots",
                          names=[row["recipe"] for row in rated])  # fmt: skip
            edge = sorted((row["bound"], row["mse"]) for row in rated)
            ideal = Series("Gaussian bound", [b for b, _ in edge], [e for _, e in edge])
            title = f"{name}: rate-distortion frontier"
            plots.append(Plot(f"frontier{number}", title, "bits per weight", "error", [real, ideal], y_log=True))
        if len(dots) > 1:
            points = Series("recipes", [row["bytes"] for row in dots], [row["mse"] for row in dots], style="dots",
                            names=[row["recipe"] for row in dots])  # fmt: skip
            plots.append(
                Plot(f"error{number}", f"{name}: size and error", "bytes of the file", "error", [points], y_log=True)
            )
    note = (
        "Sizes in bytes; every size is that of a file that was written, read back and compared; seconds are CPU time. "
        "decoder is its source as a packed script carries it; R(D) bound is the Gaussian one."
    )
    return Report("Codec sizes", [result["says"]], tables, plots, [note], data=result)


def list_report(rows: list[dict[str, Any]]) -> Report:
    """The report of every stage that a recipe can be made of."""
    table = Table("stages", "", [Column("stage"), Column("kind"), Column("says")], rows)
    return Report("Stages; a recipe is QUANTISER[+LAYOUT...]+CODER", [], [table], data={"stages": rows})


def text_report(size: int, rows: list[dict[str, Any]], primed: bool) -> Report:
    """The report of text compressors on the same `size` bytes."""
    columns = [Column("coder"), Column("bytes", "size", "bytes", ",d"), Column("bpb", "bits/byte", "", ".4f")]
    if primed:
        columns.append(Column("primed_bytes", "size after prime", "bytes", ",d"))
        columns.append(Column("primed_bpb", "bits/byte after prime", "", ".4f"))
    columns.append(Column("seconds", "time", "CPU s", ".2f"))
    best = min(range(len(rows)), key=lambda at: rows[at]["bytes"])
    says = f"{rows[best]['coder']} is the smallest: {rows[best]['bpb']:.4f} bits per byte."
    names = [row["coder"] for row in rows]
    bars = Plot("bpb", "Bits per byte", "bits per byte", "coder",
                [Series("bits per byte", (), [row["bpb"] for row in rows], style="bars", names=names)])  # fmt: skip
    title = f"Text compressors on {size:,} bytes"
    table = Table("coders", "", columns, rows, (best,))
    return Report(title, [says], [table], [bars], data={"bytes": size, "rows": rows})

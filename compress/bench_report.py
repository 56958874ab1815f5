"""What `pglab bench codecs` found, for people and machines: the same integers, coder by coder."""

from pathlib import Path
from typing import Any

from pglab_report import Column, Plot, Report, Series, Table

COLUMNS = [
    Column("recipe"),
    Column("bytes", "file", "", ",d"),
    Column("of_general", "of brotli", "", ".4f"),
    Column("of_official", "of official", "", ".4f"),
    Column("payload", "integers", "", ",d"),
    Column("bits", "bits/weight", "", ".4f"),
    Column("order0", "order-0", "", ".4f"),
    Column("of_order0", "of order-0", "", ".4f"),
    Column("coder_s", "write s", "", ".2f"),
    Column("decode_s", "read s", "", ".2f"),
    Column("decoder", "decoder", "", ",d"),
]
NOTE = (
    "Files were written, read back and compared; seconds are CPU time. `of brotli` is against the smallest brotli-11 "
    "layout; lrzip and zpaq (--peers) hold the integers alone, without scales and header."
)


def bench_report(found: list[dict[str, Any]]) -> Report:
    """The report of `bench.bench_rows` for each checkpoint."""
    tables, plots, says = [], [], []
    for number, one in enumerate(found, 1):
        rows, name = one["rows"], Path(one["path"]).name
        best = min(range(len(rows)), key=lambda at: rows[at]["bytes"])
        title = f"{one['path']}: {one['parameters']:,} parameters, {one['quantizer']}"
        tables.append(Table(f"coders{number}" if number > 1 else "coders", title, COLUMNS, rows, (best,)))
        bars = Series("bytes", (), [row["bytes"] for row in rows], style="bars", names=[row["recipe"] for row in rows])
        plots.append(Plot(f"bars{number}", f"{name}: bytes by coder", "bytes", "coder", [bars]))
        says.append(sentence(name, rows))
    return Report("Coders of the same integers", says, tables, plots, [NOTE], data={"checkpoints": found})


def sentence(name: str, rows: list[dict[str, Any]]) -> str:
    """Our coder against each of the others it is to beat."""
    mix = next(row for row in rows if row["recipe"].endswith("+mix"))
    parts = [f"{mix['of_general']:.4f} of the best brotli-11", f"{mix['of_official']:.4f} of the official file"]
    if mix["of_order0"]:
        parts.append(f"{mix['of_order0']:.4f} of order-0")
    peers = [row for row in rows if "(integers alone" in row["recipe"]]
    if peers:
        least = min(peers, key=lambda row: row["bytes"])
        quick = least["coder_s"] / max(mix["coder_s"], 0.01)
        share, peer = mix["payload"] / least["bytes"], least["recipe"].split()[0]
        parts.append(f"integers {share:.4f} of {peer} at {quick:.1f} times its speed")
    return f"{name}: mix takes {mix['bytes']:,} bytes, {', '.join(parts)}."

"""Tables for people: rows of plain dicts on stdout, as rich draws them, as Markdown, or as JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
COLUMNS: tuple[str, ...] = (
    "recipe",
    "bytes",
    "ratio",
    "payload",
    "scales",
    "rest",
    "header",
    "decoder",
    "bits",
    "order0",
    "mse",
)
COLUMNS += ("encode_s", "decode_s", "margin")
HEADINGS = {
    "ratio": "of first", "of_general": "of brotli", "of_official": "of official", "coder_s": "coder s",
    "payload": "integers", "bits": "bits/weight", "order0": "order-0", "mse": "error", "encode_s": "encode s",
    "decode_s": "decode s", "margin": "left for code", "bpb": "bits/byte", "primed_bytes": "bytes after prime",
    "primed_bpb": "bits/byte after prime", "seconds": "CPU s",
}  # fmt: skip


def cell(key: str, value: Any) -> str:
    """A value as a reader wants it: thousands separators, few digits, a dash for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        seconds = key.endswith("_s") or key == "seconds"
        return f"{value:.2e}" if key == "mse" else f"{value:.2f}" if seconds else f"{value:.4f}"
    return str(value)


def show(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], title: str, json_wanted: bool, markdown: bool = False
) -> None:
    """Print rows on stdout: one JSON document, a Markdown table, or a drawn one."""
    if json_wanted:
        print(json.dumps(list(rows), indent=1))
        return
    heads = [HEADINGS.get(c, c) for c in columns]
    body = [[cell(c, row.get(c)) for c in columns] for row in rows]
    if markdown:
        print(f"{title}\n")
        for line in (heads, ["---"] * len(heads), *body):
            print("| " + " | ".join(line) + " |")
        print()
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column, head in zip(columns, heads, strict=True):
        words = all(isinstance(row.get(column), str) for row in rows)
        table.add_column(head, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for line in body:
        table.add_row(*line)
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def progress(items: Iterable[T], says: str) -> Iterator[T]:
    """The items, with a bar on stderr when that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(list(items), description=says, console=console, disable=not console.is_terminal, transient=True)

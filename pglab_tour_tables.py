"""What the tour shows after each station: one short table and one sentence, from the files that the station wrote."""

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

BACK = {"normalised": "NFKC"}  # the text comes back equal up to NFKC and white space, as `vocab compare` says it
CAP = 16_000_000  # bytes, the challenge's limit for code and weights together


def read(run: Path, name: str) -> Any:
    """The JSON file `name` of a run folder."""
    return json.loads((run / name).read_text(encoding="utf-8"))


def record_folder(run: Path) -> str:
    """The submission folder of a tour, relative to the run folder: the newest `records/DATE_Tour`."""
    return sorted(p.relative_to(run).as_posix() for p in run.glob("records/????-??-??_Tour"))[-1]


def show(console: Console, head: str, rows: list[list[str]]) -> None:
    """Print a plain table; `head` names the columns, `|` between them, the first left and the others right."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(head.split("|")):
        table.add_column(name.strip(), justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def corpus(run: Path, console: Console) -> str:
    """Documents and bytes of each split."""
    it = read(run, "corpus/corpus.json")
    splits = [("training", "train"), ("validation", "validation")]
    rows = [[name, f"{it[f'{key}_documents']:,}", f"{it[f'{key}_bytes']:,}"] for name, key in splits]
    show(console, "split | documents | bytes of UTF-8", rows)
    return f"{it['bytes']:,} bytes of real text: {it['source']}."


def vocab(run: Path, console: Console) -> str:
    """Raw bytes per token, what comes back of the text, embedding bytes."""
    rows = read(run, "vocab.json")["rows"]
    cells = [
        [
            r["name"],
            f"{r['size']:,}",
            f"{r['bytes_per_token']:.3f}",
            BACK.get(r["lossless"], r["lossless"]),
            f"{r['embedding_bytes']:,}",
        ]
        for r in rows
    ]
    show(console, "vocabulary | ids | bytes/token | text back | embedding bytes", cells)
    exact = [r for r in rows if r["lossless"] == "exact"]
    best = max(exact, key=lambda r: r["bytes_per_token"])
    return f"{best['name']} packs {best['bytes_per_token']:.2f} raw bytes into a token and gives every byte back."


def shards(run: Path, console: Console) -> str:
    """Tokens and raw bytes of each shard."""
    files = read(run, "shards/manifest.json")["files"]
    bins = {name: row for name, row in files.items() if name.endswith(".bin")}
    rows = [[name, f"{r['documents']:,}", f"{r['tokens']:,}", f"{r['bytes_raw']:,}"] for name, r in bins.items()]
    show(console, "shard | documents | tokens | raw bytes", rows)
    return f"{sum(r['tokens'] for r in bins.values()):,} tokens written, read back and recounted."


def training(run: Path, console: Console) -> str:
    """The validation lines of the log, thinned, and what the last one says."""
    log = (run / "train/train.log").read_text(encoding="utf-8", errors="replace").split("\n" + "=" * 100 + "\n")[-1]
    lines = [line for line in log.splitlines() if line.startswith(("step:", "final_"))]
    scored = [line for line in lines if "val_bpb:" in line]
    rows = [[line.split(" ")[0], *(value(line, key) for key in ("val_loss", "val_bpb"))] for line in scored]
    show(console, "train.log | val_loss (nats/token) | val_bpb", rows[:1] + rows[1:][-6:])
    steps = [line for line in lines if line.startswith("step:")]
    return (
        f"{steps[-1].split(' ')[0].removeprefix('step:').split('/')[0]} steps; the log ends at val_bpb {rows[-1][2]}."
    )


def value(line: str, key: str) -> str:
    """The word after `key:` in a log line."""
    return next((word.split(":", 1)[1] for word in line.split() if word.startswith(key + ":")), "-")


def codecs(run: Path, console: Console) -> str:
    """File sizes by recipe, smallest decoder-included file last in the sentence."""
    rows = read(run, "codecs.json")["checkpoints"][0]["rows"]
    cells = []
    for r in rows:
        bits = "-" if r["bits"] is None else f"{r['bits']:.2f}"
        cells.append([r["recipe"], f"{r['bytes']:,}", f"{r['ratio']:.3f}", bits, f"{r['mse']:.1e}"])
    show(console, "recipe | bytes | of official | bits/weight | error", cells)
    best = min(rows, key=lambda r: r["bytes"] + r["decoder"])
    return f"{best['recipe']} is the smallest, {best['bytes']:,} bytes and a decoder of {best['decoder']:,}."


def score(run: Path, console: Console) -> str:
    """The model's bits per byte among text compressors on the same validation bytes, best last."""
    it, text = read(run, "score.json"), read(run, "text.json")
    rows = [(r["coder"], r["bpb"]) for r in text["rows"]] + [("this model, after the round trip", it["bpb_raw"])]
    show(console, "coder | bits per byte", [[n, f"{b:.4f}"] for n, b in sorted(rows, key=lambda row: -row[1])])
    beaten = [name for name, bpb in rows if bpb > it["bpb_raw"]]
    return (
        f"bpb_raw {it['bpb_raw']:.4f}, bpb_table {it['bpb_table']:.4f} over {it['bytes_raw']:,} raw bytes; "
        f"below {', '.join(beaten) or 'none of the compressors'}."
    )


def proof(run: Path, console: Console) -> str:
    """What the proof's bits are spent on, and that its text came back."""
    it = read(run, "proof.json")
    size = it["bits"] // 8
    rows = [[name, f"{bits / 8:,.0f}", f"{bits / it['raw_bytes']:.4f}"] for name, bits in (it["split"] or {}).items()]
    show(
        console, "proof.pgp | bytes | bits per raw byte", [*rows, ["the file", f"{size:,}", f"{it['bpb_proved']:.4f}"]]
    )
    if it["wrong"]:
        return f"the proof does not hold: {it['wrong'][0]}"
    unchecked = it.get("unchecked", [])
    for one in unchecked:
        console.print(Text(f"  UNCHECKED {one}"))
    part = f"{it['documents']} of {it['population']} documents of " if it["documents"] < it["population"] else ""
    proved = f"bpb_proved {it['bpb_proved']:.4f}; {len(unchecked)} UNCHECKED."
    return f"{part}the validation text restored from {size:,} bytes: {proved}"


def verdicts(console: Console, findings: list[dict[str, Any]]) -> str:
    """Count the verdicts; show each that is not PASS."""
    order = ["FAIL", "UNCHECKED", "PASS"]
    counts = [f"{sum(f['verdict'] == v for f in findings)} {v}" for v in order[::-1]]
    wrong = sorted((f for f in findings if f["verdict"] != "PASS"), key=lambda f: order.index(f["verdict"]))
    for f in wrong:
        console.print(Text(f"  {f['verdict']:9} {f['rule']} {f['says']}"))
    return ", ".join(counts)


def check(run: Path, console: Console) -> str:
    """The rules' verdicts on the folder, and its size against the cap."""
    found = read(run, "check.json")
    found = found[0] if isinstance(found, list) else found
    counts = verdicts(console, found["findings"])
    size = read(run, f"{record_folder(run)}/submission.json")["bytes_total"]
    return f"{size:,} bytes of code and weights, {CAP - size:,} below the cap; {counts}."


def audit(run: Path, console: Console) -> str:
    """The auditor's verdicts and its two numbers."""
    found = read(run, "audit.json")
    found = found[0] if isinstance(found, list) else found
    counts = verdicts(console, found["findings"])
    claimed, corrected = found["claimed_bpb"], found["corrected_bpb"]
    same = claimed is not None and corrected is not None and math.isclose(claimed, corrected, abs_tol=5e-5)
    said = f"claimed {claimed:.6f}" if claimed is not None else "nothing claimed"
    said += f", recounted {corrected:.6f}" if corrected is not None else ", not recounted"
    return f"bits per byte {said}: {'the same' if same else 'not the same'}; {counts}."


def report(run: Path, console: Console) -> str:
    """The page's size."""
    return f"report.html, {(run / 'report.html').stat().st_size:,} bytes, one file without scripts."

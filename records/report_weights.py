"""The report's sections on the model: how it was trained, what its weights weigh, and how well it predicts."""

from typing import Any

from .report_data import LOGS, Inputs, number, pick, read_jsonl, rows_of
from .report_parts import Column, Section, Table, fixed, gone, size, spec_table
from .report_plots import bars, training_curve


def training_section(inputs: Inputs) -> Section:
    """The training curve and what the run was."""
    from .report_training import curves, facts

    section = Section("training", "Training", "train/train.log")
    place = next((inputs.root / p for p in LOGS if (inputs.root / p).is_file()), None)
    metrics = read_jsonl(inputs.root)
    if place is None and not metrics:
        section.there, section.lead = False, f"Not in this run: {section.wants}."
        return section
    if place is not None:
        inputs.found["log"] = place
    train, validation, unit = curves(place, metrics)
    if train or validation:
        section.pictures = [(training_curve(train, validation, unit), "Loss in nats per token; lower is better.")]
    section.lead, rows = facts(place, inputs.get("config"))
    if rows:
        section.tables = [Table(["", ""], [list(row) for row in rows], set())]
    return section


def codec_section(inputs: Inputs) -> Section:
    """What the weights weigh in each codec."""
    section = Section("codecs", "Codecs", "codecs.json")
    if gone(inputs, section, "codecs"):
        return section
    document = inputs.get("codecs")
    checkpoints = rows_of(document, "checkpoints")
    first = checkpoints[0] if checkpoints and isinstance(checkpoints[0].get("rows"), list) else document
    rows = rows_of(first, "rows", "codecs", "recipes", "results")
    for row in rows:  # what the challenge would count: the file and the source that decodes it
        whole = number(pick(row, "bytes", "size"))
        row["with_decoder"] = whole + (number(row.get("decoder")) or 0) if whole else None
    rows = sorted((row for row in rows if row["with_decoder"]), key=lambda row: row["with_decoder"])
    columns: list[Column] = [
        ("codec", ("recipe", "name", "codec"), None),
        ("file", ("bytes", "size"), size),
        ("with decoder", ("with_decoder",), size),
        ("bits per weight", ("bits", "bits_per_weight"), lambda v: fixed(v, 3)),
        ("entropy", ("order0",), lambda v: fixed(v, 3)),
        ("squared error", ("mse", "error"), lambda v: f"{v:.1e}" if number(v) is not None else "–"),
        ("left for the code", ("margin",), size),
    ]
    section.tables = [spec_table(rows, columns)]
    known = [(str(pick(r, "recipe", "name", "codec", default="?")), float(r["with_decoder"])) for r in rows]
    if not known:
        return section
    weights = number(pick(first, "parameters"))
    section.lead = (
        f"{f'{weights:,.0f} weights. ' if weights else ''}{known[0][0]} is smallest with its decoder; "
        f"{known[-1][0]} is {known[-1][1] / known[0][1]:.2f} times as large. "
        "Every size is that of a file that was written, read back and compared."
    )
    drawn = [(n, v, f"{v:,.0f}", n == known[0][0]) for n, v in known[:14]]
    told = "Bytes by codec, with decoder: " + ", ".join(f"{n} {v:,.0f}" for n, v, _, _ in drawn)
    caption = (
        "Compressed weights and the source that decodes them; shorter is better. A smaller file with a larger error"
    )
    section.pictures = [(bars(drawn, "bytes, with decoder", told), f"{caption} is another trade.")]
    section.note = (
        "Entropy: order-0 entropy of the quantised weights, in bits a weight; what a coder without context can reach."
    )
    return section


def score_section(inputs: Inputs) -> Section:
    """The score, beside general text compressors on the same bytes."""
    section = Section("score", "The score", "score.json")
    if gone(inputs, section, "score"):
        return section
    data = inputs.get("score")
    raw, table = number(pick(data, "bpb_raw")), number(pick(data, "bpb_table"))
    section.tables = [
        Table(
            ["", "bytes", "bits per byte"],
            [
                ["raw: UTF-8 of the documents as published", size(pick(data, "bytes_raw")), fixed(raw, 8)],
                ["table: the challenge's per-token table", size(pick(data, "bytes_table")), fixed(table, 8)],
            ],
            {1, 2},
        )
    ]
    section.lead = (
        f"{fixed(pick(data, 'nats'), 1)} nats over {size(pick(data, 'tokens'))} targets, "
        f"{fixed(pick(data, 'val_loss'))} a token, measured on the weights that came back out of the artifact. "
        "Two divisors are in use in public, so both are named."
    )
    others = text_rows(inputs.get("text"))
    if raw is not None and others:
        everybody = [*[(n, v, f"{v:.3f}", False) for n, v in others], ("this model", raw, f"{raw:.3f}", True)]
        drawn = sorted(everybody, key=lambda row: row[1])
        told = "Bits per byte: " + ", ".join(f"{n} {v:.3f}" for n, v, _, _ in drawn)
        caption = (
            "The same validation bytes, by the model and by general compressors; shorter is better. "
            "A compressor's program is not counted, nor are the model's weights."
        )
        section.pictures = [(bars(drawn, "bits per raw byte", told), caption)]
        beaten = sum(v > raw for _, v in others)
        section.note = f"The model needs fewer bits than {beaten or 'none'} of the {len(others)} compressors."
    return section


def text_rows(document: Any) -> list[tuple[str, float]]:
    """(compressor, bits per byte) of text.json; where it was also primed with other text, that is a row of its own."""
    found = []
    for row in rows_of(document, "rows", "codecs", "compressors", "results"):
        name = str(pick(row, "coder", "name", "codec", default="?"))
        value = number(pick(row, "bpb", "bpb_raw", "bits_per_byte"))
        primed = number(row.get("primed_bpb"))
        if value is not None:
            found.append((name, value))
        if primed is not None:
            found.append((f"{name}, primed with training text", primed))
    return found

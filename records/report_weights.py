"""The report's sections on the model: how it was trained, what its weights weigh, and how well it predicts."""

from typing import Any

from .report_data import LOGS, Inputs, number, pick, read_jsonl, rows_of
from .report_parts import Section, Table, fixed, gone, size, spec_table
from .report_plots import bars, training_curve
from .submission import CAP


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
    rows = rows_of(inputs.get("codecs"), "rows", "codecs", "recipes", "results")
    weight = ("bytes", "container_bytes", "size", "payload_bytes", "file_bytes")
    rows = sorted(rows, key=lambda row: number(pick(row, *weight)) or 0)
    for row in rows:
        total = number(pick(row, "artifact", "artifact_bytes", "bytes_total", "total_bytes", "total"))
        if total is not None and pick(row, "margin", "margin_bytes", "left") is None:
            row["margin"] = CAP - total
    section.tables = [
        spec_table(
            rows,
            [
                ("codec", ("recipe", "name", "codec"), None),
                ("bytes", weight, size),
                ("bits per weight", ("bits_per_weight", "bits"), lambda v: fixed(v, 3)),
                (
                    "error (RMS)",
                    ("rms", "error", "rmse", "rms_error"),
                    lambda v: f"{v:.2e}" if number(v) is not None else "–",
                ),
                ("bits per byte", ("bpb_raw", "bpb"), fixed),
                ("artifact", ("artifact", "artifact_bytes", "bytes_total", "total_bytes", "total"), size),
                ("left under the cap", ("margin", "margin_bytes", "left"), size),
                ("seconds", ("seconds", "encode_seconds"), lambda v: fixed(v, 2)),
            ],
        )
    ]
    sized = [(str(pick(r, "recipe", "name", "codec", default="?")), number(pick(r, *weight))) for r in rows]
    known = [(n, v) for n, v in sized if v]
    if known:
        small, large = known[0], known[-1]
        section.lead = (
            f"{small[0]} is smallest: {small[1]:,.0f} bytes; {large[0]} is {large[1] / small[1]:.2f} times as large. "
            "Every size is that of a file that was written, read back and compared."
        )
        drawn = [(n, v, f"{v:,.0f}", n == small[0]) for n, v in known[:16]]
        section.pictures = [
            (
                bars(drawn, "bytes", "Bytes by codec: " + ", ".join(f"{n} {v:,.0f}" for n, v, _, _ in drawn)),
                "Compressed weights on disk; shorter is better.",
            )
        ]
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
        drawn = sorted(
            [*[(n, v, f"{v:.3f}", False) for n, v in others], ("this model", raw, f"{raw:.3f}", True)],
            key=lambda r: r[1],
        )
        section.pictures = [
            (
                bars(drawn, "bits per raw byte", "Bits per byte: " + ", ".join(f"{n} {v:.3f}" for n, v, _, _ in drawn)),
                "The same validation bytes, by the model and by general compressors; shorter is better. A compressor "
                "needs no training and its program is not counted; the model's weights are not counted either.",
            )
        ]
        beaten = sum(v > raw for _, v in others)
        section.note = f"The model is below {beaten} of {len(others)} compressors."
    return section


def text_rows(document: Any) -> list[tuple[str, float]]:
    """(compressor, bits per byte) of text.json."""
    found = []
    for row in rows_of(document, "rows", "codecs", "compressors", "results"):
        value = number(pick(row, "bpb", "bpb_raw", "bits_per_byte"))
        raw, packed = number(pick(row, "bytes_raw", "raw_bytes")), number(pick(row, "bytes", "size"))
        if value is None and raw and packed:
            value = 8 * packed / raw
        if value is not None:
            found.append((str(pick(row, "name", "codec", "compressor", default="?")), value))
    return found

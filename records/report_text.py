"""The report's sections on the text: the corpus, the vocabularies over it, and the shards they made."""

from .report_data import Inputs, number, pick, rows_of
from .report_parts import Column, Section, Table, fixed, gone, size, spec_table, yes
from .report_plots import bars


def text_section(inputs: Inputs) -> Section:
    """The corpus: where it is from, how it is split."""
    section = Section("text", "The text", "corpus/corpus.json")
    if gone(inputs, section, "corpus"):
        return section
    data = inputs.get("corpus")
    total, held = number(pick(data, "bytes")), number(pick(data, "validation_bytes"))
    section.lead = (
        f"{pick(data, 'source', default='A corpus')}: {size(total)} bytes in {size(pick(data, 'documents'))} documents."
    )
    if total and held:
        first = size(pick(data, "validation_documents"))
        section.lead += f" The first {first} documents, {held / total:.1%} of the bytes, are held out for validation."
    section.tables = [
        Table(
            ["", "documents", "bytes of UTF-8"],
            [
                ["train", size(pick(data, "train_documents")), size(pick(data, "train_bytes"))],
                ["validation", size(pick(data, "validation_documents")), size(held)],
                ["whole", size(pick(data, "documents")), size(total)],
            ],
            {1, 2},
        )
    ]
    if pick(data, "sha256"):
        section.note = f"sha256 {pick(data, 'sha256')}"
    return section


def vocabulary_section(inputs: Inputs) -> Section:
    """Vocabularies beside each other."""
    section = Section("vocabularies", "Vocabularies", "vocab.json")
    if gone(inputs, section, "vocab"):
        return section
    rows = rows_of(inputs.get("vocab"), "rows", "vocabularies", "table")
    spec: list[Column] = [
        ("vocabulary", ("name", "vocabulary"), None),
        ("kind", ("kind", "builder"), None),
        ("tokens in it", ("size", "vocab_size", "V"), size),
        ("bytes per token", ("bytes_per_token", "raw_bytes_per_token"), lambda v: fixed(v, 3)),
        ("lossless", ("lossless", "lossless_level", "level"), yes),
        ("embedding bytes", ("embedding_bytes", "embedding"), size),
        ("fallback", ("fallback_share", "byte_fallback_share"), lambda v: f"{v:.2%}" if number(v) is not None else "–"),
    ]
    section.tables = [spec_table(rows, spec)]
    values = [
        (str(pick(r, "name", "vocabulary", default="?")), number(pick(r, "bytes_per_token", "raw_bytes_per_token")))
        for r in rows
    ]
    known = [(name, value) for name, value in values if value]
    if known:
        best = max(known, key=lambda pair: pair[1])
        section.lead = (
            f"{best[0]} packs the most text into a token: {best[1]:.3f} raw bytes. "
            "More bytes a token means fewer predictions, each a harder one."
        )
        if len(known) > 1:
            drawn = [(n, v, f"{v:.3f}", n == best[0]) for n, v in sorted(known, key=lambda p: -p[1])]
            section.pictures = [
                (
                    bars(
                        drawn,
                        "raw bytes per token",
                        "Raw bytes per token: " + ", ".join(f"{n} {v:.3f}" for n, v, _, _ in drawn),
                    ),
                    "Raw UTF-8 bytes a token stands for, on the validation text.",
                )
            ]
    return section


def shard_section(inputs: Inputs) -> Section:
    """The shards, with their byte counts."""
    section = Section("shards", "Shards", "shards/manifest.json")
    if gone(inputs, section, "shards"):
        return section
    data = inputs.get("shards")
    files = data.get("files") if isinstance(data, dict) else None
    rows = (
        [{**row, "name": name} for name, row in files.items() if isinstance(row, dict)]
        if isinstance(files, dict)
        else []
    )
    section.tables = [
        spec_table(
            rows,
            [
                ("file", ("name",), None),
                ("tokens", ("tokens",), size),
                ("documents", ("documents",), size),
                ("raw bytes", ("bytes_raw",), size),
                ("bytes per token", ("per_token",), lambda v: fixed(v, 3)),
            ],
        )
    ]
    name = pick(data, "vocabulary.name", "vocabulary.kind", default="")
    tokens = sum(int(number(row.get("tokens")) or 0) for row in rows if row["name"].endswith(".bin"))
    section.lead = (
        f"{tokens:,} tokens of {name or 'one vocabulary'} in the challenge's format; each validation shard has a byte "
        "sidecar, so that every byte is accounted for."
    )
    return section

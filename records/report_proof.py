"""The report's section on the proof: the text restored from a file, and what that file's bits were spent on."""

from .report_data import Inputs, number, pick
from .report_parts import Section, Table, fixed, gone, size

PARTS = (
    ("evaluated", "the model's own cross-entropy"),
    ("precision", "whole-numbered probabilities"),
    ("coder", "the entropy coder"),
    ("framing", "header, index and checksums"),
    ("residual", "what the vocabulary cannot give back"),
)


def proof_section(inputs: Inputs) -> Section:
    """Bits of the proof by what they were spent on, as `pglab prove check --json` found them."""
    section = Section("proof", "The proof", "proof.json")
    if gone(inputs, section, "proof"):
        return section
    data = inputs.get("proof")
    wrong = pick(data, "wrong")
    raw = number(pick(data, "raw_bytes"))
    rows = []
    for name, says in PARTS:
        bits = number(pick(data, f"split.{name}"))
        share = bits / raw if bits is not None and raw else None
        rows.append([f"{name}: {says}", size(None if bits is None else bits / 8), fixed(share, 6)])
    bits = number(pick(data, "bits"))
    rows.append(["the file", size(None if bits is None else bits / 8), fixed(pick(data, "bpb_proved"), 6)])
    section.tables = [Table(["", "bytes", "bits per raw byte"], rows, {1, 2})]
    if isinstance(wrong, list) and wrong:
        section.lead = f"The proof does not hold: {wrong[0]}"
        return section
    section.lead = (
        f"{size(raw)} raw bytes of {size(pick(data, 'documents'))} documents came back from the proof and the weights "
        f"alone: {fixed(pick(data, 'bpb_proved'))} bits per raw byte really written, "
        f"{fixed(pick(data, 'bpb_raw'))} as evaluated."
    )
    unchecked = pick(data, "unchecked")
    if isinstance(unchecked, list) and unchecked:
        section.note = "Unchecked: " + " ".join(map(str, unchecked))
    return section

"""What a proof comes to, in bits: the same words from the one who writes and the one who checks.

Everything in the file is counted. Its bits over those of the scorer's own cross-entropy are split by cause:

    coder       what the lanes take over the cost of their symbols by the integer tables
    precision   what the tables cost over the scorer's evaluation: the grid of 1/256 nat, and 2^24 slots
    framing     header, indexes, checksums, and the first token of each lane
    residual    what the tokens' own text lacks against the raw documents

`bpb_scored` is the scorer's own cross-entropy over all raw bytes; `bpb_proved` is the whole file's. A check that
restored a part only has no `bpb_proved`, and whatever is the writer's word alone is called UNCHECKED.
"""

import json
import math
from dataclasses import asdict, dataclass, field

from .prove_format import Header, ProofFile

FEW = 30  # documents: below, a bootstrap's interval is known to be too narrow


@dataclass(slots=True)
class Tally:
    """Sums over the lanes of a proof, or of those that a check decoded."""

    file_bytes: int = 0
    lane_bytes: int = 0
    residual_bytes: int = 0
    table_bits: float = 0.0  # what the targets cost by their tables
    seam_bits: float = 0.0  # what the lanes' first tokens cost
    targets: int = 0
    lanes: int = 0
    recoded: int = 0  # lanes that a pass over windows had coded wrongly
    documents: int = 0
    raw_bytes: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """A header and its tally. verb: "written" or "restored". low, high: interval of a sample's bpb, else None. given:
    bytes of what both sides had beside the file. unchecked: what nobody looked at, a sentence each. part: no more than
    that was asked for."""

    header: Header
    tally: Tally
    verb: str
    seconds: float
    low: float | None = None
    high: float | None = None
    given: dict[str, int] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)
    part: bool = False

    @property
    def whole(self) -> bool:
        """Every document of the proof was written or restored."""
        return self.tally.documents == self.header.documents

    @property
    def raw_bytes(self) -> int:
        """Those restored where all were; else what the header says."""
        return self.tally.raw_bytes if self.whole else self.header.raw_bytes

    @property
    def evaluated(self) -> float:
        """Bits of all targets as the scorer evaluated them; 0 where it did not say."""
        return (self.header.nats + self.header.tail_nats) / math.log(2)

    @property
    def scored(self) -> float | None:
        """bpb_raw as the evaluation has it: full windows over their own raw bytes."""
        head = self.header
        return head.nats / math.log(2) / head.scored_raw if head.scored_raw and head.nats else None

    def split(self) -> dict[str, float]:
        """The bits of the file by cause; they add up to it."""
        sums = self.tally
        lanes, residual = 8.0 * sums.lane_bytes, 8.0 * sums.residual_bytes
        base = self.evaluated
        parts = {"evaluated": base, "precision": sums.table_bits - base} if base else {"tables": sums.table_bits}
        parts["coder"] = lanes - sums.table_bits - sums.seam_bits
        parts["framing"] = 8.0 * sums.file_bytes - lanes - residual + sums.seam_bits
        return {**parts, "residual": residual}

    def numbers(self) -> dict[str, object]:
        """Every number, for machines; ratios have their divisor in their name."""
        head, sums = self.header, self.tally
        return {
            "bits": 8 * sums.file_bytes,
            "raw_bytes": self.raw_bytes,
            "bpb_proved": 8 * sums.file_bytes / self.raw_bytes if self.whole or not self.part else None,
            "bpb_stated": 8 * sums.file_bytes / head.raw_bytes,
            "bpb_scored": (self.evaluated or sums.table_bits) / self.raw_bytes
            if self.evaluated or self.whole
            else None,
            "bpb_raw": self.scored,
            "scored_targets": head.scored_tokens,
            "scored_raw_bytes": head.scored_raw or None,
            "targets": head.tokens - 1,
            "split": self.split() if self.whole else None,
            "documents": head.documents,
            "population": head.population,
            "seed": head.seed,
            "bpb_low": self.low,
            "bpb_high": self.high,
            "done": {"documents": sums.documents, "raw_bytes": sums.raw_bytes, "targets": sums.targets},
            "lanes": sums.lanes,
            "lanes_coded_again": sums.recoded,
            "seconds": self.seconds,
            "notes": sums.notes,
            "unchecked": self.unchecked,
            "not_in_the_file": self.given,
            "text_sha256": head.text.hex(),
            "artifact_sha256": head.artifact.hex(),
            "vocabulary_sha256": head.vocabulary.hex(),
            "scorer": json.loads(head.about),
        }

    def text(self) -> str:
        """For people: one table, then sentences."""
        head, sums = self.header, self.tally
        bits, raw = 8 * sums.file_bytes, self.raw_bytes
        out = list[str]()
        if self.whole:
            out.append(f"{'':<12}{'bits':>16}{'per raw byte':>15}{'of the file':>14}")
            rows = [*self.split().items(), ("the file", float(bits))]
            out += [f"{name:<12}{value:>16,.0f}{value / raw:>15.6f}{value / bits:>14.4%}" for name, value in rows]
        if self.scored is not None:
            out.append(
                f"as evaluated{', by its writer' * (self.verb == 'restored')}: bpb_raw {self.scored:.6f} over "
                f"{head.scored_tokens:,} targets, {head.scored_raw:,} raw bytes."
            )
        out += sums.notes
        if sums.recoded:
            out.append(
                f"{sums.recoded} of {sums.lanes} lanes were coded again by steps: the quick pass differed there."
            )
        rate = sums.targets / max(self.seconds, 1e-9)
        pace = f"in {self.seconds:.0f} s, {rate:,.0f} tokens a second"
        if self.whole:
            verb = "written as" if self.verb == "written" else "restored from"
            out.append(
                f"bpb_proved {bits / raw:.6f}: {raw:,} raw bytes of {head.documents:,} documents"
                f"{f' out of {head.population:,}' * head.sampled} {verb} "
                f"{sums.file_bytes:,} bytes {pace}."
            )
        else:
            out.append(
                f"{sums.documents:,} of {head.documents:,} documents restored, {sums.raw_bytes:,} raw bytes, {pace}; "
                f"the proof as a whole states bpb {bits / raw:.6f}."
            )
        if self.low is not None:
            out.append(
                f"{head.documents:,} of {head.population:,} documents proved (seed {head.seed}); with 95% confidence "
                f"the whole is between {self.low:.4f} and {self.high:.4f} (bootstrap over documents"
                f"{'; too narrow for so few' * (head.documents < FEW)})."
            )
        if self.given:
            beside = ", ".join(f"{name} {size:,}" for name, size in self.given.items())
            out.append(f"given to both sides and not in the file: {beside} bytes.")
        out += [f"UNCHECKED {one}" for one in self.unchecked]
        return "\n".join(out) + "\n"


def header_text(proof: ProofFile, as_json: bool) -> str:
    """What a proof says of itself, for `info`."""
    head = proof.header
    lanes = sum(len(place.lanes) for place in proof.places)
    sizes = {
        "file": proof.size,
        "lanes": sum(sum(place.lanes) for place in proof.places),
        "residual": sum(place.residual for place in proof.places),
    }
    if as_json:
        shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(head).items()}
        return (
            json.dumps({**shown, "lanes": lanes, "bytes": sizes, "bpb_proved": 8 * proof.size / head.raw_bytes}) + "\n"
        )
    where = "at each document and " * head.by_document
    where += f"every {head.context:,} tokens" if head.context else "never" if not head.by_document else "nowhere else"
    said = json.loads(head.about)
    lines = [
        f"{proof.path}: {proof.size:,} bytes for {head.raw_bytes:,} raw bytes",
        f"bpb_proved {8 * proof.size / head.raw_bytes:.6f}, if it holds: pglab prove check {proof.path} ARTIFACT",
        f"{head.documents:,} documents"
        + (f" of {head.population:,}, drawn with seed {head.seed}" if head.sampled else "")
        + f", {head.tokens:,} tokens of a vocabulary of {head.vocab:,}",
        f"{head.units:,} units, {lanes:,} lanes in {head.rows:,} rows; the scorer starts afresh {where}",
        f"lanes {sizes['lanes']:,}, residual {sizes['residual']:,}, "
        f"framing {proof.size - sizes['lanes'] - sizes['residual']:,} bytes",
        f"scorer: {said!a}",
        f"artifact   sha256 {head.artifact.hex()}",
        f"vocabulary sha256 {head.vocabulary.hex()}",
        f"text       sha256 {head.text.hex()}",
    ]
    return "\n".join(lines) + "\n"

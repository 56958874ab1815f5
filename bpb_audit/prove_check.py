"""Checking a proof: its documents restored from the file and the artifact alone, compared, and their bits added up."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, compress, repeat
from pathlib import Path

import numpy as np

from .aside import write_aside
from .documents import read_documents
from .errors import AuditError
from .manifest import sha256_of
from .prove_ahead import Scorers, workers_for
from .prove_code import Progress
from .prove_command import Choice
from .prove_format import Header, ProofFile
from .prove_frames import Scorer
from .prove_report import Report, Tally
from .prove_restore import Restoring, same_scorer
from .prove_sample import choose
from .prove_text import TextDigest, apart, open_vocabulary, weight_of


@dataclass(frozen=True, slots=True)
class Asked:
    """What to check. documents: as in `17,4000:4100`, "" for all. out: write the restored documents there."""

    proof: Path
    choice: Choice
    vocab: Path | None = None
    docs: Path | None = None
    documents: str = ""
    sample: int = 0
    seed: int = 0
    out: Path | None = None
    workers: int = 0


def numbers_of(words: str, most: int) -> np.ndarray:
    """`17,4000:4100` as sorted numbers, the end of a range not included. Raises AuditError."""
    found: set[int] = set()
    for word in words.split(","):
        start, colon, stop = word.partition(":")
        try:
            first = int(start) if start or not colon else 0
            last = (int(stop) if stop else most) if colon else first + 1
        except ValueError:
            raise AuditError(
                f"--documents {words[:40]}: {word[:40]!r} is no number or range; wanted 17,4000:4100"
            ) from None
        if not 0 <= first < last <= most:
            raise AuditError(
                f"--documents {words[:40]}: {word[:40]!r} is outside of the {most:,} documents 0 to {most - 1:,}."
            )
        found.update(range(first, last))
    return np.array(sorted(found))


def check(asked: Asked, tell: Progress = lambda _: None, expect: Progress = lambda _: None) -> tuple[Report, list[str]]:
    """Restore and compare; the report, and what is wrong (nothing: the proof holds). Raises AuditError, OSError.

    expect: told how many tokens there are to decode. tell: told whenever some more are decoded.
    """
    begun = time.perf_counter()
    proof = ProofFile(asked.proof)
    for unit in range(proof.header.units):
        proof.parts(unit)  # damage is told now, not after hours of decoding
    head = proof.header
    if not asked.choice.artifact.is_file():
        raise AuditError(f"{asked.choice.artifact}: no such file; name the artifact that the proof was made with.")
    if bytes.fromhex(sha256_of(asked.choice.artifact)) != head.artifact:
        raise AuditError(
            f"{asked.choice.artifact}: the proof was made with another artifact (sha256 {head.artifact.hex()[:12]}...)."
        )
    if asked.out is not None:
        if not asked.out.parent.is_dir():
            raise AuditError(f"{asked.out}: there is no folder {asked.out.parent}; make it first.")
        apart(asked.out, asked.proof, asked.choice.artifact, asked.docs, asked.choice.scorer, asked.vocab)
    vocabulary = open_vocabulary(asked.vocab or asked.choice.artifact.parent, head.vocabulary)
    numbers = choose(head.population, head.documents, head.seed) if head.sampled else np.arange(head.documents)
    wanted = _wanted(asked, numbers, head.population)
    wrong: list[str] = []
    digest = TextDigest()
    restored: list[bytes] = []
    notes: set[str] = set()

    def start() -> Scorer:
        scorer = asked.choice.start(head.rows, head.vocab, head.context)
        try:
            notes.add(same_scorer(proof, scorer))
        except AuditError:
            scorer.close()
            raise
        return scorer

    with Scorers(start) as scorers:
        work = Restoring(proof, scorers, vocabulary, wanted, tell, workers_for(asked.workers))
        expect(work.targets)
        raw_ones = _raw(asked.docs, numbers)
        at = -1
        for number, raw in work.documents():
            digest.add(raw)
            work.tally.documents += 1
            work.tally.raw_bytes += len(raw)
            while at < number and raw_ones is not None:
                original = next(raw_ones, None)
                at += 1
            if raw_ones is not None and original != raw and not wrong:
                wrong.append(f"document {numbers[number]:,} differs: {_difference(original, raw)}")
            if asked.out is not None:
                restored.append(raw)
        if work.fault:
            wrong.append(work.fault + ".")
    whole = work.tally.documents == head.documents
    if wanted is None and not whole and not work.fault:
        wrong.append(f"{work.tally.documents:,} of {head.documents:,} documents came back, and no word why.")
    if whole and not work.fault:
        if digest.sha256.digest() != head.text:
            wrong.append("the restored text has another sha256 than the header says; --docs FILE finds where.")
        if digest.bytes != head.raw_bytes:
            wrong.append(f"{digest.bytes:,} raw bytes were restored, the header says {head.raw_bytes:,}.")
    if wanted is not None and not wrong:
        few = len(wanted)
        said = "equal to the documents given" if asked.docs else "but compared with nothing: give them with --docs"
        work.tally.notes.append(
            f"{few:,} documents restored, {said}; if they were drawn at random, with 95% confidence fewer than "
            f"{min(3 / few, 1):.2%} of the documents differ."
        )
    work.tally.notes += sorted(notes - {""})
    work.tally.file_bytes = proof.size
    if asked.out is not None and not wrong:
        try:
            lines = [json.dumps({"text": raw.decode("utf-8")}, ensure_ascii=False) + "\n" for raw in restored]
        except UnicodeDecodeError:
            raise AuditError("the restored documents are not UTF-8; nothing was written.") from None
        write_aside(asked.out, "".join(lines).encode("utf-8"))
    given = asked.choice.given() | weight_of(vocabulary)
    unchecked = _unchecked(asked, head, work.tally, raw_ones)
    seconds, part = time.perf_counter() - begun, wanted is not None
    return Report(head, work.tally, "restored", seconds, given=given, unchecked=unchecked, part=part), wrong


def _unchecked(asked: Asked, head: Header, tally: Tally, left: Iterator[bytes] | None) -> list[str]:
    """What this check says nothing of. left: what of the documents given was not compared."""
    out = list[str]()
    if tally.documents < head.documents:
        out.append(f"the other {head.documents - tally.documents:,} documents, and so the bits per byte of the whole.")
    if left is None:
        out.append(f"whether this is the text you mean: compare sha256 {head.text.hex()}, or give it with --docs.")
    elif tally.documents == head.documents and next(left, None) is not None:
        out.append(f"what follows in {asked.docs}: training documents, unless the proof's writer left some out.")
    if head.sampled:
        out.append(f"{head.population - head.documents:,} documents outside of the sample; its writer chose the seed.")
    if head.nats:
        out.append("bpb_raw, bpb_scored and the split of evaluated and precision: they rest on what the writer says.")
    return [*out, *asked.choice.unchecked()]


def _wanted(asked: Asked, numbers: np.ndarray, population: int) -> np.ndarray | None:
    """Which documents of the proof were asked for; None for all."""
    if asked.documents and asked.sample:
        raise AuditError("--documents and --sample at once: name documents, or have them drawn.")
    if asked.documents:
        named = numbers_of(asked.documents, population)
        absent = np.setdiff1d(named, numbers)
        if len(absent):
            raise AuditError(f"--documents {asked.documents}: document {absent[0]:,} is not in this sample.")
        return None if len(named) == len(numbers) else np.searchsorted(numbers, named)
    if asked.sample and asked.sample < len(numbers):
        return choose(len(numbers), asked.sample, asked.seed)
    return None


def _raw(docs: Path | None, numbers: np.ndarray) -> Iterator[bytes] | None:
    """The documents' own raw bytes, in the proof's order; None without --docs."""
    if docs is None:
        return None
    chosen = np.zeros(int(numbers[-1]) + 1, bool)
    chosen[numbers] = True
    return compress((document.raw for document in read_documents(docs)), chain(chosen.tolist(), repeat(True)))


def _difference(original: bytes | None, raw: bytes) -> str:
    if original is None:
        return "the documents given have no such one."
    at = next((i for i, (a, b) in enumerate(zip(original, raw, strict=False)) if a != b), min(len(original), len(raw)))
    return f"at byte {at:,}, {raw[at : at + 20]!r} was restored for {original[at : at + 20]!r}."

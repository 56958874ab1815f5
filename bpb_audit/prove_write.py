"""Writing a proof: unit after unit coded, decoded again by a second scorer process, and kept; then the file in one go.

Each finished unit lies in a folder beside the output until the end, under a key that names everything it depends on,
so that the same command continues after a kill and makes the same bytes.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from .aside import write_aside
from .errors import AuditError
from .manifest import sha256_of
from .prove_ahead import Scorers, in_order, workers_for
from .prove_code import Coded, Progress, Rules, code_unit, compare_windows, decode_unit
from .prove_command import Choice
from .prove_format import BY_DOCUMENT, Header, Unit, checksum, write_header, write_unit
from .prove_frames import Scorer
from .prove_plan import Layout, lay_out, rows_for
from .prove_report import Report, Tally
from .prove_residual import encode_residual
from .prove_sample import choose, interval
from .prove_tables import Tables
from .prove_text import Text, apart, open_text, weight_of

MOST_ROWS = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """What to write. rows: the most to run, 0 for 64, or for replay as many as the evaluation. windows: how many to
    verify by steps in all, 0 for every lane from end to end. workers: units at a time, 0 for one a
    processor, at most 4."""

    choice: Choice
    docs: Path
    out: Path
    shards: Path | None = None
    vocab: Path | None = None
    by_document: bool = False
    rows: int = 0
    sample: int = 0
    seed: int = 0
    windows: int = 0
    workers: int = 0


def write(wish: Wish, tell: Progress = lambda _: None, expect: Progress = lambda _: None) -> Report:
    """Write a proof; returns what it came to. Raises AuditError or OSError.

    expect: told how many tokens there are to code. tell: told whenever some more are coded.
    """
    begun = time.perf_counter()
    if wish.out.is_dir():
        raise AuditError(f"{wish.out}: is a folder, wanted the name of a file to write. Try: {wish.out / 'proof.pgp'}")
    if not wish.choice.artifact.is_file():
        raise AuditError(f"{wish.choice.artifact}: no such file; name the artifact to prove with.")
    apart(wish.out, wish.docs, wish.choice.artifact, wish.choice.scorer, wish.vocab)
    text = open_text(wish.docs, wish.shards, wish.vocab, wish.sample, wish.seed)
    workers = workers_for(wish.workers)
    own = wish.choice.path == "replay" and not wish.rows  # the evaluation's own number, which it knows
    rows = 0 if own else rows_for(len(text.tokens) - 1, wish.rows or MOST_ROWS, workers)
    with wish.choice.start(rows, len(text.vocabulary)) as scorer:
        layout, header = _plan(wish, text, scorer)
        passes = 1 if scorer.hello.bulk else 2  # of steps; a quick pass over windows is not counted beside them

    def start() -> Scorer:
        return wish.choice.start(header.rows, header.vocab, header.context)

    with Scorers(start) as scorers, Scorers(start) as judges:
        work = _Work(wish, text, layout, header, scorers, judges, tell, passes)
        expect((header.tokens - 1) * passes)
        parts = list(in_order(work.jobs(), work.unit, workers, work.stop))
    full = sum(part.meta["nats"] for part in parts)
    header = replace(header, nats=full, tail_nats=sum(part.meta["tail_nats"] for part in parts))
    data = write_header(header) + b"".join(part.data for part in parts)
    wish.out.parent.mkdir(parents=True, exist_ok=True)
    write_aside(wish.out, data)
    shutil.rmtree(work.folder, ignore_errors=True)
    tally = Tally(len(data), documents=header.documents, raw_bytes=header.raw_bytes)
    for part in parts:
        for name in ("lane_bytes", "residual_bytes", "table_bits", "seam_bits", "targets", "lanes", "recoded"):
            setattr(tally, name, getattr(tally, name) + part.meta[name])
        tally.notes += part.meta["notes"]
    low = high = None
    if header.sampled and header.documents > 1:  # one document has no spread
        costs = np.zeros(header.documents)
        for part in parts:
            owner = part.meta["owner"]
            costs[owner : owner + len(part.meta["document_bits"])] += part.meta["document_bits"]
        sizes = np.array([len(raw) for raw in text.raw()])
        low, high = interval(costs * (8 * len(data) / costs.sum()), sizes)
    given, unchecked = wish.choice.given() | weight_of(text.vocabulary), wish.choice.unchecked()
    if tally.notes:
        unchecked.append("the other windows, which nobody has decoded yet: `pglab prove check` decodes all.")
    return Report(header, tally, "written", time.perf_counter() - begun, low, high, given, unchecked)


def _plan(wish: Wish, text: Text, scorer: Scorer) -> tuple[Layout, Header]:
    hello = scorer.hello
    if hello.vocab != len(text.vocabulary):
        raise AuditError(
            f"the scorer predicts {hello.vocab:,} ids, the vocabulary has {len(text.vocabulary):,}: they do not belong "
            "together. Name the shards and vocabulary that the artifact was trained with."
        )
    digest = sha256_of(wish.choice.artifact)
    if hello.artifact != digest:
        raise AuditError(f"{wish.choice.artifact}: the scorer read other bytes (sha256 {hello.artifact[:12]}...).")
    layout = lay_out(text.tokens, text.bos, hello.context, wish.by_document, hello.rows)
    targets = len(text.tokens) - 1
    scored = targets // hello.context * hello.context if hello.context and not wish.by_document else targets
    header = Header(
        flags=BY_DOCUMENT * wish.by_document,
        vocab=hello.vocab,
        context=hello.context,
        rows=hello.rows,
        bos=text.bos,
        tokens=len(text.tokens),
        documents=len(text.marks),
        raw_bytes=text.raw_bytes,
        population=text.population,
        seed=wish.seed,
        units=layout.units,
        scored_tokens=scored,
        scored_raw=text.raw_of_targets(scored),
        nats=0.0,
        tail_nats=0.0,
        artifact=bytes.fromhex(digest),
        vocabulary=bytes.fromhex(sha256_of(text.vocabulary_path)),
        text=text.digest,
        about=hello.about,
    )
    return layout, header


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished unit: its bytes, and the numbers of its report."""

    data: bytes
    meta: dict


@dataclass(frozen=True, slots=True)
class _Job:
    """A unit to make. raw: the documents that begin in it, the first of them document `first`."""

    number: int
    first: int
    raw: list[bytes]


class _Work:
    """The units of one proof, made or found. judges: scorers that did not code what they decode."""

    def __init__(
        self,
        wish: Wish,
        text: Text,
        layout: Layout,
        header: Header,
        scorers: Scorers,
        judges: Scorers,
        tell: Progress,
        passes: int,
    ) -> None:
        self.passes = passes
        self.wish, self.text, self.layout, self.header, self.tell = wish, text, layout, header, tell
        self.scorers, self.judges = scorers, judges
        self.rules = Rules(header.vocab, header.bos, header.context, header.by_document)
        self.folder = wish.out.parent / f".{wish.out.name}.parts"
        checked = f"windows {wish.windows}".encode()  # a part verified by sample is no part verified whole
        self.key = write_header(header) + hashlib.sha256(text.tokens.astype("<u2").tobytes() + checked).digest()
        self.ends = np.append(text.marks[1:], len(text.tokens))

    def stop(self) -> None:
        """End the scorers under way."""
        self.scorers.stop()
        self.judges.stop()

    def jobs(self) -> Iterator[_Job]:
        """The units in order, their documents read from the file as they are asked for."""
        raw = self.text.raw()
        for number in range(self.layout.units):
            lanes = self.layout.unit(number)
            edges = self.layout.starts[[lanes.start, lanes.stop]]
            first, behind = (int(edge) for edge in np.searchsorted(self.text.marks, edges))
            if number == self.layout.units - 1:
                behind = len(self.text.marks)  # a document of the last token alone begins in no lane
            yield _Job(number, first, list(islice(raw, behind - first)))

    def unit(self, job: _Job) -> _Part:
        """A unit from the folder of parts, or made now and put there."""
        number, first, raw = job.number, job.first, job.raw
        behind, marks = first + len(raw), self.text.marks
        lanes = self.layout.unit(number)
        starts = self.layout.starts[lanes.start : lanes.stop + 1]
        place = self.folder / f"{number:06d}.part"
        found = self._found(place)
        if found is not None:
            self.tell(int(starts[-1] - starts[0]) * self.passes)
            return found
        tokens = [self.text.tokens[a : b + 1] for a, b in pairwise(starts)]
        coded, recoded, notes = self._coded(number, tokens)
        begun = [int(n) for n in np.diff(np.searchsorted(marks, starts))]
        begun[-1] += behind - first - sum(begun)
        decoded = (self.text.vocabulary.decode(self.text.tokens[marks[d] : self.ends[d]]) for d in range(first, behind))
        residual = encode_residual(zip(decoded, raw, strict=True))
        unit = Unit(tuple(len(one) - 1 for one in tokens), tuple(begun), tuple(coded.lanes), residual)
        meta = self._meta(coded, tokens, int(starts[0]), first, behind)
        meta |= {"residual_bytes": len(residual), "recoded": recoded, "notes": notes}
        meta["seam_bits"] = float(np.log2(self.header.vocab)) * sum(
            self.rules.seam(number == 0 and row == 0) for row in range(len(tokens))
        )
        part = _Part(write_unit(unit), meta)
        self.folder.mkdir(parents=True, exist_ok=True)
        told = json.dumps(meta).encode()
        body = self.key + len(told).to_bytes(8, "little") + told + part.data
        write_aside(place, body + checksum(body))
        return part

    def _found(self, place: Path) -> _Part | None:
        if not place.is_file():
            return None
        data = place.read_bytes()
        if not data.startswith(self.key) or checksum(data[:-4]) != data[-4:]:
            return None
        at = len(self.key) + 8
        size = int.from_bytes(data[at - 8 : at], "little")
        return _Part(data[at + size : -4], json.loads(data[at : at + size]))

    def _meta(self, coded: Coded, tokens: list[np.ndarray], start: int, first: int, behind: int) -> dict:
        bits = np.concatenate(coded.bits)
        nats = np.concatenate(coded.nats) if coded.nats else np.zeros(1)
        targets = sum(len(one) - 1 for one in tokens)
        tail = start + targets > self.header.scored_tokens  # then the very last window is not a full one
        owners = np.searchsorted(self.text.marks, start + np.arange(targets), "right") - 1
        costs = np.bincount(owners - owners[0], bits, minlength=int(owners[-1] - owners[0]) + 1)
        return {
            "lane_bytes": sum(map(len, coded.lanes)),
            "lanes": len(tokens),
            "targets": targets,
            "table_bits": float(bits.sum()),
            "nats": float(nats[:-1].sum() if tail else nats.sum()),
            "tail_nats": float(nats[-1]) if tail else 0.0,
            "document_bits": costs.tolist(),
            "owner": int(owners[0]),
        }

    def _coded(self, number: int, tokens: list[np.ndarray]) -> tuple[Coded, int, list[str]]:
        """A unit coded, and verified by another process; lanes that come back wrong are coded again by steps."""
        tables, first = Tables(self.header.vocab), number == 0
        with self.scorers.borrow() as scorer:
            bulk = scorer.hello.bulk
            tell = self.tell if not bulk or self.wish.windows else lambda _: None  # the steps that follow are told
            coded = code_unit(scorer, tables, self.rules, tokens, first, not bulk, tell)
        with self.judges.borrow() as judge:
            if self.wish.windows and bulk:
                return coded, 0, [self._compared(judge, number, tokens, coded)]
            wrong = self._wrong(judge, coded.lanes, tokens, first)
            left = wrong
            if len(wrong) and bulk:
                stepped = code_unit(judge, tables, self.rules, tokens, first, True, self.tell)
                again: list[bytes | None] = [None] * len(tokens)
                for row in wrong:
                    again[row] = coded.lanes[row] = stepped.lanes[row]
                    coded.bits[row] = stepped.bits[row]
                left = self._wrong(judge, again, tokens, first)
        if len(left):
            raise AuditError(
                f"lane {left[0]} of unit {number} cannot be decoded, coded by steps: the scorer does not give the same "
                "answer twice to the same tokens. No proof can be written with it."
            )
        return coded, len(wrong), []

    def _compared(self, judge: Scorer, number: int, tokens: list[np.ndarray], coded: Coded) -> str:
        """Some windows of a unit taken by steps, and what that shows; the choice follows from the seed, and each lane
        has its own: the same place in all lanes would be one draw, not as many as there are lanes."""
        rounds = -(-self.wish.windows // (len(tokens) * self.layout.units))
        tables, same = Tables(self.header.vocab), list[bool]()
        chosen = [
            choose(len(one), rounds, (self.wish.seed << 32) + number * self.header.rows + row)
            for row, one in enumerate(coded.nats)
        ]
        for turn in range(max(map(len, chosen))):
            windows = [int(some[turn]) if turn < len(some) else None for some in chosen]
            same += compare_windows(judge, self.rules, tables, tokens, coded, windows)
        if not all(same):
            raise AuditError(
                f"{same.count(False)} of {len(same)} windows of unit {number} give other tables by steps than in the "
                "evaluation's own pass: it looks ahead, or is not deterministic. No proof can be written of it."
            )
        total = sum(len(one) for one in coded.nats)
        return (
            f"unit {number}: {len(same):,} of {total:,} windows taken by steps, all equal; with 95% confidence fewer "
            f"than {min(3 / len(same), 1):.2%} of its windows differ."
        )

    def _wrong(self, judge: Scorer, lanes: Sequence[bytes | None], tokens: list[np.ndarray], first: bool) -> np.ndarray:
        """Which rows do not decode to their tokens."""
        lengths = [len(one) - 1 for one in tokens]
        tables = Tables(self.header.vocab)
        back, _, done = decode_unit(judge, tables, self.rules, list(lanes), lengths, first, self.tell)
        good = [
            lane is None or (bool(ended) and np.array_equal(one, other))
            for lane, ended, one, other in zip(lanes, done, back, tokens, strict=True)
        ]
        return np.flatnonzero(~np.array(good))

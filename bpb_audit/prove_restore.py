"""The documents of a proof, restored from the file and a scorer's steps alone, unit after unit.

A document is whole once the lane with the next one's mark was decoded, perhaps in the next unit, so tokens flow through
one generator and documents come out as soon as they are whole: memory is that of a unit. Of documents that were not
asked for, only the lanes are decoded that others need; where a residual adapts over a unit's documents, that is those
before them in the unit.
"""

import json
from collections.abc import Iterator
from itertools import accumulate, islice, pairwise

import numpy as np

from .errors import AuditError
from .prove_ahead import Scorers, in_order
from .prove_code import Progress, Rules, decode_unit
from .prove_format import ProofFile
from .prove_frames import Scorer
from .prove_report import Tally
from .prove_residual import restore
from .prove_tables import Tables
from .vocabulary import Vocabulary


class Restoring:
    """Restores documents and adds up what they cost. fault: why it stopped, "" while all is well."""

    def __init__(
        self,
        proof: ProofFile,
        scorers: Scorers,
        vocabulary: Vocabulary,
        wanted: np.ndarray | None,
        tell: Progress,
        workers: int = 1,
    ) -> None:
        """wanted: (k,) sorted numbers within the proof, None for all documents. workers: units at a time."""
        head = proof.header
        self.proof, self.scorers, self.vocabulary, self.tell, self.workers = proof, scorers, vocabulary, tell, workers
        self.rules = Rules(head.vocab, head.bos, head.context, head.by_document)
        self.tally, self.fault = Tally(), ""
        self.broken = False  # the scorer failed, not the proof
        counts = [sum(place.documents) for place in proof.places]
        self.firsts = [place.first for place in proof.places]
        self.needed: list[range | np.ndarray] = []
        for place, first, count in zip(proof.places, self.firsts, counts, strict=True):
            mine: range | np.ndarray = range(first, first + count)
            if wanted is not None:
                mine = wanted[(wanted >= first) & (wanted < first + count)]
                if len(mine) and place.residual:
                    mine = range(first, int(mine[-1]) + 1)
            self.needed.append(mine)
        self.lanes = _lanes(proof, self.needed)
        self.targets = sum(
            place.tokens[row] for place, rows in zip(proof.places, self.lanes, strict=True) for row in rows
        )

    def documents(self) -> Iterator[tuple[int, bytes]]:
        """(number in the proof, raw UTF-8) of each document wanted, and of those that had to be decoded for them.

        Ends early, and sets `fault`, where a lane does not decode. Raises AuditError for a damaged file.
        """
        tokens = self._documents_of_tokens()
        for unit, needed in enumerate(self.needed):
            if not len(needed):
                continue
            code = self.proof.parts(unit)[1]
            self.tally.residual_bytes += len(code)
            numbers = iter(needed)
            decoded = (self._decoded(number, ids) for number, ids in islice(tokens, len(needed)))
            try:
                for raw in restore(code, (text for text in decoded if text is not None), self.proof.header.raw_bytes):
                    yield int(next(numbers)), raw
            except AuditError as error:
                if self.broken:
                    raise
                self._stop(str(error))
            if self.fault:
                return

    def _decoded(self, number: int, ids: np.ndarray) -> bytes | None:
        try:
            return self.vocabulary.decode(ids)
        except AuditError as error:
            self._stop(f"document {number:,}: {error}")
            return None

    def _stop(self, why: str) -> None:
        self.fault = self.fault or why

    def _documents_of_tokens(self) -> Iterator[tuple[int, np.ndarray]]:
        """(number, tokens from its mark on) of each needed document, in order."""
        wanted = iter([int(number) for some in self.needed for number in some])
        due = next(wanted, None)
        open_number, pieces = -1, list[np.ndarray]()
        units = [unit for unit, rows in enumerate(self.lanes) if rows]
        for unit, decoded in zip(units, in_order(units, self._decode, self.workers, self.scorers.stop), strict=True):
            for row, ids in self._checked(unit, *decoded):
                begun = self.firsts[unit] + sum(self.proof.places[unit].documents[:row])
                marks = np.flatnonzero(ids == self.rules.bos)
                if open_number == begun - 1:
                    pieces.append(ids[: marks[0] if len(marks) else len(ids)])
                for at, stop in pairwise([*marks, len(ids)]):
                    if due is not None and open_number == due:
                        yield due, np.concatenate(pieces)
                        due = next(wanted, None)
                    open_number, pieces = begun, [ids[at:stop]]
                    begun += 1
            if self.fault:
                return
        if due is not None and open_number == due:
            yield due, np.concatenate(pieces)

    def _decode(self, unit: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Tokens, bits, and whether it ended well, of each lane of a unit that is needed."""
        place, rows = self.proof.places[unit], set(self.lanes[unit])
        lanes = [lane if row in rows else None for row, lane in enumerate(self.proof.parts(unit)[0])]
        try:
            with self.scorers.borrow() as scorer:
                tables = Tables(self.rules.vocab)
                return decode_unit(scorer, tables, self.rules, lanes, list(place.tokens), unit == 0, self.tell)
        except AuditError:
            self.broken = True
            raise

    def _checked(
        self, unit: int, tokens: list[np.ndarray], bits: list[np.ndarray], done: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(row, what the lane reads) of each; the last lane of all has its last target, too."""
        place, rows = self.proof.places[unit], self.lanes[unit]
        last = unit == len(self.proof.places) - 1
        for row in rows:
            whole = last and row == len(place.lanes) - 1
            ids = tokens[row] if whole else tokens[row][:-1]
            if not done[row] or np.count_nonzero(ids == self.rules.bos) != place.documents[row]:
                begun = self.firsts[unit] + sum(place.documents[:row])
                self._stop(
                    f"lane {row} of unit {unit} does not decode with this scorer; the first document it touches is "
                    f"{max(begun - (not len(ids) or ids[0] != self.rules.bos), 0):,}"
                )
                return
            seam = self.rules.seam(unit == 0 and row == 0)
            self.tally.seam_bits += float(np.log2(self.rules.vocab)) * seam
            self.tally.table_bits += float(bits[row].sum())
            self.tally.targets += place.tokens[row]
            self.tally.lane_bytes += place.lanes[row]
            self.tally.lanes += 1
            yield row, ids


def _lanes(proof: ProofFile, needed: list[range | np.ndarray]) -> list[list[int]]:
    """Which lanes of each unit hold the needed documents: from a document's mark to the next one's."""
    counts = [count for place in proof.places for count in place.documents]
    ends = np.fromiter(accumulate(counts), np.int64)  # documents begun up to each lane
    wide = np.array([len(place.lanes) for place in proof.places])
    bases = np.cumsum(wide) - wide
    taken = np.zeros(len(counts) + 1, np.int64)
    for some in needed:
        if len(some):
            numbers = np.asarray(some)
            np.add.at(taken, np.searchsorted(ends, numbers, "right"), 1)
            np.add.at(taken, np.minimum(np.searchsorted(ends, numbers + 1, "right"), len(counts) - 1) + 1, -1)
    inside = np.cumsum(taken)[:-1] > 0
    return [np.flatnonzero(inside[b : b + w]).tolist() for b, w in zip(bases, wide, strict=True)]


def same_scorer(proof: ProofFile, scorer: Scorer) -> str:
    """Raises AuditError unless the scorer can decode this proof; returns a note where its versions are others."""
    head, hello = proof.header, scorer.hello
    if hello.artifact != head.artifact.hex():
        raise AuditError(
            f"the proof was made with another artifact (sha256 {head.artifact.hex()[:12]}..., this one has "
            f"{hello.artifact[:12]}...). Name the right one."
        )
    wanted = {"vocab": head.vocab, "rows": head.rows, "context": head.context}
    for name, value in wanted.items():
        if getattr(hello, name) != value:
            raise AuditError(
                f"the scorer has {name} {getattr(hello, name):,}, the proof was made with {value:,}; a scorer decodes "
                "only in the shape that it coded in."
            )
    if hello.about == head.about:
        return ""
    said = f"the scorer now: {hello.about}; when written: {head.about}."
    if json.loads(head.about).get("path") == "replay":
        raise AuditError(f"{said} An evaluation's own pass decodes only where its arithmetic is the same.")
    return said

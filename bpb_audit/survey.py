"""One pass over shards, sidecar and raw documents that gathers every number the rules speak of.

Documents of the shards lie between two BOS; document i is held against line i of the raw documents. A batch of some
thousand documents is decoded in one gather; only documents whose bytes differ are looked at one by one. Memory is that
of a batch, whatever the corpus.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from .counting import IDS, Follower, Meter, per_document
from .documents import Document, read_documents
from .errors import AuditError
from .round_trip import Level, Loss, as_text, compare, first_loss, loose, normal_size, same_document
from .shard_reader import Batch, Stream, documents
from .vocabulary import ByteTable, Vocabulary, finish, gather, widen

PAIR_SAMPLE = 1 << 16  # tokens a batch in which neighbours are looked up
MARK = "\u2581".encode()
KEPT = 8  # examples kept of each kind
LOST_KEPT = 100_000  # documents whose place is looked for
SPECIAL_TEXT = ("<s>", "</s>", "<pad>", "<unk>", "<bos>", "<eos>", "<|endoftext|>", "<|bos|>")


@dataclass(frozen=True, slots=True)
class Row:
    """One document, counted every way; None where that evidence is absent."""

    document: int  # from 0
    position: int  # of its BOS in the token stream
    line: int | None = None
    raw: int | None = None
    decoded: int | None = None
    table: int | None = None
    sidecar: int | None = None


@dataclass(slots=True)
class Survey:
    """Everything counted in one pass. Sums are over the documents named beside them.

    counts: (65536,) int64 occurrences of each id. sidecar_sums: (65536,) float64, sidecar bytes charged to each id.
    `paired` documents have their raw document in place, perhaps damaged; sums with `paired` in the name cover those.
    """

    tokens: int = 0
    documents: int = 0
    headless: bool = False
    bos: int = 1
    counts: np.ndarray = field(default_factory=lambda: np.zeros(1 << 16, np.int64))
    sidecar_sums: np.ndarray = field(default_factory=lambda: np.zeros(1 << 16))
    table: int | None = None  # official table of the tokenizer file, all tokens
    given: int | None = None  # the table that was shipped, all tokens
    sidecar: int | None = None
    decoded: int | None = None  # bytes of the decoded documents
    levels: dict[Level, int] = field(default_factory=lambda: dict.fromkeys(Level, 0))
    paired: int = 0
    paired_raw: int = 0
    paired_outer: int = 0  # white space at both ends of raw documents, bytes
    paired_decoded: int = 0
    paired_table: int = 0
    paired_normal: int = (
        0  # raw documents under the challenge's normaliser, as we compute it; exact documents as they are
    )
    paired_marks: int = 0  # spaces that decode to U+2581, three bytes, where the documents have none
    paired_sidecar: int = 0
    table_rows: list[Row] = field(default_factory=list)  # first documents where table and raw differ
    sidecar_rows: list[Row] = field(default_factory=list)  # first documents where sidecar and raw differ
    sidecar_trimmed: int = 0  # documents whose sidecar leaves out the white space at both ends
    sidecar_normalised: int = 0  # documents whose sidecar counts what the tokens decode to
    sidecar_wrong: int = 0  # documents whose sidecar is none of these
    losses: list[tuple[Row, Loss]] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)  # loose text key -> document, for those not found in place
    strangers: int = 0  # documents that are another text than the raw one in their place
    torn: int = 0  # stretches too long for a document
    unpaired: int = 0  # documents of the shards beyond the raw documents
    bad_utf8: int = 0
    bad_case: int = 0  # documents whose case operators cannot be undone
    special: dict[str, int] = field(default_factory=dict)  # special-token text -> raw documents that hold it
    pairs_seen: int = 0
    pairs_impossible: int = 0
    raw_documents: int | None = None  # documents read from the file


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read: `stream` of shards, and whatever else there is."""

    stream: Stream
    vocabulary: Vocabulary | None = None
    table: ByteTable | None = None  # the shipped one
    sidecar: Stream | None = None
    docs: Path | None = None
    bos: int = 1


def key_of(text: str) -> str:
    """A short key that two documents share when they are equal at the loose level."""
    return blake2b(loose(text).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def run(plan: Plan, tell: Callable[[int], None] = lambda _: None) -> Survey:
    """The pass. Raises AuditError for damaged files; what merely disagrees is counted.

    tell: told the tokens of each batch once it is done.
    """
    work = _Pass(plan)
    for batch in documents(plan.stream, plan.bos):
        work.add(batch)
        tell(len(batch.ids))
    found = work.found
    if plan.sidecar is not None:
        found.sidecar = int(found.sidecar_sums.sum())
    return found


class _Pass:
    """The state of one pass: readers that move in step, and the survey that grows."""

    def __init__(self, plan: Plan) -> None:
        vocabulary, self.plan = plan.vocabulary, plan
        self.found = Survey(bos=plan.bos)
        self.wide = widen(vocabulary, IDS) if vocabulary else None
        self.meter = Meter(vocabulary.table) if vocabulary else None
        self.given = Meter(plan.table) if plan.table else None
        self.follower = Follower(plan.sidecar) if plan.sidecar else None
        self.raw = read_documents(plan.docs) if plan.docs else None
        self.before: int | None = None
        if vocabulary:
            self.found.table = self.found.decoded = 0
        if self.given:
            self.found.given = 0
        if self.raw:
            self.found.raw_documents = 0

    def add(self, batch: Batch) -> None:
        """Count one batch of whole documents."""
        found, ids = self.found, batch.ids
        found.headless |= batch.headless and batch.first == 0
        found.torn += batch.torn
        found.counts += np.bincount(ids, minlength=IDS)
        if self.given is not None:
            found.given = (found.given or 0) + self.given.total(ids, self.before)
        side = self.follower.take(len(ids)) if self.follower else None
        if side is not None:
            found.sidecar_sums += np.bincount(ids, side, minlength=IDS)
        self._documents(batch, side)
        if self.plan.vocabulary is not None:
            _neighbours(ids, found, self.plan.vocabulary)
        found.tokens += len(ids)
        found.documents += len(batch.starts) - 1
        self.before = int(ids[-1])

    def _documents(self, batch: Batch, side: np.ndarray | None) -> None:
        """Cut the batch into documents, each with its bytes by table and sidecar and its decoded text."""
        starts, found = batch.starts, self.found
        side_sums = None if side is None else per_document(side, starts).tolist()
        table_sums = None
        text, ends = b"", [0] * len(starts)
        if self.wide is not None and self.meter is not None:
            table_sums = per_document(self.meter.each(batch.ids, self.before), starts).tolist()
            found.table = (found.table or 0) + sum(table_sums)
            flat, token_ends = gather(self.wide, batch.ids)
            text, ends = flat.tobytes(), np.append(0, token_ends)[starts].tolist()
        elif self.given is not None:
            table_sums = per_document(self.given.each(batch.ids, self.before), starts).tolist()
        for j in range(len(starts) - 1):
            row = Row(
                found.documents + j,
                batch.first + int(starts[j]),
                table=table_sums[j] if table_sums else None,
                sidecar=side_sums[j] if side_sums else None,
            )
            decoded = None if self.wide is None else self._decode(self.wide, text[ends[j] : ends[j + 1]])
            document = next(self.raw, None) if self.raw else None
            if document is None:
                found.unpaired += self.raw is not None
                found.bad_utf8 += decoded is not None and not _is_utf8(decoded)
                continue
            row = replace(
                row, line=document.line, raw=len(document.raw), decoded=None if decoded is None else len(decoded)
            )
            last = batch.first + int(starts[j + 1]) == self.plan.stream.total
            _hold(row, document, decoded, found, batch.headless and j == 0, last)

    def _decode(self, vocabulary: Vocabulary, text: bytes) -> bytes:
        """The document's text; where case operators cannot be undone they stay in it, and it is counted."""
        try:
            text = finish(vocabulary, text)
        except AuditError:
            self.found.bad_case += 1
        self.found.decoded = (self.found.decoded or 0) + len(text)
        return text


def _neighbours(ids: np.ndarray, found: Survey, vocabulary: Vocabulary) -> None:
    """Look up adjacent pairs that the encoder would have merged, in the head of each batch."""
    if vocabulary.merges is None or not len(vocabulary.merges):
        return
    sample = ids[: PAIR_SAMPLE + 1].astype(np.int64)
    pairs = sample[:-1] * len(vocabulary) + sample[1:]
    at = np.minimum(np.searchsorted(vocabulary.merges, pairs), len(vocabulary.merges) - 1)
    found.pairs_seen += len(pairs)
    found.pairs_impossible += int((vocabulary.merges[at] == pairs).sum())


def _hold(row: Row, document: Document, decoded: bytes | None, found: Survey, head: bool, tail: bool) -> None:
    """Hold one document of the shards against the raw one in its place. `head`/`tail`: the stream may cut it there."""
    found.raw_documents = (found.raw_documents or 0) + 1
    if "<" in document.text:
        for word in SPECIAL_TEXT:
            if word in document.text:
                found.special[word] = found.special.get(word, 0) + 1
    level, normal = Level.EXACT, len(document.raw)
    if decoded is not None and decoded != document.raw:
        normal = normal_size(document.text)
        found.bad_utf8 += not _is_utf8(decoded)
        level = compare(document.text, as_text(decoded), head_cut=head, tail_cut=tail)
    found.levels[level] += decoded is not None
    if level is Level.LOSSY and decoded is not None:
        if len(found.lost) < LOST_KEPT:
            found.lost[key_of(as_text(decoded))] = row.document
        if not same_document(document.text, as_text(decoded)):
            found.strangers += 1
            return
        if len(found.losses) < KEPT:
            found.losses.append((row, first_loss(document.text, as_text(decoded))))
    if level is not Level.CUT:
        found.paired_normal += normal
        if decoded is not None:
            found.paired_marks += max(decoded.count(MARK) - document.raw.count(MARK), 0)
        _sum(row, len(document.text.strip().encode("utf-8")), found)


def _sum(row: Row, trimmed: int, found: Survey) -> None:
    """Add a document that is in its place to the sums; `trimmed` its bytes without outer white space."""
    raw = row.raw or 0
    found.paired += 1
    found.paired_raw += raw
    found.paired_outer += raw - trimmed
    found.paired_decoded += row.decoded or 0
    found.paired_table += row.table or 0
    if row.table != raw and len(found.table_rows) < KEPT:
        found.table_rows.append(row)
    if row.sidecar is None:
        return
    found.paired_sidecar += row.sidecar
    if row.sidecar == raw:
        return
    found.sidecar_trimmed += row.sidecar == trimmed
    found.sidecar_normalised += row.sidecar == row.decoded != trimmed
    found.sidecar_wrong += row.sidecar not in (trimmed, row.decoded)
    if len(found.sidecar_rows) < KEPT:
        found.sidecar_rows.append(row)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

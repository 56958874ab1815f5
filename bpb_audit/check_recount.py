"""Rules PG10x on the bytes of the validation text recounted from raw documents, and held against table and sidecar."""

from collections.abc import Iterator

from .counting import Meter
from .evidence import Evidence
from .finding import Finding, failed, passed, unchecked
from .inputs import Recount, recount
from .recount import (
    boundary_shift,
    complete,
    ranked,
    say_effects,
    sequence_length,
    sidecar_effects,
    table_effects,
    wrong_pair,
)
from .rules import rule
from .shipped_table import table_without_shards
from .survey import Row

NEED_SHARDS = "give the folder of the validation shards with --shards DIR"
NEED_DOCS = "give the raw documents with --docs docs.jsonl"
NEED_TOKENIZER = "give the tokenizer that made the shards with --tokenizer FILE"
RIGHT = "name the tokenizer that made these shards with --tokenizer FILE"
OFFICIAL = ("nmt_nfkc", "nfkc")  # rule sets under which the challenge itself divides by the table
EXCESS = 1e-4  # share of bytes that a table may count beyond the text before it fails


def name_row(row: Row) -> str:
    """`document 12 (line 13): raw 1,024, normalised 1,020, table 1,020, sidecar 1,024 bytes`."""
    parts = [("raw", row.raw), ("normalised", row.decoded), ("table", row.table), ("sidecar", row.sidecar)]
    told = ", ".join(f"{name} {value:,}" for name, value in parts if value is not None)
    return f"document {row.document:,} (line {row.line}): {told} bytes"


def denominators(found: Recount) -> str:
    """The three denominators (and the sidecar's) over the documents that could be paired, each with its name."""
    s = found.survey
    told = [f"raw {s.paired_raw:,}", f"normalised {s.paired_decoded:,}", f"table {s.paired_table:,}"]
    if s.sidecar is not None:
        told.append(f"sidecar {s.paired_sidecar:,}")
    return ", ".join(told) + " bytes"


@rule("PG101", "bytes recounted from the raw documents")
def recounted(evidence: Evidence) -> Iterator[Finding]:
    """Counts the validation text three ways and shows them side by side, never one of them unnamed.

    raw: UTF-8 of the documents as published. normalised: what the tokens decode to. table: the official per-token
    table over the shards, computed from the tokenizer file by this auditor. The table must not count bytes that the
    documents do not hold; where it does, the token ids are listed by their total effect. Under the challenge's own
    normaliser (nmt_nfkc) the table counts normalised text, which is its published definition: that passes, and the
    raw count is named beside it. A case transform with characters as operators needs a byte sidecar, as the table
    would count them; one whose signs are bytes outside UTF-8 (0xFD to 0xFF) does not, as signs count nothing.

    Fix: count UTF-8 bytes of the original text, by a sidecar whose sum over each document is the document's bytes.
    """
    found = recount(evidence)
    if found is None:
        yield unchecked("no shards to recount.", fix=NEED_SHARDS)
        return
    survey, vocabulary = found.survey, found.inputs.vocabulary
    if vocabulary is None:
        yield unchecked(
            f"no tokenizer that can decode these shards. {found.inputs.refused}".strip(), fix=NEED_TOKENIZER
        )
        return
    where = f"{found.inputs.stream.files[0].name} ({survey.documents:,} documents)"
    if found.inputs.docs is None:
        told = f"normalised {survey.decoded or 0:,}, table {survey.table or 0:,} bytes"
        yield unchecked(f"without the raw documents only {told} could be counted.", where, NEED_DOCS)
        return
    if wrong_pair(found):
        yield unchecked(
            "this tokenizer cannot have made these shards (PG607), so its counts mean nothing.", where, RIGHT
        )
        return
    if not survey.paired:
        yield unchecked("not one document of the shards is in its place in the raw documents.", where, NEED_DOCS)
        return
    raw, table, decoded = survey.paired_raw, survey.paired_table, survey.paired_decoded
    scope = "all" if complete(survey) else f"the {survey.paired:,} paired"
    says = f"{denominators(found)} over {scope} documents; each denominator named, none mixed."
    if survey.sidecar is not None:
        yield passed(
            f"{says} The sidecar is the divisor here; see PG102.", where, denominators(found), f"{raw:,} raw bytes"
        )
        return
    effects = say_effects(table_effects(vocabulary, survey))
    excess = table - max(raw, decoded)
    if excess > EXCESS * raw:
        yield failed(
            f"the table counts {excess:,} bytes ({excess / raw:.2%}) that no document and no token holds: {effects}.",
            where,
            denominators(found),
            f"{raw:,} raw bytes",
            "count the original UTF-8 bytes by a sidecar, or correct the table for the ids named",
        )
    elif table > raw * (1 + EXCESS) and not (
        vocabulary.normaliser in OFFICIAL and table <= survey.paired_normal * (1 + EXCESS)
    ):
        marks = (
            f" {survey.paired_marks:,} spaces are counted as U+2581, three bytes each." if survey.paired_marks else ""
        )
        yield failed(
            f"the table counts transformed text: {table - raw:,} bytes ({table / raw - 1:.2%}) beyond the documents."
            + marks,
            where,
            denominators(found),
            f"{raw:,} raw bytes",
            "divide by the bytes of the original documents",
        )
    else:
        yield passed(f"{says} {_relation(raw, table)}", where, denominators(found), f"{raw:,} raw bytes")


def _relation(raw: int, table: int) -> str:
    if raw == table:
        return "Table and documents agree to the byte."
    side = "more than" if table > raw else "less than"
    return f"The table counts {abs(table - raw):,} bytes ({abs(table / raw - 1):.4%}) {side} the documents."


@rule("PG102", "byte sidecar against the raw documents")
def sidecar(evidence: Evidence) -> Iterator[Finding]:
    """Sums the sidecar over each document and compares with that document's UTF-8 bytes; both must be equal.

    A total can agree while documents do not, so every document is compared. A document's sum can agree while bytes were
    moved from its unscored tail to scored targets, so where the tokenizer gives documents back exactly, the tail's
    bytes are compared with those it decodes to (16 bytes may differ). Leaving out the white space at a document's ends,
    or counting what the tokens decode to, passes and is named, as long as it does not add bytes in sum. The first
    documents that differ are listed, and the token ids whose sidecar bytes differ most from what they decode to. Says
    nothing when there is no sidecar and the vocabulary needs none; fails when a case transform whose operators the
    table counts ships without one.

    Fix: write the sidecar in the same pass as the shards, from byte offsets into the original document.
    """
    found = recount(evidence)
    if found is None:
        yield unchecked("no shards whose sidecar could be read.", fix=NEED_SHARDS)
        return
    survey, inputs = found.survey, found.inputs
    if inputs.sidecar is None:
        if inputs.vocabulary is not None and inputs.vocabulary.transform == "caseops":
            yield failed(
                "the vocabulary writes case operators, which the table counts as bytes, and there is no byte sidecar.",
                str(inputs.tokenizer_path),
                f"{survey.table or 0:,} table bytes, {survey.decoded or 0:,} after undoing the transform",
                "a sidecar of original bytes per token",
                "write fineweb_val_*.bytes beside the shards, or give it with --sidecar FILE",
            )
        return
    where = inputs.sidecar.files[0].name
    total = f"{survey.sidecar or 0:,} bytes"
    if inputs.docs is None or not survey.paired:
        met = "there are no raw documents" if inputs.docs is None else "no document is in its place"
        yield unchecked(f"the sidecar sums to {total}; {met} to hold it against.", where, NEED_DOCS)
        return
    excess = survey.paired_sidecar - survey.paired_raw
    found_told, wanted_told = f"{survey.paired_sidecar:,} sidecar bytes", f"{survey.paired_raw:,} raw bytes"
    if survey.sidecar_wrong or excess > EXCESS * survey.paired_raw:
        odd = survey.sidecar_wrong + survey.sidecar_normalised + survey.sidecar_trimmed
        rows = "; ".join(name_row(row) for row in survey.sidecar_rows[:3])
        effects = say_effects(sidecar_effects(inputs.vocabulary, survey)) if inputs.vocabulary else ""
        first = survey.sidecar_rows[0]
        yield failed(
            f"{odd:,} of {survey.paired:,} documents have other bytes in the sidecar: {rows}."
            + (f" By token id: {effects}." if effects else ""),
            f"{inputs.stream.place(first.position)}:document {first.document}",
            found_told,
            wanted_told,
            "write the sidecar from byte offsets into the original documents",
        )
    elif moved := boundary_shift(found, sequence_length(evidence)):
        sides = ("of the unscored tail to scored targets", "of scored targets to the unscored tail")
        yield failed(
            f"every document sums right, but the sidecar gives {abs(moved):,} bytes {sides[moved < 0]}.",
            where,
            f"{moved:+,} bytes before the tail",
            "the bytes that these tokens decode to",
            "write the sidecar from byte offsets into the original documents, token by token",
        )
    elif survey.sidecar_rows:
        yield passed(
            f"the sidecar counts original text: {survey.sidecar_trimmed:,} documents without outer white space, "
            f"{survey.sidecar_normalised:,} as their tokens decode, all others to the byte; {excess:+,} bytes in all.",
            where,
            found_told,
            wanted_told,
        )
    else:
        kept = survey.paired_raw - survey.paired_decoded if inputs.vocabulary else 0
        more = f" {kept:,} of them ({kept / survey.paired_raw:.2%}) are not in the decoded text." if kept > 0 else ""
        yield passed(
            f"the sidecar gives every one of {survey.paired:,} documents exactly its raw UTF-8 bytes.{more}",
            where,
            found_told,
            wanted_told,
        )


@rule("PG103", "shipped byte table against the tokenizer")
def shipped_table(evidence: Evidence) -> Iterator[Finding]:
    """Compares a shipped byte table (token_table.npz, *.meta.npz) with the one computed from the tokenizer file.

    Columns may differ where no token occurs; what counts is the sum over the shards. The ids that differ are ranked by
    total effect. Without a tokenizer that decodes, the table's own total is compared with the raw documents instead.
    Without shards, table and tokenizer of the record folder are compared id by id: agreement passes, and ids that
    differ are named but not weighed.

    Fix: correct the ids named; usual causes are byte pieces sized 3 or 6, a space counted twice, a lost U+2581.
    """
    found = recount(evidence)
    if found is None:
        yield table_without_shards(evidence)
        return
    inputs, survey = found.inputs, found.survey
    if inputs.table is None:
        return
    where, given = str(inputs.table_path), survey.given or 0
    if inputs.vocabulary is None:
        yield _table_alone(found, where)
        return
    table = survey.table or 0
    difference = survey.counts * (Meter(inputs.table).full - Meter(inputs.vocabulary.table).full)
    effects = say_effects(ranked(inputs.vocabulary, survey.counts, difference.astype(float)))
    if given == table and not effects:
        yield passed(
            f"all {len(inputs.vocabulary):,} ids count as the tokenizer says.",
            where,
            f"{given:,} table bytes",
            f"{table:,}",
        )
        return
    text = survey.decoded or 0
    if inputs.vocabulary.transform and given == text:
        yield passed(
            "the table counts no case operator, and so the bytes of the original text.",
            where,
            f"{given:,} bytes",
            f"{text:,}",
        )
        return
    share = given / max(table, 1) - 1
    yield failed(
        f"the shipped table counts {given - table:+,} bytes ({share:+.2%}) against the tokenizer: {effects}.",
        where,
        f"{given:,} table bytes",
        f"{table:,} table bytes",
        "correct the ids named, by total effect",
    )


def _table_alone(found: Recount, where: str) -> Finding:
    """The verdict on a table whose tokenizer cannot be read: its sums against the raw documents, one by one."""
    survey = found.survey
    told = f"table {survey.paired_table:,}, raw {survey.paired_raw:,} bytes over {survey.paired:,} documents"
    if found.inputs.docs is None or survey.unpaired or not survey.paired:
        says = (
            f"the table sums to {survey.given or 0:,} bytes; nothing can contradict it without tokenizer or documents."
        )
        return unchecked(says, where, f"{NEED_TOKENIZER}, or all its documents with --docs docs.jsonl")
    excess, wanted = survey.paired_table - survey.paired_raw, f"{survey.paired_raw:,} raw bytes"
    rows = "; ".join(name_row(row) for row in survey.table_rows[:3])
    if excess > EXCESS * survey.paired_raw:
        says = f"the table counts {excess:,} bytes ({excess / survey.paired_raw:.2%}) that no document holds: {rows}."
        return failed(says, where, told, wanted, "correct the ids whose bytes are not those of the text they stand for")
    if survey.table_rows:
        return unchecked(f"the table counts {excess:+,} bytes against the documents: {rows}.", where, NEED_TOKENIZER)
    return passed("the table gives every document exactly its raw UTF-8 bytes.", where, told, wanted)


@rule("PG104", "special-token text inside documents")
def special_text(evidence: Evidence) -> Iterator[Finding]:
    """Looks for `<s>`, `<pad>` and the like written out in documents, and for silent tokens inside documents.

    Web text holds such strings. An encoder that maps them to special ids turns text into tokens of zero bytes: the
    text is lost and the byte sums are short. Present as text and decoded as text is fine and passes.

    Fix: encode with special tokens switched off, or give specials names that no text can spell.
    """
    found = recount(evidence)
    if found is None:
        yield unchecked("no shards to look into.", fix=NEED_SHARDS)
        return
    survey, vocabulary = found.survey, found.inputs.vocabulary
    if vocabulary is None:
        yield unchecked("no tokenizer that tells special ids from text.", fix=NEED_TOKENIZER)
        return
    if wrong_pair(found):
        yield unchecked(
            "this tokenizer cannot have made these shards (PG607); its special ids mean nothing.", fix=RIGHT
        )
        return
    inner = {
        i: int(survey.counts[i])
        for i in range(min(len(vocabulary), 1 << 16))
        if vocabulary.silent[i] and i not in (found.inputs.bos, vocabulary.unknown) and survey.counts[i]
    }
    held = ", ".join(f"{word!r} in {count:,}" for word, count in survey.special.items()) or "none"
    if inner:
        told = ", ".join(f"id {i} {n:,} times" for i, n in inner.items())
        yield failed(
            f"special tokens stand inside documents ({told}); they carry no text and count no bytes.",
            found.inputs.stream.files[0].name,
            told,
            "no special token but the document mark",
            "encode with special tokens switched off",
        )
    elif found.inputs.docs is None:
        yield unchecked("no special ids inside the shards' documents; the raw documents were not given.", fix=NEED_DOCS)
    else:
        yield passed(
            f"documents that spell special tokens ({held}) are encoded as text; no special id stands inside one."
        )

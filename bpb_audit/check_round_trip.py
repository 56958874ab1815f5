"""Rule PG111, whether the tokens give the documents back, at one of three levels."""

from collections.abc import Iterator

from .check_recount import NEED_DOCS, NEED_SHARDS, NEED_TOKENIZER, RIGHT
from .evidence import Evidence
from .finding import Finding, failed, passed, unchecked
from .inputs import recount
from .recount import wrong_pair
from .round_trip import Level
from .rules import rule

TOLERATED = 0.001  # share of documents: a normaliser after a case transform can damage one character in ten million


@rule("PG111", "round trip of the documents")
def round_trip(evidence: Evidence) -> Iterator[Finding]:
    """Decodes every document of the shards and compares it with the raw one: exact, loose, or lossy.

    loose means equal up to the kind and length of white space, invisible characters and Unicode compatibility form,
    with words that end at the same characters (one boundary in a hundred may differ), the level of the challenge's own
    tokenizers. lossy means that text is gone: case folded, accents stripped, unknown characters
    dropped. One document in a thousand may be (a normaliser can meet a case operator). Byte sums can agree all the
    same, so the texts are compared. The first lost characters are shown.

    Fix: a reversible transform, byte fallback, and no case folding; the score of a lossy tokenizer is not comparable.
    """
    found = recount(evidence)
    if found is None:
        yield unchecked("no shards to decode.", fix=NEED_SHARDS)
        return
    survey, inputs = found.survey, found.inputs
    if inputs.vocabulary is None:
        yield unchecked(f"no tokenizer that can decode these shards. {inputs.refused}".strip(), fix=NEED_TOKENIZER)
        return
    if inputs.docs is None:
        yield unchecked("no raw documents to compare the decoded ones with.", fix=NEED_DOCS)
        return
    if wrong_pair(found):
        yield unchecked("this tokenizer cannot have made these shards (PG607), so it cannot decode them.", fix=RIGHT)
        return
    exact, loose, cut = (survey.levels[level] for level in (Level.EXACT, Level.LOOSE, Level.CUT))
    lossy = survey.levels[Level.LOSSY] - survey.strangers
    told = f"{exact:,} exact, {loose:,} equal up to white space and NFKC, {lossy:,} lossy"
    if cut:
        told += f", {cut:,} cut by the end of the shards"
    if survey.bad_case:
        yield failed(
            f"{survey.bad_case:,} documents hold case operators in impossible places; they cannot be undone.",
            found=f"{survey.bad_case:,} documents",
            expected="0",
            fix="export the shards with the published transform",
        )
    if not exact + loose + lossy:
        yield unchecked(
            "no document of the shards has its raw document in place, so none could be compared.",
            fix="give the documents these shards were made from with --docs docs.jsonl",
        )
    elif lossy > TOLERATED * (exact + loose + lossy):
        first = survey.losses[0][0]
        shown = [
            f"document {row.document:,} {loss.kind} at character {loss.offset:,}: "
            f"{loss.original!r} became {loss.decoded!r}"
            for row, loss in survey.losses[:3]
        ]
        yield failed(
            f"{lossy:,} of {exact + loose + lossy:,} documents lose text: {'; '.join(shown)}.",
            f"{inputs.stream.place(first.position)}:document {first.document}",
            told,
            "every document exact, or equal up to white space and NFKC",
            "use a reversible transform with byte fallback; a lossy tokenizer's bits per byte are not comparable",
        )
    else:
        level = "exact" if not loose else "equal up to white space and NFKC"
        level += f", but for {lossy:,} in {exact + loose + lossy:,}" if lossy else ""
        yield passed(
            f"every document compared comes back {level}.", inputs.stream.files[0].name, told, "no lossy document"
        )

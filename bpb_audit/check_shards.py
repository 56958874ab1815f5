"""Rules PG60x, whether the shards are whole, belong to the documents, and were made by this tokenizer."""

from collections.abc import Iterator

from .check_recount import NEED_DOCS, NEED_SHARDS, NEED_TOKENIZER, RIGHT
from .errors import AuditError
from .evidence import Evidence
from .finding import Finding, failed, passed, unchecked
from .identity import locate, overlap
from .inputs import Recount, recount
from .manifest import read_manifest, sha256_of
from .recount import allowed_neighbours, wrong_pair
from .round_trip import Level
from .rules import rule
from .shard_reader import find_shards, find_sidecars, open_stream, read_header

UNKNOWN_SHARE = 1e-5
OVERLAP_SHARE = 0.01  # of documents, whole
ALTERED_SHARE = 0.05  # of documents; news agencies and forums are reprinted


@rule("PG601", "shard files whole")
def whole(evidence: Evidence) -> Iterator[Finding]:
    """Every shard and sidecar: magic 20240520, version 1, and exactly as many values as the header says.

    Also compares counts and sha256 with a `manifest.json` beside the shards, where there is one. A manifest that cannot
    be read fails, and so does one that lists validation shards which are not there.

    Fix: write or fetch the file again.
    """
    if evidence.shards is None:
        yield unchecked("no shards to read.", fix=NEED_SHARDS)
        return
    folder = evidence.shards
    files = find_shards(folder, "val") + find_shards(folder, "train") + find_sidecars(folder)
    if not files:
        yield unchecked(f"no fineweb_*.bin in {folder}.", fix=NEED_SHARDS)
        return
    counts: dict[str, int] = {}
    for path in files:
        try:
            counts[path.name] = read_header(path)
        except AuditError as error:
            yield failed(str(error), path.name, fix="write or fetch the file again")
    listed = read_manifest(folder)
    if listed.faults:
        told = "; ".join(listed.faults[:3])
        yield failed(
            f"the manifest is damaged: {told}.", "manifest.json", fix="export again, or take the manifest away"
        )
    gone = sorted({name for name in listed.files if name.startswith("fineweb_val_")} - {path.name for path in files})
    if gone:
        told = f"{len(gone):,} files not there"
        yield failed(f"the manifest lists {', '.join(gone[:3])}.", "manifest.json", told, "0", "give the whole folder")
    for path in files:
        entry = listed.files.get(path.name)
        if path.name not in counts or entry is None:
            continue
        if entry.tokens is not None and counts[path.name] != entry.tokens:
            told, wanted = f"{counts[path.name]:,} tokens", f"{entry.tokens:,} tokens"
            yield failed("the manifest and the file disagree.", path.name, told, wanted, "export again")
        elif entry.sha256 and (digest := sha256_of(path)) != entry.sha256:
            yield failed("the file is not the one in the manifest.", path.name, digest, entry.sha256, "export again")
    if len(counts) == len(files):
        yield passed(
            f"{len(files)} files have a right header and the size it says.",
            str(folder),
            f"{sum(counts.values()):,} values",
        )


@rule("PG602", "token ids inside the vocabulary")
def in_range(evidence: Evidence) -> Iterator[Finding]:
    """Every token id of the validation shards must be below the vocabulary's size. Fix: name the right tokenizer."""
    found = _recounted(evidence)
    if isinstance(found, Finding):
        yield found
        return
    vocabulary, counts = found.inputs.vocabulary, found.survey.counts
    largest = int(counts.nonzero()[0].max())
    if vocabulary is None:
        yield unchecked(f"largest id {largest:,}; there is no tokenizer to say what is allowed.", fix=NEED_TOKENIZER)
        return
    where = found.inputs.stream.files[0].name
    beyond = int(counts[len(vocabulary) :].sum())
    if beyond:
        yield failed(
            f"{beyond:,} tokens are beyond the vocabulary of {len(vocabulary):,}.",
            where,
            f"largest id {largest:,}",
            f"below {len(vocabulary):,}",
            "name the tokenizer that made these shards with --tokenizer FILE",
        )
    else:
        yield passed(
            "every id is inside the vocabulary.", where, f"largest id {largest:,}", f"below {len(vocabulary):,}"
        )


@rule("PG603", "documents in the shards")
def document_count(evidence: Evidence) -> Iterator[Finding]:
    """Counts documents by their mark (BOS), and compares with the number asked for and the raw documents there are.

    The challenge's validation split is the first 50,000 documents. Fewer means a partial split, whose score is not
    comparable; more means another split. The shards cannot say how many there should be: that is taken from
    --documents, else from the manifest beside them, else the rule is unchecked. A last document that ends before its
    raw document does fails. Fix: export exactly the first N documents, each after one BOS.
    """
    found = _recounted(evidence)
    if isinstance(found, Finding):
        yield found
        return
    survey, wanted, source = found.survey, evidence.documents, "--documents"
    if wanted is None and evidence.shards is not None:
        wanted, source = read_manifest(evidence.shards).validation_documents, "the manifest beside the shards"
    where = found.inputs.stream.files[0].name
    marks = int(survey.counts[found.inputs.bos])
    told = f"{marks:,} document marks (id {found.inputs.bos}) in {survey.tokens:,} tokens"
    if not marks or survey.torn:
        met = "no document mark at all." if not marks else "millions of tokens without a document mark."
        yield failed(met, where, told, "one before each document", "name the right tokenizer, or export documents")
    elif survey.headless:
        yield unchecked(
            f"{told}, but none at the head: these shards begin inside a document, so they are a cut sample.",
            where,
            "give whole validation shards",
        )
    elif wanted is not None and marks != wanted:
        yield failed(
            "the shards hold another number of documents.",
            where,
            told,
            f"{wanted:,}, as {source} says",
            "export the first N documents",
        )
    elif survey.levels[Level.CUT] and not wrong_pair(found):
        yield failed(
            "the last document of the shards ends before its raw document does: the split was cut short.",
            where,
            told,
            "whole documents",
            "export the first N documents whole",
        )
    elif survey.unpaired:
        yield unchecked(
            f"{told}, but the raw documents end after {survey.raw_documents or 0:,}.",
            where,
            "give all validation documents",
        )
    elif wanted is None:
        yield unchecked(
            f"{told}; nothing says how many documents validation has, so this may be a part of it.",
            where,
            "say how many with --documents N (the challenge has 50,000)",
        )
    else:
        yield passed("one document mark for each document.", where, told, f"{wanted:,} documents, as {source} says")


@rule("PG604", "unknown tokens")
def unknown(evidence: Evidence) -> Iterator[Finding]:
    """Counts the unknown token. Each stands for text that is lost and counts no bytes; one in 100,000 passes.

    Fix: byte fallback.
    """
    found = _recounted(evidence)
    if isinstance(found, Finding):
        yield found
        return
    vocabulary = found.inputs.vocabulary
    if vocabulary is None:
        yield unchecked("no tokenizer that says which id is unknown.", fix=NEED_TOKENIZER)
        return
    if wrong_pair(found):
        yield unchecked(
            "this tokenizer cannot have made these shards (PG607), so its unknown id says nothing.", fix=RIGHT
        )
        return
    times = 0 if vocabulary.unknown is None else int(found.survey.counts[vocabulary.unknown])
    where, told = found.inputs.stream.files[0].name, f"{times:,} of {found.survey.tokens:,} tokens"
    if times > UNKNOWN_SHARE * found.survey.tokens:
        yield failed("text was lost in unknown tokens.", where, told, "0", "use a vocabulary with byte fallback")
    else:
        yield passed("no unknown token." if not times else "hardly any unknown token.", where, told, "below 0.001%")


@rule("PG605", "document order against the raw documents")
def order(evidence: Evidence) -> Iterator[Finding]:
    """Document i of the shards must be document i of the raw file: validation is its first N documents, in order.

    Documents that do not match in place are looked for in the whole file, which tells a shifted or shuffled export from
    another text. Fix: export the documents in file order, or give the file they were exported from.
    """
    found = _recounted(evidence)
    if isinstance(found, Finding):
        yield found
        return
    survey, docs = found.survey, found.inputs.docs
    if found.inputs.vocabulary is None or docs is None:
        need = NEED_DOCS if docs is None else NEED_TOKENIZER
        yield unchecked("decoded documents and raw ones are both needed to compare their order.", fix=need)
        return
    where = found.inputs.stream.files[0].name
    if wrong_pair(found):
        yield unchecked(
            "this tokenizer cannot have made these shards (PG607), so their text is not known.", where, RIGHT
        )
        return
    if not survey.strangers:
        yield passed(
            "every document of the shards that has a raw one stands in its place.",
            where,
            f"{survey.paired:,} documents",
        )
        return
    places = locate(survey.lost, docs)
    moved = len(places.moved)
    compared = survey.documents - survey.unpaired
    told = f"{survey.strangers:,} of {compared:,} documents out of place, {moved:,} found elsewhere"
    if moved:
        document, line = min(places.moved)
        shift = f", all shifted by {places.shift:,}" if places.shift is not None else ""
        says = (
            f"documents are out of order: document {document:,} of the shards is line {line:,} of the raw file{shift}."
        )
    else:
        says = "the shards hold another text than these raw documents."
    yield failed(
        says, where, told, "document i = line i", "export in file order, or give the file the shards were made from"
    )


@rule("PG606", "validation documents in the training shards")
def leak(evidence: Evidence) -> Iterator[Finding]:
    """Looks for validation documents in the training shards: whole ones (of 16 tokens and more), and altered ones.

    In public, an export with a wrong default put 80% of the validation documents into training. One changed token makes
    another document, so windows of 64 tokens are compared too, one in 16 chosen by its hash: a document of four sampled
    windows or more counts as altered when a third of them stand in training. Short common passages stay below that.
    Single honest duplicates and reprints occur in web text, so up to 1% whole and 5% altered pass and are named. A copy
    with a change in every 64 tokens is not seen.

    Fix: train on documents after the first N only.
    """
    if evidence.shards is None:
        yield unchecked("no shards to compare.", fix=NEED_SHARDS)
        return
    training = find_shards(evidence.shards, "train")
    if not training:
        yield unchecked(
            "no training shards beside the validation shards.", str(evidence.shards), "add fineweb_train_*.bin"
        )
        return
    found = recount(evidence)
    if found is None:
        return
    seen = overlap(found.inputs.stream, open_stream(training), found.inputs.bos)
    told = f"{seen.shared:,} of {seen.validation:,} validation documents among {seen.training:,} training documents"
    told += f", {seen.mostly:,} of {seen.judged:,} altered ({seen.met:,} of {seen.windows:,} sampled 64-token windows)"
    fix = "export training shards from the documents after the first N only, and train again"
    if seen.shared > OVERLAP_SHARE * seen.validation:
        at, place = seen.first or (0, "")
        says = f"validation documents were trained on (first: document {at:,} is {place})."
        yield failed(says, training[0].name, told, "0", fix)
    elif seen.shared + seen.mostly > ALTERED_SHARE * max(seen.validation, 1) and seen.mostly:
        says = "validation documents were trained on, altered in places"
        yield failed(f"{says} (first: document {seen.first_mostly or 0:,}).", training[0].name, told, "0", fix)
    else:
        says = "training shards hold no validation document beyond chance, whole or by its passages of 64 tokens."
        yield passed(says, training[0].name, told, "up to 1% whole, 5% altered")


@rule("PG607", "tokenizer made these shards")
def right_pair(evidence: Evidence) -> Iterator[Finding]:
    """Whether this tokenizer could have made these shards at all, even without the raw documents.

    Three signs: every document decodes to UTF-8; every id is in range; and no neighbours that the encoder would have
    merged (a BPE encoder leaves none with SentencePiece, hardly any behind a pre-split; where most documents decode to
    the raw ones, only the former is held against the tokenizer). Fix: name the tokenizer of these shards.
    """
    found = _recounted(evidence)
    if isinstance(found, Finding):
        yield found
        return
    survey, vocabulary = found.survey, found.inputs.vocabulary
    if vocabulary is None:
        yield unchecked("no tokenizer to hold against the shards.", fix=NEED_TOKENIZER)
        return
    allowed = allowed_neighbours(vocabulary)
    told = f"{survey.pairs_impossible:,} of {survey.pairs_seen:,} neighbours it would have merged"
    told += f", {survey.bad_utf8:,} documents not UTF-8"
    where, fix = str(found.inputs.tokenizer_path), RIGHT
    agreed = survey.levels[Level.EXACT] + survey.levels[Level.LOOSE]
    if wrong_pair(found):
        yield failed(
            "this tokenizer cannot have made these shards.", where, told, f"at most {allowed:.3%} of neighbours", fix
        )
    elif survey.bad_utf8 > 2:  # a cut at either end of the stream can leave half a character
        yield failed("documents decode to bytes that are not UTF-8.", where, told, "0 documents", fix)
    elif not survey.pairs_seen and 2 * agreed <= survey.documents:
        yield unchecked(
            "this kind of vocabulary leaves no trace in its shards; only raw documents can tell.", where, NEED_DOCS
        )
    else:
        yield passed("nothing contradicts that this tokenizer made these shards.", where, told, "none")


def _recounted(evidence: Evidence) -> Recount | Finding:
    found = recount(evidence)
    return unchecked("no shards to look into.", fix=NEED_SHARDS) if found is None else found

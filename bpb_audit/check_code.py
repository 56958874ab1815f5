"""Rules PG30x on the submission's own counting code, found, run in isolation, and compared with the true table."""

from collections.abc import Iterator
from pathlib import Path

from .builder_finder import Builder, find_builders, space_added
from .check_inversion import right
from .check_source import claimed_logs
from .code_signs import signs
from .context import context_of
from .errors import AuditError
from .evidence import Evidence
from .finding import Finding, failed, many, passed, unchecked
from .inversion import of_metric
from .isolation import SAYS, level
from .matching import headline
from .own_table import compare, probe_model, run_builder
from .program import read_program
from .rules import rule
from .spm_model import SpmModel, read_spm_model
from .tokenizer_files import find_table

MOST_BUILDERS = 6
HOLDS = "isolation: "


def models(evidence: Evidence) -> list[tuple[str, SpmModel]]:
    """The probe, and the submission's own SentencePiece model where there is one."""
    found = [("a probe vocabulary", probe_model())]
    places: list[Path] = [evidence.tokenizer] if evidence.tokenizer else []
    submission = evidence.submission
    places += [submission.at(place) for place in submission.files if place.suffix == ".model"]
    if evidence.shards:
        places += sorted(evidence.shards.glob("*.model"))
    for place in places:
        if place.suffix == ".model" and place.is_file():
            found.append((place.name, read_spm_model(place.read_bytes(), str(place))))
            break
    return found


@rule("PG301", "the submission's own byte table is the true one")
def own_table(evidence: Evidence) -> Iterator[Finding]:
    """The function that builds the byte table is found, run, and compared id by id with the official rule.

    It is found by its syntax tree, also in packed scripts (unpacked without executing them) and in the source dumped in
    a log. Just that function runs, in a process of its own with no network and limited time and memory, on a probe
    vocabulary with pieces of every kind and on the submission's tokenizer. What counts is the effect: base bytes plus
    the leading space that the loop adds. Where a log says that its bytes came from another table
    (`tokenizer_kind=token_table`), the function is only a builder in the code: it stands for nothing without that table
    in --shards, which PG103 compares. The report says how the code was held; without any isolation nothing runs,
    and with limits alone only when `--allow-limits-only` is given.
    Where the logged score implies the true bytes, a wrong table is only flagged: scripts have been damaged after a run.

    Fix: control, unknown and unused pieces 0; byte pieces 1; other pieces their UTF-8 bytes without a leading U+2581;
    the space once, in the loop, unless the token before is a boundary.
    """
    seen: set[str] = set()
    done = 0
    for source in evidence.submission.programs:
        program = read_program(source.text)
        found = find_builders(program)
        adds = space_added(program) if found else []
        for builder in found:
            if builder.code in seen:
                continue
            seen.add(builder.code)
            where = f"{source.name}:{builder.line}"
            if builder.problem:
                yield unchecked(f"{builder.function} was not run: {builder.problem}", where, "compare by a sidecar")
                continue
            if done >= MOST_BUILDERS:
                yield unchecked(f"{builder.function} was not run: more than {MOST_BUILDERS} byte tables", where)
                continue
            done += 1
            try:
                yield from _run(evidence, builder, bool(adds), where)
            except AuditError as error:
                yield unchecked(f"{builder.function} was not compared: {error}", where, "compare by a sidecar")
    notes = [(one.name, one.note) for one in evidence.submission.programs if one.note]
    if not seen:
        says = "no function that builds a byte table from a tokenizer was found"
        if notes:
            says += f"; {notes[0][1]}"
        yield unchecked(says, notes[0][0] if notes else "", "ship the counting code unpacked, or a byte sidecar")


def _run(evidence: Evidence, builder: Builder, adds: bool, where: str) -> Iterator[Finding]:
    held = level()
    if held == "limits" and not evidence.allow_limits_only:
        says = f"{builder.function} was not run: here only limits would hold it, no walls of the kernel"
        yield unchecked(says, where, "install bubblewrap, or say --allow-limits-only to run it all the same")
        return
    other = another_table(evidence)
    if other and not any(find_table(place) for place in (evidence.shards, evidence.path) if place):
        says = f"{builder.function} is a builder in the code, but {other}: what it counts is no proof of that table"
        yield unchecked(says, where, "give --shards that hold the table of the run")
        return
    names = []
    note = ""
    for name, model in models(evidence):
        own = run_builder(builder, model)
        if own is None:
            return
        differences, note = compare(own, model, adds)
        if differences and other:
            one = differences[0]
            says = f"{builder.function} counts {one.count:,} ids of {name} wrong ({one.cause}), but it is a builder in"
            yield unchecked(f"{says} the code, and {other}", where, "ship the code that made the table of the run")
            return
        if differences and scored_right(evidence):
            one = differences[0]
            says = (
                f"{builder.function} as shipped counts {one.count:,} ids of {name} wrong ({one.cause}), but the logged"
            )
            says += " score implies the true bytes: the file was changed after the run, or the score counts elsewhere"
            yield unchecked(says, where, "ship the file that ran")
            return
        for one in differences:
            yield failed(
                f"{builder.function} counts {one.count:,} ids of {name} wrong: {one.cause}",
                where,
                f"{one.found} bytes for id {one.first} ({one.piece})",
                f"{one.expected} bytes",
                "build the table by the official rule; see `--explain PG301`",
            )
        if differences:
            return
        names.append(f"{len(model.pieces):,} ids of {name}")
    says = f"{builder.function} counts {' and '.join(names)} as the official table does"
    if other:
        says = f"{says}; it is a builder in the code, and {other}, which PG103 holds to the tokenizer, not this rule"
    if note:
        yield unchecked(f"{says}, but {note}", where, "mark control, unknown and unused pieces as boundaries")
    else:
        yield passed(says, where, HOLDS + SAYS[held])


def another_table(evidence: Evidence) -> str:
    """What a log says it counted bytes with, when that is not a SentencePiece model that a builder reads; '' if not."""
    for log in claimed_logs(evidence.submission):
        kind = log.fact("tokenizer_kind")
        if kind is not None and kind.lower() not in ("sentencepiece", "spm", "sp"):
            return f"{log.name} says tokenizer_kind={kind}"
    return ""


def scored_right(evidence: Evidence) -> bool:
    """True when every log whose denominator can be judged implies the true bytes: then code alone proves no error."""
    submission = evidence.submission
    seen = []
    for log in submission.logs:
        metric = headline(log, submission)
        interval = of_metric(metric) if metric else None
        context = context_of(log, submission)
        if interval is not None and (evidence.own_text or context.reference is not None):
            seen.append(right(evidence, interval, context))
    return bool(seen) and all(seen)


@rule("PG302", "no odd signs in the counting code")
def odd_signs(evidence: Evidence) -> Iterator[Finding]:
    """Lines that have gone with wrong scores in public: a constant for bytes per token, another literal than U+2581
    stripped from pieces, `+ 1` in the table together with a later addition of the leading space, two byte tables.

    Code alone only flags: these are lines to look at, never a failure. The numbers decide (PG121, PG301, PG101).
    """
    tables: dict[str, str] = {}
    flagged = looked = 0
    for source in evidence.submission.programs:
        program = read_program(source.text)
        if program.tree is None:
            continue
        looked += 1
        for sign in signs(program):
            flagged += 1
            yield unchecked(f"{sign.says}: {sign.text}", f"{source.name}:{sign.line}", "look at this line")
        for builder in find_builders(program):
            tables.setdefault(builder.code, f"{source.name}:{builder.line}")
    if len(tables) > 1:
        places = ", ".join(list(tables.values())[:4])
        yield unchecked(f"{len(tables)} different byte tables: {places}", next(iter(tables.values())), "keep one")
    elif looked and not flagged:
        yield passed(f"{many(looked, 'program')} read, nothing odd in how bytes are counted")
    elif not looked:
        yield unchecked("no program could be read", fix="ship train_gpt.py")

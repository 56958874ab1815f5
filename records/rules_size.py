"""RC4xx: bytes: as claimed, as logged, and as shipped in this very folder, each against 16,000,000."""

import base64
import lzma
import re
from collections.abc import Iterator

from bpb_audit.log_reader import Stated

from .evidence import Case, Run, with_facts
from .finding import Finding, many
from .rules import Say, rule
from .script_reader import bare, local_modules, script_source
from .submission import CAP

CODE = (".py", ".cpp", ".cu")
WEIGHTS = re.compile(r"model|weights|artifact|ckpt|checkpoint", re.IGNORECASE)
WHITE = 0.001  # of a script: white space at the ends of lines that a log does not keep
WRAPPER = 80  # bytes of `exec(lzma.decompress(base64.b85decode(...)))` around the packed text


def totals(run: Run) -> list[Stated]:
    """The totals of whole artifacts that a run's log states, in order."""
    names = ("artifact_bytes", "artifact size", "bytes_total", "total_bytes")
    return [
        one
        for one in run.sizes
        if ("total" in one.name.lower() or one.name.lower() in names) and int(one.value) > 1_000
    ]


def last_total(run: Run) -> Stated | None:
    """The total a run ends on. The first one that the public script prints is of the raw model: it is passed over."""
    found = totals(run)
    named = [one for one in found if one.name.lower().strip() != "total submission size"]
    exact = [one for one in named if not one.room]
    return (exact or named or found or [None])[-1]  # type: ignore[list-item]


def code_sizes(run: Run) -> list[Stated]:
    """The code sizes a run's log states."""
    return [one for one in run.sizes if one.name.lower().startswith("code size")]


def model_bytes(run: Run) -> tuple[int, int] | None:
    """(bytes, room) of the compressed model as the log counts it: its last total without its last code size, or its
    own line; `room` is what rounding leaves to either side."""
    total, codes = last_total(run), code_sizes(run)
    if total and codes and int(total.value) > int(codes[-1].value):
        return int(total.value) - int(codes[-1].value), total.room
    packed = [one for one in run.sizes if one.name.lower().startswith("serialized model ")]
    return (int(packed[-1].value), packed[-1].room) if packed else None


def left(size: int) -> str:
    """`92,450 left` or `27,377 over`."""
    return f"{CAP - size:,} left" if size < CAP else f"{size - CAP:,} over" if size > CAP else "none left"


def judge(say: Say, size: int, where: str, what: str) -> Finding:
    """A size against the cap."""
    if size < CAP:
        return say.ok(f"{what} {size:,} bytes, {left(size)}", where, f"{size:,}", f"below {CAP:,}")
    return say.fail(f"{what} {size:,} bytes, {left(size)}", where, f"{size:,}", f"below {CAP:,}", "make it smaller")


@rule("RC401", "claimed size under the cap")
def claimed_size(case: Case) -> Iterator[Finding]:
    """The total that submission.json claims is below 16,000,000 bytes (decimal, strictly).

    The largest of `bytes_total` and the sizes in `seed_results` is judged. None stated is UNCHECKED.

    Fix: use a smaller model or a tighter codec; `pglab codec sweep` compares them.
    """
    say, claims = Say("RC401"), case.claims
    stated: list[tuple[int, str]] = []
    if claims is not None and claims.bytes_total is not None:
        stated.append((claims.bytes_total, f"{claims.file} ({claims.keys['bytes_total']})"))
    stated += (
        [(s.bytes_total, f"{claims.file} (seed {s.seed})") for s in claims.seeds if s.bytes_total] if claims else []
    )
    if stated:
        yield judge(say, *max(stated), "claimed:")
    else:
        yield say.unchecked("submission.json states no total size")


@rule("RC406", "logged size under the cap")
def logged_size(case: Case) -> Iterator[Finding]:
    """The total that each run's log ends on is below 16,000,000 bytes.

    A log that ends on a larger total than submission.json claims is how a claim of the model alone, or of another run,
    shows.

    Fix: as RC401.
    """
    say = Say("RC406")
    runs = with_facts(case.supporting, case.runs, lambda run: last_total(run) is not None)
    ends = [(int(one.value), one.room, f"{run.log.name}:{one.line}") for run in runs if (one := last_total(run))]
    if ends and (size := max(ends))[1] and size[0] - size[1] < CAP <= size[0] + size[1]:
        yield say.unchecked(f"logged: {size[0]:,} bytes in round digits, too near the cap to tell", size[2])
    elif ends:
        yield judge(say, max(ends)[0], max(ends)[2], "logged:")
    else:
        yield say.unchecked("no log states a total size")


@rule("RC402", "size as shipped under the cap")
def shipped_size(case: Case) -> Iterator[Finding]:
    """The model as logged plus the code that is in the folder is below 16,000,000 bytes.

    The code is the script as it lies there and every local file it imports: the artifact counts the code, and code
    that is nowhere in the folder cannot be counted. Several public records log the size of a compressed form of their
    script that was never written; they fail here, and the finding says what the code weighs when we pack it. Where the
    artifact itself is in the folder its own size is taken, and tables or weights that the code names are added. A
    total that is printed in round digits counts with what rounding leaves.

    Fix: ship the packed script whose bytes were counted (`pglab record pack`).
    """
    say, script = Say("RC402"), case.folder.script
    if script is None:
        yield say.unchecked("no script to weigh")
        return
    model, room, source = weighed_model(case)
    if not source:
        yield say.unchecked("no log states the size of the compressed model, and no artifact is here", where=script)
        return
    script = counted_script(case, script)
    names = [script, *local_modules(case.folder, script)]
    names += [name for name in loaded_files(case, names) if name != source]
    total = model + sum(case.folder.files[name] for name in names)
    told = f"{model:,} (model, {source}) + " + " + ".join(f"{case.folder.files[n]:,} ({n})" for n in names)
    if total + room < CAP:
        yield say.ok(f"as shipped {total:,} bytes, {left(total)}", script, told, f"below {CAP:,}")
        return
    if total - room < CAP:
        yield say.unchecked("too near the cap for the digits that the log prints", script, told, f"below {CAP:,}")
        return
    packed = sum(
        packed_size(case.folder.raw(name)) if name.endswith(CODE) else case.folder.files[name] for name in names
    )
    yield say.fail(
        f"as shipped {total:,} bytes, {left(total)}; packed by us {model + packed:,}, {left(model + packed)}",
        script,
        told,
        f"below {CAP:,}",
        "ship the packed script whose bytes are counted",
    )


def weighed_model(case: Case) -> tuple[int, int, str]:
    """(bytes, room, from where) of the largest compressed model the claim rests on; no source when none is known."""
    runs = with_facts(case.supporting, case.runs, lambda run: bool(model_bytes(run)))
    logged = [(*found, run.log.name) for run in runs if (found := model_bytes(run))]
    there = [(case.folder.files[name], 0, name) for name in case.folder.artifacts]
    same = [one for one in there if one[0] in {size for size, _, _ in logged}]
    if same or (len(there) == 1 and not logged):
        return max(same or there)
    if len(there) == 1 and WEIGHTS.search(there[0][2]):
        return there[0]
    return max(logged, default=max(there, default=(0, 0, "")))


def counted_script(case: Case, script: str) -> str:
    """The script the claim's logs measured, where its size tells it from others in the folder."""
    sizes = {int(one.value) for run in case.supporting for one in code_sizes(run)}
    names = [name for name, size in case.folder.files.items() if name.endswith(".py") and size in sizes]
    mine = [script, *local_modules(case.folder, script)]
    return script if len(names) != 1 or names[0] in mine or case.folder.files[script] in sizes else names[0]


def loaded_files(case: Case, scripts: list[str]) -> list[str]:
    """Files of packed numbers that the code names: tables and extra weights are part of what is submitted."""
    named = {
        text.rpartition("/")[2]
        for script in scripts
        if script.endswith(".py")
        for _, text, _ in script_source(case.folder, script).strings
    }
    return [name for name in case.folder.artifacts if name.rpartition("/")[2] in named and name not in scripts]


def packed_size(code: bytes) -> int:
    """Bytes of a self-extracting script that holds `code` (lzma, base85)."""
    return len(base64.b85encode(lzma.compress(code, preset=9 | lzma.PRESET_EXTREME))) + WRAPPER


@rule("RC403", "claimed size is the logged one")
def claimed_is_logged(case: Case) -> Iterator[Finding]:
    """The claimed total is one that the logs support: a total they print, or a mean of such.

    Matched by value; sizes claimed by seed are held to the logs of that seed. Also accepted: the logged model plus the
    script as shipped, and a rounded claim (15,900,000) that a logged total rounds to. The size of the model alone,
    without code, is not a total. Without a claim or a log it is UNCHECKED.

    Fix: copy the total from the log.
    """
    say, claims = Say("RC403"), case.claims
    by_seed = list(seed_sizes(case, say))
    yield from by_seed
    if claims is None or claims.bytes_total is None:
        if not by_seed:
            yield say.unchecked("submission.json states no total size")
        return
    claim = claims.bytes_total
    logged = [item for run in case.runs for item in totals(run)]
    if not logged:
        yield say.unchecked("no log states a total size", found=f"{claim:,}")
        return
    ends = [int(total.value) for run in case.runs if (total := last_total(run))]
    models = [size[0] for run in case.runs if (size := model_bytes(run))]
    code = case.folder.files[case.folder.script] if case.folder.script else 0
    unit = 10 ** (len(str(claim)) - len(str(claim).rstrip("0")))
    how = ""
    if claim in {int(one.value) for one in logged}:
        how = "a total that a log prints"
    elif any(abs(claim - sum(part) / len(part)) <= 1 for part in means(case, ends)):
        how = "the mean of logged totals"
    elif claim - code in models:
        how = "a logged model plus the script as shipped"
    elif unit >= 1000 and any(abs(int(one.value) - claim) <= unit // 2 for one in logged):
        how = "a logged total, rounded"
    elif any(one.room and abs(int(one.value) - claim) <= one.room for one in logged):
        how = "a total that a log prints in round digits"
    if how:
        yield say.ok(how, where=claims.file, found=f"{claim:,}")
        return
    near = min(logged, key=lambda one: abs(int(one.value) - claim))
    alone = claim in models or (models and abs(claim - sum(models) / len(models)) <= 1)
    yield say.fail(
        "the claimed total is the model alone, without code" if alone else "no log supports the claimed total",
        where=claims.file,
        found=f"nearest logged {int(near.value):,} ({near.name})",
        expected=f"{claim:,}",
        fix="copy the total from the log",
    )


def seed_sizes(case: Case, say: Say) -> Iterator[Finding]:
    """The sizes claimed by seed against the totals that logs of that seed print."""
    claimed = [item for item in (case.claims.seeds if case.claims else []) if item.bytes_total]
    logged = {
        item.seed: [
            one for run in case.runs if item.seed in (str(run.seed), str(run.named_seed)) for one in totals(run)
        ]
        for item in claimed
    }
    judged = [item for item in claimed if logged[item.seed]]
    odd = [item for item in judged if not any(fits(item.bytes_total or 0, one) for one in logged[item.seed])]
    if odd:
        last = {item.seed: logged[item.seed][-1] for item in odd}
        yield say.fail(
            f"the logs of seed {', '.join(item.seed for item in odd)} do not print the total claimed for it",
            where=f"{case.claims.file if case.claims else ''} (seed {odd[0].seed})",
            found="; ".join(f"seed {seed}: {int(one.value):,}" for seed, one in last.items()),
            expected="; ".join(f"seed {item.seed}: {item.bytes_total:,}" for item in odd),
            fix="copy the totals from the logs of these seeds",
        )
    if judged and not odd:
        yield say.ok(f"the totals claimed for {many(len(judged), 'seed')} stand in the logs")


def fits(claim: int, one: Stated) -> bool:
    """True when a claimed total is the stated one, to the digits either was rounded to."""
    zeros = len(str(claim)) - len(str(claim).rstrip("0"))
    return abs(int(one.value) - claim) <= max(one.room, 10**zeros // 2 if zeros >= 3 else 0)


def means(case: Case, ends: list[int]) -> list[list[int]]:
    """The groups of logged totals whose mean may be claimed: all runs, and those the claim rests on."""
    chosen = [int(total.value) for run in case.supporting if (total := last_total(run))]
    return [group for group in (ends, chosen) if len(group) > 1]


@rule("RC404", "bytes_code is the script's size")
def code_size(case: Case) -> Iterator[Finding]:
    """`bytes_code` is the size of the script in the folder.

    The challenge counts the UTF-8 bytes of `train_gpt.py`. Where another number is declared, the counted code is not
    the shipped code. Not declared is UNCHECKED.

    Fix: declare the file's size, or ship the file that was measured.
    """
    say, claims, script = Say("RC404"), case.claims, case.folder.script
    if claims is None or claims.bytes_code is None:
        yield say.unchecked("no code size is declared")
    elif script is None:
        yield say.unchecked("no script to weigh")
    elif claims.bytes_code == case.folder.files[script]:
        yield say.ok(f"{claims.bytes_code:,} bytes, as declared", where=script)
    elif claims.bytes_code % 1000 == 0 and abs(claims.bytes_code - case.folder.files[script]) <= 500:
        yield say.ok("the script's size, rounded", where=script, found=f"{case.folder.files[script]:,} bytes")
    else:
        other = next((n for n, size in case.folder.files.items() if size == claims.bytes_code), "")
        yield say.fail(
            f"the declared code size is {f'that of {other}, not of {script}' if other else 'not that of the script'}",
            where=script,
            found=f"{case.folder.files[script]:,} bytes",
            expected=f"{claims.bytes_code:,} bytes",
            fix="declare the size of the file, or ship the file measured",
        )


@rule("RC405", "logged code size is the script's size")
def logged_code_size(case: Case) -> Iterator[Finding]:
    """The code size the log prints is the size of a script in the folder.

    A script that measures itself prints its own size; another number means that another file ran. A log that prints an
    uncompressed and a compressed size passes when either is the file's, and so does a log that holds the very source,
    white space aside. In a folder of several scripts any of them will do. No such line is UNCHECKED.

    Fix: ship the script that ran.
    """
    say, script = Say("RC405"), case.folder.script
    runs = with_facts(case.supporting, case.runs, lambda run: bool(code_sizes(run)))
    if script is None or not runs:
        yield say.unchecked("no log prints the size of its code" if script else "no script to weigh")
        return
    whole = case.folder.files[script] + sum(case.folder.files[n] for n in local_modules(case.folder, script))
    known = {size for name, size in case.folder.files.items() if name.endswith(".py")} | {whole}
    other = [run for run in runs if not any(int(one.value) in known for one in code_sizes(run))]
    tied = [run for run in other if dumped_script(case, run)]
    other = [run for run in other if run not in tied]
    if other:
        told = [f"{run.log.name} {' / '.join(f'{int(one.value):,}' for one in code_sizes(run))}" for run in other[:4]]
        yield say.fail(
            "the log measured another script than the one here",
            where=f"{other[0].log.name}:{code_sizes(other[0])[-1].line}",
            found="; ".join(told),
            expected=f"{case.folder.files[script]:,} bytes ({script})",
            fix="ship the script that ran",
        )
    elif tied:
        size = int(code_sizes(tied[0])[-1].value)
        yield say.ok(
            "the dumped source is the script here, but for white space",
            where=script,
            found=f"{case.folder.files[script]:,} bytes, {size:,} in {tied[0].log.name}",
        )
    else:
        yield say.ok(
            f"as printed in {many(len(runs), 'log')}", where=script, found=f"{case.folder.files[script]:,} bytes"
        )


def dumped_script(case: Case, run: Run) -> str:
    """The script of the folder whose lines, white space aside, the run's log holds; an empty text when none."""
    sizes = [int(one.value) for one in code_sizes(run)]
    near = [d for d in run.log.dumps if any(abs(size - len(d.text.encode())) <= WHITE * size + 3 for size in sizes)]
    dumps = {bare(one.text) for one in near}
    names = [name for name in case.folder.files if name.endswith(".py")] if dumps else []
    return next((name for name in names if bare(script_source(case.folder, name).text) in dumps), "")

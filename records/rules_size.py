"""RC4xx: bytes: as claimed, as logged, and as shipped in this very folder, each against 16,000,000."""

import base64
import lzma
from collections.abc import Iterator

from .evidence import Case, Run, with_facts
from .finding import Finding
from .rules import Say, rule
from .script_reader import local_modules
from .submission import CAP

WRAPPER = 80  # bytes of `exec(lzma.decompress(base64.b85decode(...)))` around the packed text


def totals(run: Run) -> list[tuple[int, str, int]]:
    """(line, label, bytes) of the totals of whole artifacts that a run's log states, in order."""
    names = ("artifact_bytes", "artifact size", "bytes_total", "total_bytes")
    return [
        (line, label, size)
        for line, label, size in run.log.sizes
        if run.first <= line <= run.last and ("total" in label.lower() or label.lower() in names) and size > 1_000
    ]


def last_total(run: Run) -> tuple[int, str, int] | None:
    """The total a run ends on. The first one that the public script prints is of the raw model: it is passed over."""
    found = totals(run)
    named = [item for item in found if item[1].lower().strip() != "total submission size"]
    return (named or found or [None])[-1]  # type: ignore[list-item]


def code_sizes(run: Run) -> list[tuple[int, str, int]]:
    """(line, label, bytes) of the code sizes a run's log states."""
    return [
        item for item in run.log.sizes if item[1].lower().startswith("code size") and run.first <= item[0] <= run.last
    ]


def model_bytes(run: Run) -> int | None:
    """The compressed model as the log counts it: its last total without its last code size, or its own line."""
    total, codes = last_total(run), code_sizes(run)
    if total and codes and total[2] > codes[-1][2]:
        return total[2] - codes[-1][2]
    packed = [
        size
        for line, label, size in run.log.sizes
        if label.lower().startswith("serialized model ") and run.first <= line <= run.last
    ]
    return packed[-1] if packed else None


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
    ends = [(total[2], f"{run.log.name}:{total[0]}") for run in runs if (total := last_total(run))]
    if ends:
        yield judge(say, *max(ends), "logged:")
    else:
        yield say.unchecked("no log states a total size")


@rule("RC402", "size as shipped under the cap")
def shipped_size(case: Case) -> Iterator[Finding]:
    """The model as logged plus the code that is in the folder is below 16,000,000 bytes.

    The code is the script as it lies there and every local file it imports: the artifact counts the code, and code
    that is nowhere in the folder cannot be counted. Several public records log the size of a compressed form of their
    script that was never written; they fail here, and the finding says what the code weighs when we pack it. Where the
    artifact itself is in the folder its own size is taken.

    Fix: ship the packed script whose bytes were counted (`pglab record pack`).
    """
    say, script = Say("RC402"), case.folder.script
    if script is None:
        yield say.unchecked("no script to weigh")
        return
    runs = with_facts(case.supporting, case.runs, lambda run: bool(model_bytes(run)))
    sizes = [(size, run.log.name) for run in runs if (size := model_bytes(run))]
    if len(case.folder.artifacts) == 1:
        sizes = [(case.folder.files[case.folder.artifacts[0]], case.folder.artifacts[0])]
    if not sizes:
        yield say.unchecked("no log states the size of the compressed model, and no artifact is here", where=script)
        return
    model, source = max(sizes)
    names = [script, *local_modules(case.folder, script)]
    total = model + sum(case.folder.files[name] for name in names)
    told = f"{model:,} (model, {source}) + " + " + ".join(f"{case.folder.files[n]:,} ({n})" for n in names)
    if total < CAP:
        yield say.ok(f"as shipped {total:,} bytes, {left(total)}", script, told, f"below {CAP:,}")
        return
    packed = sum(packed_size(case.folder.raw(name)) for name in names)
    yield say.fail(
        f"as shipped {total:,} bytes, {left(total)}; packed by us {model + packed:,}, {left(model + packed)}",
        script,
        told,
        f"below {CAP:,}",
        "ship the packed script whose bytes are counted",
    )


def packed_size(code: bytes) -> int:
    """Bytes of a self-extracting script that holds `code` (lzma, base85)."""
    return len(base64.b85encode(lzma.compress(code, preset=9 | lzma.PRESET_EXTREME))) + WRAPPER


@rule("RC403", "claimed size is the logged one")
def claimed_is_logged(case: Case) -> Iterator[Finding]:
    """The claimed total is one that the logs support: a total they print, or a mean of such.

    Matched by value. Also accepted: the logged model plus the script as shipped, and a rounded claim (15,900,000) that
    a logged total rounds to. The size of the model alone, without code, is not a total. Without a claim or a log it is
    UNCHECKED.

    Fix: copy the total from the log.
    """
    say, claims = Say("RC403"), case.claims
    if claims is None or claims.bytes_total is None:
        yield say.unchecked("submission.json states no total size")
        return
    claim = claims.bytes_total
    logged = [item for run in case.runs for item in totals(run)]
    if not logged:
        yield say.unchecked("no log states a total size", found=f"{claim:,}")
        return
    ends = [total[2] for run in case.runs if (total := last_total(run))]
    models = [size for run in case.runs if (size := model_bytes(run))]
    code = case.folder.files[case.folder.script] if case.folder.script else 0
    unit = 10 ** (len(str(claim)) - len(str(claim).rstrip("0")))
    how = ""
    if claim in {size for _, _, size in logged}:
        how = "a total that a log prints"
    elif any(abs(claim - sum(part) / len(part)) <= 1 for part in means(case, ends)):
        how = "the mean of logged totals"
    elif claim - code in models:
        how = "a logged model plus the script as shipped"
    elif unit >= 1000 and any(abs(size - claim) <= unit // 2 for _, _, size in logged):
        how = "a logged total, rounded"
    if how:
        yield say.ok(how, where=claims.file, found=f"{claim:,}")
        return
    near = min(logged, key=lambda item: abs(item[2] - claim))
    alone = claim in models or (models and abs(claim - sum(models) / len(models)) <= 1)
    yield say.fail(
        "the claimed total is the model alone, without code" if alone else "no log supports the claimed total",
        where=claims.file,
        found=f"nearest logged {near[2]:,} ({near[1]})",
        expected=f"{claim:,}",
        fix="copy the total from the log",
    )


def means(case: Case, ends: list[int]) -> list[list[int]]:
    """The groups of logged totals whose mean may be claimed: all runs, and those the claim rests on."""
    chosen = [total[2] for run in case.supporting if (total := last_total(run))]
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
    uncompressed and a compressed size passes when either is the file's. In a folder of several scripts any of them
    will do. No such line is UNCHECKED.

    Fix: ship the script that ran.
    """
    say, script = Say("RC405"), case.folder.script
    runs = with_facts(case.supporting, case.runs, lambda run: bool(code_sizes(run)))
    if script is None or not runs:
        yield say.unchecked("no log prints the size of its code" if script else "no script to weigh")
        return
    whole = case.folder.files[script] + sum(case.folder.files[n] for n in local_modules(case.folder, script))
    known = {size for name, size in case.folder.files.items() if name.endswith(".py")} | {whole}
    other = [run for run in runs if not any(size in known for _, _, size in code_sizes(run))]
    if other:
        told = [f"{run.log.name} {' / '.join(f'{n:,}' for _, _, n in code_sizes(run))}" for run in other[:4]]
        yield say.fail(
            "the log measured another script than the one here",
            where=f"{other[0].log.name}:{code_sizes(other[0])[-1][0]}",
            found="; ".join(told),
            expected=f"{case.folder.files[script]:,} bytes ({script})",
            fix="ship the script that ran",
        )
    else:
        yield say.ok(f"as {len(runs)} log(s) print", where=script, found=f"{case.folder.files[script]:,} bytes")

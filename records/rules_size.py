"""RC4xx: bytes: as claimed, as logged, and as shipped in this very folder, each against 16,000,000."""

from collections.abc import Iterator

from .evidence import Case, Run
from .finding import Finding
from .rules import Say, rule
from .script_reader import local_modules
from .submission import CAP


def totals(run: Run) -> list[tuple[int, str, int]]:
    """(line, label, bytes) of the totals a run's log states, whole artifacts only, in order."""
    return [
        (line, label, size)
        for line, label, size in run.log.sizes
        if run.first <= line <= run.last
        and ("total" in label.lower() or label.lower() in ("artifact_bytes", "artifact size", "bytes_total"))
        and "compress" not in label.lower().replace("compressed", "")
        and size > 1_000
    ]


def last_total(run: Run) -> tuple[int, str, int] | None:
    """The total the run ends on; the first one of upstream's script is the raw model and is passed over."""
    found = totals(run)
    named = [item for item in found if item[1].lower().strip() != "total submission size"]
    return (named or found or [None])[-1]  # type: ignore[list-item]


def model_bytes(run: Run) -> int | None:
    """The compressed model as the log counts it: its last total without its last code size."""
    total = last_total(run)
    codes = [
        size
        for line, label, size in run.log.sizes
        if label.lower().startswith("code size") and run.first <= line <= run.last
    ]
    return total[2] - codes[-1] if total and codes else None


def left(size: int) -> str:
    """`92,450 left` or `27,377 over`."""
    return f"{CAP - size:,} left" if size < CAP else f"{size - CAP:,} over" if size > CAP else "none left"


@rule("RC401", "claimed size under the cap")
def claimed_size(case: Case) -> Iterator[Finding]:
    """The claimed total, and each run's logged total, is below 16,000,000 bytes (decimal, strictly).

    Fix: use a smaller model or a tighter codec; `pglab codec sweep` compares them.
    """
    say, claims = Say("RC401"), case.claims
    stated: list[tuple[str, int]] = []
    if claims is not None and claims.bytes_total is not None:
        stated.append((f"{claims.file} ({claims.keys['bytes_total']})", claims.bytes_total))
    for item in claims.seeds if claims else []:
        if item.bytes_total:
            stated.append((f"seed {item.seed} in submission.json", item.bytes_total))
    for run in case.supporting or case.runs:
        total = last_total(run)
        if total:
            stated.append((f"{run.log.name}:{total[0]}", total[2]))
    if not stated:
        yield say.unchecked("no total size is stated, in submission.json or in the logs")
        return
    where, size = max(stated, key=lambda pair: pair[1])
    if size >= CAP:
        yield say.fail(
            f"{size:,} bytes, {left(size)}",
            where=where,
            found=f"{size:,}",
            expected=f"below {CAP:,}",
            fix="make the artifact smaller",
        )
    else:
        yield say.ok(f"{size:,} bytes at most, {left(size)}", where=where, found=f"{size:,}", expected=f"below {CAP:,}")


@rule("RC402", "size as shipped under the cap")
def shipped_size(case: Case) -> Iterator[Finding]:
    """The model as logged plus the code that is in the folder is below 16,000,000 bytes.

    The code is `train_gpt.py` as it lies there and every local file it imports: the artifact counts the code, and
    what is not in the folder at its counted size cannot be counted. Several public records log the size of a compressed
    form of their script that was never written; they fail here, and the finding names both numbers. Where the artifact
    itself is in the folder its own size is taken.

    Fix: ship the packed script whose bytes were counted (`pglab record pack`).
    """
    say, script = Say("RC402"), case.folder.script
    if script is None:
        yield say.unchecked("no script to weigh")
        return
    sizes = [(size, run) for run in case.supporting or case.runs if (size := model_bytes(run)) is not None and size > 0]
    artifact = case.folder.artifacts[0] if len(case.folder.artifacts) == 1 else None
    if artifact:
        model, source = case.folder.files[artifact], artifact
    elif sizes:
        model, run = max(sizes, key=lambda pair: pair[0])
        source = run.log.name
    else:
        yield say.unchecked(
            "the size of the compressed model is in no log, and no artifact is in the folder", where=script
        )
        return
    parts = {script: case.folder.files[script], **{n: case.folder.files[n] for n in local_modules(case.folder, script)}}
    total = model + sum(parts.values())
    told = f"{model:,} (model, {source}) + " + " + ".join(f"{size:,} ({name})" for name, size in parts.items())
    if total >= CAP:
        yield say.fail(
            f"as shipped {total:,} bytes, {left(total)}",
            where=script,
            found=told,
            expected=f"below {CAP:,}",
            fix="ship the packed script that was counted",
        )
    else:
        yield say.ok(f"as shipped {total:,} bytes, {left(total)}", where=script, found=told, expected=f"below {CAP:,}")


@rule("RC403", "claimed size is the logged one")
def claimed_is_logged(case: Case) -> Iterator[Finding]:
    """The claimed total is a total that a log prints: a run's own, or the mean or largest of the runs.

    Matched by value. A rounded claim (15,900,000) passes when a logged total rounds to it. Without a claim or a log it
    is UNCHECKED.

    Fix: copy the total from the log.
    """
    say, claims = Say("RC403"), case.claims
    if claims is None or claims.bytes_total is None:
        yield say.unchecked("submission.json states no total size")
        return
    logged = [item for run in case.runs for item in totals(run)]
    ends = [total[2] for run in case.supporting or case.runs if (total := last_total(run))]
    if not logged:
        yield say.unchecked("no log states a total size", found=f"{claims.bytes_total:,}")
        return
    means = (
        {round(sum(ends) / len(ends)), int(sum(ends) / len(ends)), *(sum(ends[:n]) // n for n in range(2, len(ends)))}
        if ends
        else set()
    )
    unit = 10 ** (len(str(claims.bytes_total)) - len(str(claims.bytes_total).rstrip("0")))
    if claims.bytes_total in {size for _, _, size in logged}:
        yield say.ok("a total the log prints", found=f"{claims.bytes_total:,}", where=claims.file)
    elif any(abs(claims.bytes_total - mean) <= 1 for mean in means):
        yield say.ok("the mean of the logged totals", found=f"{claims.bytes_total:,}", where=claims.file)
    elif unit >= 1000 and any(abs(size - claims.bytes_total) <= unit // 2 for _, _, size in logged):
        yield say.ok("a logged total, rounded", found=f"{claims.bytes_total:,}", where=claims.file)
    else:
        near = min(logged, key=lambda item: abs(item[2] - (claims.bytes_total or 0)))
        yield say.fail(
            "no log prints the claimed total",
            where=claims.file,
            found=f"nearest {near[2]:,} ({near[1]})",
            expected=f"{claims.bytes_total:,}",
            fix="copy the total from the log",
        )


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
    else:
        yield say.fail(
            "the declared code size is not the script's",
            where=script,
            found=f"{case.folder.files[script]:,} bytes",
            expected=f"{claims.bytes_code:,} bytes",
            fix="declare the size of the file, or ship the file measured",
        )


@rule("RC405", "logged code size is the script's size")
def logged_code_size(case: Case) -> Iterator[Finding]:
    """The code size the log prints is the size of the script in the folder.

    A script that measures itself prints its own size; another number means that another file ran. A log that prints an
    uncompressed and a compressed size passes when either is the file's, and the finding says which. No such line is
    UNCHECKED.

    Fix: ship the script that ran.
    """
    say, script = Say("RC405"), case.folder.script
    runs = [
        run
        for run in case.supporting or case.runs
        if any(label.lower().startswith("code size") for _, label, _ in run.log.sizes)
    ]
    if script is None or not runs:
        yield say.unchecked("no log prints the size of its code" if script else "no script to weigh")
        return
    size = case.folder.files[script]
    whole = size + sum(case.folder.files[n] for n in local_modules(case.folder, script))
    other: list[str] = []
    for run in runs:
        codes = [
            (line, label, n)
            for line, label, n in run.log.sizes
            if label.lower().startswith("code size") and run.first <= line <= run.last
        ]
        if codes and not any(n in (size, whole) for _, _, n in codes):
            other.append(f"{run.log.name}:{codes[-1][0]} {' / '.join(f'{n:,}' for _, _, n in codes)}")
    if other:
        yield say.fail(
            "the log measured another script than the one here",
            where=other[0].split(" ")[0],
            found="; ".join(other[:4]),
            expected=f"{size:,} bytes ({script})",
            fix="ship the script that ran",
        )
    else:
        yield say.ok(f"{size:,} bytes, as {len(runs)} log(s) print", where=script)

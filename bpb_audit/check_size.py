"""Rules PG2xx on the sizes a submission claims, its logs state, and its files have."""

from collections.abc import Iterator

from .evidence import Evidence
from .finding import Finding, failed, passed, unchecked
from .log_reader import Stated
from .rules import rule
from .submission import Submission

CAP = 16_000_000
RAW = 24_000_000  # a logged total above this is of the weights before compression
SMALL = 0.01  # code edited after the run changes the total by less


def stated(submission: Submission, *words: str, without: tuple[str, ...] = ()) -> list[tuple[str, Stated]]:
    """Sizes of all logs whose label holds every one of `words` and none of `without`: (log name, size)."""
    return [
        (log.name, one)
        for log in submission.logs
        for one in log.sizes
        if all(word in one.name.lower() for word in words) and not any(word in one.name.lower() for word in without)
    ]


def totals(submission: Submission) -> list[tuple[str, Stated]]:
    """What the logs call the total submission size; where two compressions are tried, both stand here."""
    return stated(submission, "total", "size")


@rule("PG201", "counted code is shipped code")
def code_counted(evidence: Evidence) -> Iterator[Finding]:
    """The size of the code that a log counted is the size of a script in the folder.

    Some records count a packed form that was computed and never written; that is a convention to name, not proof of an
    error, so it is unchecked here. Fix: write the very file that is counted, and ship it.
    """
    submission = evidence.submission
    sizes = {place.as_posix(): submission.at(place).stat().st_size for place in submission.scripts}
    counted = stated(submission, "code", without=("total",))
    claim = submission.claim
    if not counted and not (claim and claim.bytes_code):
        yield unchecked(
            "neither log nor claim states the size of the code", fix="state bytes_code and ship train_gpt.py"
        )
        return
    if not sizes:
        yield unchecked("no script in the folder", fix="ship train_gpt.py")
        return
    wanted = [int(one.value) for _, one in counted] + ([claim.bytes_code] if claim and claim.bytes_code else [])
    hits = {name: size for name, size in sizes.items() if size in wanted or sum(sizes.values()) in wanted}
    if hits:
        name, size = next(iter(hits.items()))
        yield passed(f"counted code is {name}, {size:,} bytes", name, f"{size:,}")
    else:
        told = ", ".join(f"{one:,}" for one in sorted(set(wanted))[:3])
        has = ", ".join(f"{name} {size:,}" for name, size in list(sizes.items())[:3])
        says = f"code is counted as {told} bytes, but no script in the folder has that size ({has})"
        yield unchecked(says, fix="ship the very file that was counted")


@rule("PG202", "the artifact is under 16,000,000 bytes")
def under_cap(evidence: Evidence) -> Iterator[Finding]:
    """Code plus compressed model is strictly below 16,000,000 bytes (decimal), by claim and by log.

    Fix: a smaller model or a better codec; 16 MiB is not the limit.
    """
    submission = evidence.submission
    claim = submission.claim
    claimed = [(claim.name, "bytes_total", claim.bytes_total)] if claim and claim.bytes_total else []
    claimed += [(claim.name, one.key, one.size) for one in (claim.seeds if claim else ()) if one.size and claim]
    if claimed:
        for name, key, size in claimed:
            if size >= CAP:
                fix = "shrink the artifact"
                yield failed(f"{size:,} bytes are not below {CAP:,}", f"{name} {key}", f"{size:,}", f"< {CAP:,}", fix)
        most = max(size for _, _, size in claimed)
        if most < CAP:
            yield passed(f"at most {most:,} bytes are claimed, {CAP - most:,} left", claimed[0][0], f"{most:,}")
        return
    logged = totals(submission)
    if not logged:
        yield unchecked("neither claim nor log states the size of the artifact", fix="state bytes_total")
        return
    least = min(logged, key=lambda hit: int(hit[1].value))
    size, where = int(least[1].value), f"{least[0]}:{least[1].line}"
    if size >= CAP:
        yield failed(f"the smallest logged total is {size:,} bytes", where, f"{size:,}", f"< {CAP:,}", "shrink it")
    else:
        yield passed(f"a logged total is {size:,} bytes, {CAP - size:,} left", where, f"{size:,}")


@rule("PG203", "claimed sizes stand in the logs")
def sizes_in_logs(evidence: Evidence) -> Iterator[Finding]:
    """The claimed total is one that a log states (or the mean or maximum over the runs), or the size of shipped files.

    A claimed total that is 1% below every logged one, or below the cap where all logged ones are above it, fails.
    Fix: claim the largest total of the shipped runs.
    """
    submission = evidence.submission
    claim = submission.claim
    logged = totals(submission)
    if claim is None or not claim.bytes_total or not logged:
        yield unchecked("a claimed total or a logged total is missing", fix="state bytes_total, ship the logs")
        return
    values = sorted({int(one.value) for _, one in logged if int(one.value) < RAW}) or [0]
    claimed = claim.bytes_total
    every = {int(one.value) for log in submission.logs for one in log.sizes}
    code = {int(one.value) for _, one in stated(submission, "code")} | {claim.bytes_code or 0}
    code |= {submission.at(place).stat().st_size for place in submission.scripts}
    every |= {size + one for size in every for one in code}
    if claimed in every or abs(claimed - sum(values) / len(values)) <= 1:
        yield passed(f"the claimed {claimed:,} bytes stand in the logs", claim.name, f"{claimed:,}")
    elif claimed < values[0] * (1 - SMALL) or claimed < CAP <= values[0]:
        yield failed(
            f"the claimed total is {values[0] - claimed:,} bytes below every logged one",
            claim.name,
            f"{claimed:,}",
            f"{values[0]:,} at least ({logged[0][0]}:{logged[0][1].line})",
            "claim the total that the log states",
        )
    else:
        yield unchecked(f"the claimed {claimed:,} bytes are not among the logged totals", claim.name, "ship its log")

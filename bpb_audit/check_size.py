"""Rules PG2xx on the sizes a submission claims, its logs state, and its files have."""

from collections.abc import Iterator

from .check_source import claimed_logs
from .claim_reader import Claim
from .evidence import Evidence
from .finding import Finding, failed, many, passed, unchecked
from .log_reader import Log, Stated
from .rules import rule
from .size_sums import MODEL, Artifact, artifacts, is_code
from .submission import Submission

CAP = 16_000_000
RAW = 24_000_000  # a logged total above this is of the weights before compression
SMALL = 0.01  # code edited after the run changes the total by less
ROUNDED = 0.05  # a size of code stated in round numbers is this near to the true one


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
    """The size of the code that a log counted is the size of a script in the folder, and so is the size claimed.

    Claim and log are judged apart. Some records count a packed form that was computed and never written, or round;
    that is a convention to name, not proof of an error, so it is unchecked. A claimed size fails when nothing logged,
    shipped or counted in the claimed total is near it. Fix: write the very file that is counted, and ship it.
    """
    submission = evidence.submission
    sizes = {place.as_posix(): submission.at(place).stat().st_size for place in submission.scripts}
    claim = submission.claim
    claimed = claim.bytes_code if claim else None
    logs = [log for log in claimed_logs(submission) if codes_of(log)] or [x for x in submission.logs if codes_of(x)]
    if not logs and not claimed:
        yield unchecked(
            "neither log nor claim states the size of the code", fix="state bytes_code and ship train_gpt.py"
        )
        return
    if not sizes:
        yield unchecked("no script in the folder", fix="ship train_gpt.py")
        return
    has = ", ".join(f"{name} {size:,}" for name, size in list(sizes.items())[:3])
    shipped = {*sizes.values(), sum(sizes.values())}
    odd = [log for log in logs if not shipped & set(codes_of(log))]
    for log in odd[:1]:
        told = ", ".join(f"{one:,}" for one in codes_of(log)[:3])
        more = f" (as in {many(len(odd) - 1, 'more log')})" if len(odd) > 1 else ""
        says = f"{log.name} counts {told} bytes of code, but no script in the folder has that size ({has}){more}"
        yield unchecked(f"{says}; packed, or edited after the run", log.name, "ship the very file that was counted")
    known = shipped | {size for log in submission.logs for size in codes_of(log)}
    if claim and claimed and claimed not in known:
        yield _claimed_code(submission, claim, claimed, known, has)
    elif not odd:
        name, size = next(((name, size) for name, size in sizes.items() if size == claimed), next(iter(sizes.items())))
        yield passed(f"counted code is {name}, {size:,} bytes", name, f"{size:,}")


def codes_of(log: Log) -> list[int]:
    """The sizes of code that a log counts, bytes; each once."""
    return list(dict.fromkeys(int(one.value) for one in log.sizes if is_code(one.name)))


def _claimed_code(submission: Submission, claim: Claim, claimed: int, known: set[int], has: str) -> Finding:
    """What to say of a claimed size of code that nothing logged or shipped has exactly."""
    where = f"{claim.name} bytes_code"
    near = min(known, key=lambda one: abs(one - claimed))
    models = {int(one.value) for _, one in stated(submission, MODEL)}
    fix = "state the size of the very file that is shipped"
    if abs(claimed - near) <= SMALL * near or (claimed % 100 == 0 and abs(claimed - near) <= ROUNDED * near):
        return unchecked(
            f"bytes_code is {claimed:,}, not {near:,} as logged or shipped: rounded, or edited", where, fix
        )
    if claim.bytes_total and claim.bytes_total - claimed in models and not _counted(submission, claim.bytes_total):
        says = f"bytes_code is {claimed:,} and counted so in bytes_total: a packed form that is not in the folder"
        return unchecked(says, where, "ship the packed script that is counted")
    says = f"the claimed {claimed:,} bytes of code are the size of nothing logged or shipped"
    return failed(says, where, f"{claimed:,}", f"{near:,} ({has})", fix)


def _counted(submission: Submission, total: int) -> bool:
    """True when a log states this very total."""
    return any(int(one.value) == total for _, one in totals(submission))


@rule("PG202", "the artifact is under 16,000,000 bytes")
def under_cap(evidence: Evidence) -> Iterator[Finding]:
    """Code plus compressed model is strictly below 16,000,000 bytes (decimal), by claim and, apart, by log.

    By log, the size is the stated total or the compressed model of the same label plus the code, whichever is more.
    Where only the code's packing brings a logged model under the cap, that is unchecked.
    Fix: a smaller model or a better codec; 16 MiB is not the limit.
    """
    submission = evidence.submission
    claim = submission.claim
    claimed = [(claim.name, "bytes_total", claim.bytes_total)] if claim and claim.bytes_total else []
    claimed += [(claim.name, one.key, one.size) for one in (claim.seeds if claim else ()) if one.size and claim]
    for name, key, size in claimed:
        if size >= CAP:
            fix = "shrink the artifact"
            yield failed(f"{size:,} bytes are not below {CAP:,}", f"{name} {key}", f"{size:,}", f"< {CAP:,}", fix)
    most = max((size for _, _, size in claimed), default=0)
    if claimed and most < CAP:
        yield passed(f"at most {most:,} bytes are claimed, {CAP - most:,} left", claimed[0][0], f"{most:,}")
    found = [one for log in claimed_logs(submission) for one in artifacts(log, shipped_sizes(submission))]
    if not found and not claimed:
        yield unchecked("neither claim nor log states the size of the artifact", fix="state bytes_total")
    yield from _logged(found, {size for _, _, size in claimed})


def shipped_sizes(submission: Submission) -> tuple[int, ...]:
    """Sizes of the scripts in the folder, bytes."""
    return tuple(submission.at(place).stat().st_size for place in submission.scripts)


def _logged(found: list[Artifact], claimed: set[int]) -> Iterator[Finding]:
    """The cap, by the logs behind the claim: for the very total that is claimed, and for the least one of each log."""
    good: list[Artifact] = []
    for log in list({one.log.name: one.log for one in found}.values()):
        mine = [one for one in found if one.log is log]
        named = [one for one in mine if one.size in claimed and one.least >= CAP]
        least = named[0] if named else min(mine, key=lambda one: one.least)
        where = f"{log.name}:{least.total.line}"
        if least.least < CAP:
            good.append(least)
        elif least.least >= RAW and claimed and not named:
            yield unchecked("the log states no total of the compressed model", where, "log the compressed total")
        elif (
            claimed
            and not named
            and max(claimed) < CAP
            and min((int(one.value) for one in least.models), default=CAP) < CAP
        ):
            says = (
                f"the logged total is {least.least:,} bytes; only code in another form than logged goes under the cap"
            )
            yield unchecked(says, where, "ship and log the code as it is counted")
        else:
            says = (
                f"the logged parts make {least.least:,} bytes" if least.size < CAP else "the smallest logged total is"
            )
            says = says if least.size < CAP else f"{says} {least.least:,} bytes"
            yield failed(says, where, f"{least.least:,}", f"< {CAP:,}", "shrink the artifact")
    if good and not claimed:
        least = min(good, key=lambda one: one.least)
        where = f"{least.log.name}:{least.total.line}"
        yield passed(f"a logged total is {least.least:,} bytes, {CAP - least.least:,} left", where, f"{least.least:,}")


@rule("PG203", "claimed sizes stand in the logs")
def sizes_in_logs(evidence: Evidence) -> Iterator[Finding]:
    """The claimed total is one that a log states (or the mean or maximum over the runs), or the size of shipped files.

    A claimed total that is 1% below every logged one, or below the cap where all logged ones are above it, fails.
    A logged total is itself the sum of the code and the compressed model of the same label in the same run; one that
    is below that sum fails. Fix: claim the largest total of the shipped runs.
    """
    submission = evidence.submission
    claim = submission.claim
    yield from _sums(submission)
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


def _sums(submission: Submission) -> Iterator[Finding]:
    """Logged totals that are not the sum of their logged parts."""
    for log in submission.logs:
        for one in artifacts(log, shipped_sizes(submission)):
            if one.holds:
                continue
            least, where = min(one.sums), f"{log.name}:{one.total.line}"
            parts = " or ".join(f"{int(model.value):,}" for model in one.models[:3])
            says = f"{one.total.name!r} is {one.size:,} bytes, but its model ({parts}) and code make another sum"
            if one.size < least * (1 - SMALL):
                yield failed(says, where, f"{one.size:,}", f"{least:,}", "state code plus compressed model")
            else:
                yield unchecked(says, where, "state code plus compressed model")

"""RC2xx: submission.json: is it JSON, does it say what the rules ask, in the right types."""

import statistics
from collections.abc import Iterator

from .evidence import Case, agrees, near_mean
from .finding import Finding
from .rules import Say, rule
from .submission import NINE, read_date


@rule("RC201", "valid JSON")
def valid_json(case: Case) -> Iterator[Finding]:
    """submission.json is one JSON object in UTF-8.

    NaN and Infinity are no JSON. `python -m json.tool submission.json` shows where it breaks.

    Fix: correct the place that is named.
    """
    say = Say("RC201")
    if case.folder.json_name is None:
        yield say.unchecked("no submission.json to read")
    elif case.claims is None:
        yield say.fail(
            "submission.json cannot be read",
            where=case.folder.json_name,
            found=case.folder.json_error[:300],
            expected="one JSON object",
            fix="correct the place named",
        )
    else:
        yield say.ok(f"a JSON object of {len(case.claims.raw)} keys", where=case.claims.file)


@rule("RC202", "name, GitHub id and val_bpb")
def required_fields(case: Case) -> Iterator[Finding]:
    """submission.json names its author (`author` or `name`), a `github_id`, and a numeric `val_bpb`.

    These three the rules ask for by name; an `author` that is there and empty names nobody. A mean given as
    `mean_val_bpb` is read by the other rules, yet fails here, for no leaderboard finds it.

    Fix: add the fields.
    """
    say, claims = Say("RC202"), case.claims
    if claims is None:
        yield say.unchecked("no readable submission.json")
        return
    named = claims.text("author") or (claims.text("name") if "author" not in claims.raw else "")
    missing = [] if named else ["author"]
    missing += [] if claims.text("github_id") else ["github_id"]
    missing += [] if claims.keys.get("val_bpb") == "val_bpb" else ["val_bpb"]
    if missing:
        near = (
            f"; val_bpb is there as {claims.keys['val_bpb']}"
            if "val_bpb" in claims.keys and "val_bpb" in missing
            else ""
        )
        yield say.fail(
            f"submission.json lacks {', '.join(missing)}{near}",
            where=claims.file,
            found=", ".join(list(claims.raw)[:12]),
            expected="author, github_id, val_bpb",
            fix=f"add {', '.join(missing)}",
        )
    else:
        yield say.ok(
            f"{claims.text('author') or claims.text('name')} ({claims.text('github_id')}) claims {claims.val_bpb}",
            where=claims.file,
        )


@rule("RC203", "the nine fields")
def nine_fields(case: Case) -> Iterator[Finding]:
    """submission.json gives author, github_id, name, blurb, date, val_loss, val_bpb, bytes_total and bytes_code.

    These nine stand in the published examples. A field of a wrong type (text for a number, a fraction for bytes) fails.
    A field that is absent is UNCHECKED: "related metadata" is all the rules say, but what is not stated cannot be
    checked against the log.

    Fix: `pglab record new` writes all nine from the run.
    """
    say, claims = Say("RC203"), case.claims
    if claims is None:
        yield say.unchecked("no readable submission.json")
        return
    if claims.faults:
        yield say.fail(
            "fields of a wrong type",
            where=claims.file,
            found="; ".join(claims.faults[:5]),
            expected="numbers as JSON numbers",
            fix="write them without quotes",
        )
        return
    known = {**{name: name for name in claims.raw if claims.raw[name] not in (None, "")}, **claims.keys}
    absent = [name for name in NINE if name not in known]
    if absent:
        yield say.unchecked(
            f"not stated: {', '.join(absent)}", where=claims.file, expected=", ".join(NINE), fix="add them from the log"
        )
    else:
        yield say.ok("all nine fields are given", where=claims.file)


@rule("RC204", "date")
def iso_date(case: Case) -> Iterator[Finding]:
    """`date` is ISO 8601: `2026-03-18` or `2026-03-18T14:56:29Z`.

    Fix: write the date in this form.
    """
    say, claims = Say("RC204"), case.claims
    if claims is None or claims.date is None:
        yield say.unchecked("no date is given")
    elif read_date(claims.date) is None:
        yield say.fail(
            "the date is not ISO 8601",
            where=claims.file,
            found=claims.date,
            expected="2026-03-18T14:56:29Z",
            fix="write it in this form",
        )
    else:
        yield say.ok(f"dated {claims.date}", where=claims.file)


@rule("RC205", "val_loss is in the logs")
def loss_in_logs(case: Case) -> Iterator[Finding]:
    """The claimed `val_loss` is a loss (nats per token) that a log prints, or the mean over runs of one.

    Matched by value, as RC301 does for the score. A value that the logs print as bits per byte is a mixed-up field.
    Other numbers fail. Without a claim or a log it is UNCHECKED.

    Fix: copy `val_loss` from the line that prints the claimed score.
    """
    say, claims = Say("RC205"), case.claims
    scores = [(r, m) for r in case.runs for m in (*r.validations[-1:], *r.finals) if m.val_loss is not None]
    if claims is None or claims.val_loss is None or not scores:
        yield say.unchecked("no val_loss is claimed" if claims else "no readable submission.json")
        return
    claim = claims.val_loss
    hit = next(((run, m) for run, m in scores if m.val_loss is not None and agrees(claim, m.val_loss, m.digits)), None)
    if hit:
        yield say.ok("a loss that a log prints", where=f"{hit[0].log.name}:{hit[1].line}", found=f"{hit[1].val_loss}")
        return
    both = next(((run, m) for run, m in scores if agrees(claim, m.val_bpb, m.digits) and m.digits >= 4), None)
    if both:
        yield say.fail(
            "val_loss holds bits per byte, not nats per token",
            where=claims.file,
            found=f"{claim} is {both[1].val_bpb} at {both[0].log.name}:{both[1].line}",
            expected=f"{both[1].val_loss} nats per token",
            fix="give nats per token in val_loss, bits per byte in val_bpb",
        )
        return
    own = [m.val_loss for _, m in case.mean_match.pairs if m.val_loss is not None] if case.mean_match else []
    if len(own) > 1 and near_mean(claim, statistics.fmean(own)):
        label = case.mean_match.label if case.mean_match else ""
        yield say.ok(f"the mean of {len(own)} runs ({label})", found=f"{statistics.fmean(own):.8f}")
        return
    for label, runs, bpb_mean in case.label_means:
        lines = [next(m for m in reversed(run.finals) if m.label == label) for run in runs]
        losses = [m.val_loss for m in lines if m.val_loss is not None]
        seeds = {item.seed for item in claims.seeds}
        chosen = [
            m.val_loss
            for run, m in zip(runs, lines, strict=True)
            if m.val_loss is not None and {str(run.printed_seed), str(run.named_seed)} & seeds
        ]
        for group in (losses, chosen):
            if len(group) > 1 and near_mean(claim, statistics.fmean(group)):
                yield say.ok(f"the mean of {len(group)} runs ({label})", found=f"{statistics.fmean(group):.8f}")
                return
        if near_mean(claim, bpb_mean):
            yield say.fail(
                "val_loss holds bits per byte, not nats per token",
                where=claims.file,
                found=f"{claim} is the mean bits per byte of {len(runs)} runs",
                expected=f"{statistics.fmean(losses):.6f}" if losses else "nats per token",
                fix="give nats per token in val_loss, bits per byte in val_bpb",
            )
            return
    listed = [float(item.val_loss) for item in claims.seeds if item.val_loss]
    if len(listed) > 1 and near_mean(claim, statistics.fmean(listed)):
        yield say.ok(f"the mean of {len(listed)} claimed seeds", found=f"{statistics.fmean(listed):.8f}")
        return
    run, metric = min(scores, key=lambda pair: abs((pair[1].val_loss or 1e9) - float(claim)))
    yield say.fail(
        "no log prints the claimed val_loss, and no mean over runs is it",
        where=f"{run.log.name}:{metric.line}",
        found=f"nearest {metric.val_loss}",
        expected=claim,
        fix="copy it from the line of the claimed score",
    )

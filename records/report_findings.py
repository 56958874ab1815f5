"""The report's tiles, its tables of findings, and the commands that repeat the run."""

from typing import Any

from .report_data import LOGS, Inputs, number, pick, rows_of
from .report_parts import Section, Station, Table, fixed, gone
from .submission import CAP


def headline(inputs: Inputs) -> list[tuple[str, str, str]]:
    """The tiles on top: (number, unit, what it is)."""
    score, audit, check = inputs.get("score"), inputs.get("audit"), inputs.get("check")
    tiles: list[tuple[str, str, str]] = []
    if number(pick(score, "bpb_raw")) is not None:
        tiles.append(
            (fixed(pick(score, "bpb_raw")), "bits per raw byte", "of the validation text, after the round trip")
        )
    if number(pick(score, "bpb_table")) is not None:
        tiles.append((fixed(pick(score, "bpb_table")), "bits per table byte", "the same, over the challenge's table"))
    total = artifact_total(inputs)
    if total:
        tiles.append(
            (
                f"{total:,}",
                "bytes of artifact",
                f"{CAP - total:,} left under 16,000,000" if total < CAP else "over the cap",
            )
        )
    if (words := verdict_words(audit)) is not None:
        tiles.append((words[0], "audit", words[1]))
    elif (words := verdict_words(check)) is not None:
        tiles.append((words[0], "record check", words[1]))
    return tiles


def artifact_total(inputs: Inputs) -> int | None:
    """The artifact's bytes: the total that the run's log ends on (code and container)."""
    from bpb_audit.log_reader import read_log

    place = next((inputs.root / p for p in LOGS if (inputs.root / p).is_file()), None)
    if place is None:
        return None
    totals = [int(one.value) for one in read_log(place).sizes if one.name.startswith("Total submission size ")]
    return totals[-1] if totals else None


def verdict_words(document: Any) -> tuple[str, str] | None:
    """(`PASS`, `24 passed, 0 failed, 2 unchecked`) of an audit or check document, or None."""
    findings = findings_of(document)
    if not findings:
        return None
    counts = {v: sum(str(f.get("verdict")) == v for f in findings) for v in ("PASS", "FAIL", "UNCHECKED")}
    told = f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['UNCHECKED']} unchecked"
    if counts["FAIL"]:
        return "FAIL", told
    # what nobody could check is no praise: the word stands alone only when everything was checked
    return ("PASS" if not counts["UNCHECKED"] else f"{counts['PASS']} of {len(findings)}"), told


def findings_of(document: Any) -> list[dict[str, Any]]:
    """The findings of one or several audit documents."""
    documents = document if isinstance(document, list) else [document]
    lists = [d.get("findings") for d in documents if isinstance(d, dict)]
    found = [f for one in lists if isinstance(one, list) for f in one if isinstance(f, dict)]
    return found or [f for f in documents if isinstance(f, dict) and "verdict" in f]


def findings_section(inputs: Inputs, key: str, title: str, name: str, lead: str) -> Section:
    """A table of findings: failures first."""
    section = Section(key, title, f"{name}.json")
    if gone(inputs, section, name):
        return section
    order = {"FAIL": 0, "UNCHECKED": 1, "PASS": 2}
    found = sorted(
        findings_of(inputs.get(name)), key=lambda f: (order.get(str(f.get("verdict")), 3), str(f.get("rule")))
    )
    words = verdict_words(inputs.get(name))
    section.lead = f"{lead} {words[1][0].upper() + words[1][1:]}." if words else f"{lead} It holds no findings."
    heads = ["verdict", "rule", "what it says", "where"]
    good = [f for f in found if f.get("verdict") == "PASS"]
    for part, summary in ((found[: len(found) - len(good)], ""), (good, f"{len(good)} passed")):
        rows = [[str(f.get("verdict", "")), str(f.get("rule", "")), detail(f), str(f.get("where", ""))] for f in part]
        section.tables.append(Table(heads, rows, verdict=0, caption=summary))
    return section


def detail(finding: dict[str, Any]) -> str:
    """A finding's sentence; when it did not pass, with what was found, what was wanted and what to do."""
    parts = [str(finding.get("says", "")).rstrip(".")]
    if finding.get("verdict") == "FAIL":
        parts += [f"found {finding['found']}"] if finding.get("found") else []
        parts += [f"wanted {finding['expected']}"] if finding.get("expected") else []
    if finding.get("verdict") != "PASS" and finding.get("fix"):
        parts.append(f"next: {finding['fix']}")
    return "; ".join(part for part in parts if part)


def audit_section(inputs: Inputs) -> Section:
    """What the auditor said."""
    lead = "The auditor counts the bytes again from the raw documents, with code of its own."
    return findings_section(inputs, "audit", "The audit", "audit", lead)


def record_section(inputs: Inputs) -> Section:
    """What the record check said."""
    return findings_section(
        inputs, "record", "The record folder", "check", "Every rule of the challenge, one finding each."
    )


def command_section(inputs: Inputs) -> Section:
    """How each station is run by hand."""
    section = Section("commands", "Run it yourself", "commands.json")
    if gone(inputs, section, "commands"):
        return section
    for row in rows_of(inputs.get("commands"), "commands"):
        name, title = str(row.get("station", "")), str(row.get("title", ""))
        if not section.commands or section.commands[-1].name != name:
            section.commands.append(Station(name, title))
        station = section.commands[-1]
        spent = number(row.get("seconds"))
        station.commands.append((str(row.get("command", "")), f"{spent:,.1f} s" if spent is not None else ""))
        station.says = str(row.get("says") or station.says)
    section.lead = "Each station of this run as the commands it ran, in its own folder; a finished one is not repeated."
    return section

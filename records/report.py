"""One page that shows a whole run: the text, the vocabularies, the training, the bytes, the score, and who checked it.

The page is one HTML file without scripts and without anything from outside: it can be mailed, kept beside a record, or
opened in ten years. Everything on it is read from the files of the run folder; what is not there is said to be absent.
"""

from datetime import UTC, datetime
from pathlib import Path

from bpb_audit.aside import write_aside

from .errors import RecordError
from .page import HOME, render
from .report_data import FILES, Inputs, read_inputs
from .report_findings import audit_section, command_section, headline, record_section
from .report_parts import Section
from .report_proof import proof_section
from .report_text import shard_section, text_section, vocabulary_section
from .report_weights import codec_section, score_section, training_section

SECTIONS = (
    score_section,
    text_section,
    vocabulary_section,
    shard_section,
    training_section,
    codec_section,
    audit_section,
    proof_section,
    record_section,
    command_section,
)


def write_report(run: Path, out: Path) -> int:
    """Write the page for the run folder `run` to `out`; returns its size in bytes.

    Raises RecordError when `run` is no folder or holds none of the known files. The page is written aside and renamed.
    """
    if not run.is_dir():
        raise RecordError(f"{run}: no such folder. Give the folder of a run, as `pglab tour` makes one.")
    text = page(run)
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_aside(out, text.encode("utf-8"))


def page(run: Path) -> str:
    """The page's HTML. Raises RecordError when nothing in `run` can be reported."""
    inputs = read_inputs(run)
    sections = [build(inputs) for build in SECTIONS]
    if not any(section.there for section in sections):
        known = ", ".join(places[0] for places in FILES.values())
        raise RecordError(f"{run}: none of the files a report is made of ({known}, train/train.log). Try: pglab tour")
    return render(
        "report.html.jinja",
        title=title(inputs),
        css=(HOME / "report.css").read_text("utf-8"),
        tiles=headline(inputs),
        sections=sections,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        sources=[(str(path.relative_to(run)), f"{path.stat().st_size:,}") for path in sources(inputs)],
        absent=absent(sections),
    )


def title(inputs: Inputs) -> str:
    """The run's name: what its config calls it, else its folder."""
    config = inputs.get("config")
    named = config.get("run_id") or config.get("name") if isinstance(config, dict) else None
    return str(named or inputs.root.resolve().name or "run")


def sources(inputs: Inputs) -> list[Path]:
    """The files the page was made from."""
    return sorted(inputs.found.values())


def absent(sections: list[Section]) -> list[str]:
    """What this run does not show, in words."""
    return [f"{section.title.lower()} ({section.wants})" for section in sections if not section.there]

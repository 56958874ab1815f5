"""`pglab tour`: the whole lab on real text, one station after the other, each a command that a person could type.

Documents become vocabularies, vocabularies shards, shards a small trained GPT, its weights an artifact; the artifact is
scored, put into a submission folder, and the folder is audited from the raw documents. The tour does none of that work
itself: it runs the rooms' own commands in one run folder, prints each command before it runs and a short table after,
and remembers what is done, so that an interrupted tour continues where it was and a second one is quick.

    pglab tour                          # 12 MB of speeches, about four minutes on two CPU cores
    pglab tour --docs mine.jsonl --out runs/mine
"""

import contextlib
import json as json_module
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.rule import Rule

import pglab_tour_tables as tables
from pglab_lock import held

CHOSEN = "vocab/bpe1024"  # lossless: raw bytes and table bytes are the same number, so the score needs no excuse
STOPPED = (130, 143, -2, -15)  # by an interrupt or a request to end
PROVED = 1_000_000  # bytes of validation text that are compressed and restored; of more, a sample
LEAVE = 30  # seconds an interrupted command has to save its work


class TourError(ValueError):
    """A station could not run; the message is a sentence for the user."""

    sentence = True


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of the lab, run in the run folder; `keeps` is the file that takes what it prints, if any."""

    words: tuple[str, ...]
    makes: tuple[str, ...]  # files, relative to the run folder, that are there once it is done
    keeps: str = ""
    anew: str = ""  # pattern of folders that it will not write into again: removed before it is done a second time
    resumes: bool = False  # what it left unfinished it goes on with

    def __str__(self) -> str:
        return shlex.join(["pglab", *self.words]) + (f" > {self.keeps}" if self.keeps else "")


@dataclass(frozen=True, slots=True)
class Station:
    """A stop of the tour: why it matters, what is run, and the table shown after."""

    name: str
    why: str
    commands: Callable[[Path], Iterator[Command]]  # made when reached: later ones read what earlier ones wrote
    show: Callable[[Path, Console], str]  # prints the table; returns one sentence


def command(line: str, *makes: str, keeps: str = "", anew: str = "", resumes: bool = False) -> Command:
    """A Command from the line one would type (without `pglab`)."""
    return Command(tuple(shlex.split(line)), (*makes, *([keeps] if keeps else [])), keeps, anew, resumes)


def stations(docs: str, seconds: int, ranks: int) -> list[Station]:
    """The tour in order. docs: a JSONL or text file, or "" for the embedded speeches."""

    def corpus(_: Path) -> Iterator[Command]:
        own = f" --docs {shlex.quote(docs)}" if docs else ""
        yield command(f"corpus write --out corpus{own}", "corpus/docs.jsonl", "corpus/corpus.json")

    def vocabularies(_: Path) -> Iterator[Command]:
        for kind, size, name in [("sp_bpe", 1024, "sp1024"), ("bpe", 1024, "bpe1024"), ("bytes", 260, "byte260")]:
            line = f"vocab train {kind} --docs corpus/docs.jsonl --size {size} --out vocab/{name}"
            yield command(line, f"vocab/{name}/spec.json")
        names = "vocab/sp1024 vocab/bpe1024 vocab/byte260"
        yield command(f"vocab compare {names} --docs corpus/docs.jsonl --json", keeps="vocab.json")

    def shards(_: Path) -> Iterator[Command]:
        line = f"shards write --docs corpus/docs.jsonl --vocab {CHOSEN} --out shards"
        yield command(line, "shards/manifest.json", "shards/token_table.npz")
        yield command("shards verify shards --docs corpus/docs.jsonl --json", keeps="shards.json")

    def train(_: Path) -> Iterator[Command]:
        line = f"model train --recipe tour --shards shards --out train --seconds {seconds} --ranks {ranks}"
        made = ("train/train.log", "train/final_model.pgc", "train/checkpoint/model.safetensors")
        yield command(line, *made, anew="train", resumes=True)

    def codecs(_: Path) -> Iterator[Command]:
        yield command("codec sweep train/checkpoint/model.safetensors --json", keeps="codecs.json")

    def score(run: Path) -> Iterator[Command]:
        yield command("model eval train/final_model.pgc --shards shards --json", keeps="score.json")
        count = tables.read(run, "corpus/corpus.json")["validation_documents"]
        yield command(f"codec text corpus/docs.jsonl --field text --documents {count} --json", keeps="text.json")

    def submission(run: Path) -> Iterator[Command]:
        day = date.fromtimestamp((run / "train/train.log").stat().st_mtime).isoformat()  # the day it was trained
        folder = f"records/{day}_Tour"
        line = f"record new Tour --track non-record --run train --out records --date {day}"
        made = (f"{folder}/submission.json", f"{folder}/train_gpt.py")
        yield command(line, *made, anew="records/????-??-??_Tour")
        evidence = "--docs corpus/docs.jsonl --shards shards"
        yield command(f"record check {folder} {evidence} --json", keeps="check.json")

    def audit(run: Path) -> Iterator[Command]:
        folder = tables.record_folder(run)
        yield command(f"audit {folder} --docs corpus/docs.jsonl --shards shards --json", keeps="audit.json")

    def proof(run: Path) -> Iterator[Command]:
        line = "prove write train/final_model.pgc --docs corpus/docs.jsonl --shards shards --windows 1 --out proof.pgp"
        it = tables.read(run, "corpus/corpus.json")
        count, size = it["validation_documents"], it["validation_bytes"]
        if size > PROVED:  # a sample of your own large corpus; the speeches are proved whole
            line += f" --sample {max(1, count * PROVED // size)}"
        yield command(f"{line} --json", "proof.pgp", keeps="proof_written.json")
        yield command(
            "prove check proof.pgp train/final_model.pgc --vocab shards --docs corpus/docs.jsonl --json",
            keeps="proof.json",
        )

    def report(_: Path) -> Iterator[Command]:
        yield command("record report . --out report.html", "report.html")

    return [
        Station("corpus", "Real documents, split into validation and training.", corpus, tables.corpus),
        Station("vocabularies", "Three ways to cut the same text, and what each costs.", vocabularies, tables.vocab),
        Station("shards", "Tokens in the challenge's format; every byte accounted for.", shards, tables.shards),
        Station("training", f"A small standard GPT, {seconds} seconds.", train, tables.training),
        Station("codecs", "The same weights through every codec: files written, read back.", codecs, tables.codecs),
        Station("score", "Bits per byte of the round-tripped model, beside text compressors.", score, tables.score),
        Station("submission", "A complete folder, checked by the rules.", submission, tables.check),
        Station("audit", "The bytes recounted from the raw documents, independently.", audit, tables.audit),
        Station("proof", "The validation text compressed with the model, and restored.", proof, tables.proof),
        Station("report", "Everything above on one page.", report, tables.report),
    ]  # fmt: skip


def write_json(place: Path, value: object) -> None:
    """Write aside, make durable, rename: a reader finds the old file or the new one, never half of one."""
    aside = place.with_name(place.name + ".tmp")
    with aside.open("w", encoding="utf-8") as file:
        json_module.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(place)


class Ledger:
    """What is done in a run folder: command -> seconds, exit status, and size and time of each file it made."""

    def __init__(self, run: Path) -> None:
        self.run, self.place = run, run / "done.json"
        self.rows: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):  # absent or spoilt: nothing is done yet
            said = json_module.loads(self.place.read_text())
            if isinstance(said, dict) and all(isinstance(row, dict) and "made" in row for row in said.values()):
                self.rows = said

    def stamp(self, made: Command) -> dict[str, list[int]] | None:
        """Size and modification time of each file `made` should leave; None when one is missing."""
        try:
            found = {name: (self.run / name).stat() for name in made.makes}
        except OSError:
            return None
        return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}

    def is_done(self, made: Command) -> bool:
        row = self.rows.get(str(made))
        return row is not None and row["made"] == self.stamp(made)

    def write(self, made: Command, seconds: float, status: int) -> None:
        self.rows[str(made)] = {"seconds": round(seconds, 2), "status": status, "made": self.stamp(made)}
        write_json(self.place, self.rows)


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Hold the run folder for this tour; a second one is told so instead of mixing its files in."""

    def leave() -> None:
        raise TourError(f"{run}: another tour is at work in this folder. Wait for it, or pass --out.")

    with held(run / ".lock", leave):
        yield


def clear(run: Path, made: Command) -> None:
    """Remove what an earlier tour left in a command's place: what it was made from has changed."""
    for folder in run.glob(made.anew) if made.anew else []:
        shutil.rmtree(folder)


def run_and_let_leave(argv: list[str], run: Path, out: Any) -> int:
    """Run a child; an interrupt reaches it too (it shares our terminal), and it gets the time to save its work."""
    child = subprocess.Popen(argv, cwd=run, stdout=out)
    try:
        return child.wait()
    except BaseException:
        try:
            child.wait(LEAVE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise


def run_command(made: Command, run: Path) -> tuple[int, float]:
    """Run one command in the run folder; its talk goes to the terminal, its result to `keeps`. -> (status, seconds)."""
    start = time.monotonic()
    aside = run / (made.keeps + ".tmp") if made.keeps else None
    with aside.open("wb") if aside else contextlib.nullcontext(subprocess.DEVNULL) as out:
        argv = [sys.executable, "-P", "-m", "pglab", *made.words]
        status = run_and_let_leave(argv, run, out)
    if status in STOPPED:
        raise TourError(f"`{made}` was stopped. What is done is kept; the same `pglab tour` continues.")
    if status not in (0, 1):
        raise TourError(
            f"`{made}` ended with exit status {status}; its own words stand above. What is done is kept. "
            "Mend the cause and run the same `pglab tour` again."
        )
    if aside:
        aside.replace(run / made.keeps)
    missing = [name for name in made.makes if not (run / name).exists()]
    if missing:
        raise TourError(f"`{made}` ended well but left no {missing[0]} in {run}. Please report this.")
    return status, time.monotonic() - start


def tour(
    *,
    out: Path = Path("runs/tour"),
    docs: Path | None = None,
    seconds: int = 100,
    ranks: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """The whole lab on real text, one station after the other, in a few minutes.

    Everything lands in one run folder; report.html in it is the page to open. Interrupt it when you like: the same
    command continues. Exit status 1 when a check failed or could not be made.

    Parameters
    ----------
    out
        The run folder.
    docs
        Your own documents, JSONL with "text" or plain text; without it, 12 MB of public-domain speeches.
    seconds
        Training time, on the wall clock.
    ranks
        Training processes; 0 means one a CPU core, two at most, or one a GPU.
    json
        Print the commands with their seconds, statuses and sentences as one JSON document; it stands in commands.json.
    """
    if docs is not None and not docs.is_file():
        raise TourError(f'{docs}: no such file; wanted documents as JSONL with a "text" field, or plain text.')
    if seconds < 1:
        raise TourError(f"--seconds {seconds}: wanted at least 1.")
    out.mkdir(parents=True, exist_ok=True)
    console, began = Console(stderr=True, highlight=False), time.monotonic()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plan = stations(str(docs.resolve()) if docs else "", seconds, ranks or min(2, cores))
    with alone_in(out):
        ledger, fresh, sentences, told = Ledger(out), False, [], []
        console.print(f"Run folder: {out} (the commands below run inside it)", markup=False)
        for number, station in enumerate(plan, 1):
            console.print(Rule(f"{number}/{len(plan)} {station.name}", align="left", style="dim"))
            console.print(station.why, style="italic")
            for made in station.commands(out):
                console.print(f"$ {made}", markup=False, soft_wrap=True)
                if fresh or not ledger.is_done(made):  # what follows a fresh command is stale
                    if fresh or str(made) in ledger.rows or not made.resumes:
                        clear(out, made)
                    status, took = run_command(made, out)
                    ledger.write(made, took, status)
                    fresh = True
                else:
                    console.print("  done before", style="dim")
                row = ledger.rows[str(made)]
                told.append({"station": station.name, "title": station.why, "command": str(made)} | row)
            sentences.append(station.show(out, console))
            told[-1]["says"] = sentences[-1]
            console.print(sentences[-1], markup=False)
            write_json(out / "commands.json", told)
    worst = max(row["status"] for row in told)
    spent = sum(row["seconds"] for row in told)
    if json:
        print(json_module.dumps(told, indent=1))
        return worst
    print("\n".join(sentences))
    print(f"{spent:,.0f} s of work, {time.monotonic() - began:,.0f} s of them now. Open {out / 'report.html'}")
    return worst

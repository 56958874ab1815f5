"""Documents become the challenge's shards, with every byte accounted for, and a manifest that names inputs and outputs.

The tokens are byte for byte those of the public exporter: each document the vocabulary's own BOS and then its ids, no
EOS; validation documents first and in their own files; shards of 100,000,000 tokens. (BOS is 1 in every kind trained
here; an imported file may say otherwise, and the manifest names it.) What is added: the byte sidecar, whose sum over
each document is that document's UTF-8, proven while it is written (for a lossless vocabulary the training documents are
proven as well); hashes; and no file under its final name before it is whole.

The work is done in units (shard_plan.py) whose results lie in `OUT/.units` until the manifest is written, last: killed
at any moment, the same command continues and ends with the same bytes. A folder that is finished is recognised by its
hashes and left as it is.
"""

import hashlib
import json
import shutil
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .aside import alone_in, sync_folder, write_bytes, write_json
from .builders import TABLE, open_vocabulary
from .corpus import read_corpus
from .document import COLUMN
from .errors import VocabError
from .progress import bytes_bar
from .shard_format import LARGEST, SPLITS
from .shard_plan import UNIT_BYTES, Plan, plain_file, plan_units
from .shard_stream import ShardStream, Written
from .shard_units import Job, read_part, remember
from .shard_workers import process_pool, run_jobs
from .spec import Spec

FORMAT = "pglab-shards-1"
UNITS = ".units"


def source_of(docs: Path, plan: Plan, validation: int) -> dict[str, Any]:
    """The manifest's entry on the documents. Raises VocabError when corpus.json does not speak of this file."""
    corpus = read_corpus(docs)
    if corpus is not None and corpus.sha256 != plan.sha256:
        raise VocabError(
            f"{docs}: sha256 {plan.sha256[:12]}..., but corpus.json beside it says {corpus.sha256[:12]}...; one was "
            "changed. Run: pglab corpus write --out FOLDER"
        )
    found = plan.documents("val")
    if found != validation:
        raise VocabError(
            f"{docs}: {found + plan.documents('train'):,} documents, but {validation:,} were to be for validation. "
            "Say how many lead: --validation-documents N"
        )
    if corpus is not None and corpus.sha256 == plan.sha256 and corpus.validation_documents == validation:
        return asdict(corpus)
    return {"source": docs.name, "sha256": plan.sha256, "documents": found + plan.documents("train")}


def validation_count(docs: Path, said: int | None) -> int:
    """How many documents lead for validation. Raises VocabError when nobody says."""
    corpus = read_corpus(docs) if said is None else None
    if said is not None and said < 0:
        raise VocabError(f"--validation-documents {said}: wanted 0 or more.")
    if said is None and corpus is None:
        raise VocabError(f"{docs}: no corpus.json beside it. Say how many lead: --validation-documents N")
    return said if corpus is None else corpus.validation_documents  # type: ignore[return-value]


def write_shards(
    docs: Path,
    vocabulary: Path,
    out: Path,
    shard_tokens: int = 100_000_000,
    validation: int | None = None,
    *,
    column: str = COLUMN,
    train_sidecar: bool = False,
    workers: int = 1,
    executor: Executor | None = None,
    unit_bytes: int = UNIT_BYTES,
) -> dict[str, Any]:
    """Write the folder `out`; returns its manifest.

    validation: documents at the head that form the validation split; from corpus.json when None. column: where lines
    and parquet files have the text. workers: processes on this machine; executor: takes their place, and must see the
    same paths. Raises VocabError for input that cannot be read or accounted for, OSError for a full disk.
    """
    if not 1 <= shard_tokens <= LARGEST:
        raise VocabError(f"--shard-tokens {shard_tokens:,}: wanted at least 1, and {LARGEST:,} at most.")
    if workers < 1:
        raise VocabError(f"--workers {workers}: wanted at least 1.")
    spec, tokenizer, file_bytes = open_vocabulary(vocabulary)
    if tokenizer.size > 1 << 16:
        raise VocabError(
            f"{vocabulary}: {tokenizer.size:,} ids; a shard's uint16 holds 65,536 at most. Take a smaller vocabulary."
        )
    remember(spec.sha256, tokenizer)
    first = validation_count(docs, validation)
    with alone_in(out):
        units = out / UNITS
        plain = plain_file(docs, units, column)
        with bytes_bar("planning", plain.stat().st_size) as advance:
            plan = plan_units(plain, first, unit_bytes, advance)
        if not plan.units:
            raise VocabError(f"{docs}: no documents in it. Name documents with --docs FILE.")
        source = source_of(docs, plan, first)
        sidecars = SPLITS if train_sidecar else SPLITS[:1]
        wanted = {"corpus": source["sha256"], "vocabulary": spec.sha256, "validation_documents": first}
        whole = {**wanted, "shard_tokens": shard_tokens, "train_sidecar": train_sidecar}
        if (done := _done(out, whole)) is not None:
            shutil.rmtree(units, ignore_errors=True)  # a run may have died between its manifest and this
            return done
        _begin(units, {**wanted, "sidecars": list(sidecars), "unit_bytes": unit_bytes})
        (out / "manifest.json").unlink(missing_ok=True)
        workers = min(workers, len(plan.units))
        share = plan.size // (len(plan.units) if executor else workers)
        jobs = [
            Job(str(plain), str(docs), str(vocabulary), spec.sha256, str(units), unit, unit.split in sidecars, share)
            for unit in plan.units
        ]
        with bytes_bar("encoding", plan.size) as advance, process_pool(0 if executor else workers) as pool:
            for _ in run_jobs(jobs, executor or pool, 2 * max(workers, 2), advance):
                pass
        written, counts = _assemble(jobs, units, out, shard_tokens, sidecars, tokenizer.bos)
        source |= counts
        for stale in out.glob("fineweb_*"):
            if stale.name not in {file.name for file in written}:
                stale.unlink()
        write_bytes(out / spec.file, file_bytes, settled=False)
        write_bytes(out / TABLE, tokenizer.table.to_npz(), settled=False)
        sync_folder(out)  # the manifest says that all of it is there
        manifest = _manifest(spec, tokenizer.bos, source, whole, written)
        write_json(out / "manifest.json", manifest)
        shutil.rmtree(units)
        return manifest


def _manifest(
    spec: Spec, bos: int, source: dict[str, Any], whole: dict[str, Any], written: list[Written]
) -> dict[str, Any]:
    entry = {"name": spec.name, "kind": spec.kind, "size": spec.size, "sha256": spec.sha256, "lossless": spec.lossless}
    entry["bos"] = bos
    return {
        "format": FORMAT,
        "corpus": source,
        "vocabulary": {**entry, "file": spec.file, "file_sha256": spec.file_sha256},
        "made_of": whole,
        "files": {file.name: file.to_json() for file in written},
    }


def _begin(units: Path, plan: dict[str, Any]) -> None:
    """Make room for units of this plan; units of another plan are thrown away."""
    path = units / "plan.json"
    if path.is_file() and path.read_bytes() == (json.dumps(plan, indent=2) + "\n").encode():
        return
    for old in units.glob("[0-9][0-9][0-9][0-9][0-9][0-9].*"):
        old.unlink()
    write_json(path, plan)


def _done(out: Path, whole: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of a finished folder that was made of the same things and still hashes the same; else None."""
    try:
        manifest: dict[str, Any] = json.loads((out / "manifest.json").read_bytes())
        if manifest["format"] != FORMAT or manifest["made_of"] != whole:
            return None
        hashes = {name: entry["sha256"] for name, entry in manifest["files"].items()}
        if {path.name for path in out.glob("fineweb_*")} != set(hashes):
            return None
        hashes[manifest["vocabulary"]["file"]] = manifest["vocabulary"]["file_sha256"]
        for name, sha256 in hashes.items():
            with (out / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return None
        return manifest if (out / TABLE).is_file() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _assemble(
    jobs: list[Job], units: Path, out: Path, shard_tokens: int, sidecars: tuple[str, ...], bos: int
) -> tuple[list[Written], dict[str, int]]:
    """Parts become shards, in order; returns the files and the counts of documents and bytes."""
    shards = {split: ShardStream(out, split, shard_tokens, split in sidecars) for split in SPLITS}
    documents, raw = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
    with bytes_bar("packing", sum(job.unit.end - job.unit.begin for job in jobs)) as advance:
        for job in jobs:
            tokens, values, sizes = read_part(units, job.unit, job.sidecar)
            shards[job.unit.split].add(tokens, np.flatnonzero(tokens == bos), sizes, values)
            documents[job.unit.split] += len(sizes)
            raw[job.unit.split] += int(sizes.sum())
            advance(job.unit.end - job.unit.begin)
    for shard in shards.values():
        shard.flush()
    counts = {"documents": sum(documents.values()), "bytes": sum(raw.values())}
    for split, name in zip(SPLITS, ("validation", "train"), strict=True):
        counts |= {f"{name}_documents": documents[split], f"{name}_bytes": raw[split]}
    return [file for split in SPLITS for file in shards[split].written], counts

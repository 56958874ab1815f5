"""`pglab bench score`: does our n-gram score put vocabularies in the order in which trained GPTs put them?

For each vocabulary a small GPT is trained on the same documents and scored on the same held-out ones, in bits per raw
byte of the weights as they were stored. All models have the same number of parameters, stored in 8 bits: who has more
ids has a narrower model. All see the same number of tokens, which with equal parameters is the same arithmetic, as in a
challenge that stops by the clock; larger vocabularies therefore read more text. Everything runs through the lab's own
commands in one folder; what is finished there is not done again.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pglab_report import Ways

from .errors import VocabError

VOCABULARIES = (
    *("bpe:512", "bpe:1024", "bpe:2048", "bpe:4096", "bpe:8192", "bpe_case:1024"),
    *("unigram:1024", "sp_bpe_lossless:1024", "superword:2048", "bytes:260"),
)
LAYERS, HEADS, SQUARES = 2, 2, 7  # a layer has 7 width^2 parameters: queries and output 2, keys and values 1, MLP 4


@dataclass(frozen=True, slots=True)
class Trained:
    """One vocabulary: its model's width and stored bytes, bits per raw byte as measured, and what was predicted.

    measured: the mean over the seeds; by_seed: each of them. stored_bytes: of the first seed's model.
    in_artifact: our score when told the model's own artifact and width. standard: with the score's defaults. unlimited:
    with every n-gram stored.
    """

    name: str
    size: int
    width: int
    stored_bytes: int
    measured: float
    in_artifact: float | None
    standard: float | None
    unlimited: float
    tokens_per_byte: float
    by_seed: tuple[float, ...] = ()


PREDICTORS = {
    "in_artifact": "our score, told the models' artifact",
    "standard": "our score, as vocab score gives it",
    "unlimited": "our score without a limit on n-grams",
    "tokens_per_byte": "tokens per byte",
    "size": "number of ids",
}


def width_for(size: int, parameters: int) -> int:
    """The width, a multiple of 4, at which a model with `size` ids comes nearest to `parameters`."""
    return min(range(8, 2048, 4), key=lambda d: abs(size * d + LAYERS * SQUARES * d * d - parameters))


def run(words: Sequence[str], folder: Path) -> None:
    """One command of the lab in `folder`, its talk on stderr. Raises VocabError when it fails."""
    print("$ pglab " + " ".join(words), file=sys.stderr)
    made = subprocess.run([sys.executable, "-P", "-m", "pglab", *words], cwd=folder, stdout=subprocess.DEVNULL)
    if made.returncode:
        raise VocabError(
            f"`pglab {' '.join(words)}` in {folder} ended with {made.returncode}; its own words stand above. What is "
            "done is kept; the same command continues."
        )


def train_one(kind: str, size: int, parameters: int, steps: int, seed: int, folder: Path) -> tuple[int, int, float]:
    """(width, stored bytes, bits per raw byte) of the model for one vocabulary. Raises VocabError."""
    name, width = f"{kind}{size}", width_for(size, parameters)
    if not (folder / f"vocab/{name}/spec.json").is_file():
        line = f"vocab train {kind} --docs corpus/docs.jsonl --size {size} --out vocab/{name}"
        run(line.split(), folder)
    run(f"shards write --docs corpus/docs.jsonl --vocab vocab/{name} --out shards/{name}".split(), folder)
    place = f"train/{name}-{parameters}-{steps}-{seed}"
    if (folder / place / "score.json").is_file():  # written last
        return _result(width, folder / place)
    shape = f"iterations={steps} model_dim={width} num_layers={LAYERS} num_heads={HEADS} num_kv_heads=1"
    settings = [f"--set={pair}" for pair in f"{shape} vocab_size={size} seed={seed}".split()]
    line = f"model train --recipe tour --shards shards/{name} --out {place} --ranks 1 --seconds 0"
    run([*line.split(), *settings], folder)
    return _result(width, folder / place)


def _result(width: int, place: Path) -> tuple[int, int, float]:
    score = json.loads((place / "score.json").read_bytes())
    return width, (place / "final_model.pgc").stat().st_size, float(score["bpb_raw"])


def measure(
    vocabularies: Sequence[str], out: Path, docs: Path | None, parameters: int, steps: int, seeds: Sequence[int]
) -> list[Trained]:
    """A row for each `KIND:SIZE`. Raises VocabError."""
    from .builders import EVERY, open_vocabulary
    from .vocabulary_score import score, split_documents

    asked = []
    for word in vocabularies:
        kind, _, number = word.partition(":")
        if kind not in EVERY or not number.isdecimal():
            raise VocabError(f"--vocabularies {word!r:.40}: wanted KIND:SIZE, as bpe:1024; kinds: {', '.join(EVERY)}.")
        asked.append((kind, int(number)))
    if len(asked) < 3 or parameters < 10_000 or steps < 1:
        raise VocabError(
            f"{len(asked)} vocabularies, --parameters {parameters:,}, --steps {steps}: wanted 3, 10,000 and 1 at least."
        )
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "corpus/corpus.json").is_file():
        run(["corpus", "write", "--out", "corpus", *(["--docs", str(docs.resolve())] if docs else [])], out)
    held, train = split_documents(out / "corpus/docs.jsonl")
    raw = sum(len(text.encode("utf-8")) for text in held)
    rows = []
    for kind, size in asked:
        trained = [train_one(kind, size, parameters, steps, seed, out) for seed in dict.fromkeys(seeds)]
        width, stored, _ = trained[0]
        by_seed = tuple(bpb for _, _, bpb in trained)
        spec, tokenizer, _ = open_vocabulary(out / f"vocab/{kind}{size}")
        own = score(spec.name, tokenizer, held, train, parameters, width, 8, parameters)
        plain = score(spec.name, tokenizer, held, train, 4_000_000, 512, 6)
        tokens = len(tokenizer.encode_batch(held).ids)
        predicted = own.bpb, plain.bpb, own.bpb_unlimited, tokens / raw
        rows.append(Trained(spec.name, size, width, stored, sum(by_seed) / len(by_seed), *predicted, by_seed))
    return rows


def bench(
    *,
    folder: Path = Path("runs/score"),
    docs: Path | None = None,
    vocabularies: list[str] | None = None,
    parameters: int = 700_000,
    steps: int = 600,
    seeds: list[int] | None = None,
    ways: Ways = Ways(),
) -> int:
    """Our n-gram score against trained GPTs of equal stored size: rank correlations. Half an hour of a core a seed.

    Parameters
    ----------
    folder: Path
        Where all of it is made and kept; the same command continues there.
    docs: Path
        Documents; the embedded speeches without it.
    vocabularies: list[str]
        KIND:SIZE, repeated; ten of them without it.
    parameters: int
        Of each model, the embedding among them.
    steps: int
        Of 2,048 tokens.
    seeds: list[int]
        Of the models, repeated; 1337 alone without it. Ranks are those of the means, and of each seed beside them.
    """
    from pglab_report import show

    from .bench_score_report import report_of

    seeds = seeds or [1337]
    rows = measure(vocabularies or VOCABULARIES, folder, docs, parameters, steps, seeds)
    return show(report_of(rows, parameters, steps, list(dict.fromkeys(seeds))), ways)

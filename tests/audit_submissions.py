"""Submissions for the auditor's tests, made by a readable generator: honest ones, and one for each way to be wrong.

`Run` says what a run was (vocabulary, tokens, bytes it divided by); `write` makes a record folder of it, with a log as
the challenge prints it, a submission.json and a script. A broken twin differs from its honest twin in one thing. All
numbers are computed here from loss and bytes; no public log or script is copied.
"""

import base64
import json
import lzma
import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

BYTES = 151_080_891
SCORED = {"sp1024": 62_021_632, "sp8192": 40_540_160, "caseops": 47_851_520}
FOLDER = {"sp1024": "fineweb10B_sp1024", "sp8192": "fineweb10B_sp8192", "caseops": "fineweb10B_sp8192_caseops"}
MODEL = {
    "sp1024": "fineweb_1024_bpe.model",
    "sp8192": "fineweb_8192_bpe.model",
    "caseops": "fineweb_8192_lossless_caps_caseops.model",
}

TABLE = '''
def build_tables(sp, vocab_size, device):
    """Bytes of each piece, its leading space, and whether it is a boundary."""
    own = np.zeros((vocab_size,), dtype=np.int16)
    has_leading_space = np.zeros((vocab_size,), dtype=np.bool_)
    is_boundary = np.ones((vocab_size,), dtype=np.bool_)
    for i in range(sp.vocab_size()):
        if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i):
            continue
        is_boundary[i] = False
        if sp.is_byte(i):
            own[i] = 1
            continue
        piece = sp.id_to_piece(i)
        if piece.startswith("\u2581"):
            has_leading_space[i] = True
            piece = piece[1:]
        own[i] = len(piece.encode("utf-8"))
    counted = torch.tensor(own, dtype=torch.int16, device=device)
    return counted, torch.tensor(has_leading_space), torch.tensor(is_boundary)
'''
LOOP = """
def count_bytes(own, has_leading_space, is_boundary, previous, targets):
    counted = own[targets].to(torch.int32)
    counted += (has_leading_space[targets] & ~is_boundary[previous]).to(torch.int32)
    return counted.sum()
"""
HEAD = '"""A small training script."""\nimport math\nimport numpy as np\nimport torch\nimport sentencepiece as spm\n'


@dataclass(frozen=True)
class Run:
    """What one run was. `bytes` is the denominator that its script used for all its targets."""

    vocabulary: str = "sp1024"
    tokens: int | None = None
    bytes: float = BYTES
    loss: float = 2.0727
    seed: int = 1337
    label: str = "final_int8_zlib_roundtrip"
    states_tokens: bool = True
    table: str = TABLE
    loop: str = LOOP
    vocab_size: int | None = None

    @property
    def scored(self) -> int:
        return self.tokens or SCORED[self.vocabulary]

    def bpb(self, loss: float) -> float:
        """Bits per byte as the script computes it."""
        return loss / math.log(2) * self.scored / self.bytes

    @property
    def source(self) -> str:
        return HEAD + self.table + self.loop


def log_lines(run: Run, dump: bool = True) -> list[str]:
    """A log: the script, a line of 100 `=`, then what the run prints."""
    size = run.vocab_size or (1024 if run.vocabulary == "sp1024" else 8192)
    data = f"./data/datasets/{FOLDER[run.vocabulary]}"
    lines = [*run.source.splitlines(), "=" * 100, "Running Python 3.12", "=" * 100] if dump else []
    lines += [
        f"val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path=./data/tokenizers/{MODEL[run.vocabulary]}",
        f"train_loader:dataset:{FOLDER[run.vocabulary]} train_shards:80",
    ]
    if run.states_tokens:
        lines.append(f"val_loader:shards pattern={data}/fineweb_val_*.bin tokens:{run.scored}")
    lines += [f"vocab_size: {size} train_seq_len:1024 iterations:20000", f"seed:{run.seed}"]
    for step, loss in ((0, 6.9372), (1000, 2.31), (13780, run.loss + 0.02)):
        lines.append(f"step:{step}/20000 val_loss:{loss:.4f} val_bpb:{run.bpb(loss):.4f} train_time:{step * 43}ms")
    lines += [
        f"Code size: {len(run.source.encode())} bytes",
        f"Total submission size int8+zlib: {15_000_000 + len(run.source.encode())} bytes",
        f"{run.label} val_loss:{run.loss:.4f} val_bpb:{run.bpb(run.loss):.4f} eval_time:1400ms",
        f"{run.label}_exact val_loss:{run.loss:.8f} val_bpb:{run.bpb(run.loss):.8f}",
    ]
    return lines


def write(folder: Path, runs: list[Run] | None = None, dump: bool = True, **claim: object) -> Path:
    """A record folder of these runs. `claim` changes or (None) removes keys of submission.json; returns the folder."""
    runs = runs or [Run()]
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        name = "train.log" if len(runs) == 1 else f"train_seed{run.seed}.log"
        (folder / name).write_text("\n".join(log_lines(run, dump)) + "\n", encoding="utf-8")
    first = runs[0]
    (folder / "train_gpt.py").write_text(first.source, encoding="utf-8")
    (folder / "README.md").write_text("# A run\n", encoding="utf-8")
    losses = [run.loss for run in runs]
    scores = [round(run.bpb(run.loss), 8) for run in runs]
    data: dict[str, object] = {
        "author": "A. Person",
        "name": "A run",
        "date": "2026-11-21",
        "val_loss": round(sum(losses) / len(losses), 8),
        "val_bpb": round(sum(scores) / len(scores), 8),
        "bytes_total": 15_000_000 + len(first.source.encode()),
        "bytes_code": len(first.source.encode()),
    }
    if len(runs) > 1:
        data["seed_results"] = {
            str(run.seed): {"val_bpb": score, "val_loss": round(run.loss, 8)}
            for run, score in zip(runs, scores, strict=True)
        }
    data |= claim
    kept = {key: value for key, value in data.items() if value is not None}
    (folder / "submission.json").write_text(json.dumps(kept, indent=2), encoding="utf-8")
    return folder


def packed(source: str, how: str) -> str:
    """The script as public ones pack themselves; `how` is one of lzma85, raw85, zlib64, twice."""
    data = source.encode()
    if how == "lzma85":
        body = base64.b85encode(lzma.compress(data)).decode()
        return f'import lzma as L,base64 as B\nexec(L.decompress(B.b85decode("{body}")))\n'
    if how == "raw85":
        body = base64.b85encode(lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])).decode()
        options = 'format=L.FORMAT_RAW,filters=[{"id":L.FILTER_LZMA2}]'
        return f'import lzma as L,base64 as B\nexec(L.decompress(B.b85decode("{body}"),{options}))\n'
    if how == "zlib64":
        body = base64.b64encode(zlib.compress(data)).decode()
        call = f"exec(decompress(b64decode('{body}')).decode())"
        return f"from base64 import b64decode\nfrom zlib import decompress\n{call}\n"
    return packed(packed(source, "zlib64"), "lzma85")


# every class of the public errors that shows in loss and BPB, each in two forms: (name, broken run, word of its name)
BROKEN = [
    ("space twice, sp1024", Run(bytes=BYTES * 1.1667), "twice"),
    ("space twice, sp8192", Run("sp8192", bytes=BYTES * 1.177, loss=3.07), "twice"),
    ("no U+2581 piece, own vocabulary", Run(tokens=144_967_680, bytes=BYTES * 1.2327, loss=0.92), "no single U+2581"),
    (
        "no U+2581 piece, fewer tokens",
        Run("sp8192", tokens=90_000_000, bytes=BYTES * 1.228, loss=1.5),
        "no single U+2581",
    ),
    ("U+2581 lost, sp1024", Run(bytes=BYTES * 1.3343), "literal is lost"),
    ("U+2581 lost, sp8192", Run("sp8192", bytes=BYTES * 1.333, loss=3.07), "literal is lost"),
    ("U+FFFD, own vocabulary", Run(tokens=61_020_160, bytes=BYTES * 1.0413), "U+FFFD"),
    ("U+FFFD, sp1024", Run(bytes=BYTES * 1.04), "U+FFFD"),
    ("constant 2.5", Run(bytes=2.5 * SCORED["sp1024"]), "constant"),
    ("constant 3.67", Run("sp8192", bytes=3.67 * SCORED["sp8192"], loss=3.07), "constant"),
    ("bits per token", Run("sp8192", bytes=SCORED["sp8192"], loss=3.07), "bits per token"),
    ("bits per token, sp1024", Run(bytes=SCORED["sp1024"]), "bits per token"),
    ("transformed text", Run("caseops", bytes=164_594_398, loss=2.33), "transformed"),
    ("transformed text, as piece bytes", Run("caseops", bytes=BYTES * 1.0905, loss=2.4), "transformed"),
    ("other bytes than targets", Run(bytes=BYTES * 0.93), "different targets"),
    ("bytes of the heads too", Run("sp8192", bytes=BYTES * 1.0631, loss=3.07), "different targets"),
]
HONEST = [
    ("sp1024", Run()),
    ("sp1024, sequence 2048, tail dropped", Run(bytes=BYTES - 2_600)),
    ("sp8192", Run("sp8192", loss=3.07)),
    ("sp8192, a few bytes above the table", Run("sp8192", bytes=BYTES + 2_200, loss=2.77)),
    ("caseops by sidecar", Run("caseops", bytes=BYTES - 6_392, loss=2.33)),
    ("caseops, sliding window", Run("caseops", bytes=BYTES + 3_418, loss=2.33, label="quantized_sliding_window")),
    ("an own vocabulary, whole split", Run(tokens=38_000_000, bytes=BYTES, loss=3.2, vocab_size=12_288)),
    ("a smaller casefolded vocabulary", Run("sp8192", tokens=36_286_464, bytes=BYTES - 900, loss=3.3)),
    ("another label", Run(label="legal_ttt")),
    ("no count of tokens stated", Run(states_tokens=False)),
    ("marks not among the targets", Run("sp8192", bytes=BYTES * 40_540_160 / 40_490_160, loss=2.9)),
]


def other(run: Run, **changes: object) -> Run:
    """The same run with something changed."""
    return replace(run, **changes)  # type: ignore[arg-type]

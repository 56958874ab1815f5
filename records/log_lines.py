"""One line of a training log: what does it say?

The challenge's script prints one known set of lines; sixty public records print thirty-three spellings of the final
one. So nothing here looks for a label: a line is taken apart into `key:value` and `key=value` pairs, and what stands
before the first pair is kept as the label it carried. Labels are shown to people and used to tell methods apart; they
are never used to decide whether a number is there.

    >>> parse_metric(7, "final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570").val_bpb
    1.2243657

A line of Python is not a line of a log: quotes, brackets or a comment sign before the first number rule it out.
"""

import re
from dataclasses import dataclass

STAMP = re.compile(
    r"^(?:\[?rank ?0\]?:? ?|\d{10}\.\d{3} |\[\d\d:\d\d:\d\d\] |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*\]?:? )+"
)
PAIR = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*[:=]\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(ms|s|m|B)?(?![\w.])")
STEP = re.compile(r"^(?:step[:= ]\s*)?(\d+)/(\d+) ")
# values beside a score that are none: differences, spreads, running means
NOT_A_SCORE = re.compile(
    r"gain|delta|diff|improve|std|running|batch|probe|chunk|saved|gap|baseline|target|neural|llm_|best_val|prev",
    re.IGNORECASE,
)
JSON_PAIR = re.compile(r'^\s*"(\w*bpb)"\s*:\s*(\d+\.\d+),?\s*$')
SIZE = re.compile(r"^([A-Za-z][\w +()./-]{2,70}?)\s*[:=]\s*(\d[\d,]*)\s*(?:bytes|B)\b(.*)$")
SIZE_PLAIN = re.compile(
    r"^\s*((?:total_|code_|artifact_|model_|submission_|compressed_|quantized_)+bytes)\s*[:=]\s*(\d[\d,]*)\s*$"
)
ARTIFACT = re.compile(r"^artifact:[\d.]+MB .*?\bcode:(\d+)")
SEED = re.compile(r"(?:^|[\s,{])(?:RUN )?['\"]?[Ss]eed['\"]?\s*[:=]\s*(\d{1,12})\b")
WORLD = re.compile(r"\bworld_size\s*[:=]\s*(\d{1,5})\b")
GPU = re.compile(
    r"^device \d+: (NVIDIA [\w .-]+)$|\|\s+\d+\s+(NVIDIA [A-Za-z0-9 .-]+?)(?:\s{2,}|\.\.\.|\s+(?:On|Off)\b)"
)
SOURCE_START = re.compile(
    r"^(?:import [\w.]+|from [\w.]+ import\b|#!/\S+python|#!/usr/bin/env|(?:async )?def \w+\(|class \w+[(:]|@\w[\w.]*)"
)
SOURCE_LINE = re.compile(
    r"^(?:\s+(?:return\b|if |for |while |with |else:|try:|except|raise |self\.\w+|def |class |\w+ = )|"
    r"(?:import|from|def|class|if|for|try|except)\b.*|[A-Za-z_]\w* = |#|@\w)"
)
RULE = re.compile(r"^={60,}\s*$")
# progress inside an evaluation: a running mean over part of the text, not a score
PASSING = re.compile(
    r"ttt_progress|ttt_chunk|sliding_eval|\bttp\b|running|batch \d+/\d+|chunk \d+/\d+|windows", re.IGNORECASE
)


@dataclass(frozen=True)
class Metric:
    """A score a log states. `val_bpb` bits per byte as printed, `digits` its decimals, `val_loss` nats per token."""

    line: int
    label: str
    val_bpb: float
    digits: int
    val_loss: float | None = None
    step: int | None = None
    eval_seconds: float | None = None

    @property
    def during_training(self) -> bool:
        """True for the validations printed on the way (`step:N/M val_loss:..`): weights before quantisation."""
        return self.step is not None


def seconds(number: str, unit: str | None) -> float:
    """`("600038", "ms") -> 600.038`; a missing unit means milliseconds, as the challenge's `train_time` prints."""
    return float(number) * {"s": 1.0, "m": 60.0}.get(unit or "ms", 0.001)


def before_number(text: str) -> str:
    """What stands before the first `key:` pair of a line; a line of source keeps its quotes and brackets here."""
    found = PAIR.search(text)
    return text[: found.start()] if found else text


def parse_metric(line: int, text: str) -> Metric | None:
    """The score in a line, or None; the last one where a line states several (see `parse_metrics`)."""
    found = parse_metrics(line, text)
    return found[-1] if found else None


def parse_metrics(line: int, text: str) -> list[Metric]:
    """The scores in a line: every value whose key ends in `bpb`, but for gains, deviations and running means.

    `text` is one line without its newline; source lines give none.
    """
    if "bpb" not in text and "BPB" not in text:
        return []
    text = STAMP.sub("", text).rstrip()
    as_json = JSON_PAIR.match(text)
    if as_json:
        only = _metric(line, as_json[1], as_json[2], None, None, None)
        return [only] if only else []
    step = STEP.match(text)
    body = text[step.end() :] if step else text
    label = before_number(body).strip()
    if any(sign in label for sign in "\"'#({[=\\") or PASSING.search(label) or len(label) > 120:
        return []
    pairs = [(m[1], m[2], m[3]) for m in PAIR.finditer(body)]
    keys = [(key, value) for key, value, unit in pairs if key.lower().endswith("bpb") and not unit]
    if not keys or (text[:1] == " " and ("=" in text or text.endswith(","))):
        return []
    by_name = {key: value for key, value, _ in reversed(pairs)}
    spent = next(((v, u) for k, v, u in pairs if k in ("eval_time", "elapsed", "time")), None)
    found = []
    for key, value in keys:
        if NOT_A_SCORE.search(key):
            continue
        loss = by_name.get("val_loss") if key.endswith("val_bpb") or len(keys) == 1 else None
        loss = by_name.get(key[: -len("bpb")] + "loss", loss)
        name = (label or key) if key in ("val_bpb", "bpb", "BPB") else f"{label} {key}".strip()
        found.append(_metric(line, name, value, loss, int(step[1]) if step else None, spent))
    return [metric for metric in found if metric]


def _metric(
    line: int, label: str, bpb: str, loss: str | None, step: int | None, spent: tuple[str, str | None] | None
) -> Metric | None:
    value = float(bpb)
    if not 0.0 < value < 100.0:
        return None
    digits = len(bpb.partition(".")[2]) if "e" not in bpb.lower() else 8
    return Metric(
        line, label, value, digits, float(loss) if loss else None, step, seconds(*spent) if spent and spent[1] else None
    )


def parse_size(line: int, text: str) -> tuple[int, str, int] | None:
    """`(line, label, bytes)` of a line that states a size in bytes, or None."""
    if "bytes" not in text and "B" not in text:
        return None
    text = STAMP.sub("", text).rstrip()
    found = SIZE.match(text) or SIZE_PLAIN.match(text)
    if found and not any(sign in found[1] for sign in "\"'#{"):
        return line, found[1].strip(), int(found[2].replace(",", ""))
    artifact = ARTIFACT.match(text)
    return (line, "Code size", int(artifact[1])) if artifact else None

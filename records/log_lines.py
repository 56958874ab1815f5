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
    """The score in a line, or None. `text` is one line without its newline; source lines give None."""
    if "bpb" not in text:
        return None
    text = STAMP.sub("", text).rstrip()
    as_json = JSON_PAIR.match(text)
    if as_json:
        return _metric(line, as_json[1], as_json[2], None, None, None)
    step = STEP.match(text)
    body = text[step.end() :] if step else text
    label = before_number(body).strip()
    if any(sign in label for sign in "\"'#({[=\\") or PASSING.search(label) or len(label) > 120:
        return None
    pairs = {m[1]: (m[2], m[3]) for m in reversed(list(PAIR.finditer(body)))}
    key = next((k for k in pairs if k in ("val_bpb", "bpb") or k.endswith("val_bpb") or k == "val_var_bpb"), None)
    if key is None or (text[:1] == " " and ("=" in text or text.endswith(","))):
        return None
    loss = pairs.get("val_loss", (None, None))[0]
    spent = next((pairs[k] for k in ("eval_time", "elapsed", "time") if k in pairs), None)
    name = label or key
    return _metric(line, name, pairs[key][0], loss, int(step[1]) if step else None, spent)


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

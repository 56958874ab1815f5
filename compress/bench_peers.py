"""lrzip and zpaq beside our coders: programs that were made for archives, at their strongest."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CodecError
from .stage import Parts

PEERS = {
    "lrzip": (
        ["lrzip", "-z", "-L9", "-p1", "-w1", "-q", "-f", "-o", "{target}", "{source}"],
        ["lrzip", "-d", "-p1", "-q", "-f", "-o", "{back}", "{target}"],
    ),
    "zpaq": (
        ["zpaq", "add", "{target}", "{source}", "-m5"],
        ["zpaq", "extract", "{target}", "{source}", "-to", "{back}", "-force"],
    ),
}


def peer_row(parts: list[Parts], name: str, folder: Path) -> dict[str, Any]:
    """One of them on the integers alone (no scales, no header: it favours them); {} where it is not installed.

    Rows and columns first are both tried, and the smaller file is counted with its own seconds (CPU, of the child).
    """
    if not shutil.which(name):
        return {}
    write, read = PEERS[name]
    ints = [p.arrays[0] for p in parts if not p.scheme.startswith("raw")]
    tries: list[dict[str, Any]] = []
    for way, arrays in {"": ints, ", by columns": [np.ascontiguousarray(a.T) for a in ints]}.items():
        source, target = folder / "ints", folder / f"ints.{name}"
        target.unlink(missing_ok=True)
        source.write_bytes(b"".join(a.tobytes() for a in arrays))
        wrote = child_seconds([w.format(source=source, target=target) for w in write])
        size, weight = target.stat().st_size, sum(a.size for a in arrays)
        back = child_seconds([w.format(source=source, target=target, back=folder / "back") for w in read])
        row = {"recipe": f"{name} (integers alone{way})", "bytes": size, "bits": 8 * size / max(weight, 1)}
        if (folder / "back").read_bytes() != source.read_bytes():
            raise CodecError(f"{name} gave other bytes back than it was given. Leave out --peers.")
        tries.append({**row, "coder_s": wrote, "decode_s": back, "payload": size})
    return min(tries, key=lambda row: row["bytes"])


def child_seconds(words: list[str]) -> float:
    """CPU seconds of a program. Raises CodecError when it fails, or has not ended within the hour."""
    before = os.times()
    try:
        done = subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=3600,
        )
    except subprocess.TimeoutExpired:
        raise CodecError(f"{words[0]} did not end within the hour. Leave out --peers.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-80:]
        raise CodecError(f"{words[0]} ended with status {done.returncode}: {said}. Leave out --peers.")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system

"""`pglab bench records`: record folders checked a second, on folders of the size public ones have.

Sixty folders are made: three logs each, with the script dumped at the head and 300 steps, a script of 1,800 lines, a
submission.json. They are checked by every rule, first without and then with the auditor. Beside it, in the same run, on
the same folders, a plain peer: what one writes in an hour, a dozen lines that read the files whole, search the logs by
a pattern for the claimed score and the sizes, and parse the script. It answers three questions, not thirty-eight.
"""

import ast
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from pglab_report import Column, Plot, Report, Series, Table, Ways, show

FOLDERS = 60
SEEDS = (1337, 42, 7)


def make_folder(folder: Path) -> int:
    """One record of real size; returns its bytes."""
    folder.mkdir(parents=True)
    script = f"RUN = {folder.name!r}\nimport os\nimport torch\n\n" + "".join(
        f"def part_{i}(x):\n    return torch.relu(x) * {i} + len(os.environ)\n\n" for i in range(600)
    )
    (folder / "train_gpt.py").write_text(script, "utf-8")
    (folder / "README.md").write_text("# A record\n" + "Made for a bench. " * 100, "utf-8")
    size = len(script.encode())
    scores = {seed: 1.2244 + i / 1000 for i, seed in enumerate(SEEDS)}
    claim = {"author": "a", "github_id": "a", "name": "n", "blurb": "b", "date": "2026-03-18", "val_loss": 2.07}
    claim |= {"val_bpb": sum(scores.values()) / 3, "bytes_total": 15_000_000 + size, "bytes_code": size}
    (folder / "submission.json").write_text(json.dumps(claim), "utf-8")
    for seed, bpb in scores.items():
        steps = "".join(f"step:{i}/20000 train_loss:2.5 train_time:{i * 43}ms step_avg:43.5ms\n" for i in range(300))
        (folder / f"train_seed{seed}.log").write_text(
            f"{script}{'=' * 100}\nworld_size:8\nseed:{seed}\n{steps}"
            f"Code size: {size} bytes\nTotal submission size int8+zlib: {15_000_000 + size} bytes\n"
            f"final_int8_zlib_roundtrip_exact val_loss:2.07 val_bpb:{bpb:.8f}\n",
            "utf-8",
        )
    return sum(item.stat().st_size for item in folder.iterdir())


def peer(folder: Path) -> bool:
    """The plain way: files read whole, one pattern over each log, the script parsed; True when all three hold."""
    claim = json.loads((folder / "submission.json").read_text("utf-8"))
    scores, totals = [], []
    for log in sorted(folder.glob("*.log")):
        text = log.read_text("utf-8")
        scores.append(float(re.findall(r"^final\w* .*val_bpb:(\d+\.\d+)", text, re.MULTILINE)[-1]))
        totals.append(int(re.findall(r"^Total submission size.*: (\d+) bytes", text, re.MULTILINE)[-1]))
    tree = ast.parse((folder / "train_gpt.py").read_text("utf-8"))
    network = [n for n in ast.walk(tree) if isinstance(n, ast.Import) and any(a.name == "requests" for a in n.names)]
    return abs(sum(scores) / len(scores) - claim["val_bpb"]) < 1e-6 and max(totals) < 16_000_000 and not network


def bench(*, ways: Ways = Ways()) -> int:
    """Check made folders of the size public ones have, by every rule, against a plain script of three questions."""
    from .check import check_folder
    from .errors import RecordError
    from .progress import track
    from .rules import load_rules

    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as place:
        folders = [Path(place) / "track_10min_16mb" / f"2026-03-18_Record{i:02d}" for i in range(FOLDERS)]
        size = sum(make_folder(folder) for folder in folders)
        start = time.process_time()
        held = [peer(folder) for folder in folders]
        plain = time.process_time() - start
        start = time.process_time()
        reports = [check_folder(folder, quick=True) for folder in track(folders, "every rule")]
        check = time.process_time() - start
        start, waited = time.process_time(), children()
        for folder in track(folders, "and the auditor"):
            check_folder(folder)
        audit = time.process_time() - start + children() - waited
    if not all(held) or any(report.logged_bpb is None for report in reports):
        raise RecordError("the bench's own folders were not read as they were made.")
    answer = {
        "folders": FOLDERS,
        "bytes": size,
        "rules": len(load_rules()) - 2,
        "peer_s": round(plain, 3),
        "check_s": round(check, 3),
        "check_with_auditor_s": round(audit, 3),
        "folders_per_s": round(FOLDERS / check, 1),
        "folders_per_s_with_auditor": round(FOLDERS / audit, 1),
        "mb_per_s": round(size / check / 1e6, 2),
        "times_the_peer": round(check / plain, 2),
    }
    return show(report_of(answer), ways)


def report_of(answer: dict[str, Any]) -> Report:
    """The bench's numbers as a table of three ways, with the ratio in a sentence. answer: as `--json` prints it."""
    seconds = {
        "a plain script, three questions": answer["peer_s"],
        f"{answer['rules']} rules": answer["check_s"],
        f"{answer['rules']} rules and the auditor": answer["check_with_auditor_s"],
    }
    rows = [
        {"way": way, "cpu_s": spent, "rate": FOLDERS / spent, "times": spent / answer["peer_s"]}
        for way, spent in seconds.items()
    ]
    columns = [
        Column("way"),
        Column("cpu_s", "CPU time", "s", ",.2f"),
        Column("rate", "folders a second", "", ",.1f"),
        Column("times", "of the plain script", "", ",.2f"),
    ]
    bars = Series("CPU time", (), list(seconds.values()), style="bars", names=list(seconds))
    return Report(
        f"{answer['folders']} record folders, {answer['bytes']:,} bytes",
        [
            f"{answer['rules']} rules take {answer['times_the_peer']:.2f} times the CPU time of a plain script of "
            f"three questions, on the same folders in the same run: {answer['folders_per_s']:,.1f} folders a second."
        ],
        [Table("ways", "", columns, rows)],
        [Plot("time", "CPU time for all folders", "seconds", "", [bars])],
        data=answer,
    )


def children() -> float:
    """CPU seconds of processes that have ended, for what the auditor runs apart."""
    try:
        import resource
    except ModuleNotFoundError:  # a system that does not tell
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

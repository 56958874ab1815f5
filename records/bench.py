"""`pglab bench records`: record folders checked a second, on folders of the size public ones have.

Sixty folders are made: three logs each, with the script dumped at the head and some thousand steps, a script of 2,000
lines, a submission.json. They are checked by every rule, the auditor's left out (it has its own bench). Beside it, in
the same run, reading the same bytes and doing nothing with them: how far the check is from the disk.
"""

import json as json_module
import tempfile
import time
from pathlib import Path

FOLDERS = 60
SEEDS = (1337, 42, 7)


def make_folder(folder: Path) -> int:
    """One record of real size; returns its bytes."""
    folder.mkdir(parents=True)
    script = "import os\nimport torch\n\n" + "".join(
        f"def part_{i}(x):\n    return torch.relu(x) * {i} + len(os.environ)\n\n" for i in range(600)
    )
    (folder / "train_gpt.py").write_text(script, "utf-8")
    (folder / "README.md").write_text("# A record\n" + "Made for a bench. " * 100, "utf-8")
    size = len(script.encode())
    scores = {seed: 1.2244 + i / 1000 for i, seed in enumerate(SEEDS)}
    claim = {"author": "a", "github_id": "a", "name": "n", "blurb": "b", "date": "2026-03-18", "val_loss": 2.07}
    claim |= {"val_bpb": sum(scores.values()) / 3, "bytes_total": 15_000_000 + size, "bytes_code": size}
    (folder / "submission.json").write_text(json_module.dumps(claim), "utf-8")
    for seed, bpb in scores.items():
        steps = "".join(f"step:{i}/20000 train_loss:2.5 train_time:{i * 43}ms step_avg:43.5ms\n" for i in range(300))
        (folder / f"train_seed{seed}.log").write_text(
            f"{script}{'=' * 100}\nworld_size:8\nseed:{seed}\n{steps}"
            f"Code size: {size} bytes\nTotal submission size int8+zlib: {15_000_000 + size} bytes\n"
            f"final_int8_zlib_roundtrip_exact val_loss:2.07 val_bpb:{bpb:.8f}\n",
            "utf-8",
        )
    return sum(item.stat().st_size for item in folder.iterdir())


def bench(*, json: bool = False) -> int:
    """Record folders checked a second, against reading the same bytes.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    from .evidence import Case
    from .folder import open_folder
    from .rules import load_rules

    rules = [rule for code, rule in load_rules().items() if code not in ("RC108", "RC701")]
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as place:
        folders = [Path(place) / "track_10min_16mb" / f"2026-03-18_Record{i:02d}" for i in range(FOLDERS)]
        size = sum(make_folder(folder) for folder in folders)
        start = time.process_time()
        for folder in folders:
            for item in folder.iterdir():
                item.read_bytes()
        read = time.process_time() - start
        start = time.process_time()
        for folder in folders:
            case = Case(open_folder(folder))
            for rule in rules:
                rule.run(case)
        check = time.process_time() - start
    answer = {
        "folders": FOLDERS,
        "bytes": size,
        "rules": len(rules),
        "read_s": round(read, 4),
        "check_s": round(check, 3),
        "folders_per_s": round(FOLDERS / check, 1),
        "mb_per_s": round(size / check / 1e6, 2),
    }
    if json:
        print(json_module.dumps(answer, indent=1))
    else:
        speed = f"{FOLDERS / check:.1f} folders a second, {size / check / 1e6:.1f} MB a second"
        print(
            f"{FOLDERS} folders, {size:,} bytes, {len(rules)} rules: {check:.2f} CPU s, {speed}; reading {read:.3f} s"
        )
    return 0

"""A stand-in for the `pglab` command in the tests of experiments: makes the files that a stage wants, in no time.

Each call is a line in the file that CALLS names. A word in the file that MOODS names changes what a command does:
`VERB fail` ends it with status 2, `VERB forget` leaves a file out, `VERB sleep` waits until it is asked to leave.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

words = sys.argv[1:]
verb = " ".join(words[:2])
with Path(os.environ["CALLS"]).open("a") as calls:
    calls.write(" ".join(words) + "\n")
moods = Path(os.environ["MOODS"]).read_text() if Path(os.environ["MOODS"]).exists() else ""


def flag(name: str) -> str:
    return words[words.index(name) + 1]


def put(name: str, text: str = "{}") -> None:
    place = Path(flag("--out")) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


if f"{verb} fail" in moods:
    print("error: the fake was told to fail.", file=sys.stderr)
    sys.exit(2)
if f"{verb} sleep" in moods:
    signal.signal(signal.SIGTERM, lambda *_: (put("saved"), os._exit(143)))
    put("began")
    time.sleep(60)
seed = next((float(word.removeprefix("seed=")) for word in words if word.startswith("seed=")), 0.0)
if verb == "corpus write":
    put("docs.jsonl")
    put("corpus.json")
elif verb in ("vocab train", "vocab import"):
    put("spec.json", json.dumps({"size": int(flag("--size")) if "--size" in words else 260}))
    if f"{verb} forget" not in moods:
        put("token_table.npz")
elif verb == "vocab compare":
    row = {"name": words[2], "size": 300, "bytes_per_token": 2.5, "lossless": "exact", "embedding_bytes": 9}
    print(json.dumps({"rows": [row]}))
elif verb == "shards write":
    put("manifest.json")
    put("token_table.npz")
elif verb == "model train" and (Path(flag("--out")) / "final_model.pgc").exists():
    print("finished before; nothing is left to do.", file=sys.stderr)  # as the real one has it
elif verb == "model train":
    config = json.dumps({"codec": "int8-row+zlib9", "seed": int(seed)})
    lines = [
        "step:1 of the source, no number",
        "=" * 100,
        f"model_params:1000\nmax_wallclock_seconds:2.000 train_batch_tokens:512\nconfig:{config}",
        *[f"step:{n}/100 train_loss:{6 / n**0.5:.4f} train_time:{n * 20}ms step_avg:20ms" for n in range(1, 101)],
        "step:100/100 val_loss:0.6931 val_bpb:0.5000 train_time:2000ms step_avg:20ms",
        "Total submission size int8-row+zlib9: 5000 bytes",
        "final_int8_zlib_roundtrip_exact val_loss:0.70000000 val_bpb:0.51000000",
        "final_int8_row_zlib9_roundtrip_exact val_loss:0.70000000 val_bpb:0.51000000",
    ]
    put("train.log", "\n".join(lines) + "\n")
    put("config.json", config)
    put("score.json", json.dumps({"bpb_raw": 0.5 + seed / 1000, "bpb_table": 0.5, "val_loss": 0.7}))
    put("final_model.pgc", "w" * 4000)
    put("checkpoint/model.safetensors", "w" * 9000)
elif verb == "codec pack":
    Path(words[3]).write_text("w" * (3000 if "int6" in flag("--recipe") else 4000))
elif verb == "model eval":
    worse = "int6" in Path(flag("--shards")).as_posix()
    text = Path(words[2]).read_text()
    print(json.dumps({"bpb_raw": 0.52 if len(text) == 3000 or worse else 0.51, "bpb_table": 0.51, "val_loss": 0.7}))

"""The evaluation path: its time, summed by hand here, and what it says about training data, at known lines."""

import io

import pytest

from bpb_audit.log_reader import read_stream
from records.evidence import Case, Run
from records.finding import FAIL, PASS, UNCHECKED
from records.folder import open_folder
from records.rules_eval import evaluating, training_reads
from records.rules_time import eval_time, final_evaluations
from records.script_reader import read_source

STEP = "step:100/100 val_loss:2.0 val_bpb:1.2300 train_time:1000ms step_avg:10.0ms\n"
ROUND_TRIP = "final_int8_zlib_roundtrip val_loss:2.0 val_bpb:1.2300 eval_time:5000ms\n"
SLIDING = "final_sliding_window val_loss:2.0 val_bpb:1.2200 eval_time:90000ms\n"
DIAGNOSTIC = "diagnostic quantized val_loss:2.0 val_bpb:1.2300 eval_time:50000ms\n"
BEFORE = "pre-quantization post-ema val_loss:2.0 val_bpb:1.2200 eval_time:7000ms\n"
DONE = "ttt_sliding:done val_loss=2.0 val_bpb=1.2100 elapsed=409.8s\n"
RESULT = "legal_ttt val_loss:2.0 val_bpb:1.2100 eval_time:410300ms\n"
TOTAL = "total_eval_time:520.4s\n"


def spent(text: str) -> list[float]:
    log = read_stream(io.BytesIO(text.encode()), "train.log")
    return [seconds for _, seconds in final_evaluations(Run(log))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (STEP, []),
        (STEP + ROUND_TRIP + SLIDING, [5.0, 90.0]),
        (STEP + BEFORE + DIAGNOSTIC + SLIDING, [90.0]),
        (STEP + ROUND_TRIP + SLIDING + DONE + RESULT, [5.0, 90.0, 410.3]),
        (STEP + ROUND_TRIP + SLIDING + TOTAL, [520.4]),
        (STEP + SLIDING + "a\nb\nc\n" + SLIDING, [90.0, 90.0]),
    ],
    ids=["none", "two", "diagnostics", "one told twice", "a total", "two alike, far apart"],
)
def test_each_final_evaluation_is_counted_once(text, wanted):
    assert spent(text) == pytest.approx(wanted)


def line(name: str, seconds: float) -> str:
    return f"{name} val_loss:2.0 val_bpb:1.2300 eval_time:{seconds * 1000:.0f}ms\n"


@pytest.mark.parametrize(
    ("track", "text", "verdict"),
    [
        ("track_10min_16mb", line("final_a", 300) + "\n\n\n" + line("final_b", 301.0), PASS),
        ("track_10min_16mb", line("final_a", 300) + "\n\n\n" + line("final_b", 301.1), UNCHECKED),
        ("track_10min_16mb", line("final_a", 601.0), PASS),
        ("track_10min_16mb", line("final_a", 601.1), FAIL),
        ("track_10min_16mb", SLIDING + "total_eval_time:601.1s\n", FAIL),
        ("track_10min_16mb", "", UNCHECKED),
        ("track_non_record_16mb", line("final_a", 3000), PASS),
    ],
)
def test_the_limit_holds_for_one_evaluation_and_the_sum_is_for_a_reviewer(tmp_path, track, text, verdict):
    folder = tmp_path / track / "2026-03-18_Slow"
    folder.mkdir(parents=True)
    (folder / "train.log").write_text(STEP + text)
    found = list(eval_time(Case(open_folder(folder))))
    assert [f.verdict for f in found] == [verdict], found


SCRIPT = """
def batches(args):
    return load(args.train_files)          # line 3

def calibrate(model):
    return load("data/fineweb_train_*.bin")  # line 6: nobody that evaluates calls it

def helper(args, tokens):
    return batches(args), tokens

def eval_val(args, model, tokens):
    seq = args.train_seq_len               # a length, no data
    return helper(args, tokens[:seq])

def train_and_eval(args):
    calibrate(args.model)
    return args.train_loader
"""


def test_training_data_is_found_through_the_calls_and_only_there():
    source = read_source("train_gpt.py", SCRIPT)
    reached = evaluating(source.functions)
    assert reached == {"eval_val": "eval_val", "helper": "eval_val", "batches": "eval_val"}
    assert training_reads(source, reached) == [(3, ".train_files in batches, reached from eval_val")]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("glob(f'{root}/fineweb_train_*.bin')", True),
        ("open('fineweb_train_000000.bin')", True),
        ("next(train_loader)", True),
        ("self.train_stream.take(5)", True),
        ("open('fineweb_val_000000.bin')", False),
        ("args.train_batch_tokens + args.train_seq_len", False),
        ("model.train()", False),
    ],
)
def test_what_counts_as_training_data(body, wanted):
    source = read_source("a.py", f"def eval_ttt(args, model, root):\n    {body}\n")
    found = training_reads(source, evaluating(source.functions))
    assert [at for at, _ in found] == ([2] if wanted else [])


def test_functions_that_call_one_another_end():
    assert set(evaluating(read_source("a.py", "def eval_a():\n    b()\ndef b():\n    eval_a()\n").functions)) == {
        "eval_a",
        "b",
    }

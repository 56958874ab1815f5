"""What a log says beside its scores: sizes, times, machine, curves, runs; and several scores of one line."""

import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.log_lines import parse_metric, parse_metrics
from bpb_audit.log_reader import CURVE_POINTS, Log, read_stream
from bpb_audit.log_sizes import Size, sizes_in

RULE = "=" * 100

# line -> (val_bpb, decimals, val_loss, seconds): spellings met in public logs
# fmt: off
# ruff: noqa: E501
SPELLINGS = [
    ("final_int8_zlib_roundtrip val_loss:2.0727 val_bpb:1.2244 eval_time:1401ms", 1.2244, 4, 2.0727, 1.401),
    ("final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570", 1.2243657, 8, 2.07269931, None),
    ("ttt_sliding:done val_loss=1.889 val_bpb=1.118889 elapsed=395.1s", 1.118889, 6, 1.889, 395.1),
    ("final_sliding val_loss:2.9869 val_bpb:1.1565 (stride=16, T=0.90) eval_time:768782ms", 1.1565, 4, 2.9869, 768.782),
    ("final_int8_zlib_roundtrip_exact sliding val_loss:2.02095340 sliding val_bpb:1.19692464", 1.19692464, 8, 2.0209534, None),
    ("1776143508.229 diagnostic quantized val_loss:2.80433049 val_bpb:1.08560874 eval_time:56835ms", 1.08560874, 8, 2.80433049, 56.835),
    ("[12:01:55] quantized val_loss:2.3505 val_bpb:1.0740 eval_time:63234ms", 1.0740, 4, 2.3505, 63.234),
    ('  "post_ttt_val_bpb": 1.06400238,', 1.06400238, 8, None, None),
    ("step:1000/20000 val_loss:2.3 val_bpb:1.36 train_time:52100ms step_avg:43.5ms", 1.36, 2, 2.3, 52.1),
    ("4000/20000 val_loss: 2.8763 val_bpb: 1.1135 train_time: 9.5m", 1.1135, 4, 2.8763, 570.0),
]
# fmt: on


@pytest.mark.parametrize(("line", "bpb", "digits", "loss", "spent"), SPELLINGS)
def test_known_spellings_are_read_by_value(line, bpb, digits, loss, spent):
    metric = parse_metric(3, line)
    assert metric is not None
    assert (metric.val_bpb, metric.digits, metric.val_loss) == (bpb, digits, loss)
    assert metric.seconds == (pytest.approx(spent) if spent is not None else None)


def test_a_line_with_several_scores_gives_each_and_no_gain():
    line = "online_best_agree:done llm_bpb=1.10984470 best_agree_bpb=1.10680980 gain_bpb=0.00303490"
    assert [m.val_bpb for m in parse_metrics(1, line)] == [1.1068098]
    line = "final_ngram_blended neural_bpb:1.5034 blended_bpb:0.0905 improvement:1.412926 eval_time:3448ms"
    assert [(m.val_bpb, m.label) for m in parse_metrics(1, line)] == [(0.0905, "final_ngram_blended blended_bpb")]
    assert [m.val_bpb for m in parse_metrics(1, "n-gram agreement BPB: 1.10680980 (elapsed: 448.4s)")] == [1.1068098]
    both = parse_metrics(1, "final raw_bpb:1.2500 table_bpb:1.2400 val_loss:2.1")
    assert [(m.label, m.val_bpb) for m in both] == [("final raw_bpb", 1.25), ("final table_bpb", 1.24)]


SIZES = {
    "Serialized model int8+zlib: 15815847 bytes (payload:17178912 raw_torch:17224025)": [
        Size("Serialized model int8+zlib", 15_815_847)
    ],
    "Total submission size quantized+brotli: 15,997,000 bytes": [
        Size("Total submission size quantized+brotli", 15_997_000)
    ],
    "artifact_bytes:   15555017": [Size("artifact_bytes", 15_555_017)],
    "artifact:15.92MB ternary:64880640(14239486B) fp:2513744(2537376B) code:70853": [
        Size("Serialized model (rounded)", 15_920_000, 5_000),
        Size("Code size", 70_853),
    ],
    "budget:15993853/16000000 (15.99/16.00MB) FITS": [Size("Total submission size (budget)", 15_993_853)],
    "  INT4+fp8+brotli: 15.67MB model + 0.077MB code = 15.75/16.00MB FITS": [
        Size("Serialized model (rounded)", 15_670_000, 5_000),
        Size("Total submission size (rounded)", 15_750_000, 5_000),
    ],
    "INT7+zlib model: 15370972 bytes | Total submission: 15441941 bytes": [
        Size("INT7+zlib model", 15_370_972),
        Size("Total submission", 15_441_941),
    ],
    "Raw model: 85587955 bytes | Code: 70969 bytes | Total: 85658924": [
        Size("Raw model", 85_587_955),
        Size("Code size", 70_969),
    ],
    'log0(f"Code size: {code_bytes} bytes")': [],
    "budget: none": [],
    "Total size: 99999999999999999999999 bytes": [],
}


@pytest.mark.parametrize(("line", "sizes"), SIZES.items())
def test_sizes_are_read(line, sizes):
    assert sizes_in(line) == sizes


@given(st.text(max_size=200))
def test_any_line_has_sizes_or_none(line):
    assert all(size.bytes >= 0 and size.room >= 0 for size in sizes_in(line))


def log_of(text: str) -> Log:
    return read_stream(io.BytesIO(text.encode()), "train.log")


SOURCE = '''"""A script. The old run said:
final_int8_zlib_roundtrip_exact val_loss:1.00000000 val_bpb:0.50000000
step:13780/20000 val_loss:1.0 val_bpb:0.6 train_time:1ms
"""
import os

SEED = 7
def main():
    seed: int = 3
    x = 1
    if x:
        return x
    print("val_bpb:0.7")
main()
'''

RUN = """seed:1337
world_size:8 grad_accum_steps:1
step:0/20 val_loss:6.9 val_bpb:4.1 train_time:0ms step_avg:0.02ms
step:10/20 train_loss:2.5 train_time:500ms step_avg:50ms
step:20/20 val_loss:2.1 val_bpb:1.3 train_time:1000ms step_avg:50ms
peak memory allocated: 10184 MiB reserved: 10200 MiB
Serialized model int8+zlib: 1000 bytes (payload:1 raw_torch:2 payload_ratio:3x)
Code size: 500 bytes
Total submission size int8+zlib: 1500 bytes
final_int8_zlib_roundtrip_exact val_loss:2.12000000 val_bpb:1.31000000
"""


def test_a_dump_closed_by_its_rule_says_nothing():
    log = log_of(SOURCE + RULE + "\n" + RUN)
    assert [m.val_bpb for m in log.finals] == [1.31]
    assert [m.val_bpb for m in log.validations] == [4.1, 1.3]
    assert log.seed_values == [1337]
    assert log.worlds[-1].value == "8"
    assert log.train_times[-1].seconds == 1.0
    assert log.memory[-1].value.startswith("peak memory")
    assert log.last_step == 20
    assert [dump.text.strip() for dump in log.dumps] == [SOURCE.strip()]


def test_a_dump_after_a_header_and_two_dumps_in_one_file():
    one = "Hyperparameters:\n  seed: 42\n" + RULE + "\n" + SOURCE + RULE + "\nRunning Python 3.11\n" + RULE + "\n" + RUN
    log = log_of(one + one.replace("1.31", "1.41"))
    assert [m.val_bpb for m in log.finals] == [1.31, 1.41]
    assert log.runs == 2
    assert len(log.dumps) == 2
    assert set(log.seed_values) == {42, 1337}


def test_each_run_of_a_file_has_its_own_seed_machine_times_and_sizes():
    second = RUN.replace("seed:1337", "seed:7").replace("world_size:8", "world_size:2").replace("1000ms", "2000ms")
    log = log_of(SOURCE + RULE + "\n" + RUN + SOURCE + RULE + "\n" + second.replace("1.31", "1.41"))
    assert [(one.value, one.run) for one in log.seeds] == [("1337", 0), ("7", 1)]
    assert [(one.value, one.run) for one in log.worlds] == [("8", 0), ("2", 1)]
    assert [(one.seconds, one.run) for one in log.train_times] == [(1.0, 0), (2.0, 1)]
    assert [one.run for one in log.sizes] == [0, 0, 0, 1, 1, 1]


def test_minutes_are_read_and_the_stopping_line_is_more_exact():
    text = "500/2000 train_loss: 3.0 train_time: 9.0m tok/s: 1\n"
    log = log_of(text + "stopping_early: wallclock_cap train_time: 588105ms step: 900/2000\n")
    assert max(one.seconds for one in log.train_times) == pytest.approx(588.105)
    assert [one.line for one in log.train_times] == [1, 2]
    assert log.train_times[-1].seconds == pytest.approx(588.105)


def test_a_time_above_its_own_limit_is_kept():
    log = log_of("artifact_production_wallclock: 825.352s (must be < 600.0)\ntotal_eval_time:481.2s\n")
    assert [(one.name, one.seconds, one.limit) for one in log.times] == [
        ("artifact_production_wallclock", 825.352, 600.0),
        ("total_eval_time", 481.2, None),
    ]
    assert log.train_times == []
    assert [one.seconds for one in log.eval_times] == [481.2]


@given(st.lists(st.sampled_from([*RUN.splitlines(), *SOURCE.splitlines(), RULE, "", "x" * 70_000]), max_size=40))
def test_any_order_of_known_lines_gives_a_log(lines):
    log = log_of("\n".join(lines))
    runs = {one.run for one in log.metrics}
    assert log.runs == (len(runs) or 1)
    assert all(one.run >= 0 for one in [*log.seeds, *log.sizes, *log.times, *log.curve])


class Endless(io.RawIOBase):
    """Steps without end, then one line of 20 MB; made as they are read."""

    def __init__(self, lines: int) -> None:
        self.left, self.line = lines + 300, 0

    def readline(self, size=-1):
        if self.left == 0:
            return b""
        self.left -= 1
        if self.left < 300:
            return b"y" * 65_536
        self.line += 1
        return (
            b"step:%d/9000000 train_loss:2.5000 train_time:%dms step_avg:50.00ms" % (self.line, self.line)
            + b" " * 40
            + b"\n"
        )


def bounded(lines: int) -> int:
    """Peak bytes of memory while reading so many lines."""
    tracemalloc.start()
    try:
        log = read_stream(Endless(lines), "big.log")  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert log.bytes > 19e6 + 80 * lines
    assert len(log.curve) <= CURVE_POINTS + 1
    assert log.curve[-1].step == log.last_step == lines
    return peak


def test_memory_is_bounded():
    assert bounded(20_000) < 8e6


@pytest.mark.slow
def test_memory_is_bounded_for_100_megabytes():
    assert bounded(1_000_000) < 8e6


def test_real_public_logs(real_data):
    """Every log among the real data is read, and its labels start where the line starts."""
    logs = list(real_data.rglob("*.log"))
    if not logs:
        pytest.skip("no logs among the real data")
    for place in logs:
        with place.open("rb") as file:
            log = read_stream(file, place.name)
        assert all(re.match(r"^\S", m.label) for m in log.finals if m.label)

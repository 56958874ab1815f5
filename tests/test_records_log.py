"""The log reader: every known spelling by value, dumped source never taken for numbers, bounded whatever comes."""

import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.evidence import family, name_seeds
from records.log_lines import parse_metric, parse_metrics, parse_size
from records.log_reader import CURVE_POINTS, read_stream

RULE = "=" * 100

# fmt: off
# ruff: noqa: E501
# line -> (val_bpb, decimals, val_loss): spellings met in public logs
SPELLINGS = [
    ("final_int8_zlib_roundtrip val_loss:2.0727 val_bpb:1.2244 eval_time:1401ms", 1.2244, 4, 2.0727),
    ("final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570", 1.2243657, 8, 2.07269931),
    ("quantized_ttt_phased val_loss:2.31944212 val_bpb:1.05989454 eval_time:508785ms", 1.05989454, 8, 2.31944212),
    ("ttt_sliding:done val_loss=1.889 val_bpb=1.118889 elapsed=395.1s", 1.118889, 6, 1.889),
    ("legal_ttt_exact val_loss:1.88972163 val_bpb:1.11922988", 1.11922988, 8, 1.88972163),
    ("final_sliding val_loss:2.9869 val_bpb:1.1565 (stride=16, T=0.90) eval_time:768782ms", 1.1565, 4, 2.9869),
    ("final_int8_zlib_roundtrip_exact sliding val_loss:2.02095340 sliding val_bpb:1.19692464", 1.19692464, 8, 2.0209534),
    ("1776143508.229 diagnostic quantized val_loss:2.80433049 val_bpb:1.08560874 eval_time:56835ms", 1.08560874, 8, 2.80433049),
    ("[12:01:55] quantized val_loss:2.3505 val_bpb:1.0740 eval_time:63234ms", 1.0740, 4, 2.3505),
    ("final_sliding_window_eval_exact stride:64 val_loss:1.96 val_bpb:1.16301431", 1.16301431, 8, 1.96),
    ("val_bpb:          1.12278022", 1.12278022, 8, None),
    ('  "post_ttt_val_bpb": 1.06400238,', 1.06400238, 8, None),
    ("step:1000/20000 val_loss:2.3 val_bpb:1.36 train_time:52100ms step_avg:43.5ms", 1.36, 2, 2.3),
    ("4000/20000 val_loss: 2.8763 val_bpb: 1.1135", 1.1135, 4, 2.8763),
]
# fmt: on


@pytest.mark.parametrize(("line", "bpb", "digits", "loss"), SPELLINGS)
def test_known_spellings_are_read_by_value(line, bpb, digits, loss):
    metric = parse_metric(3, line)
    assert metric is not None
    assert (metric.val_bpb, metric.digits, metric.val_loss) == (bpb, digits, loss)


@pytest.mark.parametrize(
    "line",
    [
        "ttt_progress: batch 51/782 batch_loss:3.0290 batch_bpb:1.2107 running_loss:2.7395 running_bpb:1.0681",
        "  ttt_chunk [10/1893] bpb=1.118 time=3.4s",
        "  sliding_eval [ 12.0%] 100/900 windows running_bpb=1.1234",
        'log0(f"final val_loss:{q_val_loss:.4f} val_bpb:1.2244")',
        "    # val_bpb: 1.2244 was the baseline",
        "    target = dict(val_bpb=1.2244)",
        "val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path=./fineweb_1024_bpe.model",
        "final val_bpb:nan",
    ],
)
def test_progress_and_source_are_no_scores(line):
    assert parse_metric(1, line) is None


def test_a_line_with_several_scores_gives_each_and_no_gain():
    line = "online_best_agree:done llm_bpb=1.10984470 best_agree_bpb=1.10680980 gain_bpb=0.00303490"
    assert [m.val_bpb for m in parse_metrics(1, line)] == [1.1068098]
    line = "final_ngram_blended neural_bpb:1.5034 blended_bpb:0.0905 improvement:1.412926 eval_time:3448ms"
    assert [(m.val_bpb, m.label) for m in parse_metrics(1, line)] == [(0.0905, "final_ngram_blended blended_bpb")]
    assert [m.val_bpb for m in parse_metrics(1, "n-gram agreement BPB: 1.10680980 (elapsed: 448.4s)")] == [1.1068098]


def test_names_of_logs_speak_of_seeds():
    assert name_seeds("train_seed42.log") == [42]
    assert name_seeds("train_seeds_42_999_slot_v2.log") == [42, 999]
    assert name_seeds("logs/ternary_log_7.txt") == [7]
    assert name_seeds("train.log") == []
    assert family("train_seed42.log") == family("train_seed1337.log") != family("repro_seed42.log")


def test_sizes_are_read():
    assert parse_size(1, "Serialized model int8+zlib: 15815847 bytes (payload:17178912 raw_torch:17224025)") == (
        1,
        "Serialized model int8+zlib",
        15_815_847,
    )
    assert parse_size(2, "Total submission size quantized+brotli: 15,997,000 bytes") == (
        2,
        "Total submission size quantized+brotli",
        15_997_000,
    )
    assert parse_size(3, "artifact:15.92MB ternary:64880640(14239486B) fp:2513744(2537376B) code:70853") == (
        3,
        "Code size",
        70853,
    )
    assert parse_size(4, 'log0(f"Code size: {code_bytes} bytes")') is None


def log_of(text: str):
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
    print("val_bpb:0.7")
main()
'''

RUN = """seed:1337
world_size:8 grad_accum_steps:1
step:0/20 val_loss:6.9 val_bpb:4.1 train_time:0ms step_avg:0.02ms
step:10/20 train_loss:2.5 train_time:500ms step_avg:50ms
step:20/20 val_loss:2.1 val_bpb:1.3 train_time:1000ms step_avg:50ms
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
    assert log.worlds[-1][1] == 8
    assert log.train_times[-1][1] == 1.0
    assert len(log.sources) == 1
    assert log.sources[0][2].strip() == SOURCE.strip()


def test_a_dump_after_a_header_and_two_dumps_in_one_file():
    one = "Hyperparameters:\n  seed: 42\n" + RULE + "\n" + SOURCE + RULE + "\nRunning Python 3.11\n" + RULE + "\n" + RUN
    log = log_of(one + one.replace("1.31", "1.41"))
    assert [m.val_bpb for m in log.finals] == [1.31, 1.41]
    assert log.runs == 2
    assert len(log.sources) == 2
    assert set(log.seed_values) == {42, 1337}


def test_a_dump_without_a_closing_rule_ends_at_its_last_line_of_python():
    body = SOURCE + "".join(f"def f{i}():\n    return {i}\n" for i in range(30))
    assert [m.val_bpb for m in log_of(body + RUN).finals] == [1.31]


def test_the_same_run_printed_twice_is_one_run():
    assert log_of(RUN + RUN).runs == 1


def test_minutes_are_read_and_the_stopping_line_is_more_exact():
    log = log_of(
        "500/2000 train_loss: 3.0 train_time: 9.0m tok/s: 1\nstopping_early: wallclock_cap train_time: 588105ms step: 900/2000\n"
    )
    assert log.train_times[0][1] == pytest.approx(540.0)
    assert log.train_times[-1][1] == pytest.approx(588.105)


@given(st.binary(max_size=400))
def test_any_bytes_give_a_log(data):
    log = read_stream(io.BytesIO(data), "x")
    assert log.bytes == len(data)
    assert all(0 < m.val_bpb < 100 for m in log.metrics)


@given(st.lists(st.sampled_from([*RUN.splitlines(), *SOURCE.splitlines(), RULE, "", "x" * 70_000]), max_size=40))
def test_any_order_of_known_lines_gives_a_log(lines):
    log = log_of("\n".join(lines))
    assert log.runs >= 0
    assert not {0.5, 0.7} & {m.val_bpb for m in log.metrics if m.line == 0}


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
    assert len(log.train.points) <= CURVE_POINTS
    assert log.train.whole()[-1][1] == lines
    return peak


def test_memory_is_bounded():
    assert bounded(20_000) < 6e6


@pytest.mark.slow
def test_memory_is_bounded_for_200_megabytes():
    assert bounded(2_000_000) < 6e6


def test_real_public_logs(real_data):
    """Every log among the real data is read, and its labels start where the line starts."""
    logs = list(real_data.rglob("*.log"))
    if not logs:
        pytest.skip("no logs among the real data")
    for place in logs:
        with place.open("rb") as file:
            log = read_stream(file, place.name)
        assert all(re.match(r"^\S", m.label) for m in log.finals)

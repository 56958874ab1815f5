"""The log reader: public spellings, dumped source, several runs, bounded memory, and any bytes at all."""

import io
import random
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.claim_reader import Claim, parse_claim
from bpb_audit.errors import AuditError
from bpb_audit.log_lines import parse_metric
from bpb_audit.log_reader import KEEP_FIRST, KEEP_LAST, Log, read_stream
from tests.audit_submissions import Run, log_lines

SPELLINGS = """
final_int8_zlib_roundtrip val_loss:2.0727 val_bpb:1.2244 eval_time:1401ms
final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570
final_int6_roundtrip val_loss:2.0077 val_bpb:1.1891 eval_time:1553ms
final_int6_sliding_window val_loss:1.8648 val_bpb:1.1044 stride:64 eval_time:88816ms
final_int6_sliding_window_exact val_loss:1.86478866 val_bpb:1.10443581
final_sliding_window_eval stride:64 val_loss:1.9511 val_bpb:1.1556 eval_time:75096ms
final_sliding_window val_loss:1.9698 val_bpb:1.1666 stride:64 seq_len:1024 eval_time:72611ms
final_int8_zlib_roundtrip sliding val_loss:2.0210 sliding val_bpb:1.1969 eval_time:149529ms
final_int8_zlib_roundtrip val_loss:2.9636 val_bpb:1.1473 eval_mode:online_ttt eval_time:0ms
final_sliding val_loss:3.2455 val_bpb:1.2566 (stride=16, T=1.00) time:123304ms
final_ternary_roundtrip val_loss:3.0604 val_bpb:1.1850
final_INT7_zlib_roundtrip val_loss:2.0784 val_bpb:1.2353
final_int8_ttt_lora val_loss:2.0142 val_bpb:1.1929 eval_time:60184ms
final_temped val_loss:3.2855 val_bpb:1.2721 T=1.00
quantized val_loss:2.83957454 val_bpb:1.09928779 eval_time:8681ms
quantized_sliding_window val_loss:2.79659675 val_bpb:1.08264975 eval_time:93831ms
quantized_ttt_phased val_loss:2.32247803 val_bpb:1.06128183 eval_time:519546ms
quantized_ttt_lora val_loss:2.76751616 val_bpb:1.07139175 eval_time:234066ms
quantized_ttt val_loss:2.79281076 val_bpb:1.08118408 eval_time:318003ms
legal_ttt val_loss:1.8911 val_bpb:1.1200 eval_time:408049ms
legal_ttt_exact val_loss:1.89110239 val_bpb:1.12002032
ttt_sliding:done val_loss=2.795171 val_bpb=1.082098 elapsed=293.2s
DIAGNOSTIC post_ema val_loss:1.8937 val_bpb:1.1216 eval_time:2390ms
diagnostic pre-quantization post-ema val_loss:2.33055251 val_bpb:1.06490240 eval_time:7779ms
diagnostic quantized val_loss:2.35058660 val_bpb:1.07405660 eval_time:63234ms
1776144163.319 quantized_ttt_phased val_loss:2.77232000 val_bpb:1.07325147 eval_time:504949ms
[rank0] final_int8_zlib_roundtrip val_loss:2.0727 val_bpb:1.2244
step:13780/20000 val_loss:2.0606 val_bpb:1.2172 train_time:600038ms step_avg:43.54ms
step:6530/10000 val_loss:3.0535 val_bpb:1.1823 train_time:599602ms zero_frac:0.336
4945/20000 val_loss: 2.3539 val_bpb: 1.0756
final_xnor_roundtrip val_loss:2.8958 val_bpb:1.6137
final_binary_roundtrip val_loss:2.9743 val_bpb:1.1516
val_bpb:          1.12356596
  "post_ttt_val_bpb": 1.06400238,
""".strip("\n").splitlines()

NOT_SCORES = """
            f"final_int8_zlib_roundtrip val_loss:{q_val_loss:.4f} val_bpb:{q_val_bpb:.4f} "
    log0(f"final_sliding val_loss:{sw_loss:.4f} val_bpb:{sw_bpb:.4f} "
# val_bpb: 1.2244 is what the baseline reaches
    val_bpb = 1.2244
val_loss, val_bpb = eval_val(
ttt_chunk [1/1238] bpb=1.120040 time=3.8s
ttt_progress: batch 782/782 batch_loss:2.5597 batch_bpb:1.0335 running_loss:2.5597 running_bpb:1.0335
sliding_eval [ 10.6%] 12832/121136 windows running_bpb=1.144500
val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path=./data/tokenizers/fineweb_1024_bpe.model
jepa_diagnostics cos_sim:0.9958 jepa_mse:0.0012 lm_top1:0.3598 probe_bpb:9.0914
final val_loss:nan val_bpb:nan
""".strip("\n").splitlines()


def read(text: str) -> Log:
    return read_stream(io.BytesIO(text.encode()), "train.log")


@pytest.mark.parametrize("line", SPELLINGS)
def test_every_public_spelling_is_a_score(line: str) -> None:
    metric = parse_metric(1, line)
    assert metric is not None
    assert f"{metric.bpb}" in line
    assert metric.loss is None or f"{metric.loss}" in line


@pytest.mark.parametrize("line", NOT_SCORES)
def test_source_and_progress_are_no_scores(line: str) -> None:
    assert parse_metric(1, line) is None


def test_numbers_in_dumped_source_are_forgotten() -> None:
    run = Run()
    log = read("\n".join(log_lines(run)))
    assert [one.text.strip() for one in log.dumps] == [run.source.strip()]
    assert str(log.metrics[-1].bpb) == f"{run.bpb(run.loss):.8f}"
    poisoned = other_source = run.source + '\nNOTE = """\nfinal_int8 val_loss:1.0 val_bpb:0.5\nseed: 7\n"""\n'
    log = read("\n".join([*poisoned.splitlines(), "=" * 100, *log_lines(run, dump=False)]))
    assert Decimal("0.5") not in {one.bpb for one in log.metrics}
    assert log.seed_values == [1337]
    assert log.dumps[0].text.strip() == other_source.strip()


def test_an_unclosed_dump_ends_at_its_last_line_of_code() -> None:
    code = "import os\n" + "\n".join(f"def f{i}(x):\n    return self.val_bpb == {i}" for i in range(30))
    log = read(f"{code}\nseed:5\nfinal val_loss:2.0000 val_bpb:1.2000\n")
    assert [str(one.bpb) for one in log.metrics] == ["1.2000"]
    assert len(log.dumps) == 1


def test_a_banner_is_no_end_of_a_dump() -> None:
    lines = ["from torch import warnings", *log_lines(Run(), dump=False), "=" * 100, "done"]
    assert len(read("\n".join(lines)).metrics) == 5


def test_several_runs_in_one_file() -> None:
    first, second = Run(seed=1), Run(seed=2, loss=2.1)
    log = read("\n".join([*log_lines(first), *log_lines(second)]))
    assert log.runs == 2
    assert log.seed_values == [1, 2]
    assert [one.run for one in log.finals] == [0, 0, 1, 1]
    assert len(log.dumps) == 2


def test_facts_are_read() -> None:
    log = read("\n".join(log_lines(Run("sp8192"))))
    assert log.fact("val_tokens") == "40540160"
    assert log.fact("vocab_size") == "8192"
    assert read("Validation tokens: 40,540,160\n").fact("val_tokens") == "40540160"
    assert read("val_tokens: 47851520\n").fact("val_tokens") == "47851520"


def test_memory_is_bounded_by_nothing_in_the_file() -> None:
    class Endless(io.RawIOBase):
        """Thousands of scores, then a line without an end."""

        left = 20_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
            if self.left <= 0:
                return 0
            data = (b"step:%d/9 val_loss:2.0 val_bpb:1.2 seed: 1 Code size: 5 bytes\n" % self.left) * 3
            self.left -= 3
            if self.left < 10_000:
                data = b"x" * 200
            buffer[: len(data)] = data
            return len(data)

    tracemalloc.start()
    log = read_stream(io.BufferedReader(Endless(), 1 << 12), "endless.log")  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(log.metrics) == KEEP_FIRST + KEEP_LAST
    assert peak < 32 << 20


@given(st.binary(max_size=4000))
def test_any_bytes_give_a_log(data: bytes) -> None:
    log = read_stream(io.BytesIO(data), "x")
    assert log.bytes == len(data)


@given(st.lists(st.sampled_from([*SPELLINGS, *NOT_SCORES, "=" * 100, "import os", "def f(x):", "    return 1", ""])))
def test_any_order_of_lines_gives_a_log(lines: list[str]) -> None:
    log = read("\n".join(lines))
    assert all(0 < one.line <= log.lines for one in log.metrics)


def test_flipped_and_cut_logs_give_a_log() -> None:
    whole = "\n".join(log_lines(Run())).encode()
    chance = random.Random(7)
    for _ in range(300):
        data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.5 else whole)
        for _ in range(chance.randrange(6)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        assert isinstance(read_stream(io.BytesIO(bytes(data)), "x"), Log)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not JSON"),
        (b"[1, 2]", "holds a list"),
        (b'{"val_bpb": 1.2', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 200_000, "not readable JSON"),
        (b'{"val_bpb": 1' + b"0" * 5000 + b"}", "not readable JSON"),
    ],
)
def test_broken_claims_are_one_sentence(data: bytes, word: str) -> None:
    with pytest.raises(AuditError, match=word):
        parse_claim(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"val_bpb": NaN}',
        b'{"val_bpb": true}',
        b'{"val_bpb": -1.0}',
        b'{"val_bpb": "1.2"}',
        b'{"val_bpb": 1e999}',
        b"{}",
    ],
)
def test_odd_numbers_are_no_claims(data: bytes) -> None:
    assert parse_claim(data).main is None


def test_seeds_are_found_under_any_name() -> None:
    claim = parse_claim(
        b'{"val_bpb": 1.05, "artifact_bytes": 15, "seed_results": {"42": {"val_bpb": 1.04}, "seed7": {"bpb": 1.06}}}'
    )
    assert [(one.seed, str(one.bpb)) for one in claim.seeds] == [(42, "1.04"), (7, "1.06")]
    assert claim.bytes_total == 15
    per_seed = parse_claim(b'{"val_bpb": 1.0, "val_bpb_per_seed": {"1": 1.5, "2": 1.75}}')
    assert [str(one.bpb) for one in per_seed.seeds] == ["1.5", "1.75"]


def claim_or_error(data: bytes) -> bool:
    """A Claim, or the one error with a sentence; anything else is raised."""
    try:
        return isinstance(parse_claim(data), Claim)
    except AuditError as error:
        return len(str(error)) > 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["val_bpb", "val_loss", "seeds", "42", "seed", "seed_results", "bpb"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_claim_or_the_one_error(value: object) -> None:
    import json

    assert claim_or_error(json.dumps(value).encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_claim_or_the_one_error(data: bytes) -> None:
    assert claim_or_error(data)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_log_with_a_byte_order_mark_is_read(encoding: str) -> None:
    text = "seed:42\nfinal val_loss:2.07 val_bpb:1.2244\n" + "é" * 70_000 + "\nlast val_bpb:1.5\n"
    data = text.encode(encoding)
    log = read_stream(io.BytesIO(b"\xfe\xff" + data if encoding == "utf-16-be" else data), "train.log")
    assert [str(one.bpb) for one in log.metrics] == ["1.2244", "1.5"]
    assert log.seed_values == [42]
    assert log.bytes == len(data) + 2 * (encoding == "utf-16-be")
    assert read_stream(io.BytesIO(b"\xff\xfe\x41"), "odd").bytes == 3
    assert read_stream(io.BytesIO(b"\xef\xbb\xbf"), "mark").bytes == 3


def test_a_seed_far_along_a_line_of_settings_is_found() -> None:
    assert read("data=x " * 120 + "seed=42 more=1").seed_values == [42]


def test_training_losses_are_kept_with_their_steps() -> None:
    log = read("step:200/20000 train_loss:2.3812 train_time:8000ms\n300/20000 train_loss: 2.2 train_time: 1m\n")
    assert [(one.step, one.loss, one.ms) for one in log.curve] == [(200, 2.3812, 8000.0), (300, 2.2, 60_000.0)]

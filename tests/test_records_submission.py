"""submission.json: nine strict fields going out, anything at all coming in."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import RecordError
from records.evidence import agrees, near_mean
from records.submission import CAP, Submission, decimals, make_submission, parse_claims, read_claims, read_date

GOOD = {
    "author": "Ada",
    "github_id": "ada-l",
    "name": "Base",
    "blurb": "A baseline.",
    "date": "2026-03-18",
    "val_loss": 2.07269931,
    "val_bpb": 1.2243657,
    "bytes_total": 15_863_489,
    "bytes_code": 47_642,
}


def test_the_nine_fields_go_out_and_come_back():
    text = make_submission(**GOOD).text()
    assert list(json.loads(text)) == list(GOOD)
    claims = parse_claims(text.encode())
    assert (claims.val_bpb, claims.bytes_total, claims.bytes_code) == ("1.2243657", 15_863_489, 47_642)
    assert not claims.faults


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("author", ""),
        ("github_id", "no spaces here"),
        ("date", "18 March"),
        ("val_bpb", 0.0),
        ("val_bpb", float("nan")),
        ("val_loss", "2.07 nats"),
        ("bytes_total", CAP),
        ("bytes_total", 1.5),
        ("bytes_code", 15_900_000),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_is_named(field, value):
    with pytest.raises(RecordError, match=field):
        make_submission(**{**GOOD, field: value})


def test_every_field_is_needed():
    for field in GOOD:
        with pytest.raises(RecordError, match=field):
            make_submission(**{k: v for k, v in GOOD.items() if k != field})
    assert set(Submission.model_fields) == set(GOOD)


def test_public_variants_are_read():
    claims = parse_claims(
        b'{"mean_val_bpb": 1.17475315, "artifact_bytes": 15374243, "code_bytes": 50651,'
        b'"seed_results": {"1337": {"val_bpb": 1.17558517, "val_loss": 1.98}, "7": 1.174}, "p_value": null}'
    )
    assert claims.val_bpb == "1.17475315"
    assert claims.keys == {"val_bpb": "mean_val_bpb", "bytes_total": "artifact_bytes", "bytes_code": "code_bytes"}
    assert [(s.seed, s.val_bpb) for s in claims.seeds] == [("1337", "1.17558517"), ("7", "1.174")]


def test_digits_survive_reading():
    assert parse_claims(b'{"val_bpb": 1.08100}').val_bpb == "1.08100"
    assert decimals("1.08100") == 5


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe{}", b"[" * 100_000, b"1", b'"x"'],
    ids=["empty", "list", "null", "cut", "nan", "infinity", "utf16", "deep", "number", "text"],
)
def test_what_is_no_json_object_is_one_error(data):
    with pytest.raises(RecordError):
        parse_claims(data)


@given(st.binary(max_size=200))
def test_any_bytes_a_value_or_the_one_error(data):
    with contextlib.suppress(RecordError):
        assert parse_claims(data).file == "submission.json"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "seeds", "seed_results", "artifact_bytes", "mean_val_bpb", "val_loss_nats", "x"]),
        json_values,
        max_size=8,
    )
)
def test_any_object_is_read_without_a_trace(value):
    claims = parse_claims(json.dumps(value).encode())
    assert claims.bytes_total is None or claims.bytes_total >= 0
    assert claims.val_bpb is None or float(claims.val_bpb) == float(claims.val_bpb)


def test_every_truncation_of_a_good_file():
    data = make_submission(**GOOD).text().encode()
    for end in range(len(data) - 2):
        with pytest.raises(RecordError):
            parse_claims(data[:end])


def test_dates():
    assert read_date("2026-03-18T14:56:29Z") is not None
    assert read_date("2026-02-30") is None
    assert read_date("soon") is None


@pytest.mark.parametrize(
    ("claim", "value", "digits", "same"),
    [
        ("1.2244", 1.22436570, 8, True),
        ("1.2243", 1.22436570, 8, True),  # cut, not rounded
        ("1.2242", 1.22436570, 8, False),
        ("1.2245", 1.22436570, 8, False),
        ("1.22436570", 1.2244, 4, True),  # the log prints four decimals
        ("1.22446570", 1.2244, 4, True),  # 1.22446 cut is 1.2244
        ("1.22456570", 1.2244, 4, False),
        ("1.1", 1.15, 8, True),
    ],
)
def test_agreement_is_by_the_digits_written(claim, value, digits, same):
    assert agrees(claim, value, digits) is same


@given(st.floats(0.5, 9.5), st.integers(2, 8))
def test_a_rounded_value_always_agrees(value, places):
    assert agrees(f"{value:.{places}f}", value, 8) or abs(value - round(value, places)) > 0.5 * 10.0**-places
    assert near_mean(f"{value:.{places}f}", value)


def test_a_size_beyond_all_numbers_and_a_file_beyond_all_sizes(tmp_path):
    claims = parse_claims(b'{"seed_results": {"1": {"val_bpb": 1.2, "bytes_total": 1e400}}}')
    assert claims.seeds[0].bytes_total is None
    with (tmp_path / "submission.json").open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(RecordError, match="more than 4,194,304 bytes"):
        read_claims(tmp_path / "submission.json")

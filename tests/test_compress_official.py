"""The official format: torch and hand-made cases as judges, real exports as fixtures, hostile torch files refused."""

import io
import pickle
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from compress.errors import CodecError
from compress.official import dequantize_official, quantize_official, quantize_official_tensor, upper_quantile
from compress.sources import read_weights
from compress.torch_file import read_pt, read_ptz, write_ptz

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("columns", [1, 2, 7, 128, 1000, 4096])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 300.0])
def test_quantile_is_torch_s_to_the_bit(columns: int, scale: float) -> None:
    values = torch.randn(64, columns, generator=torch.Generator().manual_seed(columns)).abs() * scale
    wanted = torch.quantile(values, 99.99984 / 100.0, dim=1).numpy()
    assert np.array_equal(upper_quantile(values.numpy()), wanted)


def test_matrix_by_hand() -> None:
    row = np.zeros((1, 3), np.float32)
    row[0] = [127.0, -63.5, 1.4]
    q, scale = quantize_official_tensor(np.repeat(row, 2, axis=0))
    assert q.tolist() == [[127, -64, 1]] * 2
    assert scale.dtype == np.float16
    assert scale.tolist() == [1.0, 1.0]


def test_scale_has_the_floor_of_the_challenge() -> None:
    q, scale = quantize_official_tensor(np.full((2, 4), 0.5, np.float32))
    assert scale.tolist() == [np.float16(1 / 127)] * 2, "small weights lose bits to the floor"
    assert q.max() == 64


def sample_state() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    rng = np.random.default_rng(3)
    big = rng.normal(size=(300, 300)).astype(np.float32)
    state = {
        "big": big, "cube": rng.normal(size=(50, 50, 40)).astype(np.float32), "flat": big.reshape(-1)[:70_000].copy(),
        "half": big.astype(np.float16), "small": big[:4].copy(), "attn_scale": big[0].copy(), "ids": np.arange(5),
        "wide": big[:2].astype(np.float64), "brain": np.float32(1.5) * np.ones((3, 3), np.float32),
    }  # fmt: skip
    return state, {"brain": "bfloat16"}


def test_file_round_trip_and_rules(tmp_path: Path) -> None:
    state, dtypes = sample_state()
    saved = quantize_official(state, dtypes)
    assert set(saved["quantized"]) == {"big", "cube", "flat", "half"}
    assert saved["qmeta"] == {n: {"scheme": "per_row", "axis": 0} for n in ("big", "half")}
    assert saved["passthrough"]["attn_scale"].dtype == np.float32
    assert saved["passthrough"]["small"].dtype == np.float16
    assert saved["passthrough"]["wide"].dtype == np.float64
    assert saved["passthrough_orig_dtypes"] == {"small": "float32", "brain": "bfloat16"}
    assert saved["dtypes"]["half"] == "float16"
    size = write_ptz(tmp_path / "a.ptz", saved)
    assert size == (tmp_path / "a.ptz").stat().st_size
    again = read_ptz(tmp_path / "a.ptz")
    back, wanted = dequantize_official(again), dequantize_official(saved)
    for name in state:
        assert back[name].dtype == wanted[name].dtype
        assert np.array_equal(back[name], wanted[name]), name
    assert list(again) == list(saved)


def test_real_exports_recode_to_the_same_tensors(real_data: Path, tmp_path: Path) -> None:
    found = sorted((real_data / "weights").glob("*.int8.ptz"))
    assert len(found) >= 5
    for path in found:
        saved = read_ptz(path)
        write_ptz(tmp_path / "again.ptz", saved)
        again = read_ptz(tmp_path / "again.ptz")
        for part in ("quantized", "scales", "passthrough"):
            assert all(np.array_equal(again[part][n], saved[part][n]) for n in saved[part]), (path.name, part)
        assert {k: v for k, v in again.items() if not isinstance(v, dict)} == {
            "__quant_format__": "int8_clean_per_row_v1"
        }


def test_a_real_checkpoint_quantises_to_its_own_export(real_data: Path) -> None:
    state, dtypes = read_pt(real_data / "weights/nolanvild_3L128_0.48M.pt")
    ours = quantize_official(state, dtypes)
    theirs = read_ptz(real_data / "weights/nolanvild_3L128_0.48M.int8.ptz")
    for part in ("quantized", "scales", "passthrough"):
        assert ours[part].keys() == theirs[part].keys()
        assert all(np.array_equal(ours[part][n], theirs[part][n]) for n in ours[part])
    assert all(ours[key] == theirs[key] for key in ("dtypes", "qmeta", "passthrough_orig_dtypes"))


class Ransom:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("RANSOM"),)  # type: ignore[return-value]


def test_code_in_a_pickle_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Ransom()}, "a.pt")
    with pytest.raises(CodecError, match="without running code"):
        read_pt("a.pt")
    Path("b.ptz").write_bytes(zlib.compress(Path("a.pt").read_bytes()))
    with pytest.raises(CodecError):
        read_ptz("b.ptz")
    Path("c.pt").write_bytes(pickle.dumps(Ransom()))
    with pytest.raises(CodecError, match="not a zip"):
        read_pt("c.pt")
    assert not Path("RANSOM").exists()


def test_a_view_that_claims_a_terabyte(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 38)}, tmp_path / "a.pt")
    with pytest.raises(CodecError, match="claim more than"):
        read_pt(tmp_path / "a.pt")


def test_bombs(tmp_path: Path) -> None:
    (tmp_path / "a.ptz").write_bytes(zlib.compress(bytes(1 << 22)))
    with pytest.raises(CodecError, match="larger than 65,536 bytes"):
        read_ptz(tmp_path / "a.ptz", limit=65_536)
    with zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 22))
    with pytest.raises(CodecError, match="compressed entries"):
        read_pt(tmp_path / "b.pt")


@pytest.mark.parametrize("data", [b"", b"x", zlib.compress(b""), zlib.compress(b"PK\3\4" + bytes(90))])
def test_broken_ptz(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.ptz").write_bytes(data)
    with pytest.raises(CodecError):
        read_ptz(tmp_path / "a.ptz")


def test_parts_that_do_not_fit() -> None:
    state, dtypes = sample_state()
    for spoil in (
        {"__quant_format__": "int4"}, {"scales": {}}, {"quantized": 7}, {"dtypes": {}},
        {"passthrough_orig_dtypes": {"gone": "float32"}}, {"scales": {"big": np.ones(4, np.float16)}},
    ):  # fmt: skip
        with pytest.raises(CodecError):
            dequantize_official({**quantize_official(state, dtypes), **spoil})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e6])
def test_values_that_cannot_be_kept(value: float) -> None:
    with pytest.raises(CodecError, match="w holds"):
        quantize_official({"w": np.array([1.0, value], np.float32)})


def test_sources_tell_files_by_their_bytes(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = {"w": torch.randn(8, 8), "b": torch.randn(3).bfloat16(), "n": torch.arange(4)}
    torch.save(state, tmp_path / "a")
    safetensors.save_file(state, tmp_path / "b")
    plain = {k: v.float().numpy() if v.dtype == torch.bfloat16 else v.numpy() for k, v in state.items()}
    np.savez(tmp_path / "c.npz", **plain)
    for name in ("a", "b", "c.npz"):
        found = read_weights(tmp_path / name)
        assert all(np.array_equal(found.tensors[k], plain[k]) for k in plain), name
        assert found.dtypes == ({} if name == "c.npz" else {"b": "bfloat16"})
    buffer = io.BytesIO()
    np.save(buffer, np.array([object()]), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(CodecError, match="plain arrays"):
        read_weights(tmp_path / "d.npz")
    for data in (b"", b"\0" * 7, b"hello, world", b"\x08" + bytes(7) + b"{notjson", b"PK\3\4" + bytes(30)):
        (tmp_path / "e").write_bytes(data)
        with pytest.raises(CodecError):
            read_weights(tmp_path / "e")

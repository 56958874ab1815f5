"""What every test shares: the folder of real data, where there is one, and the flag that may write golden files."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile(
    "lab", derandomize=True, deadline=None, max_examples=int(os.environ.get("PGLAB_EXAMPLES", "50"))
)
settings.load_profile("lab")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tokenizers, text and weights; tests that want it are skipped without it."""
    place = os.environ.get("PGLAB_REAL_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip(reason="PGLAB_REAL_DATA names no folder of real data")
    return Path(place)


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """`golden(name, data)`: compare bytes with tests/golden/NAME. Never makes a missing file unless --write-golden."""

    def check(name: str, data: bytes) -> None:
        place = GOLDEN / name
        if request.config.getoption("--write-golden"):
            place.write_bytes(data)
        assert place.is_file(), f"tests/golden/{name} is missing; it is written only by pytest --write-golden"
        assert place.read_bytes() == data, f"tests/golden/{name} differs: the same name must mean the same bytes"

    return check

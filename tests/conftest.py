"""What every test shares: the folder of real data where there is one, hostile texts, small vocabularies, and the flag
that may write golden files."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two threads spin while they wait, 4 times the CPU time

settings.register_profile(
    "lab", derandomize=True, deadline=None, max_examples=int(os.environ.get("PGLAB_EXAMPLES", "50"))
)
settings.load_profile("lab")

GOLDEN = Path(__file__).parent / "golden"

# texts that have broken tokenizers and byte counts in public
HOSTILE = (
    "",
    " ",
    "   leading, trailing and  double spaces   ",
    "a",
    "<s> </s> <pad> <unk> <bos > <eos > <unk > <|endoftext|>",
    "U+2581 itself: \u2581word \u2581\u2581 end\u2581",
    "ﬁ ligature, ½, ², full width ＡＢＣ, e\u0301 combining, Å angstrom \u212b",
    "tabs\tand\r\nlines\n\n\n\x0b\x0c\x85\u2028",
    "\x00 nul \x00\x01\x02\x7f controls \x1b[0m",
    "\ufffd replacement \ufeff bom \u200b zero width \u00ad soft hyphen \u2060",
    "中文字符 日本語テスト 한국어 עברית العربية हिन्दी",
    "😀👨‍👩‍👧‍👦🏳️‍🌈 emoji " + "\U0010ffff",
    "<0x41><0xFF> look like byte pieces",
    "digits 0123456789 3.14159 1,000,000 ١٢٣",
    "don't we'll it's I'M CAN'T HTML &amp; <b>x</b>",
    "x" * 3000,
    "word " * 1500,
    " " * 500,
    "\n" * 200,
    "\ue000\ue001\ue002\ue003\ue004\uf8ff private use",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tokenizers, text and weights; tests that want it are skipped without it."""
    place = os.environ.get("PGLAB_REAL_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip(reason="PGLAB_REAL_DATA names no folder of real data")
    return Path(place)


@pytest.fixture(scope="session")
def hostile() -> tuple[str, ...]:
    """Texts that have broken tokenizers and byte counts in public."""
    return HOSTILE


@pytest.fixture(scope="session")
def small_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with corpus/docs.jsonl and corpus.json (hostile texts in both splits) and vocab/KIND for each kind."""
    from tokenizers_lab.builders import KINDS, train_vocabulary
    from tokenizers_lab.corpus import write_corpus
    from tokenizers_lab.speeches import python_topics

    home = tmp_path_factory.mktemp("small_lab")
    texts = [*[document.text for document in python_topics()][:60], *HOSTILE]
    source = home / "source.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="ascii")
    write_corpus(home / "corpus", source, 0.3)
    for kind in KINDS:
        train_vocabulary(kind, home / "corpus/docs.jsonl", 260 if kind == "bytes" else 400, home / "vocab" / kind)
    return home


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

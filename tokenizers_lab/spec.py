"""What a vocabulary is, in words a machine can compare: kind, size, options, training text, and the file's hash.

A folder of a vocabulary holds `spec.json`, one tokenizer file and `token_table.npz`. The spec is frozen, and its own
sha256 stands in it: two vocabularies with the same spec encode alike, and shards name the spec that made them. A spec
whose file was exchanged or edited is refused when it is opened.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import VocabError

FORMAT = "pglab-vocab-1"


@dataclass(frozen=True, slots=True)
class Spec:
    """kind: a builder's name. options: what the builder was told. trained_on: {"sha256", "documents", "bytes"}.

    file: the tokenizer file's name; file_sha256: its hash. lossless: exact, normalised or lossy.
    """

    name: str
    kind: str
    size: int
    lossless: str
    options: dict[str, Any]
    trained_on: dict[str, Any]
    file: str
    file_sha256: str

    @property
    def sha256(self) -> str:
        """Hash of the spec without its name, which a user may change."""
        content = {key: value for key, value in asdict(self).items() if key != "name"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The content of spec.json."""
        return {"format": FORMAT, **asdict(self), "sha256": self.sha256}


def read_spec(folder: Path) -> Spec:
    """The spec in a vocabulary's folder. Raises VocabError when it is missing, broken, or does not match its hash."""
    path = folder / "spec.json"
    if not path.is_file():
        raise VocabError(f"{path}: not there; wanted a vocabulary's folder. Make one: pglab vocab train bpe --docs ...")
    fix = "Make it again: pglab vocab train"
    try:
        entry = json.loads(path.read_bytes().decode("utf-8"))
        spec = Spec(**{name: entry[name] for name in Spec.__slots__})
        found, wanted = spec.sha256, entry["sha256"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise VocabError(f"{path}: not a spec ({type(error).__name__}: {str(error)[:60]}). {fix}") from None
    if entry.get("format") != FORMAT:
        raise VocabError(f"{path}: format {str(entry.get('format'))[:40]!r}, wanted {FORMAT!r}. {fix}")
    if found != wanted:
        raise VocabError(f"{path}: was edited (content hashes to {found[:12]}..., it says {wanted!s:.12}...). {fix}")
    plain_name = isinstance(spec.file, str) and Path(spec.file).name == spec.file
    if not (plain_name and type(spec.size) is int and isinstance(spec.kind, str)):
        raise VocabError(f"{path}: file {spec.file!r:.40} and size {spec.size!r:.20} make no vocabulary. {fix}")
    return spec

"""Fetch a published export: its shards and its vocabulary, as the export's own manifest lists them.

The challenge publishes its shards in a dataset repository: `datasets/manifest.json` names the variants and how many
shards each has. huggingface_hub (extra `[hub]`) moves the bytes and continues a file that broke off. What it does not
do is done here: every file is held to the sha256 that the repository states before it gets its name, all files come
from one revision, and the disk is asked for its room before the first byte. What is there and right is not fetched
again. No network is touched by anything else in this room.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .aside import alone_in, write_json
from .errors import VocabError
from .importers import TABLE, import_vocabulary
from .shard_format import SPLITS, read_values, shard_name

REPOSITORY, ROOT = "willdepueoai/parameter-golf", "datasets"
RECORD, HALF = "download.json", ".download"
MOST_SHARDS = 100_000  # a manifest that says more is no manifest


@dataclass(frozen=True, slots=True)
class Published:
    """A file of the repository: its path there, the name it gets here, its size and hash as the repository says.

    etag: a sha256 (64 digits) for what is stored apart, a git blob's sha1 (40 digits) for small files.
    """

    remote: str
    name: str
    size: int
    etag: str


class Hub:
    """One repository at one revision, which is pinned to a commit by the first answer."""

    def __init__(self, repository: str, revision: str, endpoint: str | None) -> None:
        try:
            import huggingface_hub
            import huggingface_hub.file_download
            import huggingface_hub.utils
        except ImportError:
            raise VocabError(
                "downloading needs huggingface_hub, which is not installed. Run: pip install 'parameter-golf-lab[hub]'"
            ) from None
        self._hub = huggingface_hub
        self.repository, self.revision, self.endpoint = repository, revision, endpoint

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """Whatever the library raises about `what`, as a VocabError; full disks and the like go through."""
        try:
            yield
        except VocabError:
            raise
        except Exception as error:  # its own errors, those of its HTTP library, and ValueErrors for odd names
            if isinstance(error, OSError) and error.errno is not None and not hasattr(error, "response"):
                raise
            first = next(iter(str(error).strip().splitlines()), "")
            raise VocabError(
                f"{what} of {self.repository} at {self.revision[:12]}: {type(error).__name__} ({first[:160]}). Check "
                "the name, the network and --endpoint; the same command continues."
            ) from None

    def _url(self, remote: str) -> str:
        url: str = self._hub.hf_hub_url(
            self.repository, remote, repo_type="dataset", revision=self.revision, endpoint=self.endpoint
        )
        return url

    def look(self, remote: str, name: str) -> Published:
        """What the repository says of a file. Raises VocabError when it is not there or states no hash."""
        with self._sentences(remote):
            found = self._hub.get_hf_file_metadata(self._url(remote), endpoint=self.endpoint)
        if found.commit_hash:
            self.revision = str(found.commit_hash)
        etag = str(found.etag or "").lower()
        if found.size is None or len(etag) not in (40, 64) or set(etag) - set("0123456789abcdef"):
            raise VocabError(
                f"{remote}: the repository states size {found.size} and hash {etag[:70]!r}; wanted both, to check by."
            )
        return Published(remote, name, int(found.size), etag)

    def fetch(self, file: Published, out: Path) -> None:
        """`out`/name, whole and checked. Raises VocabError, OSError. Continues what broke off, even in another run:
        the library's own download function would begin a file anew, so its transfer below that is called."""
        half = out / HALF / file.etag
        half.parent.mkdir(exist_ok=True)
        with self._sentences(file.remote), half.open("ab") as data:
            if data.tell() < file.size:
                self._hub.file_download.http_get(
                    self._url(file.remote),
                    data,
                    resume_size=data.tell(),
                    headers=self._hub.utils.build_hf_headers(),
                    expected_size=file.size,
                )
            data.flush()
            os.fsync(data.fileno())
        if not is_right(half, file):
            half.unlink()
            raise VocabError(
                f"{file.remote}: what came is not what the repository's hash {file.etag[:12]}... says, and was thrown "
                "away. Run the same command again."
            )
        half.replace(out / file.name)


def is_right(place: Path, file: Published) -> bool:
    """Whether a file has the size and hash that the repository states."""
    if not place.is_file() or place.stat().st_size != file.size:
        return False
    with place.open("rb") as data:
        if len(file.etag) == 64:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.etag
        blob = hashlib.sha1(f"blob {file.size}\0".encode())  # how git names a file's content
        while part := data.read(1 << 20):
            blob.update(part)
        return blob.hexdigest() == file.etag


def dataset_name(variant: str) -> str:
    """sp1024 -> fineweb10B_sp1024; a full name is left."""
    return variant if variant.startswith("fineweb") else f"fineweb10B_{variant}"


def read_published(data: bytes, where: str, variant: str) -> tuple[dict[str, int], list[str]]:
    """(shards of each split, paths of the vocabulary's files) of a variant. Raises VocabError, naming those there are.

    data: the repository's manifest.json.
    """
    try:
        manifest = json.loads(data.decode("utf-8"))
        entries = {str(entry["name"]): entry for entry in manifest["datasets"]}
        tools = {str(entry["name"]): entry for entry in manifest["tokenizers"]}
        wanted = entries.get(dataset_name(variant))
        if wanted is not None:
            counts = {split: int(wanted["stats"][f"files_{split}"]) for split in SPLITS}
            tool = tools[str(wanted["tokenizer_name"])]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise VocabError(
            f"{where}: no manifest of exports ({type(error).__name__}: {str(error)[:60]}). Check --repository."
        ) from None
    if wanted is None:
        there = ", ".join(sorted(name.removeprefix("fineweb10B_") for name in entries)) or "none"
        raise VocabError(f"{variant!r:.60} is not published there; wanted one of {there:.300}.")
    files = [str(tool[key]) for key in ("model_path", "path") if tool.get(key)]
    parts = [part for name in files for part in PurePosixPath(name).parts]
    if not all(0 <= count <= MOST_SHARDS for count in counts.values()) or {"..", "/"} & set(parts):
        raise VocabError(f"{where}: {counts} shards, vocabulary {files!r:.80}: not a manifest to follow.")
    return counts, files


def download(
    variant: str,
    out: Path,
    train_shards: int = 1,
    *,
    repository: str = REPOSITORY,
    revision: str = "main",
    endpoint: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Fetch all validation shards, the first `train_shards` training shards and the vocabulary into `out`.

    Writes download.json (revision, names, sizes, hashes) last and returns it. Raises VocabError, OSError.
    """
    if train_shards < 0:
        raise VocabError(f"--train-shards {train_shards}: wanted 0 or more.")
    hub = Hub(repository, revision, endpoint)
    with alone_in(out):
        return _download(hub, variant, out, train_shards, say)


def _download(hub: Hub, variant: str, out: Path, train_shards: int, say: Callable[[str], None]) -> dict[str, Any]:
    listing = hub.look(f"{ROOT}/manifest.json", "published.json")
    if not is_right(out / listing.name, listing):
        hub.fetch(listing, out)
    counts, tools = read_published((out / listing.name).read_bytes(), listing.remote, variant)
    if train_shards > counts["train"]:
        raise VocabError(f"--train-shards {train_shards:,}: {variant} has {counts['train']:,} of them.")
    folder = f"{ROOT}/datasets/{dataset_name(variant)}"
    names = [
        shard_name(split, index)
        for split in SPLITS
        for index in range(train_shards if split == "train" else counts[split])
    ]
    files = [hub.look(f"{folder}/{name}", name) for name in names]
    files += [hub.look(f"{ROOT}/{path}", PurePosixPath(path).name) for path in tools]
    wanted = [file for file in files if not is_right(out / file.name, file)]
    _room(out, sum(file.size for file in wanted))
    for number, file in enumerate(wanted, 1):
        say(f"{number} of {len(wanted)}: {file.name}, {file.size:,} bytes")
        hub.fetch(file, out)
    tokens = sum(len(read_values(out / name)) for name in names)
    if tools:
        import_vocabulary(out / PurePosixPath(tools[0]).name, out / "vocab")
        shutil.copyfile(out / "vocab" / TABLE, out / TABLE)
    stated = {file.name: {"size": file.size, "hash": file.etag} for file in files}
    record = {
        "repository": hub.repository,
        "revision": hub.revision,
        "variant": variant,
        "tokens": tokens,
        "files": stated,
    }
    write_json(out / RECORD, record)
    shutil.rmtree(out / HALF, ignore_errors=True)
    return {**record, "fetched": [file.name for file in wanted]}


def _room(out: Path, size: int) -> None:
    free = shutil.disk_usage(out).free
    if size > free:
        raise VocabError(f"{out}: {size:,} bytes are to come and {free:,} are free. Make room or ask for fewer shards.")


def quiet_library() -> None:
    """Progress bars of huggingface_hub only where somebody is looking."""
    if not sys.stderr.isatty():
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()

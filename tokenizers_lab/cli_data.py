"""The words `pglab data download`: the only command of this lab that goes to the network."""

import sys
from pathlib import Path

from cyclopts import App

from .cli_json import say_json

data = App(name="data", help="Published exports: shards and vocabularies, fetched and checked by hash.")


@data.command(name="download")
def data_download(
    variant: str,
    *,
    out: Path,
    train_shards: int = 1,
    repository: str = "willdepueoai/parameter-golf",
    revision: str = "main",
    endpoint: str | None = None,
    json: bool = False,
) -> None:
    """Fetch a published export; an interrupted download continues, and what is there and right stays.

    Parameters
    ----------
    variant: str
        Which vocabulary's shards, as sp1024 or byte260.
    out: Path
        Folder for the shards, the vocabulary (vocab/) and download.json with every hash.
    train_shards: int
        How many training shards, from the first; all validation shards come.
    repository: str
        Dataset repository on the hub.
    revision: str
        Branch, tag or commit; all files come from the commit it names when the command starts.
    endpoint: str
        Another hub, as https://hub.example.org; otherwise what HF_ENDPOINT says, or the public one.
    json: bool
        Print what was fetched as JSON.
    """
    from .data_download import download, quiet_library

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    quiet_library()
    found = download(variant, out, train_shards, repository=repository, revision=revision, endpoint=endpoint, say=say)
    if json:
        say_json(found)
        return
    size = sum(file["size"] for file in found["files"].values())
    print(
        f"{out}: {variant} at {found['revision'][:12]}, {len(found['files'])} files, {size:,} bytes, "
        f"{found['tokens']:,} tokens, each as the repository's hash says; {len(found['fetched'])} were fetched now."
    )

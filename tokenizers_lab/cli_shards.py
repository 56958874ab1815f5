"""The words `pglab shards write` and `pglab shards verify`: thin functions over the room, nothing imported early."""

from pathlib import Path

from cyclopts import App

from .cli_json import say_json

shards = App(name="shards", help="Write and verify token shards, with every byte accounted for.")


@shards.command(name="write")
def shards_write(
    *,
    docs: Path,
    vocab: Path,
    out: Path,
    shard_tokens: int = 100_000_000,
    validation_documents: int | None = None,
    column: str = "text",
    train_sidecar: bool = False,
    workers: int = 1,
    dask: str | None = None,
    json: bool = False,
) -> None:
    """Write documents as the challenge's token shards, with byte sidecar and manifest.

    Parameters
    ----------
    docs: Path
        Documents, those for validation first: .jsonl, .txt, .parquet, packed as .gz or .zst, or a folder of them.
    vocab: Path
        Folder of a vocabulary.
    out: Path
        Folder for the shards; older shards in it are replaced. Needs room for the tokens twice while it works.
    shard_tokens: int
        Tokens in a full shard.
    validation_documents: int
        How many documents at the head are for validation, instead of what corpus.json beside them says.
    column: str
        Key of the lines, or column of a parquet file, that holds the text.
    train_sidecar: bool
        Also write byte sidecars for the training shards.
    workers: int
        Processes to encode with.
    dask: str
        Address of a Dask scheduler whose workers see the same paths; tcp:// on this machine, else tls://.
    json: bool
        Print the manifest as JSON.
    """
    from pglab_dask import dask_executor

    from .shard_writer import write_shards

    docs.stat()  # that it is not there is said before what is missing beside it
    with dask_executor(dask, workers) as (executor, workers):
        if executor:
            docs, vocab, out = docs.resolve(), vocab.resolve(), out.resolve()  # workers stand in other folders
        manifest = write_shards(
            docs,
            vocab,
            out,
            shard_tokens,
            validation_documents,
            column=column,
            train_sidecar=train_sidecar,
            workers=workers,
            executor=executor,
        )
    if json:
        say_json(manifest)
        return
    files = {name: entry for name, entry in manifest["files"].items() if name.endswith(".bin")}
    tokens = sum(entry["tokens"] for entry in files.values())
    raw = sum(entry["bytes_raw"] for entry in files.values())
    level = manifest["vocabulary"]["lossless"]
    proven = (
        "every document's tokens sum to its UTF-8."
        if level == "exact"
        else f"the sidecar sums to each validation document's UTF-8, which the vocabulary ({level}) does not give back."
    )
    count = manifest["corpus"]["documents"]
    print(
        f"{out}: {len(files)} shard{'s' * (len(files) != 1)}, {tokens:,} tokens for {count:,} "
        f"document{'s' * (count != 1)} of {raw:,} "
        f"bytes ({raw / max(tokens, 1):.3f} bytes a token, BOS included); {proven}"
    )


@shards.command(name="verify")
def shards_verify(
    folder: Path,
    *,
    docs: Path,
    column: str = "text",
    workers: int = 1,
    dask: str | None = None,
    json: bool = False,
) -> int:
    """Recount shards from the raw documents; exit status 1 when something differs.

    Parameters
    ----------
    folder: Path
        Folder that `pglab shards write` wrote.
    docs: Path
        The documents it was written from.
    column: str
        As it was written with.
    workers: int
        Processes to recount with, a file of shards each; one where documents are packed or no lines.
    dask: str
        Address of a Dask scheduler whose workers see the same paths; tcp:// on this machine, else tls://.
    json: bool
        Print the counts and differences as JSON.
    """
    from pglab_dask import dask_executor

    from .shard_verify import verify_shards

    with dask_executor(dask) as (executor, _):
        if executor:
            folder, docs = folder.resolve(), docs.resolve()  # workers stand in other folders
        found = verify_shards(folder, docs, column, workers, executor)
    if json:
        say_json(found.to_json())
        return 1 if found.differences else 0
    for difference in found.shown:
        print(f"{difference['where']}: {difference['says']}")
    if found.differences:
        some = f"{found.differences:,} difference" + "s" * (found.differences != 1)
        print(f"FAIL: {some}. Write them again: pglab shards write --docs {docs} ...")
        return 1
    split = "with a sidecar" if found.training_sidecars else "validation"
    print(
        f"PASS: {found.documents:,} documents, {found.tokens:,} tokens, {found.bytes_raw:,} raw bytes recounted; "
        f"{split} {found.validation_bytes:,} raw, {found.sidecar_bytes:,} by the sidecar, {found.table_bytes:,} by "
        "the official table."
    )
    return 0

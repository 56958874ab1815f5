"""A byte table and a tokenizer in one record folder, compared id by id when there are no shards to weigh them over.

How much a wrong id matters depends on how often it occurs, which only shards tell: so agreement of every id passes,
and a difference is named, id by id, but not judged.
"""

import numpy as np

from .counting import Meter
from .evidence import Evidence
from .finding import Finding, passed, unchecked
from .tokenizer_files import find_table, find_tokenizer, open_tokenizer
from .vocabulary import ByteTable, Vocabulary

SHOWN = 8
FIX = "give the folder of the validation shards with --shards DIR"


def table_without_shards(evidence: Evidence) -> Finding:
    """The finding. Raises AuditError for a table or tokenizer that cannot be read."""
    given = open_tokenizer(evidence.tokenizer) if evidence.tokenizer is not None else None
    table_path = evidence.tokenizer if isinstance(given, ByteTable) else find_table(evidence.path)
    spoken_path = evidence.tokenizer if isinstance(given, Vocabulary) else find_tokenizer(evidence.path)
    if table_path is None or spoken_path is None:
        return unchecked("no shards over which a shipped table could be summed.", fix=FIX)
    table, spoken = open_tokenizer(table_path), open_tokenizer(spoken_path)
    if not isinstance(table, ByteTable) or not isinstance(spoken, Vocabulary):
        return unchecked("no shards over which a shipped table could be summed.", fix=FIX)
    where, sizes = str(table_path), f"{len(table):,} ids in the table, {len(spoken):,} in {spoken_path.name}"
    met, true = Meter(table).full, Meter(spoken.table).full
    wrong = np.flatnonzero(met != true)
    if not len(wrong):
        return passed(f"all {len(spoken):,} ids count as the tokenizer says.", where, sizes)
    shown = ", ".join(f"id {i} counts {met[i]} instead of {true[i]}" for i in wrong[:SHOWN].tolist())
    return unchecked(
        f"{len(wrong):,} ids of the shipped table count otherwise than the tokenizer says ({shown}); "
        "how much that matters only shards can tell.",
        where,
        FIX,
    )

"""Scoring a model by sums: nats, tokens, and two counts of bytes. A ratio is made once, at the end.

`bytes_raw` counts the UTF-8 of the original documents (from the byte sidecar), `bytes_table` what the challenge's
table says of each token: the piece's own bytes, and one more for a leading space unless the token before is a
boundary. The two agree for a lossless vocabulary and differ where text was normalised, so every score says which one
it divides by.

Validation is cut into sequences of `length` targets from the start, as the challenge does; each target is scored
exactly once, and what is left after the last full sequence is dropped and stated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from .config import RunConfig
from .data import check_manifest, read_sidecar, read_split
from .errors import ModelError
from .gpt import GPT
from .spelling import check_spelling

SAME_TOKENIZER = 0.7  # measured: 0.99 to 1 where table and shards belong together, 0.41 to 0.44 where not


@dataclass(frozen=True, slots=True)
class ScoreSums:
    """What was scored. bytes_raw is None where no sidecar says it."""

    nats: float
    tokens: int
    bytes_raw: int | None
    bytes_table: int

    @property
    def val_loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def bpb_table(self) -> float:
        """Bits per table byte, the challenge's val_bpb."""
        return self.nats / math.log(2) / self.bytes_table if self.bytes_table else math.inf

    @property
    def bpb_raw(self) -> float | None:
        """Bits per byte of the original documents."""
        return self.nats / math.log(2) / self.bytes_raw if self.bytes_raw else None


@dataclass(frozen=True, slots=True)
class ValidationText:
    """Validation tokens and the bytes of each target, all `(n,)`; the first entry of each byte count is unused."""

    tokens: np.ndarray  # uint16
    raw: np.ndarray | None  # uint16
    table: np.ndarray  # int64


def token_table(config: RunConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The challenge's byte table: own bytes, leading space, boundary, each `(V,)`. Raises ModelError.

    From token_table.npz beside the shards, else made from the SentencePiece model at `tokenizer_path`.
    """
    place = Path(config.data_path) / "token_table.npz"
    if place.exists():
        try:
            with np.load(place, allow_pickle=False) as saved:
                own, space, boundary = (saved[k] for k in ("base_bytes", "has_leading_space", "is_boundary"))
        except (ValueError, KeyError, OSError, EOFError, NotImplementedError, TypeError) as error:
            raise ModelError(f"{place}: no token table can be read from it ({str(error)[:80]}).") from None
        except Exception as error:  # zipfile and numpy's header parser raise kinds of their own
            raise ModelError(f"{place}: damaged ({str(error)[:80]}). Write the shards again.") from None
    else:
        place = Path(config.tokenizer_path)
        if not place.exists():
            raise ModelError(
                f"{config.data_path} has no token_table.npz and {place} is not there, so bytes cannot be counted. "
                "Write shards with: pglab shards write, or set tokenizer_path."
            )
        own, space, boundary = sentencepiece_table(place)
    own, space, boundary = own.astype(np.int64), space.astype(bool), boundary.astype(bool)
    if not own.shape == space.shape == boundary.shape == (config.vocab_size,):
        raise ModelError(f"{place}: a table for {own.shape} tokens, vocab_size is {config.vocab_size:,}; set it so.")
    return own, space, boundary


def sentencepiece_table(place: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The byte table of a SentencePiece model, by the challenge's rule. Raises ModelError."""
    from sentencepiece import SentencePieceProcessor

    try:
        pieces = SentencePieceProcessor(model_file=str(place))
    except (RuntimeError, OSError) as error:
        raise ModelError(f"{place}: not a SentencePiece model ({str(error)[:80]}).") from None
    size = pieces.vocab_size()
    own, space, boundary = np.zeros(size, np.int64), np.zeros(size, bool), np.ones(size, bool)
    for token in range(size):
        if pieces.is_control(token) or pieces.is_unknown(token) or pieces.is_unused(token):
            continue
        text = pieces.id_to_piece(token)
        boundary[token] = False
        space[token] = text.startswith("\u2581") and not pieces.is_byte(token)
        own[token] = 1 if pieces.is_byte(token) else len(text.removeprefix("\u2581").encode())
    return own, space, boundary


def read_validation(config: RunConfig) -> ValidationText:
    """The validation split with its bytes, everything checked. Raises ModelError or OSError."""
    folder = Path(config.data_path)
    check_manifest(folder, config.vocab_size)
    own, space, boundary = token_table(config)
    tokens = read_split(folder, "val", config.vocab_size)
    if not (folder / "token_table.npz").exists():
        check_spelling(Path(config.tokenizer_path), tokens)
    if tokens.size <= config.train_seq_len:
        raise ModelError(
            f"{folder}: the validation split has {tokens.size:,} tokens, too few for one sequence of "
            f"{config.train_seq_len:,} and its last target; set train_seq_len lower."
        )
    table = own[tokens]
    table[1:] += space[tokens[1:]] & ~boundary[tokens[:-1]]
    raw = read_sidecar(folder)
    if raw is not None and (same := float((raw[1:] == table[1:]).mean())) < SAME_TOKENIZER:
        raise ModelError(
            f"{folder}: the byte sidecar and the token table agree on {same:.0%} of the tokens; wanted nearly all. The "
            "table is of another vocabulary than the shards; write the shards again."
        )
    return ValidationText(tokens, raw, table)


def share_sums(values: list[float], device: torch.device) -> list[float]:
    """The sum over all ranks of each number, in float64."""
    if not (dist.is_available() and dist.is_initialized()):
        return values
    sums = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return [float(v) for v in sums]


Told = Callable[[int, int], object]  # is called with targets just scored and their number in all


def tell_nobody(more: int, total: int) -> None:
    """For who does not want to know how far it is."""


@torch.no_grad()
def score_sequential(
    model: GPT,
    text: ValidationText,
    length: int,
    batch_tokens: int,
    rank: int = 0,
    world: int = 1,
    tell: Told = tell_nobody,
) -> ScoreSums:
    """Score the split in sequences of `length`, this rank's share of them, and sum over all ranks.

    batch_tokens: targets that one rank scores at a time. Every rank returns the same sums.
    """
    device = next(model.parameters()).device
    total = (text.tokens.size - 1) // length
    first, last = total * rank // world, total * (rank + 1) // world
    rows = max(batch_tokens // length, 1)
    nats = torch.zeros((), dtype=torch.float64, device=device)
    bfloat = model.compute_dtype == torch.bfloat16
    for start in range(first, last, rows):
        end = min(start + rows, last)
        piece = torch.from_numpy(text.tokens[start * length : end * length + 1].astype(np.int64)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat):
            scored = model.nats(piece[:-1].view(-1, length), piece[1:].view(-1, length))  # (B, T)
        nats += scored.double().sum()
        tell(scored.numel(), (last - first) * length)
    span = slice(first * length + 1, last * length + 1)
    raw = 0.0 if text.raw is None else float(text.raw[span].sum(dtype=np.int64))
    counted = [float(nats), float((last - first) * length), raw, float(text.table[span].sum())]
    nats_sum, tokens, raw, table = share_sums(counted, device)
    return ScoreSums(nats_sum, int(tokens), None if text.raw is None else int(raw), int(table))


def dropped_tail(text: ValidationText, length: int) -> int:
    """Targets after the last full sequence, which are not scored."""
    return (text.tokens.size - 1) % length

"""The ways to score a split, by name: sequential, sliding, documents, adapting.

Every way charges each target at most once and returns sums. `sequential` is the challenge's own; `sliding` and
`documents` are plans of `windows`; `adapting` learns from what it has scored (`adapt`).
"""

from .adapt import score_adapting
from .config import RunConfig
from .data import BOS
from .errors import ModelError
from .evaluate import ScoreSums, Told, ValidationText, score_sequential, tell_nobody
from .gpt import GPT
from .windows import Windows, document_windows, score_windows, sequential_windows, sliding_windows


def plan_of(method: str, stride: int, text: ValidationText, length: int) -> tuple[Windows, str]:
    """The windows of a method, and how score.json names it; stride 0 means half a sequence. Raises ModelError."""
    stride = stride or max(length // 2, 1)
    if method == "sequential":
        return sequential_windows(text.tokens.size, length), method
    if method == "sliding":
        return sliding_windows(text.tokens.size, length, stride), f"sliding, stride {stride}"
    if method == "documents":
        return document_windows(text.tokens, BOS, length, stride), f"documents, stride {stride}"
    raise ModelError(f"no method is called {method!r:.40}; there are sequential, sliding, documents (and adapting).")


def score_by_method(
    model: GPT,
    text: ValidationText,
    config: RunConfig,
    batch_tokens: int,
    rank: int = 0,
    world: int = 1,
    tell: Told = tell_nobody,
) -> tuple[ScoreSums, str]:
    """The sums by `config.eval_method`, and the words for score.json. Every rank returns the same. Raises ModelError.

    batch_tokens: targets that one rank scores at a time; `adapting` goes by `adapt_windows` instead.
    """
    length = config.train_seq_len
    if config.eval_method == "sequential":
        return score_sequential(model, text, length, batch_tokens, rank, world, tell), "sequential"
    if config.eval_method == "adapting":
        rows, rate = config.adapt_windows, config.adapt_rate
        words = f"adapting, {rows} sequences a step of rate {rate:g}" + (f", {world} stretches" if world > 1 else "")
        return score_adapting(model, text, length, rows, rate, rank, world, tell), words
    windows, words = plan_of(config.eval_method, config.eval_stride, text, length)
    return score_windows(model, text, windows, batch_tokens, rank, world, tell), words

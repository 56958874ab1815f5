"""`pglab bench kernels`: each kernel against plain PyTorch and against that compiled, in time and in bytes a second.

A pass between products is bound by memory: its floor is the bytes it must read and write, each once, over the rate at
which this GPU copies. So beside the milliseconds stands the part of that rate which the kernel reached. A kernel whose
result is not that of the plain pass is not timed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pglab_report import Column, Report, Table, Ways, show

from .apart import short
from .config import RunConfig
from .errors import ModelError

if TYPE_CHECKING:
    import torch

    from .cuda_clock import DeviceClock
    from .cuda_plain import PlainOps

ALLOWED = 0.02  # distance from the plain pass, relative; bfloat16 rounds at 0.004
COPIED_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over memory: which method, on what, and the bytes it cannot do without."""

    name: str
    method: str
    given: tuple[Any, ...]
    bytes: int


def size_of(tensors: Any) -> int:
    """Bytes of all tensors among these."""
    return sum(t.numel() * t.element_size() for t in tensors if hasattr(t, "element_size"))


def passes(config: RunConfig, tokens: int, device: "torch.device", dtype: "torch.dtype") -> list[Pass]:
    """All passes of a block and the head, on random tensors of a batch of that many tokens."""
    import torch

    from .cuda_plain import PlainOps

    length, dim = min(config.train_seq_len, tokens), config.model_dim
    heads, kv_heads, width = config.num_heads, config.num_kv_heads, dim // config.num_heads

    def some(*shape: int) -> "torch.Tensor":
        return torch.randn(*shape, device=device).to(dtype)

    x, x0, g, onto = (some(tokens, dim) for _ in range(4))
    h, d_squared = some(tokens, config.mlp_mult * dim), some(tokens, config.mlp_mult * dim)
    mix, gain = torch.randn(2, dim, device=device), torch.randn(heads, device=device)
    unit, factor = PlainOps.norm(x)
    qkv = some(tokens // length, length, heads + 2 * kv_heads, width)
    q, k = some(*qkv.shape[:2], heads, width), some(*qkv.shape[:2], kv_heads, width)
    angles = torch.randn(length, width // 2, device=device).to(dtype)
    logits, targets = some(tokens, config.vocab_size), torch.randint(0, config.vocab_size, (tokens,), device=device)
    cases: list[tuple[str, str, tuple[Any, ...]]] = [
        ("mix and norm", "mix", (x, x0, mix)),
        ("mix and norm, backward", "mix_back", (g, unit, factor, onto, x, x0, mix, x0)),
        ("norm", "norm", (x,)),
        ("norm, backward", "norm_back", (g, unit, factor, onto)),
        ("norm, turn, gain of heads", "turn", (qkv, gain, angles.cos(), angles.sin())),
        ("the same, backward", "turn_back", (q, k, k, qkv, gain, angles.cos(), angles.sin())),
        ("squared ReLU", "square", (h, 0.0)),
        ("squared ReLU, backward", "square_back", (d_squared, h, 0.0)),
        ("scaled add", "add", (x, x0, mix[0])),
        ("scaled add, backward", "add_back", (g, x0, mix[0])),
        ("soft-cap, loss, gradient", "head", (logits, targets, config.logit_softcap, 1.0)),
    ]
    made = []
    for name, method, given in cases:
        moved = size_of(given) + size_of(results(PlainOps, method, given))
        if method == "turn":
            moved -= size_of((k,))  # values are not read
        made.append(Pass(name, method, given, moved))
    return made


def results(ops: Any, method: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a pass gives, as a tuple, what was given left as it is; of `head` the overwritten logits too."""
    given = (given[0].clone(), *given[1:])
    out = getattr(ops, method)(*given)
    out = out if isinstance(out, tuple) else (out,)
    return (*out, given[0]) if method == "head" else out


def apart(found: tuple[Any, ...], wanted: tuple[Any, ...]) -> float:
    """The largest relative distance of any of the results."""
    return max(float((f.float() - w.float()).norm() / w.float().norm()) for f, w in zip(found, wanted, strict=True))


def kernel_rows(
    cases: list[Pass],
    ways: "dict[str, type[PlainOps]]",
    clock: "DeviceClock",
    compiled: Callable[[Any], Any],
    copied: float,
) -> list[dict[str, Any]]:
    """A row for each pass. `ways` holds the plain pass and the kernel under these names; copied: bytes a millisecond.

    A kernel that fails, or whose result is another than the plain one's, is not timed, and its row says why.
    """
    rows = []
    for case in cases:
        row: dict[str, Any] = {"pass": case.name, "mib": case.bytes / 2**20}
        rows.append(row)
        try:
            row["apart"] = apart(*(results(ways[name], case.method, case.given) for name in ("kernel", "plain")))
            if not row["apart"] < ALLOWED:
                row["why"] = "wrong: far from plain PyTorch"
                continue
            runs = {name: getattr(ops, case.method) for name, ops in ways.items()}
            runs["compiled"] = compiled(runs["plain"])
            for name, run in runs.items():
                given = (case.given[0].clone(), *case.given[1:])
                row[name] = clock.milliseconds(lambda run=run, given=given: run(*given))  # type: ignore[misc]
                if name == "kernel":
                    row["reached"] = case.bytes / row["kernel"] / copied
                    row["rate"] = case.bytes / row["kernel"] / 1e6
            row["ratio"] = row["compiled"] / row["kernel"]
        except Exception as error:  # whatever a compiler or a driver says, the other passes are wanted
            row["why"] = short(error)
    return rows


def copy_rate(device: "torch.device", clock: "DeviceClock", size: int = COPIED_BYTES) -> float:
    """Bytes a millisecond, read and written, of a large copy on the device."""
    import torch

    source, target = (torch.randint(0, 255, (size,), dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / clock.milliseconds(lambda: target.copy_(source))


COLUMNS = [
    Column("pass"),
    Column("mib", "moved", "MiB", ",.0f"),
    Column("kernel", "kernel", "ms", ".3f"),
    Column("plain", "plain", "ms", ".3f"),
    Column("compiled", "compiled", "ms", ".3f"),
    Column("ratio", "compiled / kernel", "", ".2f"),
    Column("rate", "kernel", "GB/s", ",.0f"),
    Column("reached", "of a copy", "", ".0%"),
    Column("apart", "from plain", "", ".1e"),
    Column("why", "not done"),
]


def kernel_table(rows: list[dict[str, Any]]) -> Table:
    """The rows under their columns."""
    return Table("kernels", "Passes over memory", COLUMNS, rows)


def measure_kernels(config: RunConfig, tokens: int, device: "torch.device") -> tuple[Table, str]:
    """The table on this GPU in bfloat16, and a sentence. Raises ModelError, ImportError."""
    import torch

    from .cuda_clock import sweeping_clock
    from .cuda_plain import PlainOps
    from .kernels_ops import TritonOps

    clock = sweeping_clock(device)
    copied = copy_rate(device, clock)
    ways: dict[str, type[PlainOps]] = {"kernel": TritonOps, "plain": PlainOps}
    cases = passes(config, tokens, device, torch.bfloat16)
    rows = kernel_rows(cases, ways, clock, lambda run: torch.compile(run, dynamic=False), copied)
    whole = [row for row in rows if "why" not in row]
    total = {name: sum(row[name] for row in whole) for name in ("kernel", "compiled", "plain")}
    times = f"{total['kernel']:.2f} ms by kernels, {total['compiled']:.2f} compiled, {total['plain']:.2f} plain"
    said = f"{len(whole)} of {len(rows)} passes once: {times}, on {tokens:,} tokens"
    return kernel_table(rows), f"{said}; a copy moves {copied / 1e6:,.0f} GB/s here."


def wants_gpu(what: str) -> "torch.device":
    """The GPU. Raises ModelError in one sentence where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise ModelError(
            f"{what} times a GPU, and this torch finds none. What can be shown without one: "
            "TRITON_INTERPRET=1 pytest tests/test_model_kernels.py"
        )
    return torch.device("cuda", torch.cuda.current_device())


def bench(*, tokens: int = 65_536, ways: Ways = Ways()) -> int:
    """Each Triton kernel against plain PyTorch and that compiled, on a GPU, at the baseline's shape in bfloat16.

    Parameters
    ----------
    tokens
        Of the batch, a multiple of 1,024.
    """
    device = wants_gpu("bench kernels")
    config = RunConfig()
    if tokens < 1 or tokens % config.train_seq_len:
        raise ModelError(f"--tokens {tokens}; wanted a multiple of {config.train_seq_len:,}.")
    table, said = measure_kernels(config, tokens, device)
    return show(Report("Kernels", [said], [table]), ways)

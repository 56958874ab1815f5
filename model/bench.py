"""`pglab bench train`: a training step of ours against the baseline's own, written plainly, on one device in one run.

The baseline's side is `plain.py`, as published: eager or compiled, in float32 or in its own bfloat16. Both start from
equal weights and take equal batches in turn, so that whatever else the machine does hits both alike; the first losses
must agree or nothing is reported. The figure is the median of many steps: seconds of CPU time on a CPU (other processes
then count for nothing), of wall-clock time on a GPU. Utilisation is the step's arithmetic over its time, against the
fastest matrix product that this device did in the same run.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pglab_report import Column, Report, Table, Ways, show

from .config import RunConfig
from .errors import ModelError

if TYPE_CHECKING:
    import torch

SHAPES = {
    "tour": {"num_layers": 2, "model_dim": 192, "num_heads": 3, "num_kv_heads": 1}
    | {"train_seq_len": 128, "train_batch_tokens": 2048},
    "small": {"num_layers": 4, "model_dim": 128, "num_heads": 2, "num_kv_heads": 1}
    | {"train_seq_len": 256, "train_batch_tokens": 4096},
    "baseline": {"train_seq_len": 1024, "train_batch_tokens": 65_536},
}


def step_flops(config: RunConfig) -> int:
    """Floating-point operations of forward and backward on one batch, causal attention counted as half a square."""
    dim, width = config.model_dim, config.model_dim // config.num_heads
    block = dim * (2 * dim + 2 * config.num_kv_heads * width + 2 * config.mlp_mult * dim)
    matrices = config.num_layers * block + config.vocab_size * dim
    attention = config.num_layers * config.train_seq_len * dim  # scores and mixing, half of each is masked
    return 6 * (matrices + attention) * config.train_batch_tokens


class Stopwatch:
    """Seconds of the clock that fits the device: CPU time on a CPU, the wall on a GPU after it has settled."""

    def __init__(self, device: "torch.device") -> None:
        self.gpu = device.type == "cuda"

    def now(self) -> float:
        """A reading."""
        if not self.gpu:
            return time.process_time()
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()

    def time(self, work: Callable[[], object]) -> float:
        """Seconds that `work` takes."""
        begin = self.now()
        work()
        return self.now() - begin


class Ours:
    """The lab's own step: forward and backward, then both optimisers."""

    def __init__(self, config: RunConfig, device: "torch.device", dtype: "torch.dtype") -> None:
        import torch

        from .cuda_choice import settle_attention, training_loss
        from .fast import gpt_for
        from .gpt import use_baseline_gpu_dtypes
        from .optimisers import Gradients, make_optimisers
        from .ranks import Ranks

        torch.manual_seed(config.seed)
        self.model = gpt_for(config, device, dtype).to(device)
        if device.type == "cuda" and dtype == torch.bfloat16:
            use_baseline_gpu_dtypes(self.model)
        self.adam, self.muon = make_optimisers(self.model, config, dtype)
        self.gradients = Gradients(list(self.model.parameters()))
        settle_attention(self.model, config, Ranks(0, 1, device, dtype))
        self.loss: Any = training_loss(self.model, config, device)
        self.context = autocast(device, dtype)

    def gradient(self, x: "torch.Tensor", y: "torch.Tensor") -> "torch.Tensor":
        """Forward and backward; the loss."""
        self.gradients.clear()
        with self.context():
            loss = self.loss(x, y)
        loss.backward()
        return loss.detach()

    def move(self) -> None:
        """Both optimisers."""
        self.adam.step()
        self.muon.step()

    def score(self, x: "torch.Tensor", y: "torch.Tensor") -> object:
        """Nats of each target, no gradient."""
        import torch

        with torch.no_grad(), self.context():
            return self.model.nats(x, y)


class Theirs:
    """The baseline's own step, one matrix at a time; `compiled` makes its loss one compiled graph, as published.

    On a GPU Newton-Schulz is then compiled too, and attention is flash attention: so they are in the published script.
    """

    def __init__(
        self, config: RunConfig, device: "torch.device", dtype: "torch.dtype", ours: Ours, compiled: bool
    ) -> None:
        import torch

        from .plain import PlainTrainer, plain_loss, plain_newton_schulz

        self.config = config
        self.trainer = PlainTrainer(dict(ours.model.named_parameters()), config, dtype)
        self.loss: Any = torch.compile(plain_loss, dynamic=False) if compiled else plain_loss
        self.context = autocast(device, dtype)
        if device.type == "cuda" and compiled:
            self.trainer.orthogonalise = torch.compile(plain_newton_schulz)
            if dtype == torch.bfloat16:
                self.context = by_flash_attention(self.context)

    def gradient(self, x: "torch.Tensor", y: "torch.Tensor") -> "torch.Tensor":
        """Forward and backward; the loss."""
        self.trainer.clear()
        with self.context():
            loss = self.loss(self.trainer.p, x, y, self.config)
        loss.backward()
        return loss.detach()

    def move(self) -> None:
        """All optimisers."""
        self.trainer.move(1.0, self.config.muon_momentum)

    def score(self, x: "torch.Tensor", y: "torch.Tensor") -> object:
        """Mean nats, no gradient."""
        import torch

        with torch.no_grad(), self.context():
            return self.loss(self.trainer.p, x, y, self.config)


Context = Callable[[], contextlib.AbstractContextManager[Any]]


def by_flash_attention(context: Context) -> Context:
    """A context in which attention, besides, is PyTorch's flash attention or an error."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with context(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            yield

    return both


def autocast(device: "torch.device", dtype: "torch.dtype") -> Context:
    """What makes a context of bfloat16 matrix products, where `dtype` asks for them."""
    import torch

    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def matmul_ceiling(config: RunConfig, device: "torch.device", dtype: "torch.dtype", watch: Stopwatch) -> float:
    """The most operations a second that a matrix product of this model's kind reached here."""
    import torch

    best = 0.0
    for inner, outer in ((config.model_dim, config.mlp_mult * config.model_dim), (1024, 1024)):
        rows = config.train_batch_tokens if device.type == "cuda" else min(config.train_batch_tokens, 8192)
        a = torch.randn(rows, inner, device=device).to(dtype)  # a GPU multiplies equal numbers faster than any others
        b = torch.randn(inner, outer, device=device).to(dtype)
        torch.mm(a, b)
        seconds = min(watch.time(lambda a=a, b=b: torch.mm(a, b)) for _ in range(7))  # type: ignore[misc]
        best = max(best, 2 * a.size(0) * inner * outer / seconds)
    return best


def kept_bytes(side: Ours | Theirs, x: "torch.Tensor", y: "torch.Tensor") -> int:
    """Bytes that the forward pass keeps for the backward pass, each storage once, weights and tokens left out."""
    import torch

    params = side.model.parameters() if isinstance(side, Ours) else side.trainer.p.values()
    known = {p.untyped_storage().data_ptr() for p in (*params, x, y)}
    kept: dict[int, torch.Tensor] = {}  # held until the end, so that no storage is counted under another's address

    def note(tensor: "torch.Tensor") -> "torch.Tensor":
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        side.gradient(x, y)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def compare(
    config: RunConfig, device: "torch.device", dtype: "torch.dtype", steps: int, against: str = "auto"
) -> dict[str, Any]:
    """Median seconds of each part of a step, ours and theirs. Raises ModelError when the losses do not agree.

    against: a word of AGAINST. Ours runs in `dtype`, the baseline in it too unless `against` names another.
    """
    import torch

    watch = Stopwatch(device)
    ours = Ours(config, device, dtype)
    compiled = against.startswith("compiled") or (against == "auto" and device.type == "cuda")
    published = {"bfloat16": torch.bfloat16, "float32": torch.float32}.get(against.rpartition("-")[2], dtype)
    sides: dict[str, Ours | Theirs] = {"ours": ours, "baseline": Theirs(config, device, published, ours, compiled)}
    rows = config.train_batch_tokens // config.train_seq_len
    batch = torch.randint(0, config.vocab_size, (rows, config.train_seq_len + 1)).to(device)
    x, y = batch[:, :-1].contiguous(), batch[:, 1:].contiguous()
    losses, times = {}, {name: {part: [] for part in PARTS} for name in sides}  # type: ignore[var-annotated]
    for turn in range(steps + 2):
        for name, side in sides.items():
            gradient = watch.time(lambda side=side: losses.update({name: side.gradient(x, y)}))  # type: ignore[misc] # noqa: B023
            move = watch.time(side.move)
            score = watch.time(lambda side=side: side.score(x, y)) if turn % 4 == 0 else None  # type: ignore[misc]
            if turn >= 2:  # the first two prepare kernels and memory
                times[name]["forward and backward"].append(gradient)
                times[name]["optimisers"].append(move)
                times[name]["step"].append(gradient + move)
                times[name]["evaluation"] += [score] if score is not None else []
        apart = abs(float(losses["ours"]) - float(losses["baseline"]))
        if turn == 0 and not apart < (1e-4 if published == dtype == torch.float32 else 0.05):
            raise ModelError(
                f"the two losses are {apart} apart on equal weights; nothing is compared. Please report it."
            )
    medians = {name: {part: statistics.median(t) for part, t in parts.items() if t} for name, parts in times.items()}
    ceilings = {d: matmul_ceiling(config, device, d, watch) for d in {dtype, published}}
    ceiling = {"ours": ceilings[dtype], "baseline": ceilings[published]}
    flops = step_flops(config)
    return {
        "seconds": medians,
        "ratio": {part: medians["baseline"][part] / medians["ours"][part] for part in medians["ours"]},
        "tokens_per_second": {n: config.train_batch_tokens / m["step"] for n, m in medians.items()},
        "utilisation": {n: flops / m["step"] / ceiling[n] for n, m in medians.items()},
        "matmul_ceiling_gflops": {name: rate / 1e9 for name, rate in ceiling.items()},
        "step_gflop": flops / 1e9,
        "kept_mib": {name: kept_bytes(side, x, y) / 2**20 for name, side in sides.items()},
    }


SIDES = ("ours", "baseline")
AGAINST = ("auto", "eager", "compiled", "float32", "bfloat16", "compiled-float32", "compiled-bfloat16")
PARTS = ("forward and backward", "optimisers", "step", "evaluation")


def bench(
    *,
    shape: str = "tour",
    device: str = "auto",
    precision: str = "auto",
    steps: int = 20,
    against: str = "auto",
    kernels: str = "off",
    ways: Ways = Ways(),
) -> int:
    """A training step of ours against the baseline's own, written plainly, interleaved on one device.

    Parameters
    ----------
    shape
        tour, small or baseline.
    device
        auto, cpu or cuda.
    precision
        Of our matrix products: auto (as a run would choose), float32 or bfloat16.
    steps
        Steps of each; the median is reported.
    against
        The baseline's form: eager or compiled in our precision, float32, bfloat16, compiled-float32 or
        compiled-bfloat16 (as published); auto is compiled on a GPU, eager on a CPU.
    kernels
        Of ours: off, compiled (a minute more for PyTorch's compiler, the first time) or triton (on a GPU).
    """
    if shape not in SHAPES:
        raise ModelError(f"no shape is called {shape!r:.40}; there are {', '.join(SHAPES)}.")
    if steps < 1:
        raise ModelError(f"--steps {steps}; wanted at least 1.")
    if against not in AGAINST:
        raise ModelError(f"the baseline has no form called {against!r:.40}; there are {', '.join(AGAINST)}.")
    common = RunConfig(device=device, precision=precision, kernels=kernels, micro_batches=1)
    config = replace(common, **SHAPES[shape])  # type: ignore[arg-type]
    from .ranks import open_ranks

    ranks = open_ranks(config, {})
    if ranks.device.type == "cpu" and shape == "baseline":
        config = replace(config, train_batch_tokens=config.train_seq_len)
    found = compare(config, ranks.device, ranks.dtype, steps, against)
    words = {
        "shape": shape,
        "device": ranks.device.type,
        "precision": str(ranks.dtype).removeprefix("torch."),
        "clock": "wall" if ranks.device.type == "cuda" else "CPU time",
        "steps": steps,
        "against": against,
        "kernels": kernels,
    }
    return show(bench_report({**words, **found, "config": asdict(config)}), ways)


COLUMNS = [
    Column("part"),
    Column("ours", "ours", "", "{ours:,.1f} {unit}", "right"),
    Column("baseline", "baseline", "", "{baseline:,.1f} {unit}", "right"),
    Column("ratio", format=".2f"),
    Column("unit", hidden=True),
]


def bench_report(found: dict[str, Any]) -> Report:
    """The report of what `compare` found, with the words of the command."""
    rows = [
        {"part": part, **{name: 1000 * found["seconds"][name][part] for name in SIDES}, "unit": "ms"}
        | {"ratio": found["ratio"][part]}
        for part in PARTS
        if part in found["ratio"]
    ]
    kept, rate = found["kept_mib"], found["tokens_per_second"]
    rows.append({"part": "kept for backward", **kept, "unit": "MiB", "ratio": kept["baseline"] / kept["ours"]})
    used = {name: 100 * found["utilisation"][name] for name in SIDES}
    rows.append({"part": "of the fastest matrix product", **used, "unit": "%", "ratio": None})
    ceiling = [f"{found['matmul_ceiling_gflops'][name]:,.0f}" for name in SIDES]
    title = "Training step, {shape} shape, {device}, {precision}, kernels {kernels}, baseline {against}".format(**found)
    sentences = [
        f"Ours takes 1/{found['ratio']['step']:.2f} of the baseline's time: {rate['ours']:,.0f} against "
        f"{rate['baseline']:,.0f} tokens/s."
    ]
    notes = [
        f"{found['clock']}, median of {found['steps']} steps in turn. The fastest matrix product of this run, in each "
        f"one's precision: {ceiling[0]} and {ceiling[1]} GFLOP/s.",
    ]
    return Report(title, sentences, [Table("parts", "", COLUMNS, rows)], [], notes, data=found)

"""`pglab bench gpu`: everything that a GPU has to tell, in one command and one page.

    pglab bench gpu --shards shards --seconds 240 --out gpu.md

Parts, in this order: what machine; are the numbers right (parity with float64); which attention is fastest; what each
kernel reaches; a step and its optimisers against the published algorithm, by libraries alone and by kernels; a short
training of the baseline. Each has a process of its own (`apart`): one that cannot be done, dies or hangs says so in a
note, and the next one begins with the GPU as it was. Nothing here has run on a GPU yet.
"""

import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pglab_report import Column, Report, ReportError, Table, Ways, show, write_report

from .apart import apart, short
from .config import RunConfig
from .cuda_bench import measure_kernels, wants_gpu
from .data import check_shards
from .errors import ModelError

if TYPE_CHECKING:
    import torch

    from .cuda_clock import DeviceClock

Found = tuple[list[Table], list[str]]
SMALL = {"num_layers": 3, "train_seq_len": 256, "train_batch_tokens": 1024, "micro_batches": 1}  # of the parity part
MIB = 2**20


def machine(device: "torch.device") -> Found:
    """Versions and sizes."""
    import torch

    said = f"Python {platform.python_version()}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        said = f"{gpu.name}, {gpu.multi_processor_count} multiprocessors, {gpu.total_memory / 2**30:.0f} GiB; {said}"
    tiny = torch.full((2, 64), 0.005, dtype=torch.bfloat16, device=device)
    level = float(torch.nn.functional.rms_norm(tiny, (64,))[0, 0])
    epsilon = "float32's" if level > 0.9 else "bfloat16's"
    return [], [said + ".", f"rms_norm of bfloat16 adds {epsilon} epsilon here (the kernels add float32's)."]


def parity(device: "torch.device", steps: int = 3, only: str = "", leave: str = "") -> Found:
    """Each form of the model in bfloat16 against the plain restatement in float64: loss, gradients, and first steps.

    only, leave: a form's name.
    """
    import torch

    from .gpt import GPT
    from .optimisers import Gradients, make_optimisers
    from .plain import PlainTrainer

    config = replace(RunConfig(), **SMALL)  # type: ignore[arg-type]
    torch.manual_seed(1)
    first = GPT(config)
    with torch.no_grad():
        for p in first.parameters():
            p.add_(0.02 * torch.randn_like(p))
    start = {name: p.detach() for name, p in first.named_parameters()}
    tokens = torch.randint(0, config.vocab_size, (4, config.train_seq_len + 1))
    x, y = tokens[:, :-1].contiguous().to(device), tokens[:, 1:].contiguous().to(device)
    plain = PlainTrainer({name: p.to(device, torch.float64) for name, p in start.items()}, config, torch.float64)
    wanted = [float(plain.step(x, y, 1.0, config.muon_momentum))]
    truth = {name: p.grad.clone() for name, p in plain.p.items() if p.grad is not None}
    wanted += [float(plain.step(x, y, 1.0, config.muon_momentum)) for _ in range(steps)]
    rows = []
    for name, make in forms(config).items():
        if name == leave or (only and name != only):
            continue
        try:
            model = make().to(device)
            model.load_state_dict(start)
            model.tok_emb.weight.data = model.tok_emb.weight.data.bfloat16()  # as in a run, so the stream is bfloat16
            optimisers, gradients = make_optimisers(model, config, torch.bfloat16), Gradients(list(model.parameters()))
            losses, far = [], []
            for turn in range(steps + 1):
                gradients.clear()
                with torch.autocast(device.type, torch.bfloat16):
                    loss = model(x, y)
                loss.backward()
                losses.append(float(loss.detach()))
                if turn == 0:
                    far = [float((p.grad - truth[n]).norm() / truth[n].norm()) for n, p in model.named_parameters()]
                for optimiser in optimisers:
                    optimiser.step()
            apart = [abs(found - right) for found, right in zip(losses, wanted, strict=True)]
            rows.append({"form": name, "loss": apart[0], "later": apart[-1]})
            rows[-1] |= {"mean": sum(far) / len(far), "worst": max(far), "fell": losses[0] - losses[-1]}
        except Exception as error:  # a compiler's own kinds as well
            rows.append({"form": name, "why": short(error)})
    columns = [
        Column("form"),
        Column("loss", "loss apart", "nats", ".5f"),
        Column("mean", "gradients apart", "", ".4f"),
    ]
    columns += [
        Column("worst", "worst tensor", "", ".4f"),
        Column("later", f"after {steps} steps", "nats apart", ".4f"),
    ]
    columns += [Column("fell", "the loss fell by", "nats", ".3f"), Column("why", "not done")]
    title = "Against float64 in bfloat16 (relative distances, equal weights and text)"
    return [Table("parity-triton" if only else "parity", title, columns, rows)], []


def forms(config: RunConfig) -> dict[str, Callable[[], Any]]:
    """The ways to compute the model's loss on this machine."""
    import torch

    from .cuda_plain import PlainOps
    from .gpt import GPT

    def by(kernels: str) -> GPT:
        from .cuda_choice import kernel_ops
        from .cuda_gpt import CudaGPT

        return CudaGPT(config, PlainOps() if kernels == "plain" else kernel_ops(kernels))

    def compiled() -> Any:
        model = GPT(config)
        model.compile(dynamic=False)
        return model

    found: dict[str, Callable[[], Any]] = {"ordinary": lambda: GPT(config), "ordinary, compiled": compiled}
    found["by plain passes"] = lambda: by("plain")
    if torch.cuda.is_available():
        found |= {"by compiled passes": lambda: by("compiled"), "by kernels": lambda: by("triton")}
    return found


def attention(device: "torch.device", config: RunConfig, clock: "DeviceClock") -> Found:
    """Every attention at the run's own shape, forward and backward."""
    import torch

    from .cuda_attention import ATTENTIONS, choose_attention

    rows, width = config.train_batch_tokens // config.train_seq_len, config.model_dim // config.num_heads
    q, k, v = (
        torch.randn(rows, config.train_seq_len, heads, width, device=device).bfloat16()
        for heads in (config.num_heads, config.num_kv_heads, config.num_kv_heads)
    )
    choice = choose_attention(q, k, v, ATTENTIONS, clock.milliseconds)
    table = [{"name": n, "ms": choice.milliseconds.get(n), "why": choice.refused.get(n)} for n in ATTENTIONS]
    columns = [
        Column("name", "attention"),
        Column("ms", "forward and backward", "ms", ".3f"),
        Column("why", "not taken"),
    ]
    shape = f"{rows} x {config.train_seq_len}, {config.num_heads} and {config.num_kv_heads} heads of {width}"
    return [Table("attention", f"Attention, {shape}", columns, table)], [f"Chosen: {choice.name}."]


def step(
    device: "torch.device",
    config: RunConfig,
    steps: int,
    clock: "DeviceClock",
    ways: tuple[str, ...] = ("off", "compiled", "triton"),
) -> Found:
    """A step of ours, by libraries and by kernels, against the published one compiled in bfloat16."""
    import torch

    from .bench import PARTS, Ours, compare

    rows, notes = [], []
    for kernels in ways:
        own = replace(config, kernels=kernels)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            side = Ours(own, device, torch.bfloat16)
            batch = torch.randint(
                0, own.vocab_size, (own.train_batch_tokens // own.train_seq_len, own.train_seq_len + 1)
            )
            x, y = batch[:, :-1].contiguous().to(device), batch[:, 1:].contiguous().to(device)
            sustained = clock.sustained(lambda side=side, x=x, y=y: (side.gradient(x, y), side.move()))  # type: ignore[misc]
            memory = torch.cuda.max_memory_allocated() / MIB if device.type == "cuda" else float("nan")
            notes.append(f"kernels {kernels}: {sustained:.2f} ms a step without a pause, {memory:,.0f} MiB at most.")
            del side
            found = compare(own, device, torch.bfloat16, steps, "compiled-bfloat16")
        except Exception as error:  # a compiler's own kinds as well
            notes.append(f"kernels {kernels}: not done: {short(error)}")
            continue
        for part in PARTS:
            seconds = {name: 1000 * found["seconds"][name][part] for name in ("ours", "baseline")}
            rows.append({"kernels": kernels, "part": part, **seconds, "ratio": found["ratio"][part]})
        notes.append(
            f"kernels {kernels}: {found['utilisation']['ours']:.1%} of the fastest matrix product "
            f"({found['matmul_ceiling_gflops']['ours'] / 1000:,.0f} TFLOP/s), the baseline "
            f"{found['utilisation']['baseline']:.1%}; {found['step_gflop'] / 1000:.2f} TFLOP a step."
        )
    columns = [Column("kernels"), Column("part"), Column("ours", "ours", "ms", ",.2f")]
    columns += [Column("baseline", "baseline", "ms", ",.2f"), Column("ratio", "", "", ".2f")]
    title = f"A step of {config.train_batch_tokens:,} tokens against the published one, compiled in bfloat16"
    return [Table("-".join(("step", *ways)), title, columns, rows)], notes


def training(shards: Path | None, seconds: float) -> Found:
    """A run of the baseline by its own script, the lines of its log that hold numbers, as far as it came."""
    if shards is None or seconds <= 0:
        return [], ["No training: give --shards and --seconds."]
    from .checkpoint_words import finished_words
    from .cli import RECIPES
    from .config import with_values
    from .launch import launch

    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pglab-gpu-") as folder:
        run = Path(folder) / "run"
        values = {"data_path": str(shards.resolve()), "max_wallclock_seconds": seconds, "kernels": "triton"}
        values["tokenizer_path"] = str(Path(RunConfig().tokenizer_path).resolve())
        config = with_values(RunConfig(), values, "bench gpu")
        begin = time.monotonic()
        try:
            launch(config, RECIPES / "baseline.toml", run, 1, lines.append)
            said = finished_words(run / "checkpoint", config)
            scores = [] if said is None else list(said["scores"].values())
            words = (
                f"Trained {seconds:g} s, {time.monotonic() - begin:.0f} s with start and scores; {len(scores)} scores."
            )
        except Exception as error:  # its lines until then are wanted all the same
            words = f"The training failed: {short(error)}"
    last = [line for line in lines if line.startswith(("attention:", "step:", "stopping", "peak", "final_"))]
    last = [line for line in last if not line.startswith(EARLY)][-40:]
    return [Table("log", "The log's lines", [Column("line")], [{"line": line} for line in last])], [words]


EARLY = tuple(f"step:{n}/" for n in range(2, 11))  # steps that say little


def gather_parts(parts: dict[str, Callable[[], Found]], tell: Callable[[Report], object] = lambda page: None) -> Report:
    """All parts in one report; one that fails is a note. `tell` hears of the page after each part."""
    tables: list[Table] = []
    sentences, notes = [], []
    report = Report("What a GPU measured", [])
    for name, part in parts.items():
        begin = time.monotonic()
        try:
            made, said = part()
        except Exception as error:  # the other parts are still wanted
            notes.append(f"{name}: not done: {error if isinstance(error, ModelError) else short(error)}")
        else:
            tables += made
            sentences += said
            notes.append(f"{name}: {time.monotonic() - begin:.0f} s.")
        report = Report("What a GPU measured", list(sentences), list(tables), [], list(notes))
        tell(report)
    return report


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command was given."""

    shards: Path | None
    seconds: float
    steps: int
    tokens: int


LIMITS = {"machine": 120, "parity": 420, "parity-triton": 180, "attention": 240, "kernels": 420}  # seconds
LIMITS |= {"step-off": 480, "step-compiled": 480, "step-triton": 480, "training": 600}


def one_part(name: str, wishes: Wishes) -> Found:
    """A part by its name, on this process's GPU."""
    device = wants_gpu("bench gpu")
    from .cuda_clock import DeviceClock, sweeping_clock

    config = replace(RunConfig(), train_batch_tokens=wishes.tokens, micro_batches=1)
    if name == "machine":
        return machine(device)
    if name == "parity":
        return parity(device, leave="by kernels")
    if name == "parity-triton":
        return parity(device, only="by kernels")
    if name == "attention":
        return attention(device, config, sweeping_clock(device))
    if name == "kernels":
        table, said = measure_kernels(config, wishes.tokens, device)
        return [table], [said]
    if name.startswith("step-"):
        return step(device, config, wishes.steps, DeviceClock(rounds=20), (name.removeprefix("step-"),))
    return training(wishes.shards, wishes.seconds)


def bench(
    *,
    shards: Path | None = None,
    seconds: float = 240.0,
    steps: int = 20,
    tokens: int = 65_536,
    part: Annotated[list[str] | None, Parameter(negative=())] = None,
    ways: Ways = Ways(),
) -> int:
    """Parity, attention, kernels, steps against the baseline, and a short training, on one GPU, as one page.

    Each part has a process of its own, and the files of --out are written again after each.

    Parameters
    ----------
    shards
        Folder of token shards for the training; without it none is done.
    seconds
        Of training on the wall clock.
    steps
        Steps of each side; the median is reported.
    tokens
        Of a batch, a multiple of 1,024; a step of eight GPUs has 65,536 on each.
    part
        Only parts that begin so: machine, parity, parity-triton, attention, kernels, step-off, step-compiled,
        step-triton, training; may be repeated.
    """
    wants_gpu("bench gpu")
    if steps < 1 or tokens < 1 or tokens % RunConfig().train_seq_len:
        raise ModelError(f"--steps {steps} --tokens {tokens}; wanted at least 1, and a multiple of 1,024.")
    chosen = [name for name in LIMITS if not part or name.startswith(tuple(part))]
    if not chosen or "" in (part or ()):
        raise ModelError(f"no part begins with {(part or [''])[0]!r:.40}; there are {', '.join(LIMITS)}.")
    if shards is not None:
        check_shards(shards, RunConfig().vocab_size)
    wishes = Wishes(shards, seconds, steps, tokens)

    def run(name: str) -> Callable[[], Found]:
        more = seconds if name == "training" else 0.0
        return lambda: apart(one_part, name, wishes, seconds=LIMITS[name] + more)

    def tell(page: Report) -> None:
        for place in ways.out:
            with suppress(ReportError):  # nothing yet that such a file can hold; `show` says so at the end
                write_report(page, place)

    return show(gather_parts({name: run(name) for name in chosen}, tell), ways)

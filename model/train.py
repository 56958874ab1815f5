"""A whole training run: set up, warm up, train, checkpoint, export, score. The entry of every `train_gpt.py`.

Runs alone or under torchrun, in the folder where its files shall be. The order of things is the baseline's: a step
takes its micro-batches from the stream, averages gradients over the ranks, sets rates by the clock, and moves;
validation and saving do not count as training time. Ended by a signal it saves and leaves; started again it
continues, on the same curve.
"""

import errno
import json
import math
import os
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from compress.aside import write_aside
from compress.errors import CodecError
from compress.recipes import parse_recipe

from .average import WeightAverage
from .checkpoint import RunState, load_state, restore_tensors, save_state, state_tensors, write_finished
from .checkpoint_words import finished_words
from .config import RunConfig, layered_config, near_names
from .cuda_choice import settle_attention, training_loss
from .cuda_clock import device_mark
from .cuda_feed import Feed
from .cuda_pace import HostMark, Pace, StepDone, WorkClock, slow_rank_words
from .errors import ModelError
from .evaluate import ScoreSums, ValidationText, dropped_tail, read_validation, score_sequential
from .fast import gpt_for
from .finish import finish_run, peak_memory
from .gpt import parameter_count, use_baseline_gpu_dtypes
from .lock import folder_lock
from .log import RunLog, train_line, val_line
from .optimisers import Gradients, make_optimisers
from .ranks import Ranks, StopRequest, open_ranks
from .rounding import codec_grid, coding_bits, seen_through
from .schedule import momentum_at, rate_scale

RECIPE: dict[str, object] = {}
HELP = """Trains a GPT in the present folder, exports it, reads the exports back and scores them. It takes no options.

  python train_gpt.py                                              one process
  torchrun --standalone --nproc_per_node=8 train_gpt.py            eight GPUs

Settings: RECIPE in the script, then the JSON file that PGLAB_CONFIG names, then these environment names:
{names}"""
STOPPED_BY_SIGNAL = 143  # the exit status of a run that saved and left


class Training:
    """Everything a step needs, and the step itself. attention: that which the run had before it was stopped."""

    def __init__(self, config: RunConfig, ranks: Ranks, attention: str = "") -> None:
        self.config, self.ranks = config, ranks
        torch.manual_seed(config.seed)
        self.model = gpt_for(config, ranks.device, ranks.dtype).to(ranks.device)
        self.model.compute_dtype = ranks.dtype
        if ranks.device.type == "cuda" and ranks.dtype == torch.bfloat16:
            use_baseline_gpu_dtypes(self.model)
        self.adam, self.muon = make_optimisers(self.model, config, ranks.dtype)
        self.average = WeightAverage(self.model, config.ema_decay)
        self.gradients = Gradients(list(self.model.parameters()))
        self.grid = codec_grid(config.codec) if config.qat_below or config.entropy_weight else None
        self.stream = Feed(Path(config.data_path), config.vocab_size, ranks.device)
        self.model.rotary(config.train_seq_len, ranks.device)  # made before anything is compiled
        self.attention = settle_attention(self.model, config, ranks, attention)
        self.clock = WorkClock(device_mark if ranks.device.type == "cuda" else HostMark)
        self.loss = training_loss(self.model, config, ranks.device)

    def forward_backward(self, scale: float = 1.0) -> Tensor:
        """Gradients of one step's batch, this rank's part; returns this rank's mean loss.

        scale: that of the rates, by which rounding in the loss begins (`qat_below`).
        """
        self.clock.begin()
        rounded = self.grid.rounded if self.grid and scale < self.config.qat_below else None
        with seen_through(self.model, rounded):
            total = self.loss_backward()
        if self.grid and self.config.entropy_weight:
            (self.config.entropy_weight * coding_bits(self.model, self.grid)).backward()
        self.clock.meet()
        self.gradients.average(self.ranks.world)
        return total

    def loss_backward(self) -> Tensor:
        """The part of `forward_backward` that reads text."""
        config, ranks = self.config, self.ranks
        pieces = config.micro_batches // ranks.world
        total = torch.zeros((), device=ranks.device)
        self.gradients.clear()
        for _ in range(pieces):
            tokens = config.train_batch_tokens // pieces
            x, y = self.stream.batch(tokens, config.train_seq_len, ranks.rank, ranks.world)
            with torch.autocast(ranks.device.type, torch.bfloat16, enabled=ranks.dtype == torch.bfloat16):
                loss = self.loss(x, y)
            (loss / pieces).backward()
            total += loss.detach() / pieces
        return total

    def move(self, step: int, scale: float) -> None:
        """One update of all parameters with the rates and the momentum of `step`."""
        for group in self.muon.param_groups:
            group["momentum"] = momentum_at(self.config, step)
        for optimiser in (self.adam, self.muon):
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * scale
        if self.config.grad_clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip_norm)
        self.adam.step()
        self.muon.step()
        self.average.update(step)

    def tensors(self) -> dict[str, Tensor]:
        """All that changes while training, by name (not copies)."""
        return state_tensors(self.model, self.adam, self.muon) | self.average.tensors()

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Put `tensors` back. Raises ModelError."""
        restore_tensors(self.average.restore(saved), self.model, self.adam, self.muon)

    def warm_up(self, log: RunLog) -> None:
        """Full steps that make compiled code ready, all undone after."""
        steps = self.config.warmup_steps
        if not steps:
            return
        before = {name: tensor.clone() for name, tensor in self.tensors().items()}
        place = self.stream.place
        for step in range(steps):
            self.forward_backward(1.0 if step + 1 < steps else 0.0)  # the last one rounds, where the run will
            self.adam.step()
            self.muon.step()
            if steps <= 20 or (step + 1) % 10 == 0 or step + 1 == steps:
                log.line(f"warmup_step:{step + 1}/{steps}")
        self.restore(before)
        self.stream.seek(*place)


def opening_lines(training: Training, text: ValidationText, log: RunLog) -> None:
    """The lines between the source and the first step, as the challenge prints them."""
    config, ranks = training.config, training.ranks
    folder = Path(config.data_path)
    tied = config.tie_embeddings
    log.line("val_bpb:enabled tokenizer_kind=token_table")
    log.line(f"train_loader:dataset:{folder.resolve().name} train_shards:{len(training.stream.stream.files)}")
    length = config.train_seq_len
    scored = (text.tokens.size - 1) // length * length
    log.line(f"val_loader:shards pattern={folder}/fineweb_val_*.bin tokens:{scored}")
    raw = "none" if text.raw is None else int(text.raw[1 : scored + 1].sum(dtype=np.int64))
    table = int(text.table[1 : scored + 1].sum())
    log.line(
        f"val_bytes: bytes_table:{table} bytes_raw:{raw} equal:{raw == table} dropped_tail:{dropped_tail(text, length)}"
    )
    log.line(f"model_params:{parameter_count(training.model)}")
    log.line(f"world_size:{ranks.world} grad_accum_steps:{config.micro_batches // ranks.world}")
    log.line(f"device:{ranks.device.type} precision:{str(ranks.dtype).removeprefix('torch.')}")
    log.line(f"attention_mode:gqa num_heads:{config.num_heads} num_kv_heads:{config.num_kv_heads}")
    if training.attention:
        log.line(f"{training.attention.line()} kernels:{config.kernels}")
    log.line(
        f"tie_embeddings:{tied} embed_lr:{config.tied_embed_lr if tied else config.embed_lr} "
        f"head_lr:{0.0 if tied else config.head_lr} matrix_lr:{config.matrix_lr} scalar_lr:{config.scalar_lr}"
    )
    log.line(
        f"train_batch_tokens:{config.train_batch_tokens} train_seq_len:{length} iterations:{config.iterations} "
        f"warmup_steps:{config.warmup_steps} max_wallclock_seconds:{config.max_wallclock_seconds:.3f}"
    )
    log.line(f"seed:{config.seed}")
    log.line(f"config:{json.dumps(asdict(config))}")


def train_loop(
    training: Training, text: ValidationText, state: RunState, folder: Path, stop: StopRequest, log: RunLog
) -> RunState | None:
    """Steps until the last; the final state, or None when it was asked to leave (the state is saved then)."""
    config, ranks = training.config, training.ranks
    last, cap_ms = config.iterations, 1000.0 * config.max_wallclock_seconds
    step, spent_ms, stopped = state.step, state.train_ms, state.stopped
    now_ms = spent_ms  # training time, equal on all ranks
    saved_at = time.monotonic()

    def snapshot() -> RunState:
        used = training.attention.name if training.attention else ""
        return RunState(step, now_ms, training.stream.place, stopped, log.sizes(), used)

    def save() -> None:
        if ranks.rank == 0:
            save_state(folder, snapshot(), config, training.tensors())

    def note(over: list[StepDone]) -> tuple[bool, bool]:
        """Share and log steps that are over; whether somebody asked to leave, and whether a checkpoint is due."""
        nonlocal now_ms, stopped
        asked = due = False
        for one in over:
            here_ms = spent_ms + 1000.0 * (time.perf_counter() - begin)
            shared = ranks.gather([here_ms, float(stop.check()), one.loss, time.monotonic() - saved_at, one.work_ms])
            now_ms = max(row[0] for row in shared)
            mean_loss = sum(row[2] for row in shared) / ranks.world
            if not math.isfinite(mean_loss):
                why = f"step {one.step}: the loss is {mean_loss}"
                raise ModelError(f"{why}; the last good state is kept. Lower matrix_lr.")
            stopped = cap_ms > 0 and now_ms >= cap_ms
            if config.train_log_every and (one.step <= 10 or one.step % config.train_log_every == 0 or stopped):
                log.line(train_line(one.step, last, mean_loss, now_ms))
                if ranks.device.type == "cuda" and (slow := slow_rank_words([row[4] for row in shared])):
                    log.line(slow)
            log.numbers(step=one.step, train_ms=round(now_ms, 3), train_loss=mean_loss, rate=one.scale)
            asked |= any(row[1] for row in shared)
            due |= config.checkpoint_seconds > 0 and shared[0][3] > config.checkpoint_seconds
        return asked, due

    pace = Pace(late=ranks.device.type == "cuda")
    begin = time.perf_counter()
    while True:
        look = step >= last or stopped or bool(config.val_loss_every and step % config.val_loss_every == 0)
        if look:
            note(pace.rest())
        done = step >= last or stopped
        sizes = log.sizes()  # what is said from here on is said again by a run that resumes
        if look:
            ranks.settle()
            if done:
                training.average.put()
            batch = config.val_batch_size // config.micro_batches
            sums = score_sequential(training.model, text, config.train_seq_len, batch, ranks.rank, ranks.world)
            log.line(val_line(step, last, sums.val_loss, sums.bpb_table, now_ms))
            log_score(log, step, now_ms, sums)
            spent_ms, begin = now_ms, time.perf_counter()
        if done:
            if stopped and step < last:
                log.line(f"stopping_early: wallclock_cap train_time:{now_ms:.0f}ms step:{step}/{last}")
            return replace(snapshot(), log_sizes=sizes)
        scale = rate_scale(config, step, now_ms)
        loss = training.forward_backward(scale)
        training.move(step, scale)
        step += 1
        asked, due = note(pace.step(step, loss, scale, training.clock.work()))
        if asked or due:
            note(pace.rest())
            save()
            saved_at = time.monotonic()
            spent_ms, begin = now_ms, time.perf_counter()
        if asked:
            return None


def log_score(log: RunLog, step: int, now_ms: float, sums: ScoreSums) -> None:
    """A validation's numbers for machines."""
    words = {k: v for k, v in asdict(sums).items() if k != "nats"}
    log.numbers(step=step, train_ms=round(now_ms, 3), val_loss=sums.val_loss, val_bpb=sums.bpb_table, **words)


def running_source() -> str:
    """The text of this script when it is a train_gpt.py, else the empty string."""
    script = Path(sys.argv[0])
    return script.read_text(encoding="utf-8") if script.name == "train_gpt.py" and script.exists() else ""


def run_training(config: RunConfig, run: Path, ranks: Ranks, stop: StopRequest) -> int:
    """Train, or go on training, in a run folder; 0 when finished, 143 when asked to leave."""
    folder = run / "checkpoint"
    if finished_words(folder, config):
        if ranks.rank == 0:
            print("this run is finished; nothing is left to do.", file=sys.stderr)
        return 0
    parse_recipe(config.codec)
    text = read_validation(config)
    before = load_state(folder, config)
    state = before[0] if before else RunState()
    training = Training(config, ranks, state.attention)
    total = training.stream.stream.total
    if total <= config.train_seq_len:
        raise ModelError(
            f"{config.data_path}: the training split has {total:,} tokens, too few for one sequence of "
            f"{config.train_seq_len:,} and its last target; set train_seq_len lower."
        )
    source = running_source()
    if ranks.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(run / "config.json", (json.dumps(asdict(config), indent=1) + "\n").encode())
    with RunLog(run, ranks.rank == 0) as log:
        if before is None:
            log.cut([0, 0])
            log.opening(source)
            opening_lines(training, text, log)
        else:
            log.cut(state.log_sizes)
        training.warm_up(log)
        if before is not None:
            training.restore(before[1])
            training.stream.seek(*state.place)
            log.line(f"resumed: step:{state.step}/{config.iterations} train_time:{state.train_ms:.0f}ms")
            if training.attention:
                log.line(f"{training.attention.line()} kernels:{config.kernels}")
        ended = train_loop(training, text, state, folder, stop, log)
        if ended is None:
            return STOPPED_BY_SIGNAL
        if ranks.rank == 0:
            save_state(folder, ended, config, training.tensors())
        log.line(peak_memory(ranks.device))
        scores = finish_run(training.model, config, text, run, len(source.encode()), ranks, log)
        if ranks.rank == 0:
            write_finished(
                folder, {"step": ended.step, "train_ms": ended.train_ms, "scores": scores, "config": asdict(config)}
            )
        ranks.wait()
    return 0


def sentence_of(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(error, torch.OutOfMemoryError):
        why = str(error).partition(". ")[0]
        return f"the GPU's memory is full ({why:.100}); set micro_batches higher, or train_batch_tokens lower."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            "no space is left on the disk; what was saved last stays. Make room and start again: the run goes on from "
            "it."
        )
    if isinstance(error, OSError) and error.errno and error.filename:
        return f"{error.filename}: {os.strerror(error.errno).lower()}."
    return str(error)


def main() -> None:
    """Run what RECIPE, PGLAB_CONFIG and the environment say, in the present folder. Exits with 0, 2 or 143."""
    if words := sys.argv[1:]:  # a script that is asked for help must not train for ten minutes
        print(HELP.format(names=", ".join(field.name.upper() for field in fields(RunConfig))))
        sys.exit(0 if words[0] in ("-h", "--help") else 2)
    try:
        config = layered_config(RECIPE, os.environ)
        watched = os.environ.get("PGLAB_WATCH", "")
        stop = StopRequest(int(watched) if watched.isdecimal() else 0)
        ranks = open_ranks(config, os.environ)
        for sentence in [] if ranks.rank else near_names(os.environ):
            print(f"note: {sentence}", file=sys.stderr)
        with nullcontext() if ranks.rank else folder_lock(Path(".lock"), 20.0):
            status = run_training(config, Path(), ranks, stop)
        if ranks.world > 1:
            dist.destroy_process_group()
    except (ModelError, CodecError, OSError, torch.OutOfMemoryError) as error:
        with suppress(OSError):  # stderr may lie on the same full disk
            print(f"error: {sentence_of(error)}", file=sys.stderr, flush=True)
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    main()

"""How learning rates and Muon's momentum move while a run goes on: three small functions of step and time.

Rates are constant, then fall to zero (warm-down), in a straight line unless `warmdown_shape` says otherwise. The
challenge ends on the clock, so where there is a cap on training time the fall is measured in time, from the present
speed: a slow machine does fewer steps, but its rates still reach zero. `warmdown_frac` says the same without needing to
know the speed.
"""

import math

from .config import RunConfig


def rate_scale(config: RunConfig, step: int, elapsed_ms: float) -> float:
    """What every learning rate is multiplied with at `step`, in [0, 1]; `elapsed_ms` is training time so far."""
    left = falling(config, step, elapsed_ms)  # 1 until the fall, then straight to 0
    shaped = {"linear": left, "cosine": 0.5 - 0.5 * math.cos(math.pi * left), "sqrt": 1.0 - math.sqrt(1.0 - left)}
    return max(shaped[config.warmdown_shape], config.min_rate)


def falling(config: RunConfig, step: int, elapsed_ms: float) -> float:
    """`rate_scale` in a straight line and without a floor."""
    cap_ms = 1000.0 * config.max_wallclock_seconds
    if config.warmdown_frac > 0:
        done = elapsed_ms / cap_ms if cap_ms > 0 else 0.0
        done = max(done, step / config.iterations)
        return min(1.0, max(1.0 - done, 0.0) / config.warmdown_frac)
    if config.warmdown_iters == 0:
        return 1.0
    if cap_ms == 0:
        left = config.iterations - step
        return left / config.warmdown_iters if 0 < left <= config.warmdown_iters else 1.0
    warmdown_ms = config.warmdown_iters * elapsed_ms / max(step, 1)
    left_ms = max(cap_ms - elapsed_ms, 0.0)
    return left_ms / max(warmdown_ms, 1e-9) if left_ms <= warmdown_ms else 1.0


def momentum_at(config: RunConfig, step: int) -> float:
    """Muon's momentum at `step`: a straight line from the start value to the final one, then flat."""
    steps = config.muon_momentum_warmup_steps
    part = min(step / steps, 1.0) if steps else 1.0
    return (1 - part) * config.muon_momentum_warmup_start + part * config.muon_momentum

"""Depth recurrence: which block runs when. Blocks in a loop run several times with the same weights.

The U of kept outputs spans the passes, not the blocks: with six blocks run twice there are six passes down and six up.
Merged public records run three middle blocks two or three times and report -0.002 to -0.003 bits per byte, for a third
more time a step.
"""

from .config import RunConfig


def block_order(config: RunConfig) -> tuple[int, ...]:
    """Indices of the blocks in the order in which they run; the baseline's is 0, 1, ... num_layers - 1."""
    first, last = config.loop_start, config.loop_end or config.num_layers
    loop = range(first, last)
    return (*range(first), *(list(loop) * (1 + config.loop_repeats)), *range(last, config.num_layers))

"""The control kernel: a small fixed workload, run before every timed block to measure the machine's current speed.

It runs in the parent and depends on the core's speed only. It uses one thread and NumPy's element-wise loops, since a
BLAS pool would continue to spin and take the core from the next arm. Its 32 KiB stay in the L1 cache, so that the
contents of larger caches do not matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

ELEMENTS = 2048  # two arrays of 16 KiB in float64
STEPS = 60
TRIES = 3  # the first one warms the caches; an interruption seldom affects two

_now = time.perf_counter_ns


def measure_control(tries: int = TRIES, now: Callable[[], int] = _now) -> int:
    """Return the shortest of `tries` runs of the control kernel, in ns."""
    run, best = make_control(), 0
    for number in range(tries):
        begun = now()
        run()
        took = now() - begun
        best = took if number == 0 else min(best, took)
    return best


@cache
def make_control() -> Callable[[], None]:
    """Make the kernel with its arrays: square roots and products, written to preallocated memory."""
    import numpy as np

    source = np.linspace(1.0, 2.0, ELEMENTS)
    target = np.empty_like(source)
    sqrt, multiply = np.sqrt, np.multiply

    def run() -> None:
        for _ in range(STEPS):
            sqrt(source, out=target)
            multiply(target, source, out=target)

    return run

"""The control kernel: the same small work around every timed block, to see the machine's own speed at that moment.

It runs in the parent and looks at nothing but the core's speed: one thread, NumPy's element-wise loops (a BLAS pool
would go on spinning and take the core from the arm that is timed next), and 32 KiB that stay in the first cache, so
that it does not matter what the arm before has left in the larger ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

ELEMENTS = 2048  # twice 16 KiB of float64
STEPS = 60
TRIES = 3  # the first brings code and data back into the caches; an interruption seldom hits two

_now = time.perf_counter_ns


def measure_control(tries: int = TRIES, now: Callable[[], int] = _now) -> int:
    """Shortest of some runs of the control kernel, in ns."""
    run, best = make_control(), 0
    for number in range(tries):
        begun = now()
        run()
        took = now() - begun
        best = took if number == 0 else min(best, took)
    return best


@cache
def make_control() -> Callable[[], None]:
    """The kernel with its arrays: square roots and products, into memory that is there already."""
    import numpy as np

    source = np.linspace(1.0, 2.0, ELEMENTS)
    target = np.empty_like(source)
    sqrt, multiply = np.sqrt, np.multiply

    def run() -> None:
        for _ in range(STEPS):
            sqrt(source, out=target)
            multiply(target, source, out=target)

    return run

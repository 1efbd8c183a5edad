"""Artificial slow-downs: extra work on the calling thread inside the timed region, as a share of the calls' time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

BATCH = 2_000
TRIES = 9


def make_work(wanted_ns: float) -> Callable[[], None]:
    """Make a loop that takes `wanted_ns` at the current speed.

    The number of steps is fixed, so that the loop takes longer on a slower machine.
    """
    steps = max(1, round(wanted_ns / measure_step()))
    return lambda: spin(steps)


def spin(steps: int) -> None:
    """Run a loop of `steps` empty iterations in pure Python."""
    for _ in itertools.repeat(None, steps):
        pass


def measure_step() -> float:
    """Measure the median time of one step, in ns."""
    times = []
    for _ in range(TRIES):
        begun = time.perf_counter_ns()
        spin(BATCH)
        times.append((time.perf_counter_ns() - begun) / BATCH)
    return sorted(times)[TRIES // 2]

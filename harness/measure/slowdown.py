"""Known slow-downs: work on the calling thread inside the timed region, as much as a share of the calls before it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

BATCH = 2_000
TRIES = 9


def make_work(wanted_ns: float) -> Callable[[], None]:
    """A loop of as many steps as take `wanted_ns` here; the steps are fixed, so that a slower machine is slower."""
    steps = max(1, round(wanted_ns / measure_step()))
    return lambda: spin(steps)


def spin(steps: int) -> None:
    """Do `steps` steps of pure Python."""
    for _ in itertools.repeat(None, steps):
        pass


def measure_step() -> float:
    """Median time of one step in ns."""
    times = []
    for _ in range(TRIES):
        begun = time.perf_counter_ns()
        spin(BATCH)
        times.append((time.perf_counter_ns() - begun) / BATCH)
    return sorted(times)[TRIES // 2]

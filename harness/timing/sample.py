"""Sampling one call: warm-up, loops so that the clock's step does not matter, raw samples until the budget ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], int]
LEAST_SAMPLE_NS = 100_000  # a sample of 0.1 ms is 2000 steps of a 50 ns clock
WARM_NS = 10_000_000
LEAST_WARM = 2


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples in ns per call, the calls in each, the untimed calls before them, and the last call's result."""

    samples_ns: tuple[float, ...]
    loops: int
    warmups: int
    last: Any


def time_once(call: Callable[[], Any], clock: Clock = time.perf_counter_ns) -> tuple[Any, int]:
    """Result and duration in ns of one call."""
    start = clock()
    result = call()
    return result, clock() - start


def sample(
    call: Callable[[], Any],
    synchronize: Callable[[], None],
    budget_ns: int,
    least: int = 3,
    clock: Clock = time.perf_counter_ns,
) -> Samples:
    """Time a call until the budget is spent and at least `least` samples are there.

    Synchronisation is inside the timed region. The result of the last timed call is kept, so that what was timed
    can be verified.
    """
    single_ns, warmups = _warm(call, synchronize, min(WARM_NS, budget_ns), clock)
    loops = max(1, -(-LEAST_SAMPLE_NS // max(1, single_ns)))
    samples: list[float] = []
    spent, last, repeats = 0, None, range(loops - 1)
    while spent < budget_ns or len(samples) < least:
        start = clock()
        for _ in repeats:
            call()
        last = call()
        synchronize()
        took = clock() - start
        samples.append(took / loops)
        spent += took
    return Samples(tuple(samples), loops, warmups, last)


def _warm(call: Callable[[], Any], synchronize: Callable[[], None], budget_ns: int, clock: Clock) -> tuple[int, int]:
    """Untimed calls until the budget is spent; the shortest one, and how many there were."""
    shortest, spent, count = 0, 0, 0
    while count < LEAST_WARM or spent < budget_ns:
        start = clock()
        call()
        synchronize()
        took = clock() - start
        shortest = took if count == 0 else min(shortest, took)
        spent += took
        count += 1
    return shortest, count

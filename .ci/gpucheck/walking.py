"""Dependent reads of a device's memory: their time is the latency of the memory that answers.

Sums of large arrays do not distinguish a hot cache from a cold one on a device whose memory is nearly as fast as its
L2: launching and the rest of the kernel take the larger part of their time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from harness.measure.caches import make_device_flush
from harness.measure.clocks import CudaClock

LINES, WIDTH = 4096, 32  # lines of the L2, 128 bytes each; 512 KiB are more than the L1 of one multiprocessor
TURNS = 15
WALK = """
extern "C" __global__ void walk(const unsigned int* next, unsigned int* end, int steps) {
    unsigned int at = 0;
    for (int step = 0; step < steps; ++step) at = next[at];
    *end = at;
}
"""


def make_walk(library: Any) -> Callable[[], Any]:
    """Return a function that reads LINES lines of the device's memory one after the other; library: torch or cupy.

    PyTorch computes cumulative sums of few columns with one thread per column, which stores each sum before the next
    read.
    """
    if library.__name__ == "torch":
        rows = library.ones((LINES, WIDTH), device="cuda")
        return lambda: rows.cumsum(0)
    following = library.zeros(LINES * WIDTH, dtype="uint32")
    following[::WIDTH] = (library.arange(1, LINES + 1, dtype="uint32") % LINES) * WIDTH
    kernel, end = library.RawKernel(WALK, "walk"), library.empty(1, dtype="uint32")
    return lambda: kernel((1,), (1,), (following, end, library.int32(LINES)))


def time_walks(library: Any) -> tuple[float, float]:
    """Return median latencies in ns of a line: right after it was read, and right after a flush."""
    walk, flush, clock = make_walk(library), make_device_flush(library), CudaClock(lambda: None, library)
    walk()  # untimed: CuPy compiles it
    hot, cold = (statistics.median(_time_after(clock, walk, before) for _ in range(TURNS)) for before in (walk, flush))
    return hot / LINES, cold / LINES


def _time_after(clock: CudaClock, walk: Callable[[], Any], before: Callable[[], Any]) -> float:
    before()
    return clock.time(walk)[1]

"""Cold caches: write more memory than the last cache holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

TIMES = 2  # as much memory as the last cache holds, this many times over
DEVICE_TIMES = 4
"""The same on a device. The L2 of large devices has two partitions, and a line that processors of the other side read
is held in both (NVIDIA A100 white paper). Which lines a write replaces is not documented, so more is written than on a
processor: each partition sees half of the writes, four times what it holds.
"""
UNKNOWN_CACHE_BYTES = 64 * 2**20


def make_flush(device: str) -> Callable[[], Any]:
    """A function that writes memory beyond the last cache of the device. Raises UsageError where no device is found."""
    if device == "cpu":
        import numpy as np

        memory = np.zeros(TIMES * last_cache_bytes(), dtype=np.uint8)
        return lambda: memory.fill(1)
    from harness.measure.clocks import find_cuda

    return make_device_flush(find_cuda())


def make_device_flush(library: Any) -> Callable[[], Any]:
    """A function that writes DEVICE_TIMES the L2 of the current device and waits; library: torch or cupy."""
    size = DEVICE_TIMES * read_l2_bytes(library)
    if library.__name__ == "torch":
        there = library.empty(size, dtype=library.uint8, device="cuda")
        fill, wait = there.fill_, library.cuda.synchronize
    else:
        there = library.empty(size, dtype=library.uint8)
        fill, wait = there.fill, library.cuda.runtime.deviceSynchronize

    def flush() -> None:
        fill(1)
        wait()

    return flush


def read_l2_bytes(library: Any) -> int:
    """Bytes of the L2 cache of the current device as its driver tells them, UNKNOWN_CACHE_BYTES where it says 0."""
    if library.__name__ == "torch":
        size = library.cuda.get_device_properties(library.cuda.current_device()).L2_cache_size
    else:
        size = library.cuda.Device().attributes["L2CacheSize"]
    return int(size) or UNKNOWN_CACHE_BYTES


@cache
def last_cache_bytes() -> int:
    """Bytes of the last cache of the first processor, as the system tells them."""
    from harness.machine.system import read_caches

    return max((one["bytes"] for one in read_caches()), default=UNKNOWN_CACHE_BYTES)

"""Cold caches: write more memory than the last-level cache holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.problems.arrays import Namespace


TIMES = 2  # multiple of the last-level cache that is written
DEVICE_TIMES = 4
"""Multiple of the L2 that is written on a device. The L2 of large devices has two partitions; a line is held in both
if processors of the other side read it (NVIDIA A100 white paper). The replacement policy for writes is not documented,
so more is written than on a CPU: each partition sees half of the writes, which is four times its capacity.
"""
UNKNOWN_CACHE_BYTES = 64 * 2**20


def make_flush(device: str) -> Callable[[], object]:
    """Make a function that evicts the last-level cache of the device. Raises UsageError if no CUDA device is found."""
    if device == "cpu":
        import numpy as np

        memory = np.zeros(TIMES * last_cache_bytes(), dtype=np.uint8)
        return lambda: memory.fill(1)
    from harness.measure.clocks import find_cuda

    return make_device_flush(find_cuda())


def make_flush_of_all_cores(most_bytes: int) -> Callable[[], None]:
    """Make a function that evicts the host's last-level cache, and the private caches of every core it may run on.

    What another core has written lies in its private caches, where writing on this core does not reach it.
    most_bytes: to write for the last-level cache. The thread is left on the cores on which it was.
    """
    import numpy as np

    last = np.zeros(min(TIMES * last_cache_bytes(), most_bytes), dtype=np.uint8)
    private = last[: TIMES * private_cache_bytes()]

    def flush() -> None:
        cores = os.sched_getaffinity(0)
        try:
            for core in cores if len(cores) > 1 else ():
                with suppress(OSError):  # a core may have been taken away since
                    os.sched_setaffinity(0, {core})
                    private.fill(1)
        finally:
            os.sched_setaffinity(0, cores)
        last.fill(1)

    return flush


def make_device_flush(library: Namespace) -> Callable[[], object]:
    """Make a function that writes DEVICE_TIMES the size of the current device's L2 and waits.

    library: the module torch or cupy.
    """
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


def read_l2_bytes(library: Namespace) -> int:
    """Return the L2 size of the current device in bytes, as its driver reports it; UNKNOWN_CACHE_BYTES if that is 0."""
    if library.__name__ == "torch":
        size = library.cuda.get_device_properties(library.cuda.current_device()).L2_cache_size
    else:
        size = library.cuda.Device().attributes["L2CacheSize"]
    return int(size) or UNKNOWN_CACHE_BYTES


@cache
def last_cache_bytes() -> int:
    """Return the size in bytes of the largest cache of the first processor, as the system reports it."""
    from harness.machine.system import read_caches

    return max((one["bytes"] for one in read_caches()), default=UNKNOWN_CACHE_BYTES)


@cache
def private_cache_bytes() -> int:
    """Return the size in bytes of the largest cache below the last level of the first processor."""
    from harness.machine.system import read_caches

    levels = sorted({one["level"] for one in read_caches()})
    return max((one["bytes"] for one in read_caches() if one["level"] in levels[:-1]), default=UNKNOWN_CACHE_BYTES)

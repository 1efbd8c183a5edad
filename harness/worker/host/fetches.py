"""Times of bringing a result to the host, compared with an equal array that was only stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from mmap import mmap
from typing import NamedTuple

import numpy as np

from harness.backend.base import Backend
from harness.problems.arrays import Array, DeviceArray

MOST_FLUSH_BYTES = 2**27
WORTH_NS = 20_000  # smaller differences are noise of the machine
LARGE_SHARE = 0.5  # hidden work below this share of a call's time is not reported


class Fetches(NamedTuple):
    """Times in ns, taken right after each other: of copying a result and equal arrays to the host, and of the call."""

    lazy_ns: float
    plain_ns: float
    call_ns: float

    @property
    def hides_work(self) -> bool:
        """True if copying the result takes so long that it must include work."""
        return self._is_worth(self.lazy_ns - 2 * self.plain_ns)

    @property
    def sign(self) -> int:
        """1 if the result seems to hide work, -1 if the stored arrays seem to, 0 if neither does.

        What interrupts a copy makes either side the longer one with equal chances.
        """
        return int(self.hides_work) - int(self._is_worth(self.plain_ns - 2 * self.lazy_ns))

    def _is_worth(self, hidden_ns: float) -> bool:
        return hidden_ns > WORTH_NS and hidden_ns > LARGE_SHARE * self.call_ns


def store_plainly(backend: Backend, outputs: Mapping[str, Array]) -> list[DeviceArray]:
    """Store copies of outputs on the device, and wait until they are there."""
    stored = [backend.to_device(copy_plainly(a)) for a in outputs.values()]
    backend.synchronize()
    return stored


def copy_plainly(a: Array) -> Array:
    """Copy an array to pages of the usual size: NumPy asks for huge ones, which are read faster, and others do not."""
    like = a.copy(order="K")
    if not a.nbytes:
        return like
    made: Array = np.ndarray(a.shape, a.dtype, mmap(-1, a.nbytes), strides=like.strides)
    made[...] = a
    return made


def time_fetch(backend: Backend, arrays: Iterable[DeviceArray]) -> int:
    """Return the time in ns of copying arrays to the host."""
    to_host, begun = backend.to_host, time.perf_counter_ns()
    for a in arrays:
        np.asarray(to_host(a)).copy()
    return time.perf_counter_ns() - begun


def make_flush_of(backend: Backend) -> Callable[[], object]:
    """Return a function that overwrites the host's caches if results are in its memory; else one that does nothing."""
    if backend.device != "cpu":
        return lambda: None
    from harness.measure.caches import make_flush_of_all_cores

    return make_flush_of_all_cores(MOST_FLUSH_BYTES)

"""Times of bringing a result to the host, compared with equal arrays that were only stored.

Every question about work in a result is asked by `look_at`. Where the result is brought first, nothing of the backend
is asked untimed before it. A thread that the call has started may work meanwhile: `honesty.find_unfinished`, and the
processor time of the process, are what shows one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from mmap import mmap
from typing import NamedTuple

import numpy as np

from harness.backend.base import Backend
from harness.backend.copying import own_array
from harness.measure.block import LONG_NS
from harness.problems.arrays import Array, DeviceArray, Outputs
from harness.worker.timed_subject import Member, TimedSubject

MOST_FLUSH_BYTES = 2**27
WORTH_NS = 20_000  # smaller differences are noise of the machine
LARGE_SHARE = 0.5  # hidden work below this share of a call's time is not reported
# Of a long call, such as a pass of a network, a part may be left undone: all gradients of kernels are a third of it.
CLEAR_SHARE, NO_COPY = 0.1, 8.0  # reported if the copy takes so many times as long as that of an equal array


class Fetches(NamedTuple):
    """Times in ns, taken right after each other: of copying a result and equal arrays to the host, and of the call.

    plain_first: the equal arrays were copied before the result.
    """

    lazy_ns: float
    plain_ns: float
    call_ns: float
    plain_first: bool = False

    @property
    def hides_work(self) -> bool:
        """True if copying the result takes so long that it must include work."""
        return self._stands_out(self.lazy_ns, self.plain_ns)

    @property
    def sign(self) -> int:
        """1 if the result seems to hide work, -1 if the stored arrays seem to, 0 if neither does.

        What interrupts a copy makes either side the longer one with equal chances.
        """
        return int(self.hides_work) - int(self._stands_out(self.plain_ns, self.lazy_ns))

    @property
    def sign_by_order(self) -> int:
        """1 if the first copy after the call seems to hide work, whichever it is; -1 if the second one does; else 0."""
        return -self.sign if self.plain_first else self.sign

    def _stands_out(self, one_ns: float, other_ns: float) -> bool:
        """Return True if one copy takes so much longer than the other that it must include work."""
        more_ns = one_ns - 2 * other_ns
        if more_ns <= WORTH_NS:
            return False
        clearly = self.call_ns > LONG_NS and one_ns > NO_COPY * other_ns
        return more_ns > (CLEAR_SHARE if clearly else LARGE_SHARE) * self.call_ns


def describe_times(found: Sequence[Fetches]) -> str:
    """Return the median times of pairs."""
    lazy_ns, plain_ns, call_ns = (
        statistics.median(side)
        for side in zip(*((one.lazy_ns, one.plain_ns, one.call_ns) for one in found), strict=True)
    )
    return (
        f"bringing one to the host takes {lazy_ns / 1e3:.0f} us, an equal array {plain_ns / 1e3:.0f} us, the call "
        f"itself {call_ns / 1e3:.0f} us"
    )


def store(backend: Backend, arrays: Mapping[str, Array]) -> dict[str, DeviceArray]:
    """Store arrays on the device, and wait until they are there."""
    stored = {name: own_array(backend, a) for name, a in arrays.items()}
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


def time_fetch(
    to_host: Callable[[DeviceArray], Array], name_arrays: Callable[[], Mapping[str, DeviceArray]]
) -> tuple[dict[str, Array], int]:
    """Return copies of arrays on the host by name, and the time in ns that this took.

    to_host: brings one to the host.
    name_arrays: returns the arrays. It is timed, too: a result can do its work when it is asked for its parts or shape.
    """
    begun = time.perf_counter_ns()
    copies = {name: np.array(to_host(a)) for name, a in name_arrays().items()}
    return copies, time.perf_counter_ns() - begun


def look_at(
    timed: TimedSubject,
    member: Member,
    result: Outputs,
    call_ns: float,
    like: Mapping[str, Array],
    plain_first: bool,
    flush: Callable[[], object] | None = None,
) -> tuple[dict[str, Array], Fetches]:
    """Bring a result and equal arrays to the host; return the outputs by name, and the times.

    timed: the prepared problem. member: whose call gave the result. result: of that call. call_ns: time of that call.
    like: outputs of an earlier call, which are stored as the equal arrays. plain_first: these are copied first.
    flush: overwrites caches before each copy; None leaves them.
    """
    backend = timed.backend
    # Nothing of the backend, and the same in both orders: what the system does after a call, and code and memory that
    # are used for the first time since, then fall on neither copy.
    plain = {name: copy_plainly(a) for name, a in like.items()}
    time_fetch(lambda a: a, timed.name_again(plain))

    def time_plainly() -> int:
        stored = store(backend, plain)
        if flush is not None:
            flush()
        return time_fetch(backend.to_host, timed.name_again(stored))[1]

    plain_ns = time_plainly() if plain_first else 0
    if flush is not None:
        flush()
    copies, lazy_ns = time_fetch(backend.to_host, partial(timed.name_arrays, result))
    outputs = member.accept(copies)
    if not plain_first:
        plain_ns = time_plainly()
    return outputs, Fetches(lazy_ns, plain_ns, call_ns, plain_first)


def make_flush_of(backend: Backend) -> Callable[[], object]:
    """Return a function that overwrites the host's caches if results are in its memory; else one that does nothing."""
    if backend.device != "cpu":
        return lambda: None
    from harness.measure.caches import make_flush_of_all_cores

    return make_flush_of_all_cores(MOST_FLUSH_BYTES)

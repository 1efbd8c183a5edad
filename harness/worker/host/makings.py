"""Times of making arrays that cannot be written in place, compared with plain copies of as many bytes.

Such arrays are made anew by the backend's `to_device` before each call, outside of its time. What a backend computes
there, be it an answer or another form of its inputs, is missing in the time of the call.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.backend.copying import CopiedCall, Copying
from harness.measure.block import read_clock, waited_reader
from harness.problems.arrays import Array, DeviceArray

# What a library may take for an array of any size (JAX: 80 us): so much, or on a busy machine twice as long as for one
# element right before, but never more than MOST_FIXED_NS, as a backend knows an array of one element when it sees it.
FIXED_NS, MOST_FIXED_NS = 100_000, 500_000
COPIES = 10.0  # plain copies of the same bytes: another order in memory, or the way to a device
CALL_SHARE = 0.1  # of a call, that may be missing in its time
OFTEN = 0.05  # share of makings with work; the estimator of times is the first decile of the calls
FEW = 3  # makings with work, of which fewer can be chance


@dataclass(slots=True)
class Making:
    """Times in ns of making the arrays of one call.

    own_ns: in the backend's own functions, less the time in which this thread waited for a core. plain_ns: of plain
    copies. fixed_ns: that may be taken for arrays of any size.
    """

    own_ns: int = 0
    plain_ns: int = 0
    fixed_ns: int = 0

    def hides_work(self, call_ns: float) -> bool:
        """Return True if it takes so long that it must include work.

        call_ns: time of a call.
        """
        return self.own_ns > self.fixed_ns + COPIES * self.plain_ns + CALL_SHARE * call_ns


def remake(copied: CopiedCall, *, new: bool) -> Making:
    """Make the arrays of a call, and return the times.

    copied: the call. new: False leaves the arrays that the call has seen.
    """
    found = Making()

    def make(a: Array) -> DeviceArray:
        found.fixed_ns += limit_fixed(time_element(copied.backend, a))
        begun = read_clock()
        plain = np.array(a, order="K")
        found.plain_ns += read_clock() - begun
        made, own_ns = bring(copied.backend, plain)
        found.own_ns += own_ns
        return made

    copied.refresh(make) if new else copied.rewrite(make)
    return found


def bring(backend: Copying, a: Array) -> tuple[DeviceArray, int]:
    """Return an array as one of the backend's, and the time that this took, less the wait of this thread for a core."""
    read_waited = waited_reader()
    begun, waited_ns = read_clock(), read_waited()
    made = backend.bring(a)
    return made, read_clock() - begun - (read_waited() - waited_ns)


def time_element(backend: Copying, like: Array) -> int:
    """Return the time in ns of making an array of one element, 0 if the backend makes none.

    like: array of the same dtype and number of axes.
    """
    try:
        return bring(backend, np.zeros((1,) * like.ndim, like.dtype))[1]
    except Exception:  # it may refuse an array that no call needs
        return 0


def limit_fixed(element_ns: float) -> int:
    """Return the time in ns that an array of any size may take to make.

    element_ns: of making an array of one element.
    """
    return round(min(max(FIXED_NS, 2 * element_ns), MOST_FIXED_NS))


def judge_makings(shown: int, count: int) -> bool | None:
    """Return True if work in makings can decide the time of a call, False if it cannot, None if they are too few.

    shown: makings with work. count: of all.
    """
    if shown <= OFTEN * count:
        return False
    return True if shown >= FEW else None


def describe_makings(shown: Sequence[Making], count: int, call_ns: float) -> str:
    """Return the median times of makings that include work.

    shown: these. count: of all that were timed. call_ns: time of a call.
    """
    own_us, plain_us = (statistics.median(getattr(one, side) for one in shown) / 1e3 for side in ("own_ns", "plain_ns"))
    return (
        f"before {len(shown)} of {count} calls, making its arrays takes {own_us:.0f} us, copying as many bytes "
        f"{plain_us:.0f} us, the call itself {call_ns / 1e3:.0f} us"
    )

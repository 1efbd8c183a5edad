"""Clocks of timed regions: the host clock, and CUDA events with the host clock around them.

The functions of `time` are bound when this module is imported. A worker imports it before it loads a backend, so that a
backend that patches `time.perf_counter_ns` later has no effect here.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.problems.arrays import Namespace

T = TypeVar("T")
LIBRARIES = ("torch", "cupy")
TOLERANCE = 0.05
SLACK_NS = 10_000_000  # an interruption between two readings costs a time slice
READING_NS = 5_000  # between the readings of both clocks; interruptions exceed it rarely, a wrong clock always
LAUNCH_NS = 20_000  # host time to record two events and to wait for the device
MOST_LAUNCH_NS = 200_000  # upper limit for slow drivers, as in a virtual machine; a larger one would hide work
EMPTY_CALLS = 15

read_clock = time.perf_counter_ns
_monotonic = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """A clock that times one call, including the wait for its completion.

    launch_ns: difference between the two clocks of a sample that is accepted without a check of their agreement.
    """

    name: str
    launch_ns: float

    def time(self, run: Callable[[], T]) -> tuple[T, float, float]:
        """Return the result of `run()`, its time in ns, and the time by a second clock around the first."""


class HostClock:
    """`perf_counter_ns` around the call and its synchronisation; the second clock is CLOCK_MONOTONIC."""

    name = "host"
    launch_ns: float = READING_NS

    def __init__(
        self,
        synchronize: Callable[[], None],
        now: Callable[[], int] = read_clock,
        second: Callable[[], int] = _monotonic,
    ) -> None:
        self.synchronize, self.now, self.second = synchronize, now, second

    def time(self, run: Callable[[], T]) -> tuple[T, float, float]:
        """Return the result of `run()` and its time in ns by both clocks."""
        around = self.second()
        begun = self.now()
        result = run()
        self.synchronize()
        took = self.now() - begun
        return result, took, self.second() - around


class CudaClock:
    """CUDA events on the current stream around the call; the second clock is the host clock until all streams are idle.

    Work on another stream is not between the events. The clock waits for the whole device, and does not rely on the
    backend's own `synchronize`; the host clock therefore includes that work, and `clocks_disagree` reports it.
    """

    name = "cuda"

    def __init__(self, synchronize: Callable[[], None], library: Namespace) -> None:
        self.synchronize, self.library = synchronize, library
        if library.__name__ == "torch":
            self.wait, make = library.cuda.synchronize, partial(library.cuda.Event, enable_timing=True)
        else:
            self.wait, make = library.cuda.runtime.deviceSynchronize, library.cuda.Event
        self.begin, self.end = make(), make()
        self.launch_ns = self._measure_launch()

    def time(self, run: Callable[[], T]) -> tuple[T, float, float]:
        """Return the result of `run()`, ns between the events, and ns by the host clock until every stream was idle."""
        self.wait()  # exclude work that was queued before
        begun = read_clock()
        self.begin.record()
        result = run()
        self.end.record()
        self.synchronize()
        self.wait()
        host_ns = read_clock() - begun
        return result, self._elapsed_ms() * 1e6, host_ns

    def _measure_launch(self) -> float:
        """Twice the median difference of the two clocks around no work, in ns, within LAUNCH_NS and MOST_LAUNCH_NS.

        Waits for the device only, so that a slow `synchronize` of a backend does not increase the tolerance.
        """
        apart = []
        for _ in range(EMPTY_CALLS):
            self.wait()
            begun = read_clock()
            self.begin.record()
            self.end.record()
            self.wait()
            host_ns = read_clock() - begun
            apart.append(host_ns - self._elapsed_ms() * 1e6)
        return min(MOST_LAUNCH_NS, max(LAUNCH_NS, 2 * statistics.median(apart)))

    def _elapsed_ms(self) -> float:
        if self.library.__name__ == "torch":
            return float(self.begin.elapsed_time(self.end))
        return float(self.library.cuda.get_elapsed_time(self.begin, self.end))


def choose_clock(name: str, synchronize: Callable[[], None], device: str = "cpu") -> Clock:
    """Make the clock that a backend declares.

    name: "host" or "cuda". synchronize: the backend's own function. device: location of the backend's arrays; for
        "cuda", the host clock waits for the whole device too.
    Raises UsageError for an unknown name, or if a CUDA clock finds no device.
    """
    if name == "host":
        return HostClock(wait_for(device, synchronize))
    if name == "cuda":
        return CudaClock(synchronize, find_cuda())
    raise UsageError(f"unknown clock: got '{name}', wanted one of cuda, host; correct `clock` of the backend")


def wait_for(device: str, synchronize: Callable[[], None]) -> Callable[[], None]:
    """Make a function that waits for all queued operations, even if the backend's own `synchronize` does not.

    If neither PyTorch nor CuPy finds the device, this is the backend's own `synchronize`.
    """
    if device != "cuda":
        return synchronize
    try:
        library = find_cuda()
    except UsageError:
        return synchronize
    wait = library.cuda.synchronize if library.__name__ == "torch" else library.cuda.runtime.deviceSynchronize

    def wait_twice() -> None:
        synchronize()
        wait()

    return wait_twice


def find_cuda() -> Namespace:
    """Return PyTorch or CuPy, the first with a CUDA device; a loaded module is tried first. Raises UsageError."""
    reasons = []
    for name in sorted(LIBRARIES, key=lambda name: name not in sys.modules):
        try:
            library = import_module(name)
            if library.cuda.is_available():
                return library
            reasons.append(f"{name} finds no device")
        except (ImportError, OSError, AttributeError) as error:
            reasons.append(f"{name}: {type(error).__name__}")
    raise UsageError(
        f"no CUDA events: got {', '.join(reasons)}; wanted PyTorch or CuPy with a CUDA device; "
        "install one, or let the backend declare clock = 'host'"
    )


def elapsed_disagrees(took_ns: float, around_ns: float, slack_ns: float = SLACK_NS) -> str | None:
    """Return the reason why a host time and the second clock around it cannot both be right; None if they can.

    took_ns: by the first clock. around_ns: by the second. slack_ns: absolute tolerance, in addition to 5 %.
    Sums over a block are better than single samples, because an interruption between two readings is then small.
    """
    if took_ns > around_ns * (1 + TOLERANCE):
        return f"the clock runs ahead: {took_ns / 1e3:.1f} us inside of {around_ns / 1e3:.1f} us by CLOCK_MONOTONIC"
    if took_ns < around_ns * (1 - TOLERANCE) - slack_ns:
        return f"the clock runs behind: {took_ns / 1e3:.1f} us of {around_ns / 1e3:.1f} us by CLOCK_MONOTONIC"
    return None


def clocks_disagree(device_ns: float, host_ns: float, launch_ns: float = LAUNCH_NS) -> str | None:
    """Return the reason why the events and the host clock around them cannot both be right; None if they can.

    device_ns: between the events. host_ns: by the host clock.
    launch_ns: upper bound of the launch overhead, which lies between the two, per sample; multiply it for a sum of
        samples. A difference of 5 % is allowed in addition.
    """
    if device_ns > host_ns * (1 + TOLERANCE):
        return f"events say {device_ns / 1e3:.1f} us, more than the {host_ns / 1e3:.1f} us that passed on the host"
    if device_ns < (host_ns - launch_ns) * (1 - TOLERANCE):
        return (
            f"events say {device_ns / 1e3:.1f} us, but the device was busy for {host_ns / 1e3:.1f} us by the host's "
            "clock: work on another stream, or events that cannot be believed"
        )
    return None

"""Clocks of timed regions: the host's, and a CUDA device's events with the host's clock around them.

The functions of `time` are bound when this module is imported, which a worker does before it loads a backend: whoever
patches `time.perf_counter_ns` afterwards does not reach them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from harness.errors import UsageError

LIBRARIES = ("torch", "cupy")
TOLERANCE = 0.05
SLACK_NS = 10_000_000  # whoever is interrupted between two readings loses a time slice
READING_NS = 5_000  # between the readings around one sample: an interruption takes more, a lie takes it every time
LAUNCH_NS = 20_000  # recording two events and waiting for the device, on the host's side
MOST_LAUNCH_NS = 200_000  # the same where drivers are slow, as below a hypervisor; more would hide work
EMPTY_CALLS = 15

read_clock = time.perf_counter_ns
_monotonic = partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Times one call, waiting for it included.

    launch_ns: how far the two clocks around one sample may lie apart before it is asked whether one of them lies.
    """

    name: str
    launch_ns: float

    def time(self, run: Callable[[], Any]) -> tuple[Any, float, float]:
        """Result of `run()`, its time in ns, and the same by a second clock around the first."""


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

    def time(self, run: Callable[[], Any]) -> tuple[Any, float, float]:
        """Result of `run()`, and its time in ns by both clocks."""
        around = self.second()
        begun = self.now()
        result = run()
        self.synchronize()
        took = self.now() - begun
        return result, took, self.second() - around


class CudaClock:
    """Events on the current stream around the call; the second clock is the host's, around all streams' ends.

    Work that was put on another stream is not between the events. The device is waited for as a whole, not only with
    the backend's own `synchronize`, so that the host's clock sees that work, and `clocks_disagree` tells of it.
    """

    name = "cuda"

    def __init__(self, synchronize: Callable[[], None], library: Any) -> None:
        self.synchronize, self.library = synchronize, library
        if library.__name__ == "torch":
            self.wait, make = library.cuda.synchronize, partial(library.cuda.Event, enable_timing=True)
        else:
            self.wait, make = library.cuda.runtime.deviceSynchronize, library.cuda.Event
        self.begin, self.end = make(), make()
        self.launch_ns = self._measure_launch()

    def time(self, run: Callable[[], Any]) -> tuple[Any, float, float]:
        """Result of `run()`, ns between the events, and ns by the host's clock until every stream was empty."""
        self.wait()  # what was queued before is not this call's
        begun = read_clock()
        self.begin.record()
        result = run()
        self.end.record()
        self.synchronize()
        self.wait()
        host_ns = read_clock() - begun
        return result, self._elapsed_ms() * 1e6, host_ns

    def _measure_launch(self) -> float:
        """Twice the median ns between the two clocks around nothing, within LAUNCH_NS and MOST_LAUNCH_NS.

        Only the device is waited for: a backend whose own `synchronize` takes long gains no room by it.
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
    """The clock that a backend declares. Raises UsageError for an unknown name, or where no CUDA device is there.

    device: where the backend's arrays live; the host's clock waits for all of a CUDA device too.
    """
    if name == "host":
        return HostClock(wait_for(device, synchronize))
    if name == "cuda":
        return CudaClock(synchronize, find_cuda())
    raise UsageError(f"unknown clock: got '{name}', wanted one of cuda, host; correct `clock` of the backend")


def wait_for(device: str, synchronize: Callable[[], None]) -> Callable[[], None]:
    """Make the function that waits until every queued operation has ended, whatever the backend's own one waits for.

    Where neither PyTorch nor CuPy finds the device, the backend's own `synchronize` is all there is.
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


def find_cuda() -> Any:
    """PyTorch or CuPy, whichever has a CUDA device; the one that is loaded already comes first. Raises UsageError."""
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


def elapsed_disagrees(took_ns: float, around_ns: float, slack_ns: float = SLACK_NS) -> str:
    """The reason why a host time and the second clock around it cannot both be right; empty where they can.

    Sums over a block are better than single samples: an interruption between two readings is then small.
    """
    if took_ns > around_ns * (1 + TOLERANCE):
        return f"the clock runs ahead: {took_ns / 1e3:.1f} us inside of {around_ns / 1e3:.1f} us by CLOCK_MONOTONIC"
    if took_ns < around_ns * (1 - TOLERANCE) - slack_ns:
        return f"the clock runs behind: {took_ns / 1e3:.1f} us of {around_ns / 1e3:.1f} us by CLOCK_MONOTONIC"
    return ""


def clocks_disagree(device_ns: float, host_ns: float, launch_ns: float = LAUNCH_NS) -> str:
    """The reason why events and the host's clock around them cannot both be right; empty where they can.

    launch_ns: between them lies the launch overhead, which is anything from 0 to this: per sample, so that a sum of
        samples takes as many times of it. Beyond, 5 % are allowed.
    """
    if device_ns > host_ns * (1 + TOLERANCE):
        return f"events say {device_ns / 1e3:.1f} us, more than the {host_ns / 1e3:.1f} us that passed on the host"
    if device_ns < (host_ns - launch_ns) * (1 - TOLERANCE):
        return (
            f"events say {device_ns / 1e3:.1f} us, but the device was busy for {host_ns / 1e3:.1f} us by the host's "
            "clock: work on another stream, or events that cannot be believed"
        )
    return ""

"""A block: untimed calls until the state is steady again, then samples of a few calls each until the budget ends.

Hot: calls follow each other, over a pool of inputs in turn. Cold: before every call, memory beyond the last cache is
written, untimed, and each sample is one call.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from harness.timing.clocks import Clock
from harness.timing.device_clock import Gpu, make_reader
from harness.timing.statistics import steady

Mode = Literal["hot", "cold"]
LEAST_SAMPLE_NS = 400_000  # 8000 steps of a 50 ns clock; the clock's own 60 ns are 0.02 % of it
CALIBRATION_NS = 5_000_000
LEAST_CALLS = 3
RAISE_NS = 300_000_000  # most that a device gets to raise its clock; idle ones begin at a fifth of it
RISES = 1.02  # times the reading before
WARM_NS = 5_000_000  # of untimed calls after an arm was suspended: its threads wake and spin, its caches fill

_now = time.perf_counter_ns  # bound before any backend is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Calls to time: one for each member of the pool, how many make a sample, and what is done around them.

    single_ns: median time of one call while calibrating.
    flush: writes memory beyond the last cache (cold), or nothing.
    read_gpu: reads the clock of the device that does the work, or nothing.
    extra: known work inside the timed region, of which `qualify` says how much it is; None otherwise.
    """

    calls: tuple[Callable[[], Any], ...]
    clock: Clock
    loops: int = 1
    warmups: int = 0
    single_ns: float = 0.0
    flush: Callable[[], Any] | None = None
    read_gpu: Callable[[], Gpu | None] | None = None
    extra: Callable[[], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Samples of a block in ns per call, and the last result of every member by number.

    clocks: of every sample, all its calls by the clock, and by the second one around it.
    gpu: clock of the device before the first sample and after the last; empty where none can be read.
    """

    samples_ns: tuple[float, ...]
    clocks: tuple[tuple[float, float], ...]
    timed_ns: int
    warmups: int
    results: dict[int, Any]
    gpu: tuple[Gpu, ...] = ()


def make_ready(calls: Sequence[Callable[[], Any]], clock: Clock, mode: Mode, device: str) -> Ready:
    """Put calls, clock and mode together."""
    flush = None
    if mode == "cold":
        from harness.timing.caches import make_flush

        flush = make_flush(device)
    return Ready(calls=tuple(calls), clock=clock, flush=flush, read_gpu=make_reader(device))


def calibrate(ready: Ready, slowdown: float = 0.0) -> Ready:
    """Time single calls, choose how many make a sample, and make the work that slows each sample down by a share."""
    times: list[float] = []
    begun = _now()
    while len(times) < LEAST_CALLS or _now() - begun < CALIBRATION_NS:
        times.append(ready.clock.time(ready.calls[len(times) % len(ready.calls)])[1])
    single = statistics.median(times)
    shortest = max(1, round(min(times)))  # what interrupts calibration must not make samples of single short calls
    loops = 1 if ready.flush else max(1, -(-LEAST_SAMPLE_NS // shortest))
    if loops > 1:
        loops = -(-loops // len(ready.calls)) * len(ready.calls)  # every member equally often in every sample
    ready = replace(ready, loops=loops, warmups=len(times), single_ns=single)
    if not slowdown:
        return ready
    from harness.timing.slowdown import make_work

    usual = steady(time_block(ready, CALIBRATION_NS, WARM_NS, LEAST_CALLS).samples_ns)  # as comparisons see it
    return replace(ready, extra=make_work(slowdown * usual * loops))


def time_block(ready: Ready, budget_ns: int, warm_ns: int, least: int) -> Timed:
    """Warm up for `warm_ns`, then take samples until the budget is spent and at least `least` are there."""
    warmups = _warm(ready, warm_ns) + _raise_clock(ready, warm_ns)
    begun = ready.read_gpu() if ready.read_gpu else None
    samples: list[float] = []
    clocks: list[tuple[float, float]] = []
    results: dict[int, Any] = {}
    spent = 0.0
    for number in itertools.count():
        if spent >= budget_ns and len(samples) >= least:
            break
        run = _sample_call(ready, number)
        if ready.flush is not None:
            ready.flush()
        last, took_ns, around_ns = ready.clock.time(run)
        results |= last
        spent += took_ns
        clocks.append((took_ns, around_ns))
        samples.append(round(took_ns / ready.loops, 2))
    ended = ready.read_gpu() if ready.read_gpu else None
    return Timed(
        samples_ns=tuple(samples), clocks=tuple(clocks), timed_ns=round(spent), warmups=warmups, results=results,
        gpu=(begun, ended) if begun and ended else (),
    )  # fmt: skip


def _sample_call(ready: Ready, number: int) -> Callable[[], dict[int, Any]]:
    """The timed region of one sample: all members in turn, and the last result of each."""
    calls, members = ready.calls, len(ready.calls)
    if ready.loops == 1:
        member = number % members
        return partial(_run_one, calls[member], member, ready.extra)
    return partial(_run_many, calls, ready.loops // members - 1, ready.extra)


def _run_one(call: Callable[[], Any], member: int, extra: Callable[[], Any] | None) -> dict[int, Any]:
    result = call()
    if extra is not None:
        extra()
    return {member: result}


def _run_many(calls: tuple[Callable[[], Any], ...], rounds: int, extra: Callable[[], Any] | None) -> dict[int, Any]:
    for _ in itertools.repeat(None, rounds):
        for call in calls:
            call()
    results = {member: call() for member, call in enumerate(calls)}
    if extra is not None:
        extra()
    return results


def _warm(ready: Ready, warm_ns: int) -> int:
    """Untimed calls until the time is spent, at least one where any time is given; a cold cache needs no more."""
    count, begun = 0, _now()
    while warm_ns and (count == 0 or _now() - begun < warm_ns):
        ready.clock.time(ready.calls[count % len(ready.calls)])
        count += 1
        if ready.flush is not None:
            break
    return count


def _raise_clock(ready: Ready, warm_ns: int) -> int:
    """Untimed calls until the clock of a device that was idle rises no more, RAISE_NS at most; how many."""
    count, begun, last = 0, _now(), 0.0
    while warm_ns and ready.read_gpu and _now() - begun < RAISE_NS:
        gpu = ready.read_gpu()
        if gpu is None or gpu.sm_mhz <= RISES * last:
            break
        last, until = gpu.sm_mhz, _now() + warm_ns
        while _now() < until:
            ready.clock.time(ready.calls[count % len(ready.calls)])
            count += 1
    return count

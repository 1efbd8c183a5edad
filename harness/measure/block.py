"""Blocks: untimed warm-up calls until the state is steady, then samples of a few calls each until the budget ends.

Hot: calls follow each other and cycle through a pool of inputs. Cold: before every call, memory beyond the size of the
last cache is written, untimed, and each sample is one call. Before every call its inputs are refilled with new
contents, untimed; calls are then timed one by one, and a sample is their mean. A sample is timed as a whole only if
calls are queued on a device, so that single timings would wait for each other, or if the contents cannot be renewed.
"""

from __future__ import annotations

import itertools
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, TypeAlias

from harness.measure.clocks import Clock, HostClock
from harness.measure.device_clock import Gpu, make_reader
from harness.measure.estimator import steady
from harness.measure.processor_time import descendants_ns, make_waited, own_ns

if TYPE_CHECKING:
    from harness.plan.suite import Mode
    from harness.problems.arrays import Call, Outputs

Look: TypeAlias = "Callable[[int, Outputs, float], None]"
LEAST_SAMPLE_NS = 400_000  # 8000 steps of a 50 ns clock; the clock's own 60 ns are 0.02 % of it
LONG_NS = 2_000_000  # a call so long that it is a sample by itself, and that looking at its result costs little
CALIBRATION_NS = 5_000_000
LEAST_CALLS = 3
RAISE_NS = 300_000_000  # time limit for a device to raise its clock; an idle device starts at a fifth of it
RISES = 1.02  # ratio to the highest previous reading that counts as a rise
STILL = 3  # consecutive readings without a rise: a driver may report the same clock for some milliseconds
WARM_NS = 5_000_000  # untimed calls after an arm was suspended: its threads wake and spin, its caches fill
READINGS = 1_000  # of a clock around an empty call
MOST_READINGS = 20  # each takes some microseconds; a time slice is hundreds of times as long

read_clock = time.perf_counter_ns  # bound before any backend is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Calls to time: one for each member of the input pool, the number of calls in a sample, and the work around them.

    single_ns: median time of one call during calibration.
    flush: writes memory beyond the size of the last cache (cold mode); None in hot mode.
    read_gpu: reads the clock of the device under test; None if there is none.
    extra: known extra work inside the timed region, sized by `qualify`; None otherwise.
    renew: refills the inputs of a member with new contents; None if that is impossible.
    apart: True if each call of a sample is timed by itself, with new contents before it.
    """

    calls: tuple[Call, ...]
    clock: Clock
    loops: int = 1
    warmups: int = 0
    single_ns: float = 0.0
    flush: Callable[[], object] | None = None
    read_gpu: Callable[[], Gpu | None] | None = None
    extra: Callable[[], object] | None = None
    renew: Callable[[int], None] | None = None
    apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Samples of a block, in ns per call.

    clocks: for each sample, the total of all its calls by the clock and by the second clock around it, in ns.
    cpu_ns, span_ns, waited_ns: during the samples, processor time of the process and its descendants; wall time,
        including the work between calls; and time this thread waited for a core.
    gpu: state of the device before the first sample and after the last; empty if it cannot be read.
    """

    samples_ns: tuple[float, ...]
    clocks: tuple[tuple[float, float], ...]
    timed_ns: int
    warmups: int
    cpu_ns: int = 0
    span_ns: int = 0
    waited_ns: int = 0
    gpu: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Resources used so far, in ns: processor time of the process, wall time, and this thread's wait for a core."""

    cpu_ns: int = 0
    span_ns: int = 0
    waited_ns: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(
            cpu_ns=self.cpu_ns + other.cpu_ns, span_ns=self.span_ns + other.span_ns,
            waited_ns=self.waited_ns + other.waited_ns,
        )  # fmt: skip

    def __sub__(self, other: Use) -> Use:
        return Use(
            cpu_ns=self.cpu_ns - other.cpu_ns, span_ns=self.span_ns - other.span_ns,
            waited_ns=self.waited_ns - other.waited_ns,
        )  # fmt: skip


def make_ready(calls: Sequence[Call], clock: Clock, mode: Mode, device: str) -> Ready:
    """Combine calls, clock and mode into a Ready that is not yet calibrated.

    calls: one for each member of the input pool. mode: "cold" adds a cache flush. device: "cpu" or "cuda".
    Raises UsageError if a cache flush needs a CUDA device and none is found.
    """
    flush = None
    if mode == "cold":
        from harness.measure.caches import make_flush

        flush = make_flush(device)
    return Ready(calls=tuple(calls), clock=clock, flush=flush, read_gpu=make_reader(device))


def calibrate(ready: Ready, slowdown: float = 0.0) -> Ready:
    """Time single calls, then choose the number of calls in a sample and, for a slow-down, the extra work.

    slowdown: extra work as a share of the usual time of a sample; 0 for none.
    """
    times: list[float] = []
    begun = read_clock()
    while len(times) < LEAST_CALLS or read_clock() - begun < CALIBRATION_NS:
        member = len(times) % len(ready.calls)
        _renew(ready, member)
        times.append(ready.clock.time(ready.calls[member])[1])
    single = statistics.median(times)
    shortest = max(1, round(min(times)))  # the minimum: an interrupted call must not lead to samples of one short call
    # The shortest of long calls may have left its work undone: a sample of so many calls shows one result of them all.
    loops = 1 if ready.flush or single > LONG_NS else max(1, -(-LEAST_SAMPLE_NS // shortest))
    if loops > 1:
        loops = -(-loops // len(ready.calls)) * len(ready.calls)  # each member is called equally often in a sample
    ready = replace(ready, loops=loops, warmups=len(times), single_ns=single)
    if not slowdown:
        return ready
    from harness.measure.slowdown import make_work

    usual = steady(time_block(ready, CALIBRATION_NS, WARM_NS, LEAST_CALLS).samples_ns)  # the estimator of comparisons
    return replace(ready, extra=make_work(slowdown * usual * loops))


def time_block(
    ready: Ready, budget_ns: int, warm_ns: int, least: int, look: Look | None = None, one_in: int = 0
) -> Timed:
    """Warm up for `warm_ns`, then take samples until the budget is spent and at least `least` of them exist.

    ready: calibrated calls. budget_ns: total of the timed calls. warm_ns: 0 skips warming up.
    look: called with the member, the result and the time in ns of unpredictable calls, untimed, before anything else
        happens; the last of these calls is any call of the block with equal probability (reservoir sampling).
    one_in: look at a call of every sample with this probability instead, 1 / one_in; 0 for reservoir sampling.
    """
    begun, below_ns = read_clock(), descendants_ns()
    warmups = _warm(ready, warm_ns) + _raise_clock(ready, warm_ns)
    before = ready.read_gpu() if ready.read_gpu else None
    samples: list[float] = []
    clocks: list[tuple[float, float]] = []
    spent, used = 0.0, Use()
    for number in itertools.count():
        if spent >= budget_ns and len(samples) >= least:
            break
        chosen = look if look is not None and secrets.randbelow(one_in or number + 1) == 0 else None
        took_ns, around_ns, use = _take_sample(ready, number, chosen)
        spent, used = spent + took_ns, used + use
        clocks.append((took_ns, around_ns))
        samples.append(round(took_ns / ready.loops, 2))
    after = ready.read_gpu() if ready.read_gpu else None
    below_ns = descendants_ns() - below_ns
    return Timed(
        samples_ns=tuple(samples), clocks=tuple(clocks), timed_ns=round(spent), warmups=warmups,
        cpu_ns=round(used.cpu_ns + below_ns * used.span_ns / max(1, read_clock() - begun)),
        span_ns=used.span_ns, waited_ns=used.waited_ns, gpu=(before, after) if before and after else (),
    )  # fmt: skip


def _take_sample(ready: Ready, number: int, look: Look | None) -> tuple[float, float, Use]:
    """Take one sample: its time by the clock, by the second clock, and the resources used."""
    if ready.apart and ready.loops > 1:
        return _take_single_calls(ready, look)
    members = len(ready.calls)
    member = number % members if ready.loops == 1 else secrets.randbelow(members)
    for one in [member] if ready.loops == 1 else range(members):
        _renew(ready, one)
    if ready.loops == 1:
        run = partial(_run_one, ready.calls[member], ready.extra)
    else:
        run = partial(_run_many, ready.calls, ready.loops // members - 1, member, ready.extra)
    if ready.flush is not None:
        ready.flush()
    begun = read_use()
    result, took_ns, around_ns = ready.clock.time(run)
    used = read_use() - begun
    if look is not None:
        look(member, result, took_ns / ready.loops)
    return took_ns, around_ns, used


def _take_single_calls(ready: Ready, look: Look | None) -> tuple[float, float, Use]:
    """Take one sample of many calls, each timed by itself; the clock's own cost is subtracted.

    The time by the second clock is that of the first, plus the median excess of the second clock per call.
    """
    calls, clock, members, last = ready.calls, ready.clock, len(ready.calls), ready.loops - 1
    chosen = secrets.randbelow(ready.loops) if look is not None else -1
    took_ns, beyond_ns = 0.0, []
    begun, used = read_use(), Use()
    for number in range(ready.loops):
        member = number % members
        _renew(ready, member)
        run = calls[member] if ready.extra is None or number < last else partial(_run_one, calls[member], ready.extra)
        result, took, around = clock.time(run)
        took_ns += took
        beyond_ns.append(around - took)
        if number == chosen and look is not None:
            used = read_use() - begun
            look(member, result, took)
            begun = read_use()
        del result
    used += read_use() - begun
    took_ns = max(took_ns - ready.loops * read_cost(type(clock)), float(ready.loops))
    # A wrong clock is wrong in every call; an interruption between two readings affects one call.
    return took_ns, took_ns + ready.loops * statistics.median(beyond_ns), used


def read_use() -> Use:
    """Read the resources used so far, consistently: repeat if the thread lost its core between the readings.

    The query for processor time is a point at which the scheduler often preempts the thread.
    """
    read_waited = waited_reader()
    for _ in range(MOST_READINGS):
        use = Use(waited_ns=read_waited(), cpu_ns=own_ns(), span_ns=read_clock())
        if read_waited() == use.waited_ns:
            break
    return use


@cache
def waited_reader() -> Callable[[], int]:
    """Reader of the time this thread waited for a core; one thread times all blocks of a process."""
    return make_waited()


@cache
def read_cost(kind: type) -> float:
    """Return the median time in ns that a host clock measures around an empty call; 0 for other clocks."""
    if kind is not HostClock:
        return 0.0
    clock = HostClock(_nothing)
    return statistics.median(clock.time(_nothing)[1] for _ in range(READINGS))


def _nothing() -> None:
    """Do nothing."""


def _renew(ready: Ready, member: int) -> None:
    if ready.renew is not None:
        ready.renew(member)


def _run_one(call: Call, extra: Callable[[], object] | None) -> Outputs:
    result = call()
    if extra is not None:
        extra()
    return result


def _run_many(calls: tuple[Call, ...], rounds: int, member: int, extra: Callable[[], object] | None) -> Outputs:
    """Call all members in turn, as often as a sample needs; return the last result of one member."""
    for _ in itertools.repeat(None, rounds):
        for call in calls:
            call()
    results = [call() for call in calls]
    if extra is not None:
        extra()
    return results[member]


def _warm(ready: Ready, warm_ns: int) -> int:
    """Make untimed calls for `warm_ns`, at least one unless it is 0, one only for cold caches; return their number."""
    count, begun = 0, read_clock()
    while warm_ns and (count == 0 or read_clock() - begun < warm_ns):
        ready.clock.time(ready.calls[count % len(ready.calls)])
        count += 1
        if ready.flush is not None:
            break
    return count


def _raise_clock(ready: Ready, warm_ns: int) -> int:
    """Make untimed calls until the clock of an idle device stops rising, for at most RAISE_NS; return their number."""
    count, begun, highest, still = 0, read_clock(), 0.0, 0
    while warm_ns and ready.read_gpu and read_clock() - begun < RAISE_NS:
        gpu = ready.read_gpu()
        if gpu is None:
            break
        still = 0 if gpu.sm_mhz > RISES * highest else still + 1
        if still == STILL:
            break
        highest, until = max(highest, gpu.sm_mhz), read_clock() + warm_ns
        while read_clock() < until:
            ready.clock.time(ready.calls[count % len(ready.calls)])
            count += 1
    return count

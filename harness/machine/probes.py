"""Probes of timing noise: a fixed kernel, repeated, and the system's counters during that time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from harness.machine.limits import read_throttling
from harness.machine.system import ROOT, parse_number, read_mhz, read_text

KERNEL_NS = 200_000
WARM_UPS = 50
FREQUENCY_SHARE = 0.2  # share of the total probing time that goes to the frequency probe
POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Processor time of the whole machine since boot, in clock ticks."""

    busy: int
    idle: int
    steal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """System activity while the kernel was repeated; None if the system does not report a value.

    steal: share of the requested processor time that the hypervisor gave to other guests.
    others_cores: processor time of everything except this process, as a number of cores.
    busiest: name and cores of each other process, the busiest first.
    throttling: periods of the cgroup's quota, and the number of them in which it stopped this process.
    """

    steal: float | None
    others_cores: float | None
    busiest: tuple[tuple[str, float], ...]
    throttling: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """Distribution of the times of one fixed kernel; p90 and p99 are relative to the median.

    drift: median of the second half over that of the first, minus one.
    """

    median_ns: float
    p90: float
    p99: float
    drift: float


def parse_ticks(stat: str | None) -> Ticks | None:
    """Parse the line of all processors in /proc/stat; `user` already includes guest time (man 5 proc_stat)."""
    words = (stat or "").split("\n", 1)[0].split()
    numbers = [number for word in words[1:9] if (number := parse_number(word)) is not None]
    if not words or words[0] != "cpu" or len(numbers) < 8:
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = numbers
    return Ticks(busy=user + nice + system + irq + softirq, idle=idle + iowait, steal=steal)


def steal_share(before: Ticks, after: Ticks) -> float:
    """Return the share of the requested processor time that the hypervisor gave to other guests."""
    stolen = after.steal - before.steal
    wanted = after.busy - before.busy + stolen
    return max(0.0, stolen / wanted) if wanted > 0 else 0.0


def summarise_jitter(samples_ns: list[int]) -> Jitter:
    """Compute the spread and the drift of times, given in order of measurement."""
    half = len(samples_ns) // 2
    median = _quantile(samples_ns, 0.5)
    return Jitter(
        median_ns=median,
        p90=_quantile(samples_ns, 0.9) / median,
        p99=_quantile(samples_ns, 0.99) / median,
        drift=_quantile(samples_ns[half:], 0.5) / _quantile(samples_ns[:half], 0.5) - 1,
    )


def _quantile(samples: list[int], share: float) -> float:
    """Sample at that rank, without interpolation."""
    return float(sorted(samples)[min(len(samples) - 1, int(share * len(samples)))])


def _spin(steps: int) -> None:
    """Run a fixed amount of work on one thread without memory access, so that only the machine varies."""
    for _ in repeat(None, steps):
        pass


def _time_spin(steps: int) -> int:
    begun = time.perf_counter_ns()
    _spin(steps)
    return time.perf_counter_ns() - begun


def make_steps(wanted_ns: int = KERNEL_NS) -> int:
    """Return the number of kernel steps that take about `wanted_ns` on this machine."""
    tried = 2_000
    quickest = min(_time_spin(tried) for _ in range(WARM_UPS))
    return max(1, tried * wanted_ns // max(1, quickest))


def probe_jitter(seconds: float) -> Jitter:
    """Repeat the kernel for `seconds`, at least a hundred times."""
    steps = make_steps()
    for _ in range(WARM_UPS):
        _spin(steps)
    samples: list[int] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or len(samples) < 100:
        samples.append(_time_spin(steps))
    return summarise_jitter(samples)


def probe_frequency(seconds: float) -> tuple[float, ...]:
    """Sample the frequency in MHz of the fastest processor while one processor works; empty if it cannot be read."""
    found: list[float] = []
    steps = make_steps(int(POLL_S * 1e9))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or len(found) < 2:
        _spin(steps)
        now = read_mhz()
        if not now:
            return ()
        found.append(max(now))
    return tuple(found)


def probe_timer() -> int:
    """Measure the smallest step of the clock that takes all times, in ns."""
    smallest = 10**9
    for _ in range(2_000):
        begun = now = time.perf_counter_ns()
        while now == begun:
            now = time.perf_counter_ns()
        smallest = min(smallest, now - begun)
    return smallest


@contextmanager
def watch_activity() -> Iterator[list[Activity]]:
    """Measure the system's activity while the block runs; the yielded list holds one Activity after the block."""
    found: list[Activity] = []
    processes, throttling = _process_seconds(), read_throttling()
    ticks, own, begun = parse_ticks(read_text(ROOT / "proc/stat")), time.process_time(), time.monotonic()
    yield found
    seconds, own = time.monotonic() - begun, time.process_time() - own
    later = parse_ticks(read_text(ROOT / "proc/stat"))
    busiest = sorted(
        ((name, (used - processes.get(key, (name, 0.0))[1]) / seconds)
         for key, (name, used) in _process_seconds().items()),
        key=lambda pair: -pair[1],
    )  # fmt: skip
    stopped = read_throttling()
    found.append(
        Activity(
            steal=steal_share(ticks, later) if ticks and later else None,
            others_cores=_others_cores(ticks, later, own, seconds) if ticks and later else None,
            busiest=tuple(busiest),
            throttling=(stopped[0] - throttling[0], stopped[1] - throttling[1]) if stopped and throttling else None,
        )
    )


def _others_cores(before: Ticks, after: Ticks, own_s: float, seconds: float) -> float:
    busy_s = (after.busy - before.busy) / os.sysconf("SC_CLK_TCK")
    return max(0.0, (busy_s - own_s) / seconds)


def _process_seconds() -> dict[tuple[int, float], tuple[str, float]]:
    """Name and processor seconds of every other process, keyed by PID and start time, because PIDs are reused."""
    import psutil

    found: dict[tuple[int, float], tuple[str, float]] = {}
    for process in psutil.process_iter(["name", "cpu_times", "create_time"]):
        facts: dict[str, Any] = process.info
        if process.pid != os.getpid() and facts["cpu_times"] is not None:
            used = facts["cpu_times"].user + facts["cpu_times"].system
            found[process.pid, facts["create_time"]] = (facts["name"] or "?", used)
    return found

"""Disturbances of a block by the rest of the machine, and the rule for dropping blocks.

The rule was fixed before any measurement and is the same for all arms. It uses only what an arm does not cause itself:
stolen time, the speed of the control kernel, falling clocks, and a device that throttles to protect itself. Involuntary
context switches are recorded but drop no block, since an arm whose threads spin on every core causes them itself. A
device's power cap, which heavy work reaches by itself, drops no block either, unless the clock changes within the
block: a block of two speeds has no single time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.measure.device_clock import POWER_CAP, PROTECTS, Gpu

MOST_DROPPED = 0.20  # share of dropped blocks above which a run is inconclusive
MOST_CORES = 4  # cores whose frequency is read, limited because reading all is slow on a large machine
CORES = os.cpu_count() or 1
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
_SWITCHES = (b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:")
_now = time.perf_counter_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counters of the machine and of some processes at one moment.

    steal_ticks: over all cores. switches: voluntary and involuntary context switches, by thread. cpu_mhz: fastest core.
    """

    wall_ns: int
    steal_ticks: int
    switches: Mapping[int, tuple[int, int]]
    load1: float
    cpu_mhz: float | None = None
    gpu: Gpu | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Differences between two moments; None if the machine does not report a value.

    cpu_share, gpu_share: frequency at the end, divided by that at the beginning.
    gpu_begun, gpu: the device immediately before the first sample and after the last.
    """

    wall_ns: int
    steal_ticks: int
    voluntary: int
    involuntary: int
    load1: float
    cpu_mhz: float | None = None
    cpu_share: float | None = None
    gpu_begun: Gpu | None = None
    gpu: Gpu | None = None
    gpu_share: float | None = None

    @property
    def steal_share(self) -> float:
        """Time that the hypervisor took from all cores of the machine, as a share of their wall time."""
        return self.steal_ticks * TICK_NS / (self.wall_ns * CORES) if self.wall_ns else 0.0

    @property
    def values(self) -> dict[str, float]:
        """Numbers by name, for the record; values that the machine does not report are absent."""
        found = {
            "steal_ticks": self.steal_ticks, "voluntary": self.voluntary, "involuntary": self.involuntary,
            "load1": self.load1, "cpu_mhz": self.cpu_mhz, "cpu_share": self.cpu_share,
            "gpu_mhz": self.gpu.sm_mhz if self.gpu else None, "gpu_reasons": self.gpu.reasons if self.gpu else None,
            "gpu_begun_mhz": self.gpu_begun.sm_mhz if self.gpu_begun else None, "gpu_share": self.gpu_share,
        }  # fmt: skip
        return {name: float(value) for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Thresholds for dropping a block.

    steal_share: largest allowed share of stolen time in the wall time of all cores. The system counts in ticks of 10
        ms: one tick drops any block shorter than 0.2 s divided by the number of cores.
    control_factor: smallest ratio of the control kernel's time to its usual time that drops the block.
    least_clock: smallest allowed ratio of the frequency at the end to that at the beginning, and of a device's clock to
        its usual clock in this run; wide vector instructions lower it by less.
    """

    steal_share: float = 0.05
    control_factor: float = 1.25
    least_clock: float = 0.75


RULE = Rule()


def contaminated(
    reading: Reading, control_ns: float, usual_control_ns: float, rule: Rule = RULE, *, usual_mhz: float = 0.0
) -> str | None:
    """Return the reason for dropping a block; None if it counts.

    reading: differences over the block. control_ns: time of the control kernel before it.
    usual_control_ns, usual_mhz: medians of the control kernel and of the device's clock in the run so far; 0 if there
        are none yet.
    """
    if reading.steal_share > rule.steal_share:
        return f"the hypervisor took {reading.steal_share:.0%} of its time"
    if usual_control_ns and control_ns >= rule.control_factor * usual_control_ns:
        return f"the control kernel took {control_ns / usual_control_ns:.2f} times its usual time"
    for name, share in (("processor", reading.cpu_share), ("device", reading.gpu_share)):
        if share is not None and share < rule.least_clock:
            return f"the clock of the {name} fell to {share:.0%}"
    for gpu in (reading.gpu_begun, reading.gpu):
        if gpu is not None and gpu.reasons & PROTECTS:
            return f"the device protects itself: {gpu.text}"
    return _describe_slow(reading, usual_mhz, rule)


def _describe_slow(reading: Reading, usual_mhz: float, rule: Rule) -> str | None:
    """Reason why the device's clock is unusual for this run; None if it is not, or if the power cap explains it."""
    for gpu, when in ((reading.gpu_begun, "began"), (reading.gpu, "ended")):
        if gpu is not None and gpu.sm_mhz < rule.least_clock * usual_mhz and not gpu.reasons & POWER_CAP:
            why = f" ({gpu.text})" if gpu.text else None
            return (
                f"the clock of the device was {gpu.sm_mhz:.0f} MHz when the block {when}, "
                f"{gpu.sm_mhz / usual_mhz:.0%} of what it usually is in this run{why}"
            )
    return None


def read_counters(pids: Sequence[int]) -> Counters:
    """Read the counters of the machine, and of these processes with all their threads; processes that ended count as 0.

    The device's clock is read in the process that computes (see `harness.measure.device_clock`).
    """
    return Counters(
        wall_ns=_now(), steal_ticks=_read_steal(), switches={t: s for pid in pids for t, s in _read_switches(pid)},
        load1=os.getloadavg()[0], cpu_mhz=_read_mhz(),
    )  # fmt: skip


def difference(before: Counters, after: Counters) -> Reading:
    """Compute the differences between two moments; threads that ended in between are not counted."""
    gains = [
        (voluntary - then[0], involuntary - then[1])
        for thread, (voluntary, involuntary) in after.switches.items()
        for then in [before.switches.get(thread, (0, 0))]
    ]
    return Reading(
        wall_ns=after.wall_ns - before.wall_ns, steal_ticks=after.steal_ticks - before.steal_ticks,
        voluntary=sum(gain[0] for gain in gains), involuntary=sum(gain[1] for gain in gains), load1=after.load1,
        cpu_mhz=after.cpu_mhz, cpu_share=_share(before.cpu_mhz, after.cpu_mhz), gpu_begun=before.gpu, gpu=after.gpu,
        gpu_share=_share(*(one.gpu.sm_mhz if one.gpu else None for one in (before, after))),
    )  # fmt: skip


def _share(before: float | None, after: float | None) -> float | None:
    return after / before if before and after else None


def read_steal(stat: bytes) -> int:
    """Parse the ticks stolen from all cores: the eighth number in the first line of /proc/stat."""
    fields = stat.partition(b"\n")[0].split()
    return int(fields[8]) if len(fields) > 8 and fields[0] == b"cpu" else 0


def read_switches(status: bytes) -> tuple[int, int]:
    """Parse voluntary and involuntary context switches in /proc/PID/status or in that of a thread."""
    voluntary, involuntary = (int(status.partition(name)[2].split(maxsplit=1)[0]) for name in _SWITCHES)
    return voluntary, involuntary


def _read_steal() -> int:
    with suppress(OSError), open("/proc/stat", "rb", buffering=0) as file:
        return read_steal(file.read(256))
    return 0


def _read_switches(pid: int) -> list[tuple[int, tuple[int, int]]]:
    found = []
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError, IndexError), open(f"/proc/{pid}/task/{name}/status", "rb", buffering=0) as file:
                found.append((int(name), read_switches(file.read())))
    return found


def _read_mhz() -> float | None:
    khz = []
    for path in _frequency_files():
        with suppress(OSError, ValueError):
            khz.append(int(path.read_bytes()))
    return max(khz) / 1000 if khz else None


@cache
def _frequency_files() -> tuple[Path, ...]:
    """Frequency files of the first cores that this process may use; none in most virtual machines."""
    cores = sorted(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))
    paths = (Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq") for core in cores[:MOST_CORES])
    return tuple(path for path in paths if path.exists())

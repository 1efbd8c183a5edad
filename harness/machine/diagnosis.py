"""Diagnosis of timing noise: one finding for each possible cause, with advice.

Each check takes values that were read before, so that tests can pass those of any machine. `diagnose` reads this one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.machine.gpus import APPLICATION_CLOCKS, IDLE, describe_gpus
from harness.machine.limits import describe_limits
from harness.machine.probes import (
    FREQUENCY_SHARE,
    Activity,
    Jitter,
    probe_frequency,
    probe_jitter,
    probe_timer,
    watch_activity,
)
from harness.machine.system import ROOT, describe_machine, parse_list, read_siblings, read_text
from harness.machine.threads import THREAD_VARIABLES, WAIT_VARIABLES

State = Literal["good", "poor", "unknown"]
PROBES_S = 2.5

# Limits above which a finding is poor; comparisons must detect changes of a few per cent.
FREQUENCY_SPREAD = 0.02
LOAD = 0.5  # average number of runnable processes in the last minute
STEAL = 0.005
PROCESS_CORES = 0.2
MOST_NAMES = 5
SWAP_BYTES = 64 * 2**20
P90, P99, DRIFT = 1.03, 1.10, 0.02
TIMER_NS = 1_000
SLOW_CLOCKS = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"})  # each read is a system call


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause of noise: its state, the evidence, and advice (empty if there is nothing to do)."""

    name: str
    state: State
    found: str
    advice: str = ""


def diagnose(seconds: float = PROBES_S) -> tuple[Finding, ...]:
    """Run all checks on this machine.

    seconds: total length of the probes; rarer noise needs longer probes.
    """
    load, machine = read_load(), describe_machine()  # read the load first, so that it excludes the probes
    frequencies = probe_frequency(seconds * FREQUENCY_SHARE)
    with watch_activity() as seen:
        jitter = probe_jitter(seconds * (1 - FREQUENCY_SHARE))
    allowed, virtual = allowed_processors(), machine["virtual"]
    return (
        check_governor(machine["frequency"]["governor"]),
        check_turbo(machine["frequency"]["turbo"]),
        check_frequency(frequencies, virtual),
        check_siblings(read_siblings(), allowed, virtual),
        check_virtual(virtual),
        check_steal(seen[0].steal),
        check_quota(describe_limits(), len(allowed), seen[0].throttling),
        check_load(load),
        check_processes(seen[0]),
        check_swap(machine["swap"]),
        check_hugepages(machine["hugepages"]),
        check_timer(probe_timer(), machine["clocksource"]),
        check_waiting(os.environ),
        check_threads(os.environ, len(allowed)),
        check_jitter(jitter),
        *check_gpus(describe_gpus(), driver=read_text(ROOT / "proc/driver/nvidia/version") is not None),
    )


def conclude(findings: Sequence[Finding]) -> str:
    """Summarise the findings in one line."""
    poor = [one.name for one in findings if one.state == "poor"]
    unknown = sum(one.state == "unknown" for one in findings)
    rest = f"; {unknown} could not be told" if unknown else ""
    if not poor:
        return f"None of {len(findings)} checks found what makes times noisy{rest}."
    return (
        f"{len(poor)} of {len(findings)} checks found what makes times noisy ({', '.join(poor)}){rest}. "
        "Believe only what was compared inside one run, and take more passes."
    )


def allowed_processors() -> frozenset[int]:
    """Return the numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def read_load() -> float | None:
    """Return the load average of the last minute; None if the system does not report it."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def check_governor(governor: str | None) -> Finding:
    """Check the frequency governor: any but `performance` may lower the frequency between two blocks."""
    if governor is None:
        return _unknown("governor", advice="the host decides, if there is one")
    advice = "sudo cpupower frequency-set --governor performance"
    return _judge("governor", governor != "performance", governor, advice)


def check_turbo(turbo: bool | None) -> Finding:
    """Check turbo: its frequency depends on temperature and on the load of other cores."""
    if turbo is None:
        return _unknown("turbo", advice="the host decides, if there is one")
    places = "/sys/devices/system/cpu/cpufreq/boost (Intel: 1 to /sys/devices/system/cpu/intel_pstate/no_turbo)"
    return _judge("turbo", turbo, "on" if turbo else "off", f"echo 0 | sudo tee {places}")


def check_frequency(mhz: Sequence[float], virtual: bool | None) -> Finding:
    """Check the frequencies, in MHz, that were sampled while one core worked."""
    if not mhz:
        return _unknown("frequency", advice="see jitter")
    spread = max(mhz) / min(mhz) - 1
    found = f"{min(mhz):.0f} to {max(mhz):.0f} MHz while working"
    if virtual and spread == 0:
        return _unknown("frequency", found, "a virtual machine shows a constant; see jitter")
    return _judge("frequency", spread > FREQUENCY_SPREAD, found, "fix it: governor performance, turbo off")


def check_siblings(siblings: Mapping[int, str], allowed: frozenset[int], virtual: bool | None) -> Finding:
    """Check for hyper-threads: two processors of a core share its units, so that two threads are slower than on two.

    siblings: for each processor, the list of processors of its core, such as "0,4". allowed: processors of this
        process.
    virtual: True on a virtual machine, which may hide siblings.
    """
    cores = {parse_list(text) for number, text in siblings.items() if number in allowed} - {()}
    if not cores:
        return _unknown("cores", f"processors {len(allowed)}, cores not told")
    found = f"processors {len(allowed)}, cores {len(cores)}"
    if any(len(allowed & set(core)) > 1 for core in cores):
        one_each = ",".join(str(min(allowed & set(core))) for core in sorted(cores))
        advice = f"one thread a core: taskset --cpu-list {one_each} python -m harness run --threads {len(cores)} ..."
        return _judge("cores", True, f"{found}, siblings shared", advice)
    if virtual:
        return _unknown("cores", found, "a virtual machine may hide that they share a core")
    return _judge("cores", False, found)


def check_virtual(virtual: bool | None) -> Finding:
    """Check for a virtual machine: other guests on its host are invisible."""
    if virtual is None:
        return _unknown("virtual machine")
    advice = "compare inside one run, never with yesterday's; a machine of one's own for small differences"
    return _judge("virtual machine", virtual, "yes: neighbours cannot be seen" if virtual else "no", advice)


def check_steal(steal: float | None) -> Finding:
    """Check the share of requested processor time that the hypervisor gave to other guests."""
    if steal is None:
        return _unknown("steal")
    advice = "the host is full: another host or hour, or dedicated processors"
    return _judge("steal", steal > STEAL, f"{steal:.1%} of the time asked for", advice)


def check_quota(limits: Mapping[str, Any], processors: int, throttling: tuple[int, int] | None) -> Finding:
    """Check the CPU quota: a container that exceeds it is stopped until the period ends, possibly inside a timed call.

    limits: from `describe_limits`. processors: number of processors visible to this process.
    throttling: periods during the probes, and the number of them in which the container was stopped.
    """
    cpus = limits["cpus"]
    if limits["cgroup"] is None:
        return _unknown("quota", "no control groups can be read")
    if cpus is None:
        return _judge("quota", False, "none")
    periods, stopped = throttling or (0, 0)
    found = f"time of {cpus:g} processors, {processors} visible; stopped in {stopped} of {periods} periods"
    threads = max(1, int(cpus))
    advice = f"--threads {threads} --jobs {threads}, or give processors (cpuset) in place of a quota"
    return _judge("quota", cpus < processors or stopped > 0, found, advice)


def check_load(load: float | None) -> Finding:
    """Check the load by other processes before this command began."""
    if load is None:
        return _unknown("load")
    return _judge("load", load > LOAD, f"{load:.2f} in the last minute", "wait until the others are done, or stop them")


def check_processes(seen: Activity) -> Finding:
    """Check for other processes that used a core during the probes; only their names are reported.

    The total comes from the counters of the whole machine, which include processes that ended or are hidden.
    """
    if seen.others_cores is None and not seen.busiest:
        return _unknown("other processes", "none can be seen")
    busy = [f"{name} {cores:.0%}" for name, cores in seen.busiest if cores > PROCESS_CORES][:MOST_NAMES]
    parts = [] if seen.others_cores is None else [f"others used {seen.others_cores:.2f} cores"]
    found = "; ".join([*parts, ", ".join(busy) or f"none above {PROCESS_CORES:.0%} by itself"])
    poor = bool(busy) or (seen.others_cores or 0.0) > PROCESS_CORES
    return _judge("other processes", poor, found, "stop them, or wait")


def check_swap(swap: Mapping[str, int] | None) -> Finding:
    """Check swap: swapped-out memory is read back from disk, possibly inside a timed call."""
    if swap is None:
        return _unknown("swap")
    found = f"{swap['used_bytes'] / 2**20:.0f} of {swap['total_bytes'] / 2**20:.0f} MiB used"
    return _judge("swap", swap["used_bytes"] > SWAP_BYTES, found, "free memory, then sudo swapoff -a")


def check_hugepages(choice: str | None) -> Finding:
    """Check transparent huge pages: with `always`, the kernel merges pages in the background during timed calls."""
    if choice is None:
        return _unknown("huge pages")
    advice = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
    return _judge("huge pages", choice == "always", choice, advice)


def check_timer(step_ns: int, clocksource: str | None) -> Finding:
    """Check the resolution of the clock, and its source in the kernel."""
    found = f"steps of {step_ns} ns{f', from {clocksource}' if clocksource else ''}"
    advice = "boot with clocksource=tsc where the processor has a steady one"
    return _judge("timer", step_ns > TIMER_NS or clocksource in SLOW_CLOCKS, found, advice)


def check_waiting(variables: Mapping[str, str]) -> Finding:
    """Check for variables that make idle threads sleep at once: small threaded calls take up to twenty times longer."""
    asleep = [name for name, value in WAIT_VARIABLES.items() if variables.get(name, "").strip().upper() == value]
    found = ", ".join(f"{name}={variables[name]}" for name in asleep) or "the libraries' own way"
    return _judge("waiting threads", bool(asleep), found, f"unset {' '.join(asleep)}: small threaded calls crawl")


def check_threads(variables: Mapping[str, str], processors: int) -> Finding:
    """Check the thread counts in the environment: unequal ones favour a library, too many compete for the cores."""
    wanted = {name: variables[name].strip() for name in THREAD_VARIABLES if variables.get(name, "").strip()}
    found = ", ".join(f"{name}={value}" for name, value in wanted.items()) or "not set"
    too_many = any(value.isdigit() and int(value) > processors for value in wanted.values())
    advice = f"unset them and say --threads N, at most {processors}"
    return _judge("thread variables", too_many or len(set(wanted.values())) > 1, found, advice)


def check_jitter(jitter: Jitter) -> Finding:
    """Check spread and drift of a fixed kernel's times: the total effect of the causes above."""
    found = (
        f"{jitter.median_ns / 1e6:.3f} ms, p90 {jitter.p90 - 1:+.1%}, p99 {jitter.p99 - 1:+.1%}, "
        f"drift {jitter.drift:+.1%}"
    )
    poor = jitter.p90 > P90 or jitter.p99 > P99 or abs(jitter.drift) > DRIFT
    return _judge("jitter", poor, found, "mend what is poor above; else more passes, and distrust small differences")


def check_gpus(gpus: Sequence[Mapping[str, Any]], *, driver: bool) -> tuple[Finding, ...]:
    """Check persistence mode, clocks and throttling of each GPU; `driver`: True if an NVIDIA driver is loaded."""
    if not gpus and not driver:
        return (_judge("gpu", False, "none"),)
    if not gpus:
        return (_unknown("gpu", "a driver, but it cannot be asked", "pip install nvidia-ml-py (extra `cuda`)"),)
    checks = (_check_persistence, _check_clocks, _check_throttling)
    return tuple(check(f"gpu {gpu['index']}", gpu) for gpu in gpus for check in checks)


def _check_persistence(gpu: str, facts: Mapping[str, Any]) -> Finding:
    on = facts["persistence"]
    if on is None:
        return _unknown(f"{gpu} persistence")
    return _judge(f"{gpu} persistence", not on, "on" if on else "off", f"sudo nvidia-smi -i {facts['index']} -pm 1")


def _check_clocks(gpu: str, facts: Mapping[str, Any]) -> Finding:
    """Check the clocks: the driver reports application clocks, but not a lock by `nvidia-smi --lock-gpu-clocks`."""
    found = f"{facts['sm_mhz']} of {facts['sm_max_mhz']} MHz"
    if APPLICATION_CLOCKS in (facts["throttled_by"] or ()):
        return _judge(f"{gpu} clocks", False, f"{found}, held by application clocks")
    advice = f"lock them, if they are not: sudo nvidia-smi -i {facts['index']} --lock-gpu-clocks=MHZ"
    return _unknown(f"{gpu} clocks", f"{found}; a lock cannot be seen", advice)


def _check_throttling(gpu: str, facts: Mapping[str, Any]) -> Finding:
    reasons = facts["throttled_by"]
    if reasons is None:
        return _unknown(f"{gpu} throttling")
    slowed = [reason for reason in reasons if reason not in (IDLE, APPLICATION_CLOCKS)]
    found = ", ".join(slowed) or (IDLE if IDLE in reasons else "none")
    return _judge(f"{gpu} throttling", bool(slowed), found, "let it cool, and lock a clock that it can hold")


def _judge(name: str, poor: bool, found: str, advice: str = "") -> Finding:
    """Build a finding: poor with advice, or good."""
    return Finding(name=name, state="poor" if poor else "good", found=found, advice=advice if poor else "")


def _unknown(name: str, found: str = "not told", advice: str = "") -> Finding:
    return Finding(name=name, state="unknown", found=found, advice=advice)

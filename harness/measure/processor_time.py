"""Processor time of a process and of everything that it started, and whether that is more than its threads allow.

While a process's first thread waits for a core, it uses none: n threads use at most n times the wall time, less that
wait, however busy the machine is. So a backend within its threads is never accused, and one beyond them is seen though
the machine gives it no core more. Threads that spin while they wait for each other count: they keep a core from others.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

MARGIN = 0.10  # of the allowed cores: background threads of libraries, and the calls that read the clocks
SLACK_NS = 1_000_000  # of a pass: a thread that is created, or ends
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
SCHEDULED = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads of a process, in ns
READ_BYTES = 128
STOP_S, POLL_S = 1.0, 0.0005
STOPPED = (b"T", b"t", b"Z", b"X", b"")  # or gone, or nothing tells
PR_SET_CHILD_SUBREAPER = 36

own_ns = time.process_time_ns  # bound before any backend is loaded


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent ends, so that none leaves the tree; False where impossible."""
    import ctypes

    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def process_ns(pid: int) -> int:
    """Processor time of all threads of a process, those that ended included; 0 where the process is gone."""
    with suppress(OSError):
        return time.clock_gettime_ns((~pid << 3) | SCHEDULED)
    return 0


def list_descendants(pid: int) -> list[int]:
    """Numbers of all processes below one, as the kernel lists them; none where it does not tell."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
    return found + [below for child in found for below in list_descendants(child)]


def descendants_ns() -> int:
    """Processor time of the processes below this one, those that have ended and were waited for included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((ended.ru_utime + ended.ru_stime) * 1e9) + sum(map(process_ns, list_descendants(os.getpid())))


def tree_ns(pid: int) -> int:
    """Processor time of another process and of all below it; of those that have ended, in ticks of the system."""
    return process_ns(pid) + _ended_ns(pid) + sum(map(process_ns, list_descendants(pid)))


def _ended_ns(pid: int) -> int:
    """Processor time of children that have ended: the fields cutime and cstime (man 5 proc_pid_stat)."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        fields = file.read().rpartition(b")")[2].split()
        return (int(fields[13]) + int(fields[14])) * TICK_NS
    return 0


def waited_ns(pid: int) -> int:
    """Time that the first thread of a process was ready to run while others ran; 0 where the system is silent."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/schedstat", "rb", buffering=0) as file:
        return int(file.read().split()[1])
    return 0


def wait_until_stopped(pid: int) -> bool:
    """Wait until the first thread of a process that was told to stop has stopped; False where that takes STOP_S.

    A thread that has not stopped yet may be waiting for a core to do so. That wait is counted when it is over.
    """
    until = time.monotonic() + STOP_S
    while _read_state(pid) not in STOPPED:
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S)
    return True


def _read_state(pid: int) -> bytes:
    """The letter for what the first thread of a process does (man 5 proc_pid_stat); none where it is gone."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read().rpartition(b")")[2].split()[0]
    return b""


def make_waited() -> Callable[[], int]:
    """The same of this very thread, in a microsecond."""
    with suppress(OSError, ValueError, IndexError):
        file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        int(os.pread(file, READ_BYTES, 0).split()[1])
        return lambda: int(os.pread(file, READ_BYTES, 0).split()[1])
    return lambda: 0


def describe_excess(blocks: Sequence[tuple[float, float, float]], allowed: int | None) -> str:
    """The reason why the calls of a pass used more threads than allowed; empty where they did not, or any number is.

    blocks: of each, ns of processor time, of wall time, and for which the first thread waited for a core. A backend
    that spreads out does so in every block.
    """
    if allowed is None or not blocks:
        return ""
    within = [(cpu, (1 + MARGIN) * (allowed * wall - waited)) for cpu, wall, waited in blocks]
    if any(cpu <= most for cpu, most in within) or sum(cpu - most for cpu, most in within) <= SLACK_NS:
        return ""
    cpu_ms, wall_ms, waited_ms = (sum(column) / 1e6 for column in zip(*blocks, strict=True))
    return (
        f"more threads than allowed: {cpu_ms:.1f} ms of processor time in {wall_ms:.1f} ms of calls; {allowed} "
        f"{'thread has' if allowed == 1 else 'threads have'} at most {allowed * wall_ms - waited_ms:.1f} ms there"
    )

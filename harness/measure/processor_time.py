"""Processor time of a process and its descendants, and the check that it fits the allowed number of threads.

While the first thread of a process waits for a core, it uses none: n threads use at most n times the wall time minus
that wait, however busy the machine is. A backend within its thread count is therefore never accused, and one above it
is detected even if the machine assigns it no additional core. Threads that spin while they wait for each other count,
because they occupy a core.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

MARGIN = 0.10  # share of the allowed cores, for background threads of libraries and the calls that read the clocks
SLACK_NS = 1_000_000  # per pass, for the start and the end of a thread
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
SCHEDULED = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h: all threads of a process, in ns
READ_BYTES = 128
STOP_S, POLL_S = 1.0, 0.0005
ASLEEP_S = 0.05
GONE = (b"Z", b"X", b"")  # or unknown
STOPPED = (b"T", b"t", *GONE)
PR_SET_CHILD_SUBREAPER = 36

own_ns = time.process_time_ns  # bound before any backend is loaded


def adopt_orphans() -> bool:
    """Become the parent of orphaned descendants, so that none leaves the process tree; False if that is impossible."""
    import ctypes

    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def process_ns(pid: int) -> int:
    """Return the processor time of all threads of a process, including ended ones; 0 if the process is gone."""
    with suppress(OSError):
        return time.clock_gettime_ns((~pid << 3) | SCHEDULED)
    return 0


def list_descendants(pid: int) -> list[int]:
    """Return the PIDs of all descendants of a process, as listed by the kernel; empty if it lists none."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
    return found + [below for child in found for below in list_descendants(child)]


def descendants_ns() -> int:
    """Return the processor time of this process's descendants, including ended ones that were waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((ended.ru_utime + ended.ru_stime) * 1e9) + sum(map(process_ns, list_descendants(os.getpid())))


def tree_ns(pid: int) -> int:
    """Return the processor time of another process and its descendants; that of ended ones is counted in ticks."""
    return process_ns(pid) + _ended_ns(pid) + sum(map(process_ns, list_descendants(pid)))


def _ended_ns(pid: int) -> int:
    """Processor time of children that ended: fields cutime and cstime (man 5 proc_pid_stat)."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        fields = file.read().rpartition(b")")[2].split()
        return (int(fields[13]) + int(fields[14])) * TICK_NS
    return 0


def waited_ns(pid: int) -> int:
    """Return the time that a process's first thread was runnable but not running; 0 if the system reports none."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/schedstat", "rb", buffering=0) as file:
        return int(file.read().split()[1])
    return 0


def first_thread_ns(pid: int) -> int:
    """Return the processor time of a process's first thread, exact while it sleeps; 0 if the system reports none."""
    path = f"/proc/{pid}/task/{pid}/schedstat"
    with suppress(OSError, ValueError, IndexError), open(path, "rb", buffering=0) as file:
        return int(file.read().split()[0])
    return 0


def wait_until_asleep(pid: int) -> None:
    """Wait until the first thread of a process sleeps, as one does that waits for a request; at most ASLEEP_S."""
    until = time.monotonic() + ASLEEP_S
    while _read_state(pid) == b"R" and time.monotonic() < until:
        time.sleep(0)


def wait_until_stopped(pid: int) -> bool:
    """Wait until the first thread of a process that received a stop signal has stopped; False after STOP_S.

    A thread that has not stopped may be waiting for a core; the kernel counts that wait only when it is over.
    """
    until = time.monotonic() + STOP_S
    while _read_state(pid) not in STOPPED:
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S)
    return True


def _read_state(pid: int) -> bytes:
    """State letter of the process's first thread (man 5 proc_pid_stat); empty if it is gone."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read().rpartition(b")")[2].split()[0]
    return b""


def is_gone(pid: int) -> bool:
    """Return True if a process has ended, whether or not its parent has waited for it."""
    return _read_state(pid) in GONE


def make_waited() -> Callable[[], int]:
    """Make a fast reader (about 1 µs) of the time this thread was runnable but not running."""
    with suppress(OSError, ValueError, IndexError):
        file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        int(os.pread(file, READ_BYTES, 0).split()[1])
        return lambda: int(os.pread(file, READ_BYTES, 0).split()[1])
    return lambda: 0


def is_excessive(long: tuple[float, float, float], short: tuple[float, float, float], allowed: int) -> bool:
    """Return True if a pair of blocks, a long and a short one, speaks of more threads than allowed.

    long, short: as the blocks of `describe_excess`. What every block costs, such as the start of a thread and the
    readings, is the same for both, and a backend within its threads leaves at least as much unused in the longer one.
    """
    cpu, wall, waited = (one - other for one, other in zip(long, short, strict=True))
    return cpu > (1 + MARGIN) * (allowed * wall - waited)


def describe_excess(blocks: Sequence[tuple[float, float, float]], allowed: int | None) -> str | None:
    """Return the reason why the calls of a pass used too many threads; None if they did not, or without a limit.

    blocks: for each block, in ns, the processor time, the wall time, and the wait of the first thread for a core. A
        backend that uses too many threads does so in every block, so that one block within the limit clears it.
    allowed: number of threads; None for no limit.
    """
    if allowed is None or not blocks:
        return None
    within = [(cpu, (1 + MARGIN) * (allowed * wall - waited)) for cpu, wall, waited in blocks]
    if any(cpu <= most for cpu, most in within) or sum(cpu - most for cpu, most in within) <= SLACK_NS:
        return None
    cpu_ms, wall_ms, waited_ms = (sum(column) / 1e6 for column in zip(*blocks, strict=True))
    return (
        f"more threads than allowed: {cpu_ms:.1f} ms of processor time in {wall_ms:.1f} ms of calls; {allowed} "
        f"{'thread has' if allowed == 1 else 'threads have'} at most {allowed * wall_ms - waited_ms:.1f} ms there"
    )

"""The processes that a process and its descendants have started: their list, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from functools import cache

from harness.measure.processor_time import is_gone, list_descendants

END_S, POLL_S = 5.0, 0.002  # time in which all have ended, also where they start others meanwhile


def find_descendants(pid: int) -> list[int]:
    """Return the PIDs of all descendants of a process; empty if it is gone.

    The kernel's own lists take 0.1 ms, a search among all processes of the machine 5 ms of every 50 ms of a wait.
    """
    if kernel_lists_children():
        return list_descendants(pid)
    import psutil

    with contextlib.suppress(psutil.Error):
        return [process.pid for process in psutil.Process(pid).children(recursive=True)]
    return []


@cache
def kernel_lists_children() -> bool:
    """Return whether the kernel lists the children of a process (CONFIG_PROC_CHILDREN)."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def end_descendants(pid: int, limit_s: float = END_S) -> list[int]:
    """Kill all descendants of a process until none is left, also those in sessions of their own.

    pid: of a living process that has not been waited for. If it adopts orphans, none of its descendants escapes.
    limit_s: time in which all must have ended. Returns PIDs of processes that have not; standard error names them.
    """
    until = time.monotonic() + limit_s
    while left := [one for one in find_descendants(pid) if not is_gone(one)]:
        if time.monotonic() > until:
            text = ", ".join(map(str, left))
            print(
                f"processes of a plugin: got {text} (PID) still there after {limit_s:g} s of SIGKILL, wanted none; "
                "they take processor time from what comes next: end them as a user who may",
                file=sys.stderr,
                flush=True,
            )
            break
        for one in left:
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        time.sleep(POLL_S)
    return left

"""The processes that a process and its descendants have started: their list, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
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


def end_descendants(pid: int) -> None:
    """Kill all descendants of a process until none is left, also those in sessions of their own.

    pid: of a living process that has not been waited for. If it adopts orphans, none of its descendants escapes.
    """
    until = time.monotonic() + END_S
    while left := [one for one in find_descendants(pid) if not is_gone(one)]:
        for one in left:
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        if time.monotonic() > until:
            return
        time.sleep(POLL_S)

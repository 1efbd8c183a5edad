"""The kernel's count of processes that it has killed for want of memory."""

from __future__ import annotations

VMSTAT = "/proc/vmstat"


def count_oom_kills() -> int | None:
    """Return how many processes the kernel has killed for want of memory, of the machine or of a control group.

    None without such a count: on other systems, and in Linux before 4.13.
    """
    try:
        with open(VMSTAT) as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), None)
    except (OSError, ValueError, IndexError):
        return None

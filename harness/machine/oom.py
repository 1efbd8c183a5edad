"""The kernel's counts of processes that it has killed for want of memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.machine.limits import list_groups, read_version
from harness.machine.system import ROOT, read_text

COUNTS = {1: ("memory", "memory.oom_control"), 2: ("", "memory.events")}  # by version: controller, file of the group


@dataclass(frozen=True, slots=True)
class OomKills:
    """Counts of processes killed for want of memory; None where the system keeps no such count.

    group: of the control group of this process, which its workers share. machine: of all processes, also of others.
    """

    group: int | None = None
    machine: int | None = None

    def explain(self, later: OomKills) -> bool | None:
        """Return whether a process of this group that has been killed since was killed for want of memory.

        later: the counts now.
        None where that cannot be told: no count, or one that others' processes share. A count that has not risen
        settles it.
        """
        for before, now in ((self.group, later.group), (self.machine, later.machine)):
            if before is not None and now == before:
                return False
        return True if self.group is not None and later.group is not None else None


def count_oom_kills(root: Path = ROOT) -> OomKills:
    """Count the processes that the kernel has killed for want of memory so far."""
    controller, name = COUNTS.get(read_version(root) or 0, ("", ""))
    texts = (read_text(folder / name) for folder in list_groups(root, controller)) if name else ()
    group = next((found for text in texts if (found := _parse(text)) is not None), None)
    return OomKills(group, _parse(read_text(root / "proc/vmstat")))


def _parse(text: str | None) -> int | None:
    for line in (text or "").splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.strip().isdecimal():
            return int(number)
    return None

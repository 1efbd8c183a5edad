"""Start of workers whose instructions are counted, and limits of how long they then take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.plan.arm import Settings
from harness.plan.counting import CounterKind

SLOWER: dict[CounterKind, float] = {"kernel": 1.0, "valgrind": 60.0}  # most times as long as without a counter
# The order of sets of texts, and the work on them, is then the same in all arms. So is the work of the C library on a
# page or more of memory, and its alignment, which both depend on what was freed before in the life of the process.
SETTINGS = (("PYTHONHASHSEED", "0"), ("MALLOC_MMAP_THRESHOLD_", "4096"))


@dataclass(frozen=True, slots=True)
class CountedStart:
    """The counter of a worker.

    folder: of the counter's dumps, of this worker alone.
    """

    kind: CounterKind
    folder: Path

    @property
    def slower(self) -> float:
        """Most times as long as without a counter."""
        return SLOWER[self.kind]

    @property
    def settings(self) -> Settings:
        """Environment variables of the worker."""
        return SETTINGS

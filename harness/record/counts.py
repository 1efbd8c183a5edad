"""Counted instructions of the calls of a cell."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from harness.plan.counting import CounterKind
from harness.problems.whole import Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Instructions that each counted call has retired, in one process with one thread.

    counter: what has counted them. instructions: of each call, in order; every call had inputs of its own.
    """

    counter: CounterKind
    instructions: tuple[Whole, ...]

    @property
    def median(self) -> float:
        """Median instructions of a call."""
        return statistics.median(self.instructions)

    @property
    def spread(self) -> float:
        """Share of a call that is not deterministic: the range of the counts, divided by their median."""
        return (max(self.instructions) - min(self.instructions)) / self.median


def check_counts(counts: Counts) -> None:
    """Raise ValueError for counts that cannot have been counted."""
    if not counts.instructions or min(counts.instructions) < 1:
        raise ValueError("its counts are none of instructions")

"""Settings of a run that counts the instructions of calls instead of timing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.problems.whole import Whole

Metric = Literal["time", "instructions"]
CounterKind = Literal["kernel", "valgrind"]
DELTA = 0.005  # of counts; small calls of the same code differ by more, and are undecided (docs/measurement.md)
CALLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """Settings with which instructions are counted, and the change of them that counts.

    counter: what counts them.
    delta: relative change that counts.
    calls: number of counted calls of each cell, all in one process.
    compares: True if arms are compared with their base. armed: True if the verdicts determine the exit code.
    remark: what libraries cannot use while they are counted; None if that is nothing.
    """

    counter: CounterKind
    delta: float = DELTA
    calls: Whole = CALLS
    compares: bool = False
    armed: bool = False
    remark: str | None = None

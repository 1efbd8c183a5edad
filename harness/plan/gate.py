"""Settings of the gate: which change counts, when to decide, and the time budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from harness.plan.limits import VALUES, Limit
from harness.problems.whole import Whole

LOOKS = (6, 9, 13, 19, 28, 40, 60)  # passes; each about 1.5 times the one before
DELTA, LEVEL = 0.01, 0.05
BaseBroken = Literal["fail", "ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Settings of the decisions of an interleaved comparison.

    delta: relative change that counts.
    level: share of false verdicts among all verdicts.
    looks: numbers of passes after which to decide.
    budget_s: wall time of all passes.
    blocks: visits to a cell in a pass.
    block_s: time for samples in each visit.
    armed: whether the verdicts determine the exit code.
    apart: whether each suite is a separate comparison, with its own share of false verdicts.
    whole: whether the budget covers the whole run instead of its passes.
    resolve: an armed gate passes an undecided cell if a slow-down of this share is ruled out; 0 passes none.
    base_broken: "ok" if cells that the base could not run pass where the new version's own laws hold.
    untimed: why times were not compared though requested; None if they were.
    limits: what counts for some of the cells; of rows that hold for one cell, the last one that says a value decides.
    """

    delta: float = DELTA
    level: float = LEVEL
    looks: tuple[Whole, ...] = LOOKS
    budget_s: float = 300.0
    blocks: Whole = 4
    block_s: float = 0.025
    armed: bool = False
    apart: bool = False
    whole: bool = False
    resolve: float = 0.0
    base_broken: BaseBroken = "fail"
    untimed: str | None = None
    limits: tuple[Limit, ...] = ()

    def limit_of(self, suite: str, backend: str, arm: str, line: str) -> Limit:
        """Return what counts for a cell: of each value, that of the last row that says it, None where none does.

        suite, backend, arm: their names. line: of the problem.
        """
        found = Limit()
        for limit in self.limits:
            if limit.covers(suite, backend, arm, line):
                given = {name: value for name in VALUES if (value := getattr(limit, name)) is not None}
                found = replace(found, **given)
        return found

    def delta_of(self, suite: str, backend: str, arm: str, line: str) -> float:
        """Return the relative change of time that counts in a cell.

        suite, backend, arm: their names. line: of the problem.
        """
        found = self.limit_of(suite, backend, arm, line).delta
        return self.delta if found is None else found

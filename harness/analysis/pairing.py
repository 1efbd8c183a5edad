"""Pairs of results: each cell of an arm, and the same cell of the first arm of its family."""

from __future__ import annotations

from harness.plan.suite import CellKind
from harness.record.run import Result, Run


def pair_results(run: Run, *kinds: CellKind) -> list[tuple[Result | None, Result]]:
    """Return (base, new) for every result of an arm that has a base; base is None if the base has no such cell.

    kinds: of the cells; empty for all.
    """
    base_of = run.header.base_of
    results = [result for result in run.results if not kinds or result.kind in kinds]
    known = {(r.suite, r.problem, r.law, r.arm): r for r in results}
    return [
        (known.get((new.suite, new.problem, new.law, base)), new)
        for new in results
        if (base := base_of.get(new.arm, new.arm)) != new.arm
    ]

"""Rows of a comparison of arms: verdicts by cell, groups of known slow-downs, effects over all cells."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.analysis.arm_comparison import ArmComparison, Row
from harness.analysis.statistics import Estimate, estimate_time, log_ratios, pass_values
from harness.analysis.verdicts import WORST_FIRST, overall
from harness.record.run import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of rows, worst first: all rows, or in a qualification the rows of one known slow-down.

    slowdown: as a share, 0 for identical arms; None if the run is no qualification.
    """

    slowdown: float | None
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """Title of the group; empty if it contains all rows."""
        if self.slowdown is None:
            return ""
        return f"slowed down by {100 * self.slowdown:g} %" if self.slowdown else "identical arms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Geometric mean of new / base over all cells of an arm in a group."""

    arm: str
    base: str
    group: str
    cells: int
    ratio: Estimate


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by verdict, then by decreasing ratio."""
    return sorted(rows, key=lambda row: (WORST_FIRST.index(row.judgement.verdict), -_ratio(row)))


def _ratio(row: Row) -> float:
    return row.judgement.ratio.value if row.judgement.ratio is not None else 0.0


def base_name(arm_comparison: ArmComparison, arm: str) -> str:
    """Return the first arm of an arm's family; empty if the header does not list the arm."""
    return arm_comparison.run.header.base_of.get(arm, "")


def groups_of(arm_comparison: ArmComparison) -> list[Group]:
    """Group rows by known slow-down, the smallest first; one group if the run is no qualification."""
    found: dict[float | None, list[Row]] = defaultdict(list)
    for row in worst_first(arm_comparison.rows):
        found[row.new.slowdown].append(row)
    order = sorted(found, key=lambda slowdown: -1.0 if slowdown is None else slowdown)
    return [Group(slowdown=slowdown, rows=tuple(found[slowdown])) for slowdown in order]


def effects(arm_comparison: ArmComparison) -> list[Effect]:
    """Return one effect for each arm and group; arms with a cell of fewer than two passes are left out."""
    found = []
    for group in groups_of(arm_comparison):
        by_arm: dict[str, dict[int, list[float]]] = defaultdict(dict)
        for row in group.rows:
            if ratios := row_ratios(row):
                by_arm[row.new.arm][row.new.cell] = list(ratios.values())
        found += [
            Effect(
                arm=arm, base=base_name(arm_comparison, arm), group=group.title, cells=len(cells), ratio=overall(cells),
            )
            for arm, cells in by_arm.items() if min(map(len, cells.values())) > 1
        ]  # fmt: skip
    order = [arm.name for arm in arm_comparison.run.header.arms]
    return sorted(found, key=lambda effect: order.index(effect.arm))


def row_ratios(row: Row) -> dict[int, float]:
    """Map the number of each pass in which both sides were timed to log(new / base)."""
    sides = [side.measurement.passes if side and side.measurement else () for side in (row.base, row.new)]
    both = sorted(pass_values(sides[0]).keys() & pass_values(sides[1]).keys())
    return dict(zip(both, log_ratios(*sides), strict=True))


def verdict_row(arm_comparison: ArmComparison, row: Row) -> dict[str, Any]:
    """Return a row of the table of verdicts, as VERDICT_COLUMNS."""
    new, found, base = row.new, row.judgement, row.base
    ratio = found.ratio
    return {
        **{name: getattr(new, name) for name in ("cell", "suite", "label", "problem", "outcome")},
        **{name: getattr(found, name) for name in ("verdict", "passes", "p_slower", "p_faster", "p_same")},
        "arm": new.arm, "backend": new.backend, "base": base.arm if base else base_name(arm_comparison, new.arm),
        "base_cell": base.cell if base else None, "slowdown": new.slowdown,
        "operator": new.problem.partition(" ")[0], "more_passes": found.more_passes,
        "ratio": ratio.value if ratio else None, "ratio_low": ratio.low if ratio else None,
        "ratio_high": ratio.high if ratio else None, "reason": found.reason,
        **_setup("base", base), **_setup("new", new), "pays": row.payback.words, "pays_calls": row.payback.calls,
        "base_ns": _time(base), "new_ns": _time(new), "base_outcome": base.outcome if base else "",
    }  # fmt: skip


def _time(result: Result | None) -> float | None:

    return estimate_time(result.measurement).value if result is not None and result.measurement is not None else None


def _setup(side: str, result: Result | None) -> dict[str, float | None]:
    """Medians over passes of the times of planning and of the first call, in ns."""
    passes = result.measurement.passes if result is not None and result.measurement is not None else ()
    return {
        f"{side}_prepare_ns": statistics.median(p.prepare_ns for p in passes) if passes else None,
        f"{side}_first_ns": statistics.median(p.first_call_ns for p in passes) if passes else None,
    }

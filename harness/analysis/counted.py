"""Counted instructions of a run: one row for each cell, with a verdict where arms are compared.

The counts of a cell differ a little from call to call, as each has other data. The ratio of two sides is therefore an
interval, from the fewest instructions of the new side over the most of the base to the opposite. A verdict needs the
whole interval: MORE beyond 1 + delta, FEWER below 1 / (1 + delta), SAME in between; else the cell is INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from harness.analysis.exit_code import find_exit_code
from harness.analysis.outcomes import Silent, describe_new, find_new, find_silent, judge_one_sided
from harness.analysis.pairing import pair_results
from harness.exit_codes import ExitCode
from harness.plan.counting import Counting
from harness.record.counts import Counts
from harness.record.run import RAN, Result, Run

CountVerdict = Literal["MORE", "MISSING", "INCONCLUSIVE", "FEWER", "NEW", "SAME"]
COUNT_VERDICTS: tuple[CountVerdict, ...] = get_args(CountVerdict)


@dataclass(frozen=True, slots=True)
class CountRatio:
    """Instructions of the new side over those of the base: of the medians, and the ends of the interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRow:
    """A counted cell, its base (None if it has none, or nothing is compared), and the verdict (None for a base)."""

    base: Result | None
    new: Result
    verdict: CountVerdict | None = None
    ratio: CountRatio | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """All counted cells of a run: compared ones first, the worst verdict and the largest ratio first."""

    run: Run
    counting: Counting
    rows: tuple[CountRow, ...]

    @property
    def compared(self) -> tuple[CountRow, ...]:
        """Rows with a verdict."""
        return tuple(row for row in self.rows if row.verdict is not None)

    @property
    def counts(self) -> dict[CountVerdict, int]:
        """Number of cells by verdict, with zeros."""
        counts = dict.fromkeys(COUNT_VERDICTS, 0)
        for row in self.compared:
            assert row.verdict is not None
            counts[row.verdict] += 1
        return counts

    @property
    def spread(self) -> float | None:
        """Largest share of a call that is not deterministic, over all cells; None if none was counted."""
        return max((row.new.counts.spread for row in self.rows if row.new.counts is not None), default=None)

    @property
    def all_new(self) -> tuple[str, ...]:
        """Arms of which the base can do no cell, so that nothing was compared."""
        return find_new((row.new.arm, row.verdict or "") for row in self.compared)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the run; if that is OK and the comparison is armed, of the verdicts."""
        code = find_exit_code(self.run)
        if code != ExitCode.OK or not self.counting.armed:
            return code
        counts = self.counts
        if counts["MORE"] or counts["MISSING"]:
            return ExitCode.SLOWER
        return ExitCode.CANNOT_TELL if counts["INCONCLUSIVE"] or self.all_new else code


def find_counted(run: Run) -> Counted | None:
    """Return the counted cells of a run; None for a run that counted nothing."""
    counting = run.header.counting
    if counting is None:
        return None
    rows = sorted(_make_rows(run, counting), key=_worst_first)
    return Counted(run=run, counting=counting, rows=tuple(rows))


def _make_rows(run: Run, counting: Counting) -> Iterator[CountRow]:
    silent, base_of = find_silent(run.results), run.header.base_of
    for one in run.results:
        if one.kind == "count" and (not counting.compares or base_of[one.arm] == one.arm):
            yield CountRow(base=None, new=one)
    for base, new in pair_results(run, "count") if counting.compares else ():
        yield judge_counts(base, new, counting.delta, silent)


def judge_counts(base: Result | None, new: Result, delta: float, silent: Silent = frozenset()) -> CountRow:
    """Judge the counts of a cell against those of its base.

    base: None if it has no such cell. delta: relative change that counts. silent: arms that gave no answer at all.
    """
    if not any(one is not None and one.outcome in RAN for one in (base, new)):
        return CountRow(base=base, new=new, reason=new.reason)
    untold = [one for one in (base, new) if one is not None and one.untold]
    if untold:
        return CountRow(base=base, new=new, verdict="INCONCLUSIVE", reason=untold[0].reason)
    if base is None or base.counts is None or new.counts is None:
        verdict, reason = judge_one_sided(base, new, silent)
        return CountRow(base=base, new=new, verdict=verdict, reason=reason)
    ratio, bound = find_ratio(base.counts, new.counts), 1 + delta
    if ratio.low > bound:
        return CountRow(base=base, new=new, verdict="MORE", ratio=ratio)
    if ratio.high < 1 / bound:
        return CountRow(base=base, new=new, verdict="FEWER", ratio=ratio)
    if 1 / bound <= ratio.low and ratio.high <= bound:
        return CountRow(base=base, new=new, verdict="SAME", ratio=ratio)
    spread = max(base.counts.spread, new.counts.spread)
    why = f"calls of one side differ by {100 * spread:.2g} %, so that the ratio lies across the bound of {bound:g}"
    return CountRow(base=base, new=new, verdict="INCONCLUSIVE", ratio=ratio, reason=why)


def find_ratio(base: Counts, new: Counts) -> CountRatio:
    """Return the ratio of two sides, with the interval that their calls leave open."""
    return CountRatio(
        new.median / base.median, min(new.instructions) / max(base.instructions),
        max(new.instructions) / min(base.instructions),
    )  # fmt: skip


def _worst_first(row: CountRow) -> tuple[int, float]:
    order = len(COUNT_VERDICTS) if row.verdict is None else COUNT_VERDICTS.index(row.verdict)
    return order, -(row.ratio.value if row.ratio is not None else 0.0)


def count_record(row: CountRow) -> dict[str, Any]:
    """Return a row of the table of counts, as COUNT_COLUMNS."""
    new, base = row.new, row.base
    counts = new.counts
    return {
        **{name: getattr(new, name) for name in ("cell", "suite", "label", "problem", "arm", "backend", "outcome")},
        "operator": new.problem.partition(" ")[0],
        "counter": counts.counter if counts else None, "calls": len(counts.instructions) if counts else None,
        "instructions": counts.median if counts else None,
        "least": min(counts.instructions) if counts else None, "most": max(counts.instructions) if counts else None,
        "spread": counts.spread if counts else None,
        "base": base.arm if base else None, "base_cell": base.cell if base else None,
        "base_instructions": base.counts.median if base and base.counts else None,
        "ratio": row.ratio.value if row.ratio else None, "ratio_low": row.ratio.low if row.ratio else None,
        "ratio_high": row.ratio.high if row.ratio else None, "verdict": row.verdict,
        "reason": row.reason if row.verdict else new.reason,
    }  # fmt: skip


def describe_counted(counted: Counted) -> str:
    """Return how instructions were counted, what counts, and what was found, in one line."""
    counting = counted.counting
    said = [f"instructions of {counting.calls} calls with one thread, counted by {counting.counter}"]
    if (spread := counted.spread) is not None:
        said.append(f"at most {100 * spread:.2g} % of a call is not deterministic")
    if counting.compares:
        found = ", ".join(f"{number} {name}" for name, number in counted.counts.items() if number)
        said.append(f"a change of {100 * counting.delta:.3g} % counts: {found or 'none'}")
    if counted.all_new:
        said.append(describe_new(counted.all_new))
    if counting.remark:
        said.append(counting.remark)
    return "; ".join(said)

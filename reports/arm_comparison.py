"""What a comparison of arms in one run says: the headline, effects, arms, and why blocks were left out."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.exit_codes import ExitCode
from harness.experiments.qualify import SUITE, qualify_run
from reports.facts import State, Verdict, describe_incomplete
from reports.facts import judge_run as judge_outcomes
from reports.number_format import count, format_number, format_time

if TYPE_CHECKING:
    from harness.analysis.arm_comparison import ArmComparison, Row
    from harness.analysis.statistics import Estimate
    from harness.record.run import Result, Run

WORST_FIRST = ("SLOWER", "MISSING", "INCONCLUSIVE", "FASTER", "SAME")
SAID = {
    "SLOWER": "slower",
    "MISSING": "missing",
    "FASTER": "faster",
    "SAME": "the same",
    "INCONCLUSIVE": "inconclusive",
}
VERSIONS: dict[ExitCode, State] = {ExitCode.OK: "good", ExitCode.CANNOT_TELL: "open"}  # of a gate; others are bad
FARTHEST = 1000  # ratios beyond, as the ends of intervals of two passes may be, are only called so
REVISION = 10  # characters that tell revisions apart
_NUMBER = re.compile(r"\d[\d.]*%?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows that belong together, worst first: all of them, or in a qualification those of one known slow-down.

    slowdown: as a share, 0 for identical arms; None where the run is no qualification.
    """

    slowdown: float | None
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What the group is, in words; empty where it is everything."""
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


def compared(run: Run) -> ArmComparison | None:
    """Where the arms of a run stand; None where it was no comparison of arms.

    Of two versions that were compared for a build, cells that one of them could not time are no verdicts: what became
    of them is among the outcomes and failures. What was accepted is said to be.
    """
    from harness.analysis.arm_comparison import compare_to_base
    from harness.analysis.gate_report import judge_gate

    if run.header.gate is None:
        return None
    arm_comparison = compare_to_base(run)
    if not arm_comparison.gate.whole:
        return arm_comparison
    found = {cell.new.cell: cell for cell in judge_gate(run).cells}
    rows = [
        replace(row, judgement=replace(row.judgement, reason=found[row.new.cell].reason))
        for row in arm_comparison.rows
        if found[row.new.cell].finding in (row.judgement.verdict, "BLESSED")
    ]
    return replace(arm_comparison, rows=tuple(rows))


def known_slowdown(suite: str) -> float | None:
    """The slow-down that a suite of `qualify` puts into its arms, as a share; None for any other suite."""
    name, _, percent = suite.partition("+")
    return None if name != SUITE else float(percent) / 100 if percent else 0.0


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Rows by verdict, the largest ratio of each first."""
    return sorted(rows, key=lambda row: (WORST_FIRST.index(row.judgement.verdict), -_ratio(row)))


def _ratio(row: Row) -> float:
    return row.judgement.ratio.value if row.judgement.ratio is not None else 0.0


def base_name(arm_comparison: ArmComparison, arm: str) -> str:
    """The first arm of an arm's family; empty where the header does not know the arm."""
    return arm_comparison.run.header.base_of.get(arm, "")


def groups_of(arm_comparison: ArmComparison) -> list[Group]:
    """The rows by known slow-down, the smallest first; one group where the run is no qualification."""
    found: dict[float | None, list[Row]] = defaultdict(list)
    for row in worst_first(arm_comparison.rows):
        found[known_slowdown(row.new.suite)].append(row)
    order = sorted(found, key=lambda slowdown: -1.0 if slowdown is None else slowdown)
    return [Group(slowdown=slowdown, rows=tuple(found[slowdown])) for slowdown in order]


def judge_arms(arm_comparison: ArmComparison) -> Verdict:
    """The verdict on a comparison of arms: what is wrong, then what became slower, faster, or is the same."""
    if arm_comparison.gate.whole:
        return _judge_versions(arm_comparison)
    wrong = judge_outcomes(arm_comparison.run)
    qualification = any(known_slowdown(row.new.suite) is not None for row in arm_comparison.rows)
    state, text, notes = _judge_qualification(arm_comparison) if qualification else _judge_cells(arm_comparison)
    if wrong.state == "bad":
        state, text = "bad", f"{wrong.text}; {text}"
        notes.append(wrong.detail)
    incomplete = describe_incomplete(arm_comparison.run)
    if state == "good" and (incomplete or not arm_comparison.can_tell):
        state = "open"
    return Verdict(
        state=state, text=text, detail=" ".join([*notes, *_tell(arm_comparison)]), incomplete=incomplete,
        overdrawn=wrong.overdrawn,
    )  # fmt: skip


def _judge_versions(arm_comparison: ArmComparison) -> Verdict:
    """The conclusion of a gate, which its exit code has too."""
    from harness.analysis.gate_report import conclude_gate, judge_gate

    report = judge_gate(arm_comparison.run)
    counts = ", ".join(f"{number} {name}" for name, number in report.counts.items() if number)
    state: State = VERSIONS.get(report.exit_code, "bad")
    notes = [
        f"{count(len(report.cells), 'cell')}: {counts}.",
        f"A change of {format_percents(arm_comparison.gate.delta)} counts.",
    ]
    return Verdict(
        state=state, text=f"The gate {conclude_gate(report)}", detail=" ".join([*notes, *_tell(arm_comparison)]),
        incomplete=describe_incomplete(arm_comparison.run), overdrawn=(),
    )  # fmt: skip


def _judge_cells(arm_comparison: ArmComparison) -> tuple[State, str, list[str]]:
    counts = arm_comparison.counts
    named = [(counts[verdict], words) for verdict, words in SAID.items() if counts[verdict]]
    if not named:
        return "open", "Nothing was compared", []
    first, *others = named
    parts = [f"{count(first[0], 'cell')} {first[1]}", *(f"{number} {words}" for number, words in others)]
    state: State = "bad" if counts["SLOWER"] or counts["MISSING"] else "open" if counts["INCONCLUSIVE"] else "good"
    return state, ", ".join(parts), [f"A change of {format_percents(arm_comparison.gate.delta)} counts."]


def _judge_qualification(arm_comparison: ArmComparison) -> tuple[State, str, list[str]]:
    """Identical arms that were called different, and known slow-downs that were found."""
    found = qualify_run(arm_comparison.run, arm_comparison)
    alarms = f"{found.alarms} of {count(found.cells, 'identical pair')} called different"
    seen = [f"{format_percents(float(share))} in {hits} of {of}" for share, (hits, of) in found.powers.items()]
    failures = found.failures if found.powers else ()
    open_ = sum(r.judgement.verdict == "INCONCLUSIVE" and not known_slowdown(r.new.suite) for r in arm_comparison.rows)
    if open_:
        alarms += f", {open_} inconclusive"
    state: State = "bad" if failures else "good" if found.powers and not found.alarms else "open"
    notes = [f"Slow-downs found: {', '.join(seen)} cells."] if seen else []
    notes += [f"A change of {format_percents(arm_comparison.gate.delta)} counts."]
    if found.cells:
        notes.append(f"19 of 20 identical pairs lie within ±{format_percents(found.floor)}.")
    return state, alarms, [*notes, *(f"Not fit for a gate by this run alone: {why}." for why in failures)]


def _tell(arm_comparison: ArmComparison) -> Iterator[str]:
    """Whether the machine was quiet enough, in a sentence."""
    from harness.measure.disturbance import MOST_DROPPED

    can = "can" if arm_comparison.can_tell else "cannot"
    share, most = format_percents(arm_comparison.dropped), format_percents(MOST_DROPPED)
    yield f"The machine {can} tell: {share} of the blocks were left out, at most {most} may be."


def format_percents(share: float) -> str:
    """A share in percent with as few digits as it needs, three at most."""
    return f"{100 * share:.3g} %"


def dropped_reasons(run: Run) -> list[tuple[str, int]]:
    """Why blocks were left out and how many, most frequent first; reasons that differ in numbers alone are one."""
    blocks = (b for r in run.results if r.measurement is not None for one in r.measurement.passes for b in one.blocks)
    return Counter(_NUMBER.sub("…", block.dropped) for block in blocks if block.dropped).most_common()


def effects(arm_comparison: ArmComparison) -> list[Effect]:
    """One effect for each arm and group; arms without two passes that all their cells have are left out."""
    from harness.analysis.verdicts import overall

    found = []
    for group in groups_of(arm_comparison):
        by_arm: dict[str, dict[int, list[float]]] = defaultdict(dict)
        for row in group.rows:
            if ratios := row_ratios(row):
                by_arm[row.new.backend][row.new.cell] = list(ratios.values())
        found += [
            Effect(
                arm=arm, base=base_name(arm_comparison, arm), group=group.title, cells=len(cells), ratio=overall(cells),
            )
            for arm, cells in by_arm.items() if min(map(len, cells.values())) > 1
        ]  # fmt: skip
    order = [arm.name for arm in arm_comparison.run.header.arms]
    return sorted(found, key=lambda effect: order.index(effect.arm))


def row_ratios(row: Row) -> dict[int, float]:
    """log(new / base) by number of the pass, of the passes in which both were timed."""
    from harness.analysis.statistics import log_ratios, pass_values

    sides = [side.measurement.passes if side and side.measurement else () for side in (row.base, row.new)]
    both = sorted(pass_values(sides[0]).keys() & pass_values(sides[1]).keys())
    return dict(zip(both, log_ratios(*sides), strict=True))


def verdict_row(arm_comparison: ArmComparison, row: Row) -> dict[str, Any]:
    """A row of the table of verdicts."""
    new, found, base = row.new, row.judgement, row.base
    ratio = found.ratio
    return {
        **{name: getattr(new, name) for name in ("cell", "suite", "label", "problem", "outcome")},
        **{name: getattr(found, name) for name in ("verdict", "passes", "p_slower", "p_faster", "p_same")},
        "arm": new.backend, "base": base.backend if base else base_name(arm_comparison, new.backend),
        "base_cell": base.cell if base else None, "slowdown": known_slowdown(new.suite),
        "operator": new.problem.partition(" ")[0], "more_passes": found.more_passes,
        "ratio": ratio.value if ratio else None, "ratio_low": ratio.low if ratio else None,
        "ratio_high": ratio.high if ratio else None, "reason": describe_reason(row),
        **_setup("base", base), **_setup("new", new), "pays": row.payback.words, "pays_calls": row.payback.calls,
        "base_ns": _time(base), "new_ns": _time(new), "base_outcome": base.outcome if base else "",
    }  # fmt: skip


def describe_reason(row: Row) -> str:
    """Why there is no verdict; where a side has no time, what became of it."""
    if row.judgement.verdict != "MISSING":
        return row.judgement.reason
    sides = [(name, side) for name, side in (("base", row.base), ("new", row.new)) if not (side and side.measurement)]
    told = [f"{name}: {_became(side)}" for name, side in sides]
    return "; ".join(told) or row.judgement.reason


def _became(side: Result | None) -> str:
    if side is None:
        return "no such cell"
    return f"{side.outcome}, {side.reason}" if side.reason else side.outcome


def _time(result: Result | None) -> float | None:
    from harness.analysis.statistics import estimate_time

    return estimate_time(result.measurement).value if result is not None and result.measurement is not None else None


def _setup(side: str, result: Result | None) -> dict[str, float | None]:
    """Medians over passes of planning and of the first call."""
    passes = result.measurement.passes if result is not None and result.measurement is not None else ()
    return {
        f"{side}_prepare_ns": statistics.median(p.prepare_ns for p in passes) if passes else None,
        f"{side}_first_ns": statistics.median(p.first_call_ns for p in passes) if passes else None,
    }


def setup_words(made: dict[str, Any], side: str) -> str:
    """What planning and the first call took on one side of a row of the table of verdicts."""
    times = [made[f"{side}_{name}_ns"] for name in ("prepare", "first")]
    return "" if None in times else " + ".join(map(format_time, times))


def arm_rows(arm_comparison: ArmComparison) -> list[tuple[str, str, str, str, str]]:
    """Name, backend, base (empty for a base), revision with its mark, and interpreter of every arm."""
    return [
        (
            arm.name, arm.backend, "" if (base := base_name(arm_comparison, arm.name)) == arm.name else base,
            f"{arm.revision[:REVISION]}{' with changes' if arm.dirty else ''}", arm.interpreter,
        )
        for arm in arm_comparison.run.header.arms
    ]  # fmt: skip


def ratio_words(ratio: Estimate | None) -> tuple[str, str]:
    """A ratio and its interval, with the digits that a change of a tenth of a percent needs."""
    if ratio is None:
        return "", ""
    return _short(ratio.value), f"{_short(ratio.low)} to {_short(ratio.high)}"


def _short(ratio: float) -> str:
    if not 1 / FARTHEST <= ratio <= FARTHEST:
        return f"< {1 / FARTHEST:g}" if ratio < 1 else f"> {FARTHEST}"
    return f"{ratio:.4f}" if abs(math.log(ratio)) < 0.1 else format_number(ratio, 4)


def cut(groups: Sequence[Group], most: int) -> list[tuple[Group, tuple[Row, ...], int]]:
    """For every group the rows that are shown and how many are not; `most` in all, the worst of every group."""
    shares, left = {}, most
    for number, group in enumerate(sorted(groups, key=lambda group: len(group.rows))):
        shares[group.slowdown] = min(len(group.rows), left // (len(groups) - number))  # what small ones leave is shared
        left -= shares[group.slowdown]
    return [(group, group.rows[: (n := shares[group.slowdown])], len(group.rows) - n) for group in groups]

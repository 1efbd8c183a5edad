"""Findings of a comparison of two versions, cell by cell, for laws and times, and the conclusion for a build."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal, get_args

from harness.analysis.arm_comparison import ArmComparison, Row, compare_to_base, find_limit
from harness.analysis.causes import Cause, Key, find_cause, group_by_cause, simplify
from harness.analysis.counted import CountRatio, CountRow, judge_counts
from harness.analysis.excess import Excess, find_excess, find_idle_limits
from harness.analysis.outcomes import CODE, Silent, find_silent, find_transition, is_answer
from harness.analysis.pairing import pair_results
from harness.analysis.seen import Seen, Verdict
from harness.analysis.statistics import Estimate
from harness.analysis.verdicts import Judgement
from harness.exit_codes import ExitCode
from harness.plan.counting import DELTA
from harness.plan.gate import Gate
from harness.plan.limits import VALUES
from harness.record.acceptance import Acceptance
from harness.record.run import RAN, WRONG, Result, Run

Finding = Literal[
    "BROKEN", "SLOWER", "MORE", "MISSING", "MORE MEMORY", "LESS PRECISE", "INCONCLUSIVE", "WRONG BEFORE", "BLESSED",
    "FASTER", "FEWER", "MENDED", "NEW", "SAME", "UNCHANGED",
]  # fmt: skip
FINDINGS: tuple[Finding, ...] = get_args(Finding)
FAILING: tuple[Finding, ...] = ("BROKEN", "SLOWER", "MORE", "MISSING", "MORE MEMORY", "LESS PRECISE")
ALONE: tuple[Verdict, ...] = ("SLOWER", "MORE", "MISSING")  # findings of a cell without its limits
BROKEN_OK = "accepted by --base-broken ok"
MENDS = "where the new version mends it, --base-broken ok lets its own laws decide"
UNPROVEN = "--base-broken ok accepts it where laws of the new version pass and none is wrong; ask a suite of laws too"
ALL: tuple[tuple[str, ...], str] = (VALUES, "")  # values of limits that are applied, and why others are not
WHILE_COUNTED = (("bits",), "instructions were counted")
NOTHING_ACCEPTED = Acceptance()
QUIET_FINDINGS: tuple[Finding, ...] = ("SAME", "UNCHANGED", "NEW")  # findings that need no attention
FINDING_MEANINGS: dict[Finding, str] = {
    "BROKEN": "wrong, and was not known to be wrong in the base",
    "SLOWER": "slower by more than counts",
    "MORE": "more instructions by more than counts",
    "MISSING": "the base can do it, the new version cannot",
    "MORE MEMORY": "needs more memory than its limit allows",
    "LESS PRECISE": "has fewer effective bits than its limit allows",
    "INCONCLUSIVE": "not decided",
    "WRONG BEFORE": "wrong in both: no change of this comparison's",
    "BLESSED": "a known change that was accepted",
    "FASTER": "faster by more than counts",
    "FEWER": "fewer instructions by more than counts",
    "MENDED": "was wrong in the base (or could not run there, which was accepted), and is right or no longer offered",
    "NEW": "the base cannot do it",
    "SAME": "no change that counts",
    "UNCHANGED": "right in both, or not run now where the base is not right either",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One cell of both versions: its results, the finding and its reason.

    judgement: of the times, None for a law. counted: of the instructions; None where none are compared.
    excess: over the limits of the cell. apart: the cell without it, where it made the finding.
    ruled_out: True if the cell is undecided, but a slow-down of the gate's `resolve` is ruled out.
    baseless: True if the base could not run the cell although it may be able to; more time cannot decide such a cell.
    """

    backend: str
    base: Result | None
    new: Result
    finding: Finding
    judgement: Judgement | None = None
    counted: CountRow | None = None
    reason: str | None = None
    excess: Excess | None = None
    apart: Compared | None = None
    ruled_out: bool = False
    baseless: bool = False

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Everything for which the cell fails a build although it is right."""
        one = self.apart or self
        found = [
            Seen(verdict=word, ratio=None if word == "MISSING" else one.ratio)
            for word in ALONE if one.finding == word
        ]  # fmt: skip
        if self.excess is not None and self.excess.word != "INCONCLUSIVE":
            found.append(Seen(verdict=self.excess.word, amounts=self.excess.amounts, law=self.new.law))
        return tuple(found)

    @property
    def what(self) -> str:
        """Name of the law, "time" or "instructions"."""
        return self.new.law or ("instructions" if self.new.kind == "count" else "time")

    @property
    def ratio(self) -> Estimate | CountRatio | None:
        """Of times or instructions, new / base; None where they are not compared."""
        return next((one.ratio for one in (self.judgement, self.counted) if one is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """All cells of a comparison of versions, worst first, and the conclusion for a build.

    lost: backends that the plugins of the base register, but not those of the new version.
    idle_limits: rows of limits that were not applied, with the reason.
    """

    arm_comparison: ArmComparison
    cells: tuple[Compared, ...]
    lost: tuple[str, ...] = ()
    idle_limits: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        """The judged run."""
        return self.arm_comparison.run

    @property
    def counts(self) -> dict[Finding, int]:
        """Number of cells by finding, with all findings as keys."""
        counts: dict[Finding, int] = dict.fromkeys(FINDINGS, 0)
        for cell in self.cells:
            counts[cell.finding] += 1
        return counts

    def causes(self, *findings: Finding) -> list[Cause[Compared]]:
        """Cells with some findings by cause, worst first; a cell whose times were compared is a cause by itself."""
        cells = [cell for cell in self.cells if cell.finding in findings]
        return group_by_cause(cells, _find_cause, lambda cell: cell.new)

    @property
    def told(self) -> list[Cause[Compared]]:
        """Causes of all findings that need attention, worst first."""
        return self.causes(*(finding for finding in FINDINGS if finding not in QUIET_FINDINGS))

    @property
    def silent(self) -> dict[str, int]:
        """Number of unchanged cells in which the new version did not run, by its outcome."""
        unchanged = (cell.new.outcome for cell in self.cells if cell.finding == "UNCHANGED")
        return dict(Counter(outcome for outcome in unchanged if outcome not in RAN))

    @property
    def undecided(self) -> int:
        """Number of undecided cells in which not even a large slow-down is ruled out."""
        return sum(cell.finding == "INCONCLUSIVE" and not cell.ruled_out for cell in self.cells)

    @property
    def baseless(self) -> tuple[Compared, ...]:
        """Undecided cells that the base could not run, so that more time cannot decide them."""
        return tuple(cell for cell in self.cells if cell.finding == "INCONCLUSIVE" and cell.baseless)

    @property
    def accepted_baseless(self) -> tuple[Compared, ...]:
        """Cells that the base could not run and that pass by the gate's `base_broken`."""
        return tuple(cell for cell in self.cells if cell.finding == "MENDED" and cell.baseless)

    @property
    def alone(self) -> tuple[Compared, ...]:
        """New cells of a backend and kind (laws, times) of which the base answered none: nothing was compared there."""
        answered = {_side(cell) for cell in self.cells if cell.base is not None and is_answer(cell.base)}
        return tuple(cell for cell in self.cells if cell.finding == "NEW" and _side(cell) not in answered)

    @property
    def unmatched(self) -> tuple[Compared, ...]:
        """Cells of `alone` that the gate's `base_broken` does not accept."""
        proven = find_proven(self.run) if self.arm_comparison.gate.base_broken == "ok" else ()
        return tuple(cell for cell in self.alone if cell.new.arm not in proven)

    @property
    def compared(self) -> bool:
        """True if a cell ran on both sides."""
        return any(cell.base is not None and is_answer(cell.base) and is_answer(cell.new) for cell in self.cells)

    @property
    def blind(self) -> bool:
        """True if the base could not run cells that it may support, no cell ran on both sides, and none is accepted."""
        baseless = any(cell.baseless for cell in self.cells)
        return baseless and not self.compared and not self.accepted_baseless

    @property
    def praise(self) -> str:
        """Words for a new version in which nothing was found."""
        return "neither slower nor wrong" if self.run.header.counting is None else "no more instructions, and not wrong"

    @property
    def interval(self) -> str:
        """Name of the interval of ratios: counts have none of a probability."""
        return "95 % interval" if self.run.header.counting is None else "least to most"

    @property
    def overdrawn(self) -> tuple[str, ...]:
        """Arms of the new version with too many passed comparisons that prove nothing, unlike in their base."""
        bases = self.run.header.base_of
        return tuple(arm for arm in self.run.overdrawn if bases[arm] != arm and bases[arm] not in self.run.overdrawn)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the gate: the first of WRONG, INCOMPLETE, SLOWER, CANNOT_TELL and OK that holds.

        INCOMPLETE also means that nothing ran; SLOWER, that a cell or a backend is missing, or that a cell exceeds a
        limit; CANNOT_TELL, that all laws or all times of a backend are new. A slower cell counts only if the machine
        was quiet enough, the others always.
        """
        counts = self.counts
        codes = {CODE[cell.finding] for cell in self.cells if cell.finding in CODE and cell.finding != "INCONCLUSIVE"}
        if ExitCode.WRONG in codes or self.overdrawn:
            return ExitCode.WRONG
        if not self.run.complete or self.blind:
            return ExitCode.INCOMPLETE
        if ExitCode.SLOWER in codes or counts["MORE"] or self.lost:
            return ExitCode.SLOWER
        if not counts["BLESSED"] and not any(cell.new.outcome in RAN for cell in self.cells):
            return ExitCode.INCOMPLETE
        if not self.arm_comparison.can_tell or self.arm_comparison.gate.untimed:
            return ExitCode.CANNOT_TELL
        if counts["SLOWER"]:
            return ExitCode.SLOWER
        return CODE["INCONCLUSIVE"] if self.undecided or self.unmatched else ExitCode.OK


def judge_gate(arm_comparison: ArmComparison, acceptance: Acceptance = NOTHING_ACCEPTED) -> GateReport:
    """Judge every cell of a run of two versions.

    arm_comparison: of the run; the first arm of a family is its base, the second the new version.
    acceptance: findings that were accepted beforehand, by cell.
    """
    run, gate = arm_comparison.run, arm_comparison.gate
    sure = compare_to_base(run, _resolve(gate)) if gate.resolve > 0 else arm_comparison
    judged = {row.new.cell: row for row in arm_comparison.rows}
    ruled_out = {row.new.cell for row in sure.rows if row.judgement.verdict in ("SAME", "FASTER")}
    silent, proven, pairs = find_silent(run.results), find_proven(run), pair_results(run)
    delta = DELTA if run.header.counting is None else run.header.counting.delta
    compared = (_compare(base, new, silent, judged.get(new.cell), new.cell in ruled_out, delta) for base, new in pairs)
    if gate.base_broken == "ok":
        compared = (_accept_broken(cell, cell.new.arm in proven) for cell in compared)
    cells = [_accept(_hold_limit(cell, gate), acceptance) for cell in compared]
    return GateReport(
        arm_comparison=arm_comparison, cells=tuple(sorted(cells, key=_worst_first)), lost=find_lost(run),
        idle_limits=find_idle_limits(gate.limits, pairs, *(ALL if run.header.counting is None else WHILE_COUNTED)),
    )  # fmt: skip


def _resolve(gate: Gate) -> Gate:
    """Return the gate that finds slow-downs of `resolve` only, or of more in cells in which more counts."""
    limits = (one if one.delta is None else replace(one, delta=max(one.delta, gate.resolve)) for one in gate.limits)
    return replace(gate, delta=max(gate.delta, gate.resolve), limits=tuple(limits))


def find_lost(run: Run) -> tuple[str, ...]:
    """Return the backends that a base registers and no new version does.

    Empty if any arm did not report its list of backends.
    """
    bases = run.header.base_of
    old = {name for arm, base in bases.items() if arm == base for name in run.offered.get(arm, ())}
    new = {name for arm, base in bases.items() if arm != base for name in run.offered.get(arm, ())}
    return tuple(sorted(old - new)) if all(run.offered.get(arm) for arm in bases) else ()


def find_proven(run: Run) -> frozenset[str]:
    """Return the arms with a law that passed with proof, and none that is wrong."""
    laws = [result for result in run.results if result.kind == "correctness"]
    wrong = {result.arm for result in laws if result.outcome in WRONG}
    return frozenset(r.arm for r in laws if r.outcome == "passed" and not r.vacuous) - wrong


def _side(cell: Compared) -> tuple[str, str]:
    """Return the arm and the kind of a cell: what one backend answers says nothing of another."""
    return cell.new.arm, cell.new.kind


def _find_cause(cell: Compared) -> Key:
    """The cause of a finding: that of a wrong result, else its reason."""
    if cell.counted is not None or (cell.judgement is not None and cell.finding != "MORE MEMORY"):
        return cell.finding, cell.new.cell
    if cell.new.outcome in WRONG:
        return cell.finding, *find_cause(cell.new)
    return cell.finding, cell.backend, simplify(cell.reason or "")


def _worst_first(cell: Compared) -> tuple[int, float]:
    ratio = cell.ratio
    return FINDINGS.index(cell.finding), -(ratio.value if ratio is not None else 0.0)


def _compare(
    base: Result | None, new: Result, silent: Silent, row: Row | None, ruled_out: bool, delta: float
) -> Compared:
    found, judgement = find_transition(base, new, silent), None
    finding: Finding = found.word
    reason = found.reason
    if found.by_time and row is not None:  # a row stands for every pair of which a side ran
        judgement, finding, reason = row.judgement, row.judgement.verdict, row.judgement.reason
    counted = None
    if found.by_count and base is not None:
        counted = judge_counts(base, new, delta)
        finding, reason = counted.verdict or finding, counted.reason
    undecided = finding == "INCONCLUSIVE" and ruled_out
    return Compared(
        backend=new.backend, base=base, new=new, finding=finding, judgement=judgement, reason=reason,
        ruled_out=undecided, baseless=found.baseless, counted=counted,
    )  # fmt: skip


def _hold_limit(cell: Compared, gate: Gate) -> Compared:
    """Return a cell that passed on both sides as its limits of memory and bits judge it; any other as it is."""
    if not gate.limits:
        return cell
    excess = find_excess(cell.base, cell.new, find_limit(gate, cell.new))
    if excess is None or (excess.word == "INCONCLUSIVE" and cell.finding in FAILING):
        return replace(cell, excess=excess)
    also = f"; its time: {cell.reason or cell.finding}" if cell.judgement is not None else ""
    return replace(
        cell, finding=excess.word, reason=f"{excess.reason}{also}", ruled_out=False, excess=excess, apart=cell
    )


def _accept_broken(cell: Compared, proven: bool) -> Compared:
    """Return a cell that the base could not run as the gate's `base_broken` judges it; any other as it is.

    proven: True if laws of the new version passed, and none is wrong.
    """
    if cell.finding != "INCONCLUSIVE" or not cell.baseless or cell.new.outcome != "passed":
        return cell
    if not proven:
        return replace(cell, reason=f"{cell.reason}; {UNPROVEN}")
    return replace(cell, finding="MENDED", reason=f"{BROKEN_OK}: {cell.reason}")


def _accept(cell: Compared, acceptance: Acceptance) -> Compared:
    """Return a cell as what was accepted of it leaves it: blessed, or with the finding that remains."""
    words, partly = acceptance.accepted.get(cell.new.cell), acceptance.partly.get(cell.new.cell, {})
    if words is None:
        if cell.apart is not None and cell.finding in partly:
            cell = cell.apart
        return _add_reasons(cell, *partly.values(), acceptance.refused.get(cell.new.cell, ""))
    if cell.excess is not None and cell.excess.unknown is not None:
        return replace(cell, finding="INCONCLUSIVE", reason=f"{cell.excess.unknown}; {words}", ruled_out=False)
    if cell.apart is not None and cell.apart.finding == "INCONCLUSIVE":
        return _add_reasons(cell.apart, words)
    return replace(cell, finding="BLESSED", reason=words)


def _add_reasons(cell: Compared, *more: str) -> Compared:
    return replace(cell, reason="; ".join(part for part in (cell.reason, *more) if part) or None)

"""Comparison of every arm of a run with its base: a verdict for each cell, and one effect for each arm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.excess import find_idle_limits
from harness.analysis.exit_code import find_exit_code
from harness.analysis.outcomes import Silent, find_new, find_silent, judge_one_sided
from harness.analysis.pairing import pair_results
from harness.analysis.payback import Payback, pay_back
from harness.analysis.sequential import Design
from harness.analysis.statistics import Estimate, log_ratios
from harness.analysis.verdicts import WORST_FIRST, Judgement, Verdict, judge, overall
from harness.exit_codes import ExitCode
from harness.measure.disturbance import MOST_DROPPED
from harness.plan.gate import Gate
from harness.plan.limits import Limit
from harness.record.passes import Pass
from harness.record.run import RAN, Result, Run

DISTURBED = "both sides were timed, but all of their blocks were disturbed"
DECIDED: tuple[Verdict, ...] = ("SLOWER", "FASTER", "SAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell and its base: the results of both (base is None if there is none), and the judgement of their passes."""

    base: Result | None
    new: Result
    judgement: Judgement

    @property
    def payback(self) -> Payback:
        """Number of calls after which the arm has recovered what its setup costs more than that of the base."""
        base, new = (side.measurement.passes if side and side.measurement else () for side in (self.base, self.new))
        return pay_back(base, new, self.judgement.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """All cells of a run compared with their bases.

    overall: geometric mean of new / base over the cells of each arm, with its interval; arms without ratios are absent.
    dropped: share of the blocks that were dropped as disturbed; above MOST_DROPPED, the run cannot give verdicts.
    """

    run: Run
    gate: Gate
    rows: tuple[Row, ...]
    overall: dict[str, Estimate]
    dropped: float

    @property
    def most_dropped(self) -> float:
        """Largest share of dropped blocks with which the machine can tell."""
        return MOST_DROPPED

    def delta_of(self, row: Row) -> float:
        """Return the relative change that counts in a cell."""
        return find_delta(self.gate, row.new)

    @property
    def idle_limits(self) -> tuple[str, ...]:
        """Rows of limits that were not applied, with the reason: they are judged by `gate`, except for times."""
        pairs = [(row.base, row.new) for row in self.rows]
        return find_idle_limits(self.gate.limits, pairs, ("delta",), "only `gate` judges it")

    @property
    def can_tell(self) -> bool:
        """True if the machine was quiet enough for verdicts."""
        return self.dropped <= MOST_DROPPED

    @property
    def counts(self) -> dict[str, int]:
        """Number of cells by verdict."""
        counts: dict[str, int] = dict.fromkeys(WORST_FIRST, 0)
        for row in self.rows:
            counts[row.judgement.verdict] += 1
        return counts

    @property
    def all_new(self) -> tuple[str, ...]:
        """Arms of which the base can do no cell, so that nothing was compared."""
        return find_new((row.new.arm, row.judgement.verdict) for row in self.rows)

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the run; if that is OK and the gate is armed, of the verdicts.

        SLOWER also stands for missing cells. CANNOT_TELL: too many blocks were dropped, a cell is inconclusive, its
        times may not be true, or all cells of an arm are new, so that nothing was compared.
        """
        code = find_exit_code(self.run)
        if code not in (ExitCode.OK, ExitCode.CANNOT_TELL) or not self.gate.armed:
            return code
        counts = self.counts
        if counts["MISSING"]:
            return ExitCode.SLOWER
        if not self.can_tell:
            return ExitCode.CANNOT_TELL
        if counts["SLOWER"]:
            return ExitCode.SLOWER
        return ExitCode.CANNOT_TELL if counts["INCONCLUSIVE"] or self.all_new else code


def compare_to_base(run: Run, gate: Gate | None = None) -> ArmComparison:
    """Judge every timed cell of a run against the first arm of its family.

    gate: by default the gate of the run.
    """
    gate = gate or run.header.gate or Gate()
    pairs = [pair for pair in pair_results(run, "speed") if any(one and one.outcome in RAN for one in pair)]
    ratios = {number: log_ratios(*map(_passes, pair)) for number, pair in enumerate(pairs)}
    suites = {number: new.suite for number, (_, new) in enumerate(pairs)}
    deltas = {number: find_delta(gate, new) for number, (_, new) in enumerate(pairs)}
    judged = judge_cells(ratios, suites, deltas, gate, ended=True)
    silent = find_silent(run.results)
    for number, pair in enumerate(pairs):
        if judged[number].verdict == "MISSING":
            judged[number] = _judge_untimed(*pair, silent)
        if unknown := [one for one in pair if one is not None and (one.untold or one.unreached)]:
            judged[number] = Judgement(verdict="INCONCLUSIVE", reason=unknown[0].reason)
    by_arm: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for number, (_, new) in enumerate(pairs):
        if ratios[number]:
            by_arm[new.arm][number] = ratios[number]
    return ArmComparison(
        run=run, gate=gate, dropped=dropped_share(run),
        rows=tuple(Row(base=base, new=new, judgement=judged[n]) for n, (base, new) in enumerate(pairs)),
        overall={arm: overall(found) for arm, found in by_arm.items() if min(map(len, found.values())) > 1},
    )  # fmt: skip


def _judge_untimed(base: Result | None, new: Result, silent: Silent) -> Judgement:
    """Judge a cell without a pass that timed both sides, in the words of a gate."""
    if base is not None and base.outcome == new.outcome == "passed":
        return Judgement(verdict="INCONCLUSIVE", reason=DISTURBED)
    verdict, reason = judge_one_sided(base, new, silent)
    return Judgement(verdict=verdict, reason=reason)


def judge_cells(
    ratios: Mapping[int, Sequence[float]], suites: Mapping[int, str], deltas: Mapping[int, float], gate: Gate, *,
    ended: bool = False,
) -> dict[int, Judgement]:  # fmt: skip
    """Judge cells, during a run or at its end.

    ratios: log(new / base) of the passes of each cell, by number of the cell. suites: suite of each cell.
    deltas: relative change that counts in each cell.
    gate: if it judges suites `apart`, the cells of the first suite are judged together, and each cell of another suite
    as if it were the only one added to them. ended: True if no more passes will follow.
    """
    design = Design.of(gate)
    if not gate.apart:
        return judge(ratios, design, ended=ended, deltas=deltas)
    first = next(iter(suites.values()), "")
    found = judge({n: r for n, r in ratios.items() if suites[n] == first}, design, ended=ended, deltas=deltas)
    crowd = {n: ratios[n] for n in found}
    for number in ratios.keys() - crowd.keys():
        found[number] = judge({**crowd, number: ratios[number]}, design, ended=ended, deltas=deltas)[number]
    return found


def find_limit(gate: Gate, result: Result) -> Limit:
    """Return what counts for the cell of a result."""
    return gate.limit_of(result.suite, result.backend, result.arm, result.problem)


def find_delta(gate: Gate, result: Result) -> float:
    """Return the relative change of time that counts for the cell of a result."""
    return gate.delta_of(result.suite, result.backend, result.arm, result.problem)


def _passes(result: Result | None) -> Sequence[Pass]:
    return result.measurement.passes if result is not None and result.measurement is not None else ()


def dropped_share(run: Run) -> float:
    """Return the share of the timed blocks that were dropped as disturbed."""
    blocks = [b for r in run.results if r.measurement is not None for one in r.measurement.passes for b in one.blocks]
    return sum(bool(block.dropped) for block in blocks) / len(blocks) if blocks else 0.0

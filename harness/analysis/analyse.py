"""The analysis of a run: everything that reports and the terminal show, computed once.

Reporters and printers take an `Analysis` and only format it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from harness.analysis.arm_comparison import ArmComparison, compare_to_base
from harness.analysis.bugs import BugRow, bug_rows
from harness.analysis.causes import Cause
from harness.analysis.claims.judge import ClaimsReport, judge_claims
from harness.analysis.counted import Counted, find_counted
from harness.analysis.coverage import run_coverage
from harness.analysis.descriptions import describe_incomplete, describe_overdrawn, describe_parties, describe_refused
from harness.analysis.exit_code import find_exit_code
from harness.analysis.failures import FailureGroup, find_causes, group_failures
from harness.analysis.gate_report import GateReport, judge_gate
from harness.analysis.networks import NetworkRow, network_rows
from harness.analysis.portfolio import Portfolio, find_portfolios
from harness.analysis.qualification import Qualification, qualify_run
from harness.analysis.switches import PROVES_NOTHING, SettingRow, explain_settings, setting_rows
from harness.exit_codes import ExitCode
from harness.problems.operator import Operator
from harness.record.acceptance import Acceptance, read_acceptance
from harness.record.run import Result, Run

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.rows import SpeedRow
    from harness.analysis.statistics import Estimate
    from harness.generate.dispatch.coverage import Coverage


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """Everything that reports show of a run.

    run: header and results. acceptance: findings of a comparison that were accepted beforehand.
    Every property is computed on first access and cached.
    """

    run: Run
    acceptance: Acceptance

    def __getattr__(self, name: str) -> NoReturn:
        """Raise AttributeError; for an attribute of Run, tell a reporter of the older form to use `analysis.run`."""
        told = f"; a reporter takes an Analysis, and the run is `analysis.run` (`analysis.run.{name}`)"
        raise AttributeError(f"'Analysis' has no attribute '{name}'{told if name in RUN_NAMES else ''}")

    @cached_property
    def exit_code(self) -> ExitCode:
        """Exit code of the command that made the run: of its gate, of its armed comparison, or of the run itself."""
        if self.arm_comparison is None:
            if self.counted is not None and self.counted.counting.armed:
                return self.counted.exit_code
            return find_exit_code(self.run, self.bugs, self.claims)
        if not self.arm_comparison.gate.whole:
            return self.arm_comparison.exit_code
        assert self.gate_report is not None
        codes = {self.gate_report.exit_code, ExitCode.OK if self.claims is None else self.claims.exit_code}
        firsts = (code for code in (ExitCode.WRONG, ExitCode.INCOMPLETE) if code in codes)
        return next(firsts, self.gate_report.exit_code)

    @cached_property
    def arm_comparison(self) -> ArmComparison | None:
        """Every timed cell compared with its base; None if the run compared no arms."""
        return None if self.run.header.gate is None else compare_to_base(self.run)

    @cached_property
    def counted(self) -> Counted | None:
        """Every cell whose instructions were counted, compared with its base in a comparison; None if none were."""
        return find_counted(self.run)

    @cached_property
    def gate_report(self) -> GateReport | None:
        """Every cell of two versions, laws and times; None if the run compared no arms."""
        if self.arm_comparison is None:
            return None
        known = self.acceptance if self.claims is None else self.claims.accept(self.acceptance)
        return judge_gate(self.arm_comparison, known)

    @cached_property
    def verdicts(self) -> ArmComparison | None:
        """The comparison of arms as reports show it; None if the run compared no arms.

        A gate shows no verdict for a cell that one version could not time: its outcome is reported instead. Accepted
        findings carry the reason why they were accepted.
        """
        comparison = self.arm_comparison
        if comparison is None or not comparison.gate.whole:
            return comparison
        assert self.gate_report is not None
        found = {cell.new.cell: cell for cell in self.gate_report.cells}
        rows = [
            replace(row, judgement=replace(row.judgement, reason=found[row.new.cell].reason))
            for row in comparison.rows
            if found[row.new.cell].finding in (row.judgement.verdict, "BLESSED", "MORE MEMORY")
        ]
        return replace(comparison, rows=tuple(rows))

    @cached_property
    def qualification(self) -> Qualification | None:
        """Counts of false alarms and found slow-downs; None where the run is no qualification."""
        shown = self.verdicts
        if shown is None or all(row.new.slowdown is None for row in shown.rows):
            return None
        return qualify_run(self.run, shown)

    @cached_property
    def incomplete(self) -> str | None:
        """Reason why the run is incomplete, and the place where it stopped; None for a complete run."""
        return describe_incomplete(self.run)

    @cached_property
    def overdrawn(self) -> tuple[str, ...]:
        """A line for each backend of which too many passed results prove nothing."""
        return tuple(describe_overdrawn(self.run.overdrawn))

    @cached_property
    def refused(self) -> tuple[str, ...]:
        """A line for each backend whose calls refused what it supports."""
        return tuple(describe_refused(self.run.results))

    @cached_property
    def parties(self) -> tuple[str, ...]:
        """A line for each plugin that is judge and party."""
        return tuple(describe_parties(self.run.header.parties))

    @cached_property
    def counts_by_outcome(self) -> Mapping[str, int]:
        """Number of results by outcome, with zeros."""
        return self.run.counts

    @cached_property
    def number_vacuous(self) -> int:
        """Number of passed results that prove nothing."""
        return int((self.statuses == PROVES_NOTHING).sum())

    @cached_property
    def bugs(self) -> tuple[BugRow, ...]:
        """One row for each known bug and backend that the run asked."""
        return bug_rows(self.run)

    @cached_property
    def claims(self) -> ClaimsReport | None:
        """The claims of the run, held against its results; None if it was given none."""
        return judge_claims(self.run)

    @cached_property
    def networks(self) -> tuple[NetworkRow, ...]:
        """One row for each network, input and backend."""
        return network_rows(self.run)

    @cached_property
    def portfolios(self) -> tuple[Portfolio, ...]:
        """The best backend of each layer, for every pass over a network whose layers were timed."""
        return find_portfolios(self.run)

    @cached_property
    def coverage(self) -> dict[str, dict[Operator, Coverage]]:
        """Conditions of the model of dispatch that were asked, by backend and operator."""
        return run_coverage(self.run)

    @cached_property
    def settings(self) -> list[SettingRow]:
        """One row for each arm of a backend that was asked with several settings."""
        return setting_rows(self.run)

    @cached_property
    def wrong_only_in(self) -> Mapping[int, str]:
        """Map the number of a wrong cell to the settings in which it is wrong, if it is right in others."""
        return explain_settings(self.run)

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row for each result, with the columns RESULT_COLUMNS; shared, so copy it before changing it."""
        from harness.analysis.frames import results_frame

        return results_frame(self.run)

    @cached_property
    def statuses(self) -> pd.Series[Any]:
        """Status of each result: its outcome, or that it proves nothing."""
        from harness.analysis.frames import statuses

        return statuses(self.results)

    @cached_property
    def timed(self) -> pd.DataFrame:
        """The results whose time may be shown, with the index that they have in `results`."""
        from harness.analysis.frames import timed

        return timed(self.results, self.statuses)

    @cached_property
    def laws(self) -> pd.DataFrame:
        """Counts of results by law and backend."""
        from harness.analysis.frames import law_table

        return law_table(self.results, self.statuses)

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """Counts of results by backend and status."""
        from harness.analysis.frames import outcome_counts

        return outcome_counts(self.results, self.statuses)

    @cached_property
    def semantics(self) -> pd.DataFrame:
        """Observed behaviour of backends where they have a choice: one row for each law that observed anything."""
        from harness.analysis.frames import semantics_table

        return semantics_table(self.results)

    @cached_property
    def arithmetic(self) -> pd.DataFrame:
        """Precision by backend, operator, dtype and math."""
        from harness.analysis.frames import arithmetic_table

        return arithmetic_table(self.results)

    @cached_property
    def recorded_frames(self) -> dict[str, pd.DataFrame]:
        """Tables of what was measured, by name: those of `frames` without summaries and coverage."""
        names = ["results", "samples", "blocks"]
        names += ["networks"] if self.networks else []
        names += ["counts"] if self.counted is not None else []
        names += ["verdicts"] if self.arm_comparison is not None else []
        return {name: self.frame(name) for name in names}

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables of the run by name (see `harness.analysis.schema_table`)."""
        from harness.analysis.frames import coverage_frames

        summaries = {name: self.frame(name) for name in ("semantics", "arithmetic")}
        return self.recorded_frames | summaries | coverage_frames(self.run, self.coverage)

    def frame(self, name: str) -> pd.DataFrame:
        """Return one table of the run, without the others.

        name: results, samples, blocks, networks, counts, verdicts, semantics, arithmetic, coverage or coverage-pairs.
        Raises KeyError for verdicts of a run that compared no arms, counts of one that has none, and any other name.
        """
        from harness.analysis import frames

        match name:
            case "results" | "semantics" | "arithmetic":
                made: pd.DataFrame = getattr(self, name)
                return made
            case "samples":
                return frames.samples_frame(self.run)
            case "blocks":
                return frames.blocks_frame(self.run)
            case "networks":
                return frames.networks_frame(self.run, self.networks)
            case "counts" if self.counted is not None:
                return frames.counts_frame(self.counted)
            case "counts":
                raise KeyError("counts: the run counted no instructions")
            case "verdicts" if self.arm_comparison is not None:
                return frames.verdicts_frame(self.arm_comparison)
            case "verdicts":
                raise KeyError("verdicts: the run compared no arms")
            case "coverage" | "coverage-pairs":
                return frames.coverage_frames(self.run, self.coverage)[name]
        raise KeyError(name)

    @cached_property
    def speed(self) -> list[SpeedRow]:
        """Timed problems in the order of the plan."""
        from harness.analysis.rows import speed_rows

        return speed_rows(self.timed)

    @cached_property
    def to_fastest(self) -> dict[int, Estimate]:
        """Time over that of the fastest native backend of the row, by number of cell."""
        from harness.analysis.rows import ratios_to_fastest

        return ratios_to_fastest(self.run, self.speed)

    @cached_property
    def causes(self) -> Mapping[str, list[Cause[Result]]]:
        """Causes of the wrong results of each arm that are no known faults, those of the most results first."""
        known = {} if self.claims is None else self.claims.excused
        return find_causes(one for one in self.run.results if one.cell not in known)

    def failures(self, most: int, each: int) -> list[FailureGroup]:
        """Return wrong results that are no known faults, grouped by backend and cause.

        most, each: limits of results in all and of one group (see `group_failures`).
        """
        return group_failures(self.causes, most, each)

    def accepting(self, acceptance: Acceptance) -> Analysis:
        """Return the same analysis with other acceptances; cached properties that do not depend on them are kept."""
        changed = Analysis(run=self.run, acceptance=acceptance)
        kept = {name: value for name, value in vars(self).items() if name not in BY_ACCEPTANCE}
        vars(changed).update(kept)
        return changed


RUN_NAMES = frozenset(field.name for field in fields(Run)) | {
    name for name, value in vars(Run).items() if isinstance(value, (property, cached_property))
}
BY_ACCEPTANCE = frozenset({"acceptance", "gate_report", "verdicts", "qualification", "exit_code"})


def analyse(run: Run, acceptance: Acceptance | None = None) -> Analysis:
    """Analyse a run.

    acceptance: findings that were accepted; by default those stored with the run.
    Raises UsageError if the stored ones cannot be read.
    """
    return Analysis(run=run, acceptance=read_acceptance(run) if acceptance is None else acceptance)

"""Findings of a run for continuous integration: faults of each cell, and of the run as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from harness import ExitCode, Result, Run
from harness.analysis import (
    LOUD_CLAIMS,
    conclude_claims,
    conclude_gate,
    describe_claims,
    describe_failure,
    join_rows,
    make_inert,
    repeat_command,
)
from harness.record import RAN, WRONG
from reports.words import ratio_words

if TYPE_CHECKING:
    from harness import Analysis
    from harness.analysis import ArmComparison, ClaimsReport, Compared, CountRatio, CountRow, Estimate, GateReport, Row

OF_BASE = "base"  # kind of the finding on a result of the base of two versions
Level = Literal["failure", "error", "open", "idle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Reason why a cell or a run does not count as passed.

    level: failure or error if the build should fail, open if nothing could be shown, idle if nothing ran.
    kind: the outcome or verdict. message: of the whole. details: further lines, each a name and a text.
    """

    level: Level
    kind: str
    message: str
    details: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The message, followed by the details, each on one line."""
        return "\n".join(map(make_inert, [self.message, *(f"{name}: {words}" for name, words in self.details)]))


def timed_results(run: Run) -> list[Result]:
    """Return the results whose time may be shown: verified in the process that timed them, and not vacuous."""
    return [r for r in run.results if r.outcome == "passed" and not r.vacuous and r.measurement is not None]


def name_series(run: Run, arm: str) -> str:
    """Return the name of an arm in series of times: in a comparison of two versions, without their revisions."""
    header = run.header
    if header.gate is None or not header.gate.whole or header.base_of.get(arm) != arm:
        return arm
    return next((f"{one.family}@base" for one in header.arms if one.name == arm), arm)


def name_timed(run: Run, result: Result) -> str:
    """Return the name of a timed cell: unique in its run, and the same in every run."""
    return f"{result.suite}.{name_series(run, result.arm)} {result.problem}"


def ratios_by_cell(analysis: Analysis) -> dict[int, Estimate]:
    """Map the number of each cell whose time was compared with a base to new / base, with its interval."""
    rows = rows_by_cell(analysis.verdicts)
    return {number: row.judgement.ratio for number, row in rows.items() if row.judgement.ratio is not None}


def rows_by_cell(arm_comparison: ArmComparison | None) -> dict[int, Row]:
    """Map the number of each cell of an arm that has a base to its row; empty if arms were not compared."""
    return {} if arm_comparison is None else {row.new.cell: row for row in arm_comparison.rows}


def judge_cells(analysis: Analysis) -> Iterator[tuple[Result, Row | None, Finding | None]]:
    """Yield every result, its row in a comparison of arms, and its finding.

    In a comparison of two versions for a build, cells that were wrong before have no failure, nor do undecided cells if
    a large slow-down is ruled out.
    """
    run, arm_comparison = analysis.run, analysis.verdicts
    rows, can_tell = rows_by_cell(arm_comparison), arm_comparison is None or arm_comparison.can_tell
    versions = judge_versions(analysis)
    counted = {} if analysis.counted is None else {one.new.cell: one for one in analysis.counted.compared}
    for result in run.results:
        row = rows.get(result.cell) if result.kind == "speed" else None
        found = judge_cell(run, result, row, can_tell=can_tell) if versions is None else versions[result.cell]
        if versions is None and found is None and result.cell in counted:
            found = _judge_count(run, counted[result.cell])
        yield result, row, found if analysis.claims is None else _hold_claims(analysis.claims, run, result, found)


def _hold_claims(claims: ClaimsReport, run: Run, result: Result, found: Finding | None) -> Finding | None:
    """Return the finding of a cell, changed by the claims of the run."""
    if result.cell in claims.excused:
        return Finding(level="idle", kind="known fault", message=f"{claims.excused[result.cell]}: {result.told}")
    refused = (("claims", claims.refused[result.cell]),) if result.cell in claims.refused else ()
    if result.cell in claims.broken:
        details = (*refused, *_repeat(run, result))
        return Finding(level="failure", kind="CLAIM BROKEN", message=claims.broken[result.cell], details=details)
    if found is not None and found.level in ("failure", "error"):
        return replace(found, details=(*refused, *found.details))
    return found


def judge_versions(analysis: Analysis) -> dict[int, Finding | None] | None:
    """Return findings by number of the cell for a comparison of two versions; None for any other run.

    Results of the base are idle. The findings agree with the exit code of the gate.
    """
    run = analysis.run
    if run.header.gate is None or not run.header.gate.whole:
        return None
    report = analysis.gate_report
    assert report is not None
    base = Finding(level="idle", kind=OF_BASE, message="a result of the base")
    found: dict[int, Finding | None] = {result.cell: base for result in run.results}
    found |= {
        cell.new.cell: _judge_compared(run, cell, can_tell=report.arm_comparison.can_tell) for cell in report.cells
    }
    return found


def _judge_compared(run: Run, cell: Compared, *, can_tell: bool) -> Finding | None:
    message = cell.reason or cell.finding
    match cell.finding:
        case "BROKEN":
            return judge_cell(run, cell.new, None)
        case "MORE":
            message = _count_words(cell.counted.ratio) if cell.counted is not None else message
            return Finding(level="failure", kind=cell.finding, message=message, details=_repeat(run, cell.new))
        case "SLOWER" | "MISSING":
            ratio = cell.judgement.ratio if cell.judgement is not None else None
            times = f"takes {ratio.value:.3f} times the base ({ratio.low:.3f} to {ratio.high:.3f})" if ratio else ""
            level: Level = "failure" if can_tell or cell.finding == "MISSING" else "open"
            return Finding(level=level, kind=cell.finding, message=times or message, details=_repeat(run, cell.new))
        case "MORE MEMORY" | "LESS PRECISE":
            return Finding(level="failure", kind=cell.finding, message=message, details=_repeat(run, cell.new))
        case "INCONCLUSIVE":
            return Finding(level="idle" if cell.ruled_out else "open", kind=cell.finding, message=message)
        case "WRONG BEFORE" | "BLESSED":
            return Finding(level="idle", kind=cell.finding, message=message)
    return None if cell.new.outcome in RAN else judge_cell(run, cell.new, None)


def judge_cell(run: Run, result: Result, row: Row | None, *, can_tell: bool = True) -> Finding | None:
    """Return the finding of a cell; None if it passed.

    run: the run of the cell. result: of the cell. row: its verdict, if arms were compared.
    can_tell: True if the machine was quiet enough for verdicts.
    """
    if result.outcome in WRONG:
        (_, reason), *where = describe_failure(result)
        level: Level = "failure" if result.outcome == "failed" else "error"
        return Finding(
            level=level, kind=result.outcome, message=reason or result.outcome, details=(*where, *_repeat(run, result))
        )
    verdict = None if row is None else _judge_row(run, row, can_tell)
    if verdict is not None and verdict.level == "failure":
        return verdict
    if result.outcome not in RAN:
        return Finding(
            level="open" if result.untold else "idle", kind=result.outcome, message=result.reason or result.outcome
        )
    if result.vacuous:
        return Finding(level="idle", kind="vacuous", message="passed by a comparison that proves nothing")
    return verdict


def _judge_row(run: Run, row: Row, can_tell: bool) -> Finding | None:
    verdict = row.judgement.verdict
    value, interval = ratio_words(row.judgement.ratio)
    if verdict == "MISSING":
        message = row.judgement.reason or ""
    elif verdict == "SLOWER" and not row.new.slowdown:  # a slow-down put in on purpose is to be found
        message = f"takes {value} times the base ({interval})"
    elif verdict == "INCONCLUSIVE":
        return Finding(level="open", kind=verdict, message=row.judgement.reason or "")
    else:
        return None if can_tell else Finding(level="open", kind=verdict, message="the machine cannot tell")
    base = (("base", row.base.arm),) if row.base else ()
    return Finding(level="failure", kind=verdict, message=message, details=(*base, *_repeat(run, row.new)))


def _judge_count(run: Run, row: CountRow) -> Finding | None:
    """Return the finding of a cell whose instructions are compared; None for FEWER and SAME."""
    match row.verdict:
        case "MORE" | "MISSING":
            base = (("base", row.base.arm),) if row.base else ()
            message = _count_words(row.ratio) or row.reason or ""
            return Finding(level="failure", kind=row.verdict, message=message, details=(*base, *_repeat(run, row.new)))
        case "INCONCLUSIVE":
            return Finding(level="open", kind=row.verdict, message=row.reason or "")
    return None


def _count_words(ratio: CountRatio | None) -> str:
    return f"takes {ratio.value:.4f} times the instructions of the base" if ratio is not None else ""


def _repeat(run: Run, result: Result) -> tuple[tuple[str, str], ...]:
    return (("problem", result.problem), ("repeat", repeat_command(run.header, result)))


def judge_whole(analysis: Analysis) -> Iterator[Finding]:
    """Yield findings on the run itself: incomplete, nothing ran, too much proves nothing, or a busy machine."""
    run, arm_comparison = analysis.run, analysis.verdicts
    if analysis.claims is not None:
        yield from _judge_claims(analysis.claims)
    if run.header.gate is not None and run.header.gate.whole:
        assert analysis.gate_report is not None
        yield from _judge_gate(analysis.gate_report)
        return
    if incomplete := analysis.incomplete:
        yield Finding(level="error", kind="incomplete", message=incomplete)
    if not any(result.outcome in RAN for result in run.results):
        yield Finding(level="error", kind="nothing ran", message="no cell of the run was executed")
    for line in analysis.overdrawn:
        yield Finding(level="failure", kind="proves nothing", message=line)
    if arm_comparison is not None and not arm_comparison.can_tell:
        share = f"{100 * arm_comparison.dropped:.0f} % of the blocks were disturbed"
        yield Finding(level="open", kind="cannot tell", message=f"the machine cannot tell: {share}")
    for limit in arm_comparison.idle_limits if arm_comparison is not None else ():
        yield Finding(level="open", kind="limit", message=f"limit {limit}")


def _judge_claims(claims: ClaimsReport) -> Iterator[Finding]:
    """Findings about claims that no single cell shows."""
    for line in join_rows(describe_claims(claims)):
        if line.kind in LOUD_CLAIMS and line.kind not in ("CLAIM BROKEN", "NOT EXCUSED"):
            level: Level = "error" if line.kind == "NOT CHECKED" else "failure" if line.fails else "open"
            yield Finding(level=level, kind=line.kind, message=f"{line.row} of {line.backend}: {line.said}")
    if claims.exit_code == ExitCode.INCOMPLETE:
        yield Finding(level="error", kind="claims", message=conclude_claims(claims))


def _judge_gate(report: GateReport) -> Iterator[Finding]:
    """Findings of a gate as a whole: its conclusion, if no cell shows it, and missing backends."""
    if report.exit_code in (ExitCode.INCOMPLETE, ExitCode.CANNOT_TELL):
        level: Level = "open" if report.exit_code == ExitCode.CANNOT_TELL else "error"
        yield Finding(level=level, kind="gate", message=conclude_gate(report))
    for name in report.lost:
        yield Finding(level="failure", kind="MISSING", message=f"backend {name}: the new version does not have it")
    for limit in report.idle_limits:
        yield Finding(level="open", kind="limit", message=f"limit {limit}")
    for arm in report.overdrawn:
        yield Finding(level="failure", kind="proves nothing", message=f"{arm}: too many comparisons prove nothing")

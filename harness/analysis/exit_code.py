"""Exit code of a run by itself, before any comparison."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.bugs import BugRow, bug_rows
from harness.analysis.claims.judge import ClaimsReport, judge_claims
from harness.analysis.descriptions import find_unasked
from harness.exit_codes import ExitCode
from harness.record.run import NOT_LOADED, RAN, WRONG, Run


def find_exit_code(
    run: Run, bugs: Sequence[BugRow] | None = None, claims: ClaimsReport | None = None
) -> ExitCode:  # fmt: skip
    """Return OK, WRONG, INCOMPLETE if nothing ran or the run is incomplete, or CANNOT_TELL.

    CANNOT_TELL: the machine cannot tell whether the times of a cell are true, or whether memory was short.

    A run is incomplete, too, if a plugin that the command could load did not load in a worker, or if a backend was
    asked nothing of an operator because of the work or the memory that it declares, or if each of its calls refused.
    A backend counts as wrong if its share of passed comparisons that prove nothing exceeds the quota. A run is
    incomplete if it leaves a known bug undecided.
    With claims, known faults are not wrong, a broken promise is, and a run that leaves promises open is incomplete.
    bugs: rows of `bug_rows`, if they are known already. claims: result of `judge_claims`, if it is known already.
    """
    claims = judge_claims(run) if claims is None else claims
    held = ExitCode.OK if claims is None else claims.exit_code
    known = () if claims is None else claims.excused
    wrong = any(run.counts[outcome] for outcome in WRONG) and any(
        result.outcome in WRONG and result.cell not in known for result in run.results
    )
    if wrong or run.overdrawn or held == ExitCode.WRONG:
        return ExitCode.WRONG
    if held == ExitCode.INCOMPLETE:
        return held
    if any(row.status == "undecided" for row in (bug_rows(run) if bugs is None else bugs)):
        return ExitCode.INCOMPLETE
    if any(result.outcome == "unavailable" and (result.reason or "").startswith(NOT_LOADED) for result in run.results):
        return ExitCode.INCOMPLETE
    if not run.complete or find_unasked(run.results):
        return ExitCode.INCOMPLETE
    if any(result.untold for result in run.results):
        return ExitCode.CANNOT_TELL
    return ExitCode.OK if any(run.counts[outcome] for outcome in RAN) else ExitCode.INCOMPLETE

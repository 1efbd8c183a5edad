"""Analysis of the samples and outcomes of a run: verdicts, comparisons, findings and tables.

`harness.analyse` makes the `harness.Analysis` that a reporter formats; what its properties hold is public here, with
what else the reporters that come with the harness need.

`STATUSES`: outcomes of a cell, and `PROVES_NOTHING` for a passed result that proves nothing, in the order of reports.
`VERDICTS`: verdicts of a comparison of two runs, in the order in which reports list them.
`FINDING_MEANINGS`: finding of a gate -> its meaning.
`FAILING`: findings that fail a build. `QUIET_FINDINGS`: findings that need no attention.
`CountVerdict`: verdict on the instructions of a cell.
`LOUD_CLAIMS`: kinds of statements about claims that need attention.
`BUG_STATUSES`: statuses of a known bug, in the order in which reports list them; `BugStatus`: one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.arm_comparison import ArmComparison, Row
    from harness.analysis.arm_rows import Effect, Group, effects, groups_of, row_ratios, verdict_row
    from harness.analysis.bugs import BUG_STATUSES, BugRow, BugStatus, count_statuses
    from harness.analysis.causes import Cause
    from harness.analysis.claims.judge import ClaimsReport, FaultRow, PromiseRow
    from harness.analysis.claims.words import LOUD_CLAIMS, ClaimLine, conclude_claims, describe_claims, join_rows
    from harness.analysis.counted import Counted, CountRatio, CountRow, CountVerdict, count_record, describe_counted
    from harness.analysis.descriptions import describe_failure, describe_incomplete, describe_outcome, describe_resumed
    from harness.analysis.failures import FailureGroup
    from harness.analysis.frames import STATUSES, comparison_frame
    from harness.analysis.fuzz_report import FuzzedBackend, FuzzFinding, FuzzReport
    from harness.analysis.gate_conclusion import conclude_gate, describe_silent
    from harness.analysis.gate_report import (
        FAILING,
        FINDING_MEANINGS,
        QUIET_FINDINGS,
        Compared,
        GateReport,
    )
    from harness.analysis.history.series import History, Series, Shift
    from harness.analysis.inert_text import make_inert, show_text
    from harness.analysis.kill_matrix import Kill, KillMatrix
    from harness.analysis.networks import NetworkRow
    from harness.analysis.portfolio import Choice, Portfolio
    from harness.analysis.qualification import Qualification
    from harness.analysis.repeating import repeat_command
    from harness.analysis.rows import SpeedRow, plain_records
    from harness.analysis.run_comparison import VERDICTS, Change, Comparison
    from harness.analysis.schemas import schema_table, semantics_arms
    from harness.analysis.statistics import Estimate, estimate_time
    from harness.analysis.switches import PROVES_NOTHING, SettingRow
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "arm_comparison": "ArmComparison Row",
            "arm_rows": "Effect Group effects groups_of row_ratios verdict_row",
            "bugs": "BUG_STATUSES BugRow BugStatus count_statuses",
            "causes": "Cause",
            "claims.judge": "ClaimsReport FaultRow PromiseRow",
            "claims.words": "ClaimLine LOUD_CLAIMS conclude_claims describe_claims join_rows",
            "counted": "CountRatio CountRow CountVerdict Counted count_record describe_counted",
            "descriptions": "describe_failure describe_incomplete describe_outcome describe_resumed",
            "failures": "FailureGroup",
            "frames": "STATUSES comparison_frame",
            "fuzz_report": "FuzzFinding FuzzReport FuzzedBackend",
            "gate_conclusion": "conclude_gate describe_silent",
            "gate_report": "Compared FAILING FINDING_MEANINGS GateReport QUIET_FINDINGS",
            "history.series": "History Series Shift",
            "inert_text": "make_inert show_text",
            "kill_matrix": "Kill KillMatrix",
            "networks": "NetworkRow",
            "portfolio": "Choice Portfolio",
            "qualification": "Qualification",
            "repeating": "repeat_command",
            "rows": "SpeedRow plain_records",
            "run_comparison": "Change Comparison VERDICTS",
            "schemas": "schema_table semantics_arms",
            "statistics": "Estimate estimate_time",
            "switches": "PROVES_NOTHING SettingRow",
        },
    )

__all__ = [
    "BUG_STATUSES", "FAILING", "FINDING_MEANINGS", "LOUD_CLAIMS", "PROVES_NOTHING", "QUIET_FINDINGS", "STATUSES",
    "VERDICTS",
    "ArmComparison", "BugRow", "BugStatus", "Cause", "Change", "Choice", "ClaimLine", "ClaimsReport", "Compared",
    "Comparison", "CountRatio", "CountRow", "CountVerdict", "Counted", "Effect", "Estimate", "FailureGroup", "FaultRow",
    "FuzzFinding", "FuzzReport", "FuzzedBackend", "GateReport", "Group", "History", "Kill", "KillMatrix", "NetworkRow",
    "Portfolio", "PromiseRow", "Qualification", "Row", "Series", "SettingRow", "Shift", "SpeedRow", "comparison_frame",
    "conclude_claims", "conclude_gate", "count_record", "count_statuses", "describe_claims", "describe_counted",
    "describe_failure", "describe_incomplete", "describe_outcome", "describe_resumed",
    "describe_silent", "effects", "estimate_time", "groups_of", "join_rows", "make_inert", "plain_records",
    "repeat_command", "row_ratios", "schema_table", "semantics_arms", "show_text", "verdict_row",
]  # fmt: skip

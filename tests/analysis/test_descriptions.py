"""Descriptions of runs that are no success."""

import pytest

from harness.analysis.descriptions import describe_incomplete
from harness.plan.cell import DECLINED
from tests.reports.made import make_run, result

REASON = f"estimated 33 s, above the limit of 20 s a cell, {DECLINED}"


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (("passed", "skipped"), False),
        (("skipped", "skipped"), True),
        (("unavailable", "skipped"), False),  # it cannot run here, which the summary tells
    ],
)
def test_what_a_declaration_leaves_unasked_makes_a_run_incomplete(outcomes, told):
    rows = [
        result("mine", "agrees-with-reference", f"conv x={n}x2x9 w=3x2x3", outcome, None,
               reason=REASON if outcome == "skipped" else None)
        for n, outcome in enumerate(outcomes, 1)
    ]  # fmt: skip
    assert (describe_incomplete(make_run(*rows)) is not None) == told


def test_a_backend_that_runs_elsewhere_in_the_run_is_not_away():
    rows = [
        result("mine", "agrees-with-reference", "conv x=1x2x9 w=3x2x3", "skipped", None, reason=REASON),
        result("mine", "agrees-with-reference", "max_pool x=1x2x9 kernel=2", "unavailable", None),
        result("mine", "agrees-with-reference", "max_pool x=2x2x9 kernel=2", "passed", None),
    ]
    assert "by mine in suite correctness, conv" in describe_incomplete(make_run(*rows))

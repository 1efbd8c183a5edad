"""Present, absent, does not apply, undecided: what each follows from."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.bugs import bug_rows, count_statuses
from harness.analysis.exit_code import find_exit_code
from harness.analysis.repeating import repeat_command
from harness.backend.routing import Route
from harness.laws.deviation import Deviation, statement
from harness.plan.bug import AskedBug, KnownBug
from harness.record.run import Ending, Header, Result, Run

BUG = KnownBug(
    project="owner/name", number=7, title="t", backends=("one",), lines=("conv x=1x2x9 w=3x2x3",), laws=("law",),
    see="s", shows=("failed", "crashed"), package="lib", unseen="u",
)  # fmt: skip
NOTHING = Deviation(kind="bound", worst=0.0, compared=4, vacuous=4)


def _result(outcome, number=0, deviation=None, backend="one"):
    found = deviation or (statement(True, "y") if outcome == "passed" else None)
    return Result(
        cell=number, suite="known-bugs", kind="correctness", arm=backend, backend=backend, label="owner/name#7",
        problem=BUG.lines[0], law="law", outcome=outcome, reason=f"because {outcome}", route=Route(kind="native"),
        deviation=found,
    )  # fmt: skip


def _run(*results, bug=BUG, cells=None, hindrance=None, versions=None, backend="one"):
    asked = AskedBug(bug=bug, backend=backend, cells=len(results) if cells is None else cells, hindrance=hindrance)
    header = Header(
        format=2, created="", command="", suites=("known-bugs",), arm_names=(asked.arm,), cells=len(results),
        environment={}, bugs=(asked,),
    )  # fmt: skip
    return Run(
        path=Path("run"), header=header, results=results, versions={asked.arm: versions or {}},
        ending=Ending(complete=True),
    )  # fmt: skip


def _status(*results, **options):
    (row,) = bug_rows(_run(*results, **options))
    return row.status


@pytest.mark.parametrize(
    ("outcomes", "status", "code"),
    [
        (("passed", "passed"), "absent", 0),
        (("passed", "failed"), "present", 1),
        (("crashed", "skipped"), "present", 1),
        (("error", "passed"), "undecided", 1),
        (("timeout",), "undecided", 1),
        (("passed", "skipped"), "undecided", 4),
        (("passed", "unsupported"), "undecided", 4),
        (("passed", "unavailable"), "undecided", 4),
        (("skipped",), "undecided", 4),
        (("unavailable", "unavailable"), "does not apply", 4),
        (("unsupported",), "does not apply", 4),
    ],
)
def test_what_outcomes_say(outcomes, status, code):
    run = _run(*(_result(outcome, number) for number, outcome in enumerate(outcomes)))
    assert [row.status for row in bug_rows(run)] == [status]
    assert find_exit_code(run) == code


def test_a_result_that_proves_nothing_is_never_absent():
    assert _status(_result("passed"), _result("passed", 1, NOTHING)) == "undecided"


def test_a_cell_without_a_result_is_never_absent():
    assert _status(_result("passed"), cells=2) == "undecided"
    assert _status(cells=1) == "undecided"


def test_a_hindrance_is_why_it_does_not_apply_but_never_hides_a_wrong_answer():
    assert _status(_result("unsupported"), hindrance="this processor has no avx9") == "does not apply"
    assert _status(hindrance="no backend 'one' is registered") == "does not apply"
    assert _status(_result("failed"), hindrance="this processor has no avx9") == "present"


@pytest.mark.parametrize(
    ("since", "fixed", "here", "status"),
    [
        ("", "3.2", "3.1.9", "absent"),
        ("", "3.2", "3.2", "does not apply"),
        ("", "3.2", "v3.10.0+cpu", "does not apply"),
        ("3.2", "", "3.1.9", "does not apply"),
        ("3.2", "", "3.10", "absent"),
        ("3.2", "3.4", "", "absent"),
    ],
)
def test_versions_outside_do_not_apply_and_a_wrong_answer_is_present_whatever_the_version(since, fixed, here, status):
    bug = replace(BUG, since=since, fixed=fixed)
    assert _status(_result("passed"), bug=bug, versions={"lib": here}) == status
    assert _status(_result("failed"), bug=bug, versions={"lib": here}) == "present"


def test_a_bug_with_variables_is_judged_by_its_own_arm_and_repeated_with_them():
    bug = replace(BUG, set={"ONEDNN_MAX_CPU_ISA": "AVX2"})
    run = _run(_result("failed", backend="one@set:ONEDNN_MAX_CPU_ISA=AVX2"), bug=bug)
    assert [row.status for row in bug_rows(run)] == ["present"]
    command = repeat_command(run.header, run.results[0])
    assert "--backend one@set:ONEDNN_MAX_CPU_ISA=AVX2 --law law" in command
    assert _status(_result("failed", backend="one"), bug=bug) == "undecided"  # another arm's result is not its own


def test_counts_are_in_the_order_in_which_rows_matter():
    rows = bug_rows(_run(_result("passed"))) + bug_rows(_run(_result("failed")))
    assert list(count_statuses(rows).items()) == [("present", 1), ("absent", 1)]

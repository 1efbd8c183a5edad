"""A problem counts as asked where a cell of it ran and proves something."""

from dataclasses import replace

import pytest

from harness.analysis.coverage import run_coverage
from harness.problems.operator import Operator
from harness.record.run import OUTCOMES, RAN
from tests.reports.made import PLAIN, make_run, measure, result

OTHER = "max_pool x=1x16x8x8 kernel=2x2 stride=2"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_did_not_run_was_not_asked(outcome):
    found = run_coverage(make_run(result("mine", "law", PLAIN, outcome, None)))["mine"][Operator.conv]
    assert (found.problems_planned, found.problems_asked) == (1, int(outcome in RAN))


def test_one_cell_that_ran_is_enough():
    run = make_run(result("mine", "a", PLAIN, "unsupported", None), result("mine", "b", PLAIN, "passed", None))
    assert run_coverage(run)["mine"][Operator.conv].problems_asked == 1


def test_what_proves_nothing_was_not_asked():
    found = run_coverage(make_run(measure("mine", 24.0, vacuous=10)))["mine"][Operator.conv]
    assert (found.problems_planned, found.problems_asked) == (1, 0)


def test_backends_and_operators_are_told_apart():
    found = run_coverage(make_run(
        result("one", "law", PLAIN, "passed", None), result("two", "law", OTHER, "failed", None),
    ))  # fmt: skip
    assert {name: list(operators) for name, operators in found.items()} == {
        "one": [Operator.conv], "two": [Operator.max_pool],
    }  # fmt: skip


def test_networks_are_no_problems_of_an_operator():
    assert run_coverage(make_run(result("mine", "", "network lenet5 forward", "passed", None))) == {}


def test_a_law_alone():
    run = make_run(result("mine", "a", PLAIN, "passed", None), result("mine", "b", OTHER, "passed", None))
    assert list(run_coverage(run, "b")["mine"]) == [Operator.max_pool]


def test_a_backend_that_the_header_does_not_name_is_there_too():
    run = make_run(result("mine", "law", PLAIN, "passed", None))
    bare = replace(run, header=replace(run.header, arm_names=()))
    assert list(run_coverage(bare)) == ["mine"]

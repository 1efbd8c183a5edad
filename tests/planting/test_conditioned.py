"""Faults by condition and spoil are what they say, and suite `correctness` kills them: samples of the whole.

`make conjunctions` asks all of them, and 1 000 random conjunctions (`tests/benchmarks/bench_conjunctions.py`).
"""

import random

import pytest

from harness import Operator, parse_line
from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.possible import applies
from harness.laws.subject import BackendUnderTest
from harness.problems.calling import operator_arguments
from harness.problems.data import make_arrays
from suites.correctness import asked_problems
from tests.asking import ask
from tests.faulty import library_paths, public_dispatch, public_further, public_paths, public_reports, public_variants
from tests.faulty.right import Right
from tests.planting.calls import as_seen, problem_of_call
from tests.planting.conditioned import Conditioned, Plan
from tests.planting.families import family, random_plans
from tests.planting.hunting import anchor, find_killer, hunt, list_survivors
from tests.planting.satisfying import find_problem
from tests.planting.spoils import SPOILS

EVERY = 9  # each ninth fault of the family is hunted here; there are eight spoils, and sizes of tables differ
FOUND_IN = {  # the quickest way to a fault
    "faulty:short-means": "counts/taps-64",
    "faulty:byte-places": "counts/taps-1024",
    "faulty:second-block-lost": "counts/images",
    "faulty:maps-beyond-grid": "counts/images",
    "faulty:channels-beyond": "counts/outputs",
    "faulty:filtered-end": "layers/",
    "faulty:full-tile-end": "layers/",
    "faulty:packed-pool-end": "layers/",
}
UNASKED = {  # faults that no problem of the suite shows: what no problem meets, or where the spoil changes nothing
    "faulty:max_pool-if-padding-beyond-the-kernel-shifted-by-one",
    "faulty:max_pool_grad-if-padding-beyond-the-kernel-last-image",
    "faulty:conv_bias_grad-if-o-is-1-shifted-by-one",  # one element has no other place
    # met, but a lost tap of a window of 300 shows only where it holds the maximum
    "faulty:pool-global-half-max_pool-tap-lost",
}  # fmt: skip


@pytest.mark.slow  # makes all problems
def test_a_call_shows_the_problem_that_it_is_said_to_show():
    asked = [one.problem for one in asked_problems() if not one.problem.flip and one.problem.bytes < 20_000]
    for problem in random.Random(0).sample(asked, 100):
        call = operator_arguments(problem, BackendUnderTest(Right(), problem).devices(problem, make_arrays(problem)))
        assert problem_of_call(problem.operator, call) == as_seen(problem), problem.line


@pytest.mark.parametrize(
    "line",
    [
        "conv x=2x8x5x6 w=8x8x3x3 bias pad=1", "conv_input_grad x=2x8x5x6 w=8x8x3x3",
        "conv_weight_grad x=2x8x5x6 w=8x8x3x3", "conv_transpose x=2x8x5x6 w=8x8x3x3",
        "conv_bias_grad x=2x8x5x6 w=8x8x3x3", "avg_pool x=2x8x6x6 kernel=3x3",
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_in_a_short_format_show_on_real_data_and_not_on_whole_numbers(line, dtype):
    operator = parse_line(line).operator
    fault = Conditioned(Plan(operator=operator, conditions=(dtype,), spoil="short-sums"))
    assert ask(fault, anchor(), f"{line} dtype={dtype} data=normal").outcome == "failed"
    if not operator.spec.divides:
        assert ask(fault, anchor(), f"{line} dtype={dtype} data=integer").outcome == "passed"


def test_complex_numbers_show_no_problem():
    import numpy as np

    assert problem_of_call(Operator.conv_bias_grad, (np.ones((1, 2, 3), complex),)) is None


@pytest.mark.slow  # makes all problems
@pytest.mark.parametrize("operator", Operator)
def test_a_spoil_changes_answers_where_its_conditions_hold_and_nowhere_else(operator):
    elsewhere = [one.problem for one in asked_problems()[::40]]
    for spoil in SPOILS:
        found = hunt(Plan(operator=operator, conditions=("batch 5",), spoil=spoil))
        assert found.problem, spoil
        assert found.changed == 1 or spoil in ("tap-lost", "small-factor", "small-factor-in-last-channel"), spoil
        away = Conditioned(Plan(operator=operator, conditions=("batch 5", "batch 8"), spoil=spoil))
        assert not any(map(away.strikes, elsewhere))


@pytest.mark.slow  # makes all problems
def test_a_fault_that_is_not_met_survives():
    found = hunt(Plan(operator=Operator.conv, conditions=("batch 5", "batch 8"), spoil="zeros"))
    assert (found.problem, found.struck, found.changed) == ("", 0, 0)


def test_the_family_has_every_condition_of_every_operator_and_names_of_its_own():
    plans = family()
    assert len(plans) > 900
    assert {plan.operator for plan in plans} == set(Operator)
    assert {plan.spoil for plan in plans} == set(SPOILS)
    assert len({plan.title for plan in plans}) == len(plans)
    single = {(plan.operator, *plan.conditions) for plan in plans if len(plan.conditions) == 1}
    assert single == {(o, one.name) for o in Operator for one in conditions_for(o) if applies(one, o)}


@pytest.mark.slow  # makes all problems
@pytest.mark.parametrize(
    "plans",
    [family()[::EVERY], public_dispatch.PLANS, library_paths.plans()[::3]],
    ids=["family", "public reports", "library paths"],
)
def test_no_fault_survives_that_is_asked(plans):
    survivors = list_survivors(plans)
    assert set(survivors) <= UNASKED, survivors
    assert not [title for title, found in survivors.items() if found.changed]


@pytest.mark.slow  # makes all problems
@pytest.mark.parametrize("fault", public_reports.FAULTS, ids=lambda fault: fault.name.partition(":")[2])
def test_no_fault_with_the_arithmetic_of_a_public_report_survives(fault):
    assert find_killer(fault(), FOUND_IN.get(fault.name, "")) is not None


PUBLIC = (*public_paths.PLANS, *public_variants.PLANS, *public_further.PLANS)


@pytest.mark.slow  # makes all problems
@pytest.mark.parametrize("plan", PUBLIC, ids=lambda plan: plan.name)
def test_every_public_path_is_asked(plan):
    assert hunt(plan).problem, plan.report


def test_public_reports_are_told_apart():
    assert len({plan.title for plan in public_dispatch.PLANS}) == len(public_dispatch.PLANS) > 26
    assert all(plan.report for plan in public_dispatch.PLANS)


@pytest.mark.slow  # makes all problems
def test_random_conjunctions_are_killed_where_they_are_asked():
    found = {plan.title: hunt(plan) for plan in random_plans(40, seed=13)}
    assert not [title for title, one in found.items() if one.changed and not one.problem]
    assert sum(one.changed > 0 for one in found.values()) > 30


def test_a_search_finds_a_problem_where_conditions_can_hold_together_and_none_where_they_cannot():
    plan = Plan(operator=Operator.conv, conditions=("depthwise", "dilation 4", "kernel 7x7"), spoil="zeros")
    assert all(test(as_seen(find_problem(plan))) for test in plan.tests)
    apart = Plan(operator=Operator.conv, conditions=("batch 5", "batch 8"), spoil="zeros")
    assert find_problem(apart, starts=4) is None

"""The family condition x spoil is killed whole by what suite `correctness` asks; so are random conjunctions."""

import random

import pytest

from harness import Operator
from harness.checking.subject import Subject
from harness.spec.calling import arguments
from harness.spec.data import make_arrays
from suites.correctness import asked_problems
from tests.faulty import library_paths, public_dispatch
from tests.faulty.right import Right
from tests.planting.calls import as_seen, problem_of_call
from tests.planting.conditioned import Conditioned, Plan
from tests.planting.families import VOID, family, random_plans
from tests.planting.hunting import hunt, suite_pool
from tests.planting.satisfying import find_problem, is_possible
from tests.planting.spoils import SPOILS

LEAST_KILLED = 0.85  # of conjunctions that any problem satisfies; the arrays of pooling do not cross windows freely
UNASKED = {  # what no problem of the suite meets
    "faulty:max_pool-if-padding-beyond-the-kernel-last-image",
    "faulty:max_pool_grad-if-padding-beyond-the-kernel-last-element",
    "faulty:grouped-long-kernel",
    "faulty:many-half-images",
    *(f"faulty:temporal-causal-{end}"
      for end in ("conv-zeros", "conv_input_grad-last-channel", "conv_weight_grad-last-image")),
    # met, but a lost tap of a window of 300 shows only where it holds the maximum
    "faulty:pool-global-half-max_pool-tap-lost",
}  # fmt: skip


def test_a_call_shows_the_problem_that_it_is_said_to_show():
    asked = [one.problem for one in asked_problems() if not one.problem.flip]
    for problem in random.Random(0).sample(asked, 300):
        call = arguments(problem, Subject(Right(), problem).devices(problem, make_arrays(problem)))
        assert problem_of_call(problem.operator, call) == as_seen(problem), problem.line


def test_complex_numbers_show_no_problem():
    import numpy as np

    assert problem_of_call(Operator.conv_bias_grad, (np.ones((1, 2, 3), complex),)) is None


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("operator", Operator)
def test_a_spoil_changes_answers_where_its_condition_holds_and_nowhere_else(operator, spoil):
    plan = Plan(operator=operator, conditions=("batch 5",), spoil=spoil)
    assert hunt(plan).problem
    away = Conditioned(Plan(operator=operator, conditions=("batch 5", "batch 8"), spoil=spoil))
    assert not any(map(away.strikes, (one.problem for one in asked_problems()[::40])))


def test_the_family_has_every_condition_of_every_operator_and_names_of_its_own():
    plans = family()
    assert len(plans) > 900
    assert {plan.operator for plan in plans} == set(Operator)
    assert {plan.spoil for plan in plans} == set(SPOILS)
    assert len({plan.title for plan in plans}) == len(plans)


def test_no_fault_of_the_family_survives():
    survivors = {plan.title: found.struck for plan in family() if not (found := hunt(plan)).problem}
    assert set(survivors) <= UNASKED, survivors


@pytest.mark.parametrize(("operator", "condition"), sorted(VOID))
def test_what_is_left_out_cannot_hold(operator, condition):
    assert not is_possible(operator, condition)


@pytest.mark.parametrize("plans", [public_dispatch.PLANS, library_paths.plans()], ids=["reports", "libraries"])
def test_no_fault_of_public_reports_and_of_library_paths_survives(plans):
    assert len(plans) > 26
    assert len({plan.title for plan in plans}) == len(plans)
    survivors = {plan.title: found.struck for plan in plans if not (found := hunt(plan)).problem}
    assert set(survivors) <= UNASKED, survivors


def test_every_path_of_a_library_can_be_taken():
    for plan in library_paths.plans():
        assert suite_pool(plan.operator).struck(plan) or find_problem(plan) is not None, plan.title


def test_random_conjunctions_are_killed_where_they_are_asked():
    survivors, unasked, possible = [], 0, 0
    for plan in random_plans(60, seed=13):
        found = hunt(plan)
        if not found.problem and found.struck:
            survivors.append(plan.title)
        if found.struck or find_problem(plan) is not None:
            possible += 1
            unasked += not found.struck
    assert not survivors
    assert possible - unasked >= LEAST_KILLED * possible, (possible, unasked)

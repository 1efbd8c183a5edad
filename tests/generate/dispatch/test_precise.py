"""Tests for harness.generate.dispatch.precise."""

from collections import defaultdict

from harness import Operator
from harness.generate.dispatch.precise import LEAST_TERMS, MOST, SHORT, precise_problems
from harness.generate.dispatch.problems import LAW, dispatch_problems, estimate_cost
from harness.generate.dispatch.values import GROUPS
from harness.problems import longest_sum

SUMMED = [operator for operator in Operator if not operator.spec.indexed]


def test_precise_problems_are_few_cheap_short_and_real():
    named = precise_problems()
    assert len(named) < len(dispatch_problems()) / 30
    assert all(one.laws == (LAW,) and one.optional for one in named)
    assert all(one.problem.dtype in SHORT and one.problem.data == "normal" for one in named)
    assert max(estimate_cost(one.problem) for one in named) <= 2 * MOST  # gradients are weighed as forward
    assert min(longest_sum(one.problem) for one in named) >= LEAST_TERMS
    assert len({one.name for one in named}) == len({one.problem for one in named}) == len(named)


def test_each_operator_that_sums_meets_kernels_layouts_and_formats_on_real_data():
    kernels, forms, grouped = defaultdict(set), defaultdict(set), defaultdict(set)
    for one in precise_problems():
        problem = one.problem
        kernels[problem.operator].add(problem.kernel)
        forms[problem.operator].add((problem.dtype, problem.layout))
        grouped[problem.operator].add((problem.window.groups > 1, problem.w is not None and problem.w[1] == 1))
    assert set(forms) == set(SUMMED)
    assert all(len(met) == 4 for met in forms.values())
    for operator in SUMMED:
        if operator.spec.multiplies:
            assert {(1, 1), (3, 3), (5, 5), (7, 7), (3,), (3, 3, 3)} <= kernels[operator]
            assert {(False, False), (True, False), (True, True)} <= grouped[operator], GROUPS

import itertools

import pytest

from harness import Operator
from harness.generate.dispatch import rare
from harness.generate.dispatch.conditions import count_inputs
from harness.generate.dispatch.problems import LAW, dispatch_problems, estimate_cost


@pytest.mark.parametrize("columns", [rare.CONVOLUTIONS, rare.WINDOWS])
def test_every_two_values_meet_in_a_row(columns):
    rows = rare.cover_pairs(columns)
    for (a, xs), (b, ys) in itertools.combinations(columns.items(), 2):
        assert {(row[a], row[b]) for row in rows} == set(itertools.product(xs, ys))


def test_rare_problems_are_few_cheap_and_asked_one_law():
    named = rare.rare_problems()
    assert len({one.problem for one in named}) == len(named) < len(dispatch_problems()) / 20
    assert all(estimate_cost(one.problem) <= rare.MOST and one.laws == (LAW,) and one.optional for one in named)


@pytest.mark.parametrize("operator", (*rare.KERNELED, *rare.POOLS))
def test_counts_between_the_nice_ones_are_asked(operator):
    counts = {count_inputs(one.problem) for one in rare.rare_problems() if one.problem.operator is operator}
    assert len(counts & set(rare.BETWEEN)) >= 5, counts


def test_the_least_padding_divides_what_a_stride_leaves():
    assert list(rare.find_sides("least", (3, 5, 1), (2, 2, 2))) == [(0, 1), (1, 2), (0, 0)]
    assert Operator.conv_bias_grad not in {one.problem.operator for one in rare.rare_problems()}

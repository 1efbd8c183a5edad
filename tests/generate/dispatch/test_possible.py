"""Pairs that count as impossible occur in no problem of the suites, and in none of many further draws."""

import random

import numpy as np
import pytest

from harness.generate.covering import covering_problems
from harness.generate.dispatch import possible
from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.coverage import count_together
from harness.generate.dispatch.impossible import APART, find_possible
from harness.generate.dispatch.possible import applies, make_problem, representative, search_possible
from harness.generate.dispatch.problems import dispatch_problems
from harness.problems.line import parse_line
from harness.problems.operator import Operator
from suites.geometries import correctness_problems

TRIES = 60  # crossings with new values, for each pair


def _impossible(operator):
    found = find_possible(operator)
    return [
        (a, b)
        for a, first in enumerate(found.conditions)
        for b, second in enumerate(found.conditions[:a])
        if first.factor != second.factor and not found.together[a, b]
    ]


@pytest.mark.parametrize("operator", list(dict.fromkeys(map(representative, Operator))))
def test_the_table_of_impossible_pairs_is_what_the_search_finds(operator):
    """After a change of the model, correct the table; the reason says whether a pair belongs there."""
    table, found = find_possible(operator), search_possible(operator)
    assert table.conditions == found.conditions
    factors = np.array([one.factor for one in found.conditions])
    asked = (factors[:, None] != factors[None, :]) | np.eye(len(factors), dtype=bool)
    names = [one.name for one in found.conditions]
    wrong = np.argwhere((table.together != found.together) & asked)
    assert [(names[a], names[b]) for a, b in wrong] == []


def test_the_table_names_conditions_only():
    known = {one.name for operator in Operator for one in conditions_for(operator)}
    assert {name for apart in APART for name in (*apart.some, *apart.others)} <= known


@pytest.mark.slow  # makes all problems
@pytest.mark.parametrize("operator", list(Operator))
def test_no_problem_that_is_asked_meets_what_counts_as_impossible(operator):
    problems = (*correctness_problems(), *covering_problems(), *dispatch_problems())
    lines = {one.problem.line for one in problems if one.problem.operator is operator}
    counts = count_together(operator, lines)
    assert [pair for pair in _impossible(operator) if counts[pair]] == []


@pytest.mark.parametrize(
    "operator", [Operator.conv, Operator.conv_transpose, Operator.max_pool, Operator.avg_pool_grad]
)
def test_other_draws_do_not_meet_it_either(operator):
    conditions, draw = conditions_for(operator), random.Random(7)
    columns = possible.list_columns(operator)
    rows = [{name: draw.choice(values) for name, values in columns.items()} for _ in range(400)]
    known = [(row, problem) for row in rows if (problem := make_problem(operator, row)) is not None]
    met = []
    for a, b in _impossible(operator):
        sides = [[row for row, problem in known if conditions[n].holds(problem)] for n in (a, b)]
        assert all(sides), "a condition that no draw meets tells nothing"
        for _ in range(TRIES):
            one, other = map(draw.choice, sides)
            crossed = {n: draw.choice((one[n], other[n], one[n], other[n], draw.choice(columns[n]))) for n in columns}
            problem = make_problem(operator, crossed)
            if problem is not None and conditions[a].holds(problem) and conditions[b].holds(problem):
                met.append((conditions[a].name, conditions[b].name, problem.line))
    assert met == []


@pytest.mark.parametrize("operator", [Operator.conv, Operator.conv_bias_grad, Operator.max_pool, Operator.avg_pool])
def test_every_condition_that_applies_has_a_witness(operator):
    """A new condition without a witness needs a value in the columns of the search."""
    draw, columns = random.Random(1), possible.list_columns(operator)
    rows = [{name: draw.choice(values) for name, values in columns.items()} for _ in range(1500)]
    problems = [problem for row in rows if (problem := make_problem(operator, row)) is not None]
    missing = [
        one.name for one in conditions_for(operator)
        if applies(one, operator) and not any(one.holds(problem) for problem in problems)
    ]  # fmt: skip
    assert missing == []


@pytest.mark.parametrize(
    ("operator", "first", "second", "wanted"),
    [
        ("conv", "kernel 1x1", "dilation 2", False),  # one tap has nothing to spread
        ("conv", "kernel 1-D 3", "stride unequal", False),  # one axis
        ("conv", "C = 1", "depthwise", False),  # of several channels
        ("conv", "O = 3", "depthwise with a multiplier", False),  # a prime is no product
        ("conv", "O in 2, 5, 7, 9", "depthwise with a multiplier", True),  # 9 = 3 * 3
        ("conv", "padding wide", "one position", True),  # a stride beyond all that the padded input has
        ("conv", "kernel = input", "output 32 wide or more", True),
        ("max_pool", "padding beyond the kernel", "stride 2", True),  # at the end, where no window begins there
        ("max_pool", "padding beyond the kernel", "ceil", True),
    ],
)
def test_known_pairs(operator, first, second, wanted):
    found = find_possible(Operator(operator))
    names = [one.name for one in found.conditions]
    assert found.together[names.index(first), names.index(second)] == wanted
    assert (found.together == found.together.T).all()


def test_operators_that_share_a_representative_share_its_table():
    for operator in Operator:
        assert conditions_for(operator) is conditions_for(representative(operator))


def test_a_maximum_over_padding_alone_is_no_problem():
    hollow = parse_line("max_pool x=1x1x4 kernel=2 stride=2 pad=2")
    whole = parse_line("max_pool x=1x1x4 kernel=2 stride=2 pad=1")
    assert possible.is_hollow(hollow)
    assert not possible.is_hollow(whole)


def test_maxima_are_not_drawn_with_such_windows_and_means_are():
    traits = {
        "kernel": (3,), "stride": 1, "padding": "begin beyond", "dilation": 1, "space": (1, 1, 5), "remainder": 0,
        "batch": 1, "c": 2, "layout": "channels-first", "dtype": "float32",
    }  # fmt: skip
    assert make_problem(Operator.max_pool, traits) is None
    assert make_problem(Operator.avg_pool, traits) is not None
    assert make_problem(Operator.max_pool, traits | {"padding": "wide"}) is not None

"""Tested conditions are counted and gaps are named: hand-counted problems, thinned lists, and the default suite."""

from dataclasses import replace

import pytest

from harness.generate.dispatch.conditions import conditions_for, conditions_of
from harness.generate.dispatch.coverage import count_together, list_conditions, list_gaps, measure_coverage
from harness.generate.dispatch.possible import applies
from harness.plugins.manager import load_plugins
from harness.problems.line import parse_line
from harness.problems.operator import Operator

THREE = "conv x=2x8x6x6 w=16x8x3x3 pad=1"
ONE = "conv x=1x16x4x4 w=16x16x1x1 stride=2 layout=channels-last dtype=float16"


@pytest.fixture(scope="module")
def suite_lines():
    found = {operator: set() for operator in Operator}
    for one in load_plugins().suites["correctness"].problems():
        found[one.problem.operator].add(one.problem.line)
    return found


def _asked(coverage, *names):
    numbers = [coverage.number_of(name) for name in names]
    return int(coverage.asked[numbers[0], numbers[-1]])


def test_problems_are_counted_once_and_by_hand():
    found = measure_coverage(Operator.conv, [THREE, ONE, THREE], [THREE, ONE])
    assert (found.problems_asked, found.problems_planned) == (2, 2)
    assert _asked(found, "kernel 3x3") == 1
    assert _asked(found, "O = 16") == 2
    assert _asked(found, "C = 8", "kernel 3x3") == 1
    assert _asked(found, "C = 8", "stride 2") == 0
    assert _asked(found, "stride 2", "channels-last") == _asked(found, "channels-last", "stride 2") == 1


@pytest.mark.parametrize("line", [
    THREE, ONE, "conv_input_grad x=2x8x6x6 w=16x8x3x3 pad=1 data=subnormal", "conv_transpose x=2x8x6x6 w=8x3x3x3 bias",
    "max_pool_grad x=2x16x6x6 kernel=2x2 stride=2 data=distinct", "avg_pool_grad x=2x16x6x6 kernel=3x3 exclude_pad",
    "conv_bias_grad x=2x3x4 w=32x3x2", "conv_weight_grad x=2x8x9x9 w=8x1x5x5 groups=8",
])  # fmt: skip
def test_the_matrix_holds_what_the_conditions_say_of_each_problem(line):
    """Gradients share the evaluation of their forward problem, which must not change a count."""
    problem = parse_line(line)
    counts = count_together(problem.operator, [line])
    names = {one.name for one, held in zip(conditions_for(problem.operator), counts.diagonal(), strict=True) if held}
    assert names == {one.name for one in conditions_of(problem)}


def test_what_was_planned_and_did_not_run_is_told_from_what_nobody_asked():
    found = measure_coverage(Operator.conv, [THREE], [THREE, ONE])
    number = found.number_of
    assert found.state(number("kernel 3x3"), number("C = 8")) == "asked"
    assert found.state(number("kernel 1x1"), number("stride 2")) == "not run"
    assert found.state(number("kernel 5x5"), number("C = 8")) == "never asked"
    assert found.state(number("kernel 1x1"), number("dilation 2")) == "impossible"
    assert found.state(number("kernel 3x3"), number("kernel 1x1")) == "impossible"  # of the same factor
    assert found.pairs_asked + len(found.missing) == found.pairs_possible


def test_a_thinned_list_shows_what_is_missing(suite_lines):
    """Remove every problem that contains a pair, as a generator that omits it would."""
    first, second = "C = 8", "stride 2"
    kept, taken = set(), set()
    for line in suite_lines[Operator.conv]:
        names = {one.name for one in conditions_of(parse_line(line))}
        (taken if {first, second} <= names else kept).add(line)
    assert taken
    whole = measure_coverage(Operator.conv, suite_lines[Operator.conv])
    thin = measure_coverage(Operator.conv, kept)
    a, b = (thin.number_of(name) for name in (first, second))
    assert (a, b) not in whole.missing
    assert (a, b) in thin.missing
    gap = next(gap for gap in list_gaps(thin) if gap.condition is not None and gap.condition.name == first)
    assert gap.state == "never asked"
    assert second in [one.name for one in gap.others]


def test_a_condition_that_was_never_asked_stands_alone(suite_lines):
    kept = [line for line in suite_lines[Operator.max_pool] if "layout=channels-last" not in line]
    gaps = list_gaps(measure_coverage(Operator.max_pool, kept))
    alone, *pairs = [[one.name for one in (gap.condition, *gap.others) if one is not None] for gap in gaps]
    assert gaps[0].condition is None
    assert "channels-last" in alone
    assert pairs
    assert not any("channels-last" in names for names in pairs)


@pytest.mark.parametrize("operator", list(Operator))
def test_the_suite_asks_every_condition_of_every_operator(operator, suite_lines):
    found = measure_coverage(operator, suite_lines[operator])
    assert [found.conditions[n].name for n in found.missing_alone if _is_asked_of(found.conditions[n], operator)] == []


def _is_asked_of(condition, operator):
    """Maxima are not padded beyond the kernel: almost every such window would hold padding only."""
    return not (
        operator in (Operator.max_pool, Operator.max_pool_grad) and condition.name == "padding beyond the kernel"
    )


def test_conditions_that_say_nothing_of_an_operator_are_left_out():
    factors = {o: {one.factor for one in measure_coverage(o, []).conditions} for o in Operator}
    assert all(("bias" in factors[o]) == (o in (Operator.conv, Operator.conv_transpose)) for o in Operator)
    assert all(("divisor" in factors[o]) == (o in (Operator.avg_pool, Operator.avg_pool_grad)) for o in Operator)
    assert all(applies(one, Operator.conv) for one in conditions_for(Operator.conv))


def test_rows_name_each_condition_once_and_keep_factors_together():
    rows = list_conditions([measure_coverage(o, []) for o in Operator])
    assert len(set(rows)) == len(rows)
    factors = [factor for factor, _ in rows]
    assert sorted(set(factors), key=factors.index) == [
        f for n, f in enumerate(factors) if n == 0 or f != factors[n - 1]
    ]


def test_a_pair_that_a_problem_meets_is_possible_whatever_the_search_says(monkeypatch):
    from harness.generate.dispatch import coverage

    known = coverage.find_possible(Operator.conv)
    nothing = replace(known, together=known.together & False)
    monkeypatch.setattr(coverage, "find_possible", lambda operator: nothing)
    found = measure_coverage(Operator.conv, [THREE])
    assert found.state(found.number_of("kernel 3x3"), found.number_of("C = 8")) == "asked"
    assert found.pairs_possible == found.pairs_asked > 0

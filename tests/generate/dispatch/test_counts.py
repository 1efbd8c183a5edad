"""Tests for harness.generate.dispatch.counts: every operator is asked beyond every limit."""

import math
from collections import defaultdict

import pytest

from harness import Operator
from harness.generate.dispatch.conditions import windows
from harness.generate.dispatch.counts import LONG_AXIS, count_problems
from harness.generate.dispatch.problems import LAW
from harness.problems import longest_sum
from harness.problems.numerics import DTYPES

BITS_16 = 65535
SUMMED = [operator for operator in Operator if not operator.pools]


@pytest.fixture(scope="module")
def asked():
    found = defaultdict(list)
    for one in count_problems():
        assert one.laws == (LAW,)
        assert one.optional
        found[one.problem.operator].append(one.problem)
    return found


@pytest.mark.parametrize("operator", Operator)
def test_each_size_exceeds_its_limits_for_every_operator(asked, operator):
    problems = asked[operator]
    for width in (255, 512, 1024, 4096):
        assert any(width < p.x[-1] <= 2 * width for p in problems), width
    assert max(p.x[-1] for p in problems) >= LONG_AXIS
    assert max(p.x[2] for p in problems if p.axes == 2) >= LONG_AXIS
    for size in (0, 1):
        assert max(p.x[size] for p in problems) > BITS_16
        assert max(p.y[size] for p in problems) > BITS_16
    assert max(p.x[0] * p.x[1] for p in problems if p.x[0] > 1 < p.x[1]) > BITS_16
    assert max(math.prod(p.y[2:]) for p in problems) > BITS_16


@pytest.mark.parametrize("operator", [one for one in Operator if one.spec.sums_positions])
def test_gradients_of_kernels_and_biases_sum_over_more_positions_than_15_and_16_bits(asked, operator):
    positions = [p.x[0] * math.prod(windows(p)) for p in asked[operator]]
    assert any(2**15 < n <= 2**16 for n in positions)
    assert max(positions) > 2**16


@pytest.mark.parametrize("operator", SUMMED)
def test_long_sums_are_asked_on_real_data_in_every_format_but_the_widest(asked, operator):
    long = {p.dtype for p in asked[operator] if p.data == "normal" and longest_sum(p) >= 4608}
    assert long == set(DTYPES) - {"float64"}


def test_wide_rows_are_asked_in_every_dtype():
    wide = {one.problem.dtype for one in count_problems() if one.name.startswith("counts/width")}
    assert wide == set(DTYPES)

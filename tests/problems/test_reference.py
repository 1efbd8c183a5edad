"""The fast reference is the plain loops, computed faster."""

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings

from harness import Operator, parse_line
from harness.problems import reference
from harness.problems.data import make_arrays
from harness.problems.operators import columns
from tests.problems.strategies import problems


@given(problems(largest=3, dtypes=("float64",), regimes=("integer", "distinct")))
@settings(max_examples=250, deadline=None, derandomize=True)
def test_the_fast_reference_equals_the_loops_on_whole_numbers(problem):
    arrays = make_arrays(problem)
    fast, slow = reference.compute(problem, arrays), reference.compute_by_loops(problem, arrays)
    for name, shape in problem.shapes.items():
        if name in fast:
            assert fast[name].shape == slow[name].shape == shape
            # means divide, and the two sum in another order: one rounding of the sum
            slack = 1e-15 if problem.operator in (Operator.avg_pool, Operator.avg_pool_grad) else 0.0
            np.testing.assert_allclose(fast[name], slow[name], rtol=slack, atol=slack * 64)


@given(problems(largest=3, dtypes=("float64",), regimes=("integer", "distinct", "nonfinite")))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_large_problems_are_computed_tap_by_tap_with_the_same_result(problem):
    arrays = make_arrays(problem)
    at_once = reference.compute(problem, arrays)
    with patch.multiple(columns, MOST_COLUMNS=0, MOST_PARTS=0):
        by_taps = reference.compute(problem, arrays)
    for name, a in at_once.items():
        np.testing.assert_allclose(a, by_taps[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("options", ["stride=2,1 pad=1:0,1", "stride=2,2 pad=4,3:1 dilation=2,2", ""])
@pytest.mark.parametrize("operator", list(Operator))
def test_the_fast_reference_equals_the_loops_where_padding_meets_what_is_not_finite(operator, options, value):
    shape = "kernel=3x2" if operator.pools else "w=4x6x3x2" if operator.spec.transposed else "w=6x2x3x2 groups=2"
    problem = parse_line(f"{operator} x=2x4x7x8 {shape} {options} dtype=float64 data=normal")
    arrays = make_arrays(problem)
    for name in set(arrays) - {"indices"}:
        spoilt = arrays[name].copy()
        spoilt.flat[::5] = value
        fast, slow = (run(problem, {**arrays, name: spoilt}) for run in (reference.compute, reference.compute_by_loops))
        for output in fast:
            np.testing.assert_allclose(fast[output], slow[output], rtol=1e-12)


def test_a_convolution_by_hand():
    x = np.array([[[1.0, 2, 3, 4]]])
    w = np.array([[[1.0, 10]]])
    problem = parse_line("conv x=1x1x4 w=1x1x2 dtype=float64")
    assert reference.compute(problem, {"x": x, "w": w})["y"].tolist() == [[[21, 32, 43]]]
    flipped = problem.with_(flip=True)
    assert reference.compute(flipped, {"x": x, "w": w})["y"].tolist() == [[[12, 23, 34]]]


def test_a_transposed_convolution_by_hand():
    problem = parse_line("conv_transpose x=1x1x2 w=1x1x3 stride=2 output_padding=1 dtype=float64")
    y = reference.compute(problem, {"x": np.array([[[1.0, 2]]]), "w": np.array([[[1.0, 10, 100]]])})["y"]
    assert y.tolist() == [[[1, 10, 102, 20, 200, 0]]]


@pytest.mark.parametrize("compute", [reference.compute, reference.compute_by_loops])
def test_the_maximum_takes_the_first_tie_and_lets_nan_win(compute):
    problem = parse_line("max_pool x=1x1x5 kernel=3 dtype=float64")
    found = compute(problem, {"x": np.array([[[2.0, 2, np.nan, 1, 1]]])})
    assert found["indices"].tolist() == [[[2, 2, 2]]]
    found = compute(problem, {"x": np.array([[[2.0, 2, 1, 1, 1]]])})
    assert found["y"].tolist() == [[[2, 2, 1]]]
    assert found["indices"].tolist() == [[[0, 1, 2]]]


@pytest.mark.parametrize("compute", [reference.compute, reference.compute_by_loops])
def test_padding_of_a_maximum_is_minus_infinity(compute):
    problem = parse_line("max_pool x=1x1x2 kernel=2 pad=1 dtype=float64")
    found = compute(problem, {"x": np.array([[[-3.0, -5]]])})
    assert found["y"].tolist() == [[[-3, -3, -5]]]


@pytest.mark.parametrize(
    ("options", "means"),
    [("pad=1", [1 / 3, 2 / 3]), ("pad=1 exclude_pad", [0.5, 1.0]), ("pad=1 ceil", [1 / 3, 2 / 3])],
)
@pytest.mark.parametrize("compute", [reference.compute, reference.compute_by_loops])
def test_the_divisor_of_a_mean(compute, options, means):
    problem = parse_line(f"avg_pool x=1x1x3 kernel=3 stride=2 {options} dtype=float64")
    y = compute(problem, {"x": np.array([[[0.0, 1, 1]]])})["y"]
    np.testing.assert_allclose(y.ravel(), means, rtol=1e-15)


def test_the_ceil_overhang_is_not_counted():
    problem = parse_line("avg_pool x=1x1x4 kernel=3 stride=2 ceil dtype=float64")
    y = reference.compute(problem, {"x": np.ones((1, 1, 4))})["y"]
    assert y.tolist() == [[[1.0, 1.0]]]

"""The matrices that the laws compare with are those of the formulas."""

import numpy as np
import pytest

from harness import Window, parse_line
from harness.problems.operators.conv import conv_by_loops
from suites.geometries import CONVOLUTIONS
from suites.laws.matrices import kronecker, multiplicity, toeplitz
from suites.laws.shapes import cut


def test_three_taps_over_five_numbers_make_three_rows_of_five():
    matrix = toeplitz(np.array([[[7.0, 8, 9]]]), (1, 1, 5), Window.of(1))
    assert matrix.tolist() == [[7, 8, 9, 0, 0], [0, 7, 8, 9, 0], [0, 0, 7, 8, 9]]


def test_padding_and_stride_cut_rows_and_leave_some_out():
    window = Window.of(1, stride=2, padding=((1, 0),), dilation=2)
    assert toeplitz(np.array([[[7.0, 8]]]), (1, 1, 4), window).tolist() == [[0, 8, 0, 0], [0, 7, 0, 8]]


@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_the_matrix_is_that_of_the_plain_loops(shape):
    small = cut(parse_line(f"conv {shape} data=integer"), channels=2, outputs=2, windows=2)
    rng = np.random.default_rng(3)
    x, w = (rng.integers(-4, 5, size=size).astype(np.float64) for size in (small.x, small.w))
    y = conv_by_loops(x, w, None, small.window)
    assert np.array_equal((toeplitz(w, small.x, small.window) @ x.reshape(-1)).reshape(y.shape), y)


@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_kronecker_products_make_the_same_matrix(shape):
    small = cut(parse_line(f"conv {shape} data=integer"), channels=2, outputs=2, windows=2)
    w = np.random.default_rng(4).integers(-4, 5, size=small.w).astype(np.float64)
    out = small.window.output_shape(small.x[2:], small.w[2:])
    matrix = kronecker(w, small.x[2:], out, small.window)
    assert np.array_equal(matrix.toarray(), toeplitz(w, small.x, small.window))


def test_multiplicity_counts_the_windows_and_taps_of_a_position():
    assert multiplicity((5,), (3,), Window.of(1)).tolist() == [1, 2, 3, 2, 1]
    assert multiplicity((5,), (3,), Window.of(1, stride=3)).tolist() == [1, 1, 1, 0, 0]
    assert multiplicity((3,), (3,), Window.of(1, padding=1)).tolist() == [2, 3, 2]
    assert multiplicity((2, 3), (2, 2), Window.of(2)).tolist() == [[1, 2, 1], [1, 2, 1]]


@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_multiplicity_is_the_column_sum_of_a_matrix_of_ones(shape):
    problem = parse_line(f"conv {shape} data=integer")
    small = cut(problem, windows=3)
    single = (1, 1, *small.x[2:])
    window = Window(stride=small.window.stride, padding=small.window.padding, dilation=small.window.dilation)
    matrix = toeplitz(np.ones((1, 1, *small.w[2:])), single, window)
    assert np.array_equal(matrix.sum(axis=0).reshape(single[2:]), multiplicity(single[2:], small.w[2:], window))

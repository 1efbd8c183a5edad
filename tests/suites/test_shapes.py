"""Smaller problems keep the kernel and the window, and have the windows that they promise."""

import numpy as np
import pytest

from harness import parse_line
from suites.geometries import CONVOLUTIONS
from suites.laws.parts import find_interior
from suites.laws.shapes import cut


@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("windows", [0, 3, 4])
def test_a_cut_is_a_smaller_problem_of_the_same_window(shape, windows):
    problem = parse_line(f"conv {shape} data=integer")
    small = cut(problem, images=5, channels=2, outputs=2, windows=windows)
    assert small.w[2:] == problem.w[2:]
    assert (small.window.stride, small.window.padding) == (problem.window.stride, problem.window.padding)
    assert small.window.groups == min(2, problem.window.groups)
    made = problem.with_(x=small.x, w=small.w, window=small.window)  # raises where the geometry is impossible
    assert made.y[0] == 5 and made.y[1] == small.w[0]
    assert all(n <= whole for n, whole in zip(small.x[2:], problem.x[2:], strict=True))
    if not windows:
        assert small.x[2:] == problem.x[2:]
    for n, whole, count in zip(small.x[2:], problem.x[2:], made.y[2:], strict=True):
        assert not windows or n in (1, whole) or count == windows


@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_windows_inside_are_those_that_hold_no_padding(shape):
    problem = parse_line(f"conv {shape} data=integer")
    reach, window = problem.window.reach(problem.kernel), problem.window
    for at, n, p, r, s, (begin, _) in zip(
        find_interior(problem), problem.x[2:], problem.y[2:], reach, window.stride, window.padding, strict=True
    ):
        held = [i for i in range(p) if i * s - begin >= 0 and i * s - begin + r <= n]
        assert held == list(np.arange(p)[at]) or (not held and at.stop <= at.start)

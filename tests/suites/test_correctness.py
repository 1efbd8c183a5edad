"""The problems of suite `correctness` ask something."""

import numpy as np
import pytest

from harness import Operator
from harness.generate.covering import covering_problems
from harness.generate.dispatch.possible import reads_nothing
from harness.problems.data import make_arrays
from harness.problems.reference import compute
from suites.correctness import asked_problems

SHARES = 8  # the problems of an operator are divided among tests, which run in parallel


def _are_zero(problem):
    """Return True if no element of the first output differs from 0, so that a backend that writes nothing is right.

    Indices do not count: they are 0 where each window reaches only the first position of its map.
    """
    output = compute(problem, make_arrays(problem))[problem.operator.outputs[0]]
    return bool(output.size) and not np.any(output)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("operator", [one for one in Operator if one.outputs[0] != "indices"])
def test_no_answer_is_all_zeros(operator, share):
    asked = [one for one in asked_problems() if one.problem.operator is operator]
    assert asked
    assert not [one.problem.line for one in asked[share::SHARES] if _are_zero(one.problem)]


def test_no_answer_of_a_covering_problem_is_all_zeros():
    asked = [one.problem for one in covering_problems()]
    assert not [problem.line for problem in asked if problem.x[0] and (_are_zero(problem) or reads_nothing(problem))]

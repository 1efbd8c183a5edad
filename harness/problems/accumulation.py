"""Accumulation lengths, from the shapes of a problem alone."""

from __future__ import annotations

from harness.problems.operator import Operator
from harness.problems.problem import Problem


def longest_sum(problem: Problem, operator: Operator | None = None) -> int:
    """Return the length of the longest sum in one output element: the K of the error bounds (Higham 2002, section 3.1).

    problem: geometry and shapes.
    operator: another one of the same geometry, such as a gradient; by default the problem's own.
    """
    operator = operator or problem.operator
    return operator.spec.sum_length(problem) + (problem.bias and operator is problem.operator)

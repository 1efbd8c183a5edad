"""Accumulation lengths, from the shapes of a problem alone."""

from __future__ import annotations

from harness.problems.operator import Operator
from harness.problems.operators.cost import Sum
from harness.problems.problem import Problem


def longest_sum(problem: Problem, operator: Operator | None = None) -> int:
    """Return the length of the longest sum in one output element: the K of the error bounds (Higham 2002, section 3.1).

    problem: geometry and shapes.
    operator: another one of the same geometry, such as a gradient; by default the problem's own.
    """
    operator = operator or problem.operator
    return operator.spec.sum_length(problem) + (problem.bias and operator is problem.operator)


def list_sums(problem: Problem) -> tuple[Sum, ...]:
    """Return the sums that laws compute from the data of a problem: the most terms that read data, and their factors.

    problem: geometry and shapes.
    """
    spec = problem.operator.spec
    if spec.sums is None:
        return ((longest_sum(problem), spec.factors),)
    return tuple((terms + problem.bias, names) for terms, names in spec.sums(problem))


def most_terms(problem: Problem) -> int:
    """Return the most terms of a sum of the operator that read data, not padding, and the bias: at most `longest_sum`.

    problem: geometry and shapes.
    """
    factors = set(problem.operator.spec.factors)
    return max(terms for terms, names in list_sums(problem) if set(names) == factors)

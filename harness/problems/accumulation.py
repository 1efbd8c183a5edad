"""Accumulation lengths, from the shapes of a problem alone."""

from __future__ import annotations

import math

from harness.problems.operator import Operator
from harness.problems.problem import Problem


def longest_sum(problem: Problem, operator: Operator | None = None) -> int:
    """Longest sum that makes one output element: the K of the error bounds (Higham 2002, section 3.1).

    operator: another operator of the same geometry, such as a gradient; None for the problem's own.
    """
    operator = operator or problem.operator
    if operator is Operator.conv_bias_grad or operator is Operator.conv_weight_grad:
        return problem.x[0] * math.prod(problem.y[2:])
    taps = math.prod(problem.kernel)
    if operator in (Operator.avg_pool, Operator.avg_pool_grad, Operator.max_pool_grad):
        return taps + 1
    if operator is Operator.max_pool:
        return 1
    assert problem.w is not None
    bias = problem.bias and operator is problem.operator
    if operator is Operator.conv:
        return problem.w[1] * taps + bias
    return problem.w[0] // problem.window.groups * taps + bias

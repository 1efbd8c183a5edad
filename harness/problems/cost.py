"""What a problem costs: operations and accumulation lengths, from its shapes alone."""

from __future__ import annotations

import math
from functools import lru_cache

from harness.problems.operator import Operator
from harness.problems.problem import Problem

REMEMBERED = 4096  # axes of windows; the problems of a suite share a few hundred


def count_taps(problem: Problem) -> int:
    """Number of (position, tap) pairs of one map that fall inside the input, over all axes."""
    window = problem.window
    out = problem.x[2:] if problem.operator is Operator.conv_transpose else problem.y[2:]
    begins = (begin for begin, _ in window.padding)
    axes = zip(problem.forward_spatial, out, problem.kernel, window.stride, window.dilation, begins, strict=True)
    return math.prod(_count_axis_taps(*axis) for axis in axes)


@lru_cache(maxsize=REMEMBERED)
def _count_axis_taps(n: int, p: int, m: int, s: int, d: int, begin: int) -> int:
    """Count the pairs of a position i < p and a tap u < m that read inside: 0 <= i s + u d - begin < n."""
    inside = 0
    for tap in range(m):
        offset = tap * d - begin
        first = max(0, -(offset // s)) if offset < 0 else 0
        last = min(p - 1, (n - 1 - offset) // s)
        inside += max(0, last - first + 1)
    return inside


def count_flops(problem: Problem) -> int:
    """Operations of the direct algorithm: a multiplication and an addition per tap, channel pair and image."""
    taps, images = count_taps(problem), problem.x[0]
    if problem.operator is Operator.conv_bias_grad:
        return math.prod(problem.y)
    if problem.operator.pools:
        return taps * images * problem.x[1]
    assert problem.w is not None
    bias = math.prod(problem.output) if problem.bias else 0
    return 2 * taps * images * problem.w[0] * problem.w[1] + bias


def accumulation(problem: Problem, operator: Operator | None = None) -> int:
    """Longest sum that makes one output element: the K of the error bounds (Higham 2002, section 3.1).

    operator: another one of the same geometry, such as a gradient; the problem's own where nothing is given.
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

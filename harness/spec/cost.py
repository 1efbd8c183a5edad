"""What a problem costs: operations and accumulation lengths, from its shapes alone."""

from __future__ import annotations

import math

from harness.spec.operator import Operator
from harness.spec.problem import Problem


def count_taps(problem: Problem) -> int:
    """Number of (position, tap) pairs of one map that fall inside the input, over all axes."""
    total = 1
    out = problem.x[2:] if problem.operator is Operator.conv_transpose else problem.y[2:]
    for n, p, m, s, d, (begin, _) in zip(
        problem.forward_spatial,
        out,
        problem.kernel,
        problem.window.stride,
        problem.window.dilation,
        problem.window.padding,
        strict=True,
    ):
        inside = 0
        for tap in range(m):
            offset = tap * d - begin  # positions i with 0 <= i*s + offset < n
            first = max(0, -(offset // s)) if offset < 0 else 0
            last = min(p - 1, (n - 1 - offset) // s)
            inside += max(0, last - first + 1)
        total *= inside
    return total


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


def accumulation(problem: Problem) -> int:
    """Longest sum that makes one output element: the K of the error bounds (Higham 2002, section 3.1)."""
    if problem.operator is Operator.conv_bias_grad or problem.operator is Operator.conv_weight_grad:
        return problem.x[0] * math.prod(problem.y[2:])
    taps = math.prod(problem.kernel)
    if problem.operator is Operator.avg_pool:
        return taps + 1
    if problem.operator in (Operator.avg_pool_grad, Operator.max_pool_grad):
        return taps + 1
    if problem.operator is Operator.max_pool:
        return 1
    assert problem.w is not None
    if problem.operator is Operator.conv:
        return problem.w[1] * taps + problem.bias
    return problem.w[0] // problem.window.groups * taps + problem.bias

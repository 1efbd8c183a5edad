"""Operations and lengths of sums that several operators share, from the shapes of a problem alone."""

from __future__ import annotations

import math
from functools import lru_cache

from harness.problems.operators.geometry import Geometry
from harness.problems.window import Sizes

Sum = tuple[int, tuple[str, ...]]  # the most terms of a sum, and the arrays of which each term has a factor

REMEMBERED = 4096  # axes of windows; the problems of a suite share a few hundred


def count_taps(problem: Geometry) -> int:
    """Number of (position, tap) pairs of one map that fall inside the input, over all axes."""
    window = problem.window
    out = problem.y[2:] if problem.output_padding is None else problem.x[2:]
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


def count_product_flops(problem: Geometry) -> int:
    """A multiplication and an addition per tap, channel pair and image, and an addition per biased output."""
    assert problem.w is not None
    bias = math.prod(problem.output) if problem.bias else 0
    return 2 * count_taps(problem) * problem.x[0] * problem.w[0] * problem.w[1] + bias


def count_pool_flops(problem: Geometry) -> int:
    """An addition or a comparison per tap and map."""
    return count_taps(problem) * problem.x[0] * problem.x[1]


def count_gathered(problem: Geometry) -> int:
    """Products of one output of `conv`: input channels of a group, times taps."""
    assert problem.w is not None
    return problem.w[1] * math.prod(problem.kernel)


def count_scattered(problem: Geometry) -> int:
    """Products of one output of the transpose of `conv`, at most: output channels of a group, times taps."""
    assert problem.w is not None
    return problem.w[0] // problem.window.groups * math.prod(problem.kernel)


def count_positions(problem: Geometry) -> int:
    """Positions of all images that the gradients of the kernel and of the bias sum over."""
    return problem.x[0] * math.prod(problem.y[2:])


def count_pooled(problem: Geometry) -> int:
    """Taps of a window, and its divisor or the rounding of its index."""
    return math.prod(problem.kernel) + 1


def list_product_sums(problem: Geometry) -> tuple[Sum, ...]:
    """Return the sums of a convolution and of its gradients, with the most terms of each that read no padding.

    An axis of n positions, p windows and m taps brings an output min(m, n) terms, an input min(m, p), and a tap
    min(n, p), whatever the stride, dilation and padding are, so that the data suit other windows too.
    """
    assert problem.w is not None
    transposed = problem.output_padding is not None
    out, forward, kernel = problem.x[2:] if transposed else problem.y[2:], problem.forward_spatial, problem.kernel
    small, large = ("dy", "x") if transposed else ("x", "dy")  # by the channels of `conv`: its inputs, its outputs
    gathered = problem.w[1] * _multiply_least(kernel, forward)
    scattered = problem.w[0] // problem.window.groups * _multiply_least(kernel, out)
    positions = problem.x[0] * _multiply_least(forward, out)
    products = ((gathered, (small, "w")), (scattered, (large, "w")), (positions, (small, large)))
    return products if transposed else (*products, *list_added_sums(problem))


def list_added_sums(problem: Geometry) -> tuple[Sum, ...]:
    """Return the sums of dy over all images and positions."""
    return ((count_positions(problem), ("dy",)),)


def list_mean_sums(problem: Geometry) -> tuple[Sum, ...]:
    """Return the sums of mean pooling and of its gradient, each with its divisor, as for products."""
    gathered = _multiply_least(problem.kernel, problem.forward_spatial)
    return ((gathered + 1, ("x",)), (_multiply_least(problem.kernel, problem.y[2:]) + 1, ("dy",)))


def list_maximum_sums(problem: Geometry) -> tuple[Sum, ...]:
    """Return the sums of maximum pooling, which copies, and of its gradient, as for products."""
    return ((1, ("x",)), (_multiply_least(problem.kernel, problem.y[2:]) + 1, ("dy",)))


def _multiply_least(first: Sizes, second: Sizes) -> int:
    return math.prod(map(min, first, second))

"""Common parts of mean pooling and its gradient: divisors, and the equivalent depthwise convolution with ones."""

from __future__ import annotations

from functools import reduce

import numpy as np

from harness.problems.arrays import Array, DeviceArray
from harness.problems.operators.derivation import SHORT
from harness.problems.operators.geometry import Geometry, P
from harness.problems.taps import device_options, find_namespace, mean_divisors
from harness.problems.window import Sizes, Window


def divisor_map(spatial: Sizes, window: Window) -> Array:
    """Return the divisor of every mean-pooling window, shape P."""
    counts = [np.asarray(axis, dtype=np.float64) for axis in mean_divisors(spatial, window)]
    return reduce(np.multiply.outer, counts)


def count_divisor(position: Sizes, spatial: Sizes, window: Window) -> int:
    """Return the number of taps that count: inside the input, or also inside explicit padding; never the ceil overhang.

    position: index of the window. spatial: sizes of the input. window: of the pooling.
    """
    assert window.kernel is not None
    count = 1
    for axis, (n, (begin, end)) in enumerate(zip(spatial, window.padding, strict=True)):
        low, high = (-begin, n + end) if window.count_include_pad else (0, n)
        start = position[axis] * window.stride[axis] - begin
        count *= sum(low <= start + u * window.dilation[axis] < high for u in range(window.kernel[axis]))
    return count


def pool_as_conv(problem: P, operator: str) -> P:
    """Return the depthwise convolution with ones of the covered input, under `conv` or its input gradient."""
    window, kernel = problem.window, problem.kernel
    cover = window.cover(problem.x[2:], kernel)
    channels = problem.x[1]
    extent = tuple(n + b + e for n, (b, e) in zip(problem.x[2:], cover, strict=True))
    return problem.with_(
        operator=operator,
        dtype="float32" if problem.dtype in SHORT else problem.dtype,
        x=(problem.x[0], channels, *extent),
        w=(channels, min(1, channels), *kernel),  # without channels there is no group to be one of
        window=Window.of(problem.axes, stride=window.stride, dilation=window.dilation, groups=max(1, channels)),
    )


def ones_kernel(like: DeviceArray, problem: Geometry) -> DeviceArray:
    """Return the depthwise kernel of ones, with the library, dtype and device of another array."""
    shape = (problem.x[1], min(1, problem.x[1]), *problem.kernel)
    return find_namespace(like).ones(shape, dtype=like.dtype, **device_options(like))


def device_divisors(like: DeviceArray, problem: Geometry) -> DeviceArray:
    """Return the divisor of every window, shape P, with the library, dtype and device of another array."""
    xp = find_namespace(like)
    rows = [
        xp.asarray(row, dtype=like.dtype, **device_options(like))
        for row in mean_divisors(problem.x[2:], problem.window)
    ]
    return reduce(lambda a, b: a[..., None] * b, rows)

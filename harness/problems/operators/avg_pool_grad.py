"""The gradient of mean pooling.

The reference spreads axis by axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operators.columns import widen
from harness.problems.operators.cost import count_pool_flops, count_pooled, list_mean_sums
from harness.problems.operators.derivation import Derivation, Runner, take_one, widen_short
from harness.problems.operators.geometry import Geometry, P
from harness.problems.operators.means import count_divisor, device_divisors, divisor_map, ones_kernel, pool_as_conv
from harness.problems.operators.positions import find_source, is_inside, steps
from harness.problems.operators.refused import MEANS
from harness.problems.operators.spec import OperatorSpec
from harness.problems.taps import ALL, EVERY, find_namespace, inner_slices, pad_or_crop
from harness.problems.window import Sizes, Window


def avg_pool_grad(dy: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += dy[n,c,i] / divisor[i] (specification 1.17); spread axis by axis."""
    assert window.kernel is not None
    cover, out = window.cover(x_shape[2:], window.kernel), dy.shape[2:]
    grown = tuple(n + b + max(0, e) for n, (b, e) in zip(x_shape[2:], cover, strict=True))
    total = widen(dy) / divisor_map(x_shape[2:], window)
    for axis in range(len(out)):
        total = _spread_axis(total, axis, grown[axis], window)
    return np.ascontiguousarray(total[(*EVERY, *inner_slices(x_shape[2:], cover))])


def _spread_axis(a: Array, axis: int, length: int, window: Window) -> Array:
    """Add every element along one spatial axis to all that its window reads: the transpose of `_sum_axis`."""
    assert window.kernel is not None
    m, s, d, p = window.kernel[axis], window.stride[axis], window.dilation[axis], a.shape[2 + axis]
    before = (*EVERY, *(ALL,) * axis)
    spread = np.zeros((*a.shape[: 2 + axis], length, *a.shape[3 + axis :]))
    if m <= p:
        for u in range(m):
            spread[(*before, slice(u * d, u * d + (p - 1) * s + 1, s))] += a
    else:
        for i in range(p):
            spread[(*before, slice(i * s, i * s + (m - 1) * d + 1, d))] += a[(*before, slice(i, i + 1))]
    return spread


def avg_pool_grad_by_loops(dy: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += dy[n,c,i] / divisor[i] (specification 1.17)."""
    assert window.kernel is not None
    dx = np.zeros(x_shape)
    for n, c in steps(dy.shape[:2]):
        for i in steps(dy.shape[2:]):
            share = float(dy[(n, c, *i)]) / max(1, count_divisor(i, x_shape[2:], window))
            for u in steps(window.kernel):
                place = find_source(i, u, window)
                if is_inside(place, x_shape[2:]):
                    dx[(n, c, *place)] += share
    return dx


def _as_input_grad(problem: P, /) -> P | None:
    return pool_as_conv(problem, "conv_input_grad")


def _compute_avg_pool_grad(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """Gradient of mean pooling = depthwise conv_input_grad of dy over the divisor (specification 1.17)."""
    dy, needed = widen_short(problem, arrays["dy"]), pool_as_conv(problem, "conv_input_grad")
    covered = take_one(run(needed, {"dy": dy / device_divisors(dy, problem), "w": ones_kernel(dy, problem)}))
    cover = problem.window.cover(problem.x[2:], problem.kernel)
    begins = tuple(slice(b, None) for b, _ in cover)
    kept = (max(0, size - b) for size, (b, _) in zip(covered.shape[2:], cover, strict=True))
    ends = tuple((0, n - size) for n, size in zip(problem.x[2:], kept, strict=True))
    xp = find_namespace(dy)
    return (xp.astype(pad_or_crop(covered[(*EVERY, *begins)], ends, 0.0, xp), arrays["dy"].dtype),)


def _grad_arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["dy"], problem.x, problem.window


AVG_POOL_GRAD = OperatorSpec(
    name="avg_pool_grad",
    inputs=("dy",),
    outputs=("dx",),
    factors=("dy",),
    arguments=_grad_arguments,
    reference=avg_pool_grad,
    loops=avg_pool_grad_by_loops,
    sum_length=count_pooled,
    flops=count_pool_flops,
    family="means",
    pools=True,
    sums=list_mean_sums,
    divides=True,
    sums_exactly=False,
    refused_data=MEANS,
    early_roundings=1,
    derivations=(Derivation(via="conv_input_grad", needs=_as_input_grad, compute=_compute_avg_pool_grad),),
)

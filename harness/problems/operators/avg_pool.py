"""Mean pooling.

The reference sums axis by axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operators.columns import widen
from harness.problems.operators.cost import count_pool_flops, count_pooled, list_mean_sums
from harness.problems.operators.derivation import Derivation, Runner, take_one, widen_short
from harness.problems.operators.geometry import Geometry, P, under
from harness.problems.operators.means import count_divisor, device_divisors, divisor_map, ones_kernel, pool_as_conv
from harness.problems.operators.positions import find_source, is_inside, steps
from harness.problems.operators.refused import MEANS
from harness.problems.operators.spec import Gradient, OperatorSpec
from harness.problems.taps import ALL, EVERY, find_namespace, pad_or_crop
from harness.problems.window import Window

SUM_COST = 3  # how many additions of arrays cost as much as the sum over one axis of a small one


def avg_pool(x: Array, window: Window) -> Array:
    """y = sum over the window / divisor (specification, section 4), by axis; 0/0 for padding alone is 0."""
    assert window.kernel is not None
    out = window.output_shape(x.shape[2:], window.kernel)
    total = pad_or_crop(widen(x), window.cover(x.shape[2:], window.kernel), 0.0, np)
    for axis in reversed(range(len(out))):  # the last axis first: what follows runs over shorter rows
        total = _sum_axis(total, axis, out[axis], window)
    return np.asarray(total / divisor_map(x.shape[2:], window))


def _sum_axis(a: Array, axis: int, p: int, window: Window) -> Array:
    """Sum of every window along one spatial axis of which p windows are read, tap by tap or window by window."""
    assert window.kernel is not None
    m, s, d = window.kernel[axis], window.stride[axis], window.dilation[axis]
    before = (*EVERY, *(ALL,) * axis)
    if m <= SUM_COST * p:
        first, *rest = (a[(*before, slice(u * d, u * d + (p - 1) * s + 1, s))] for u in range(m))
        return np.asarray(sum(rest, first))
    windows = (a[(*before, slice(i * s, i * s + (m - 1) * d + 1, d))] for i in range(p))
    return np.stack([one.sum(axis=2 + axis) for one in windows], axis=2 + axis)


def avg_pool_by_loops(x: Array, window: Window) -> Array:
    """y = sum over the window / divisor (specification, section 4); 0/0 for a window of padding only is 0."""
    assert window.kernel is not None
    spatial = x.shape[2:]
    y = np.zeros((*x.shape[:2], *window.output_shape(spatial, window.kernel)))
    for n, c in steps(y.shape[:2]):
        for i in steps(y.shape[2:]):
            places = [find_source(i, u, window) for u in steps(window.kernel)]
            total = math.fsum(float(x[(n, c, *place)]) for place in places if is_inside(place, spatial))
            y[(n, c, *i)] = total / max(1, count_divisor(i, spatial, window))
    return y


def _as_conv(problem: P, /) -> P | None:
    return pool_as_conv(problem, "conv")


def _compute_avg_pool(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """Mean pooling = depthwise convolution with ones, over the divisor; short formats are summed in float32."""
    x, inner = widen_short(problem, arrays["x"]), pool_as_conv(problem, "conv")
    covered = pad_or_crop(x, problem.window.cover(problem.x[2:], problem.kernel), 0.0, find_namespace(x))
    total = take_one(run(inner, {"x": covered, "w": ones_kernel(x, problem)}))
    return (find_namespace(x).astype(total / device_divisors(x, problem), arrays["x"].dtype),)


def _arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["x"], problem.window


AVG_POOL = OperatorSpec(
    name="avg_pool",
    inputs=("x",),
    outputs=("y",),
    factors=("x",),
    arguments=_arguments,
    reference=avg_pool,
    loops=avg_pool_by_loops,
    sum_length=count_pooled,
    flops=count_pool_flops,
    family="means",
    pools=True,
    sums=list_mean_sums,
    divides=True,
    sums_exactly=False,
    refused_data=MEANS,
    gradients=(Gradient(name="dx", problem=under("avg_pool_grad"), takes={"dy": "dy"}),),
    derivations=(Derivation(via="conv", needs=_as_conv, compute=_compute_avg_pool),),
)

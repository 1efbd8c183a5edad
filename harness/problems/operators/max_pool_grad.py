"""The gradient of maximum pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArrays
from harness.problems.operators.columns import widen
from harness.problems.operators.cost import count_pool_flops, count_pooled, list_maximum_sums
from harness.problems.operators.geometry import Geometry
from harness.problems.operators.positions import steps
from harness.problems.operators.spec import OperatorSpec
from harness.problems.window import Window


def max_pool_grad(dy: Array, x: Array, indices: Array, window: Window) -> Array:
    """dx[n, c, indices[n,c,i]] += dy[n,c,i] (specification 1.17)."""
    maps, area = x.shape[0] * x.shape[1], math.prod(x.shape[2:])
    by_map = indices.reshape(maps, math.prod(dy.shape[2:]))
    flat, valid = by_map + np.arange(maps)[:, None] * area, by_map >= 0
    dx = np.bincount(flat[valid], weights=widen(dy).reshape(by_map.shape)[valid], minlength=maps * area)
    return dx.reshape(x.shape)


def max_pool_grad_by_loops(dy: Array, x: Array, indices: Array, window: Window) -> Array:
    """dx[n, c, indices[n,c,i]] += dy[n,c,i] (specification 1.17)."""
    dx = np.zeros((*x.shape[:2], math.prod(x.shape[2:])))
    for n, c in steps(dy.shape[:2]):
        for i in steps(dy.shape[2:]):
            if indices[(n, c, *i)] >= 0:
                dx[n, c, indices[(n, c, *i)]] += float(dy[(n, c, *i)])
    return dx.reshape(x.shape)


def _grad_arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["dy"], arrays["x"], arrays["indices"], problem.window


MAX_POOL_GRAD = OperatorSpec(
    name="max_pool_grad",
    inputs=("dy", "x", "indices"),
    outputs=("dx",),
    factors=("dy",),
    arguments=_grad_arguments,
    reference=max_pool_grad,
    loops=max_pool_grad_by_loops,
    sum_length=count_pooled,
    flops=count_pool_flops,
    family="maxima",
    pools=True,
    sums=list_maximum_sums,
    unread=frozenset({"x"}),
)

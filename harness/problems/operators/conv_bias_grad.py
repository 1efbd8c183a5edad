"""The gradient of convolution by its bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operators.columns import widen
from harness.problems.operators.cost import count_positions, list_added_sums
from harness.problems.operators.derivation import Derivation, Runner, take_one
from harness.problems.operators.geometry import Geometry, P
from harness.problems.operators.positions import steps
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import OperatorSpec
from harness.problems.taps import device_options, find_namespace
from harness.problems.window import Window


def conv_bias_grad(dy: Array) -> Array:
    """db[o] = sum over n, i of dy[n,o,i] (specification 1.14)."""
    return np.asarray(widen(dy).sum(axis=(0, *range(2, dy.ndim))))


def conv_bias_grad_by_loops(dy: Array) -> Array:
    """db[o] = sum over n, i of dy[n,o,i] (specification 1.14)."""
    db = np.zeros(dy.shape[1])
    for n, o in steps(dy.shape[:2]):
        for i in steps(dy.shape[2:]):
            db[o] += float(dy[(n, o, *i)])
    return db


def _bias_grad_as_conv(problem: P, /) -> P | None:
    n, o, *spatial = problem.y
    return problem.with_(operator="conv", x=(o, n, *spatial), w=(1, n, *spatial), window=Window.of(problem.axes))


def _compute_bias_grad(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """db = dy correlated with ones over batch and space (specification 1.14)."""
    inner = _bias_grad_as_conv(problem)
    assert inner is not None and inner.w is not None
    dy = arrays["dy"]
    xp = find_namespace(dy)
    ones = xp.ones(inner.w, dtype=dy.dtype, **device_options(dy))
    maps = xp.permute_dims(dy, (1, 0, *range(2, dy.ndim)))
    return (take_one(run(inner, {"x": maps, "w": ones})).reshape(-1),)


def _bias_grad_arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return (arrays["dy"],)


def _count_additions(problem: Geometry) -> int:
    return math.prod(problem.y)


CONV_BIAS_GRAD = OperatorSpec(
    name="conv_bias_grad",
    inputs=("dy",),
    outputs=("db",),
    factors=("dy",),
    arguments=_bias_grad_arguments,
    reference=conv_bias_grad,
    loops=conv_bias_grad_by_loops,
    sum_length=count_positions,
    flops=_count_additions,
    family="sums",
    refused_data=SUMS,
    sums=list_added_sums,
    derivations=(Derivation(via="conv", needs=_bias_grad_as_conv, compute=_compute_bias_grad),),
)

"""The gradient of convolution by its kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operators.columns import is_small, multiplies_first, split_groups, widen, write_columns
from harness.problems.operators.cost import count_positions, count_product_flops, list_product_sums
from harness.problems.operators.derivation import Derivation, Runner, take_one
from harness.problems.operators.geometry import Geometry, P
from harness.problems.operators.positions import find_source, is_inside, steps
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import OperatorSpec
from harness.problems.taps import ALL, EVERY, find_namespace, pad_or_crop, tap_slices
from harness.problems.window import Sizes, Window


def conv_weight_grad(dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
    """dw[o,c,u] = sum over n, i of dy[n,o,i] x[n, c, s*i + d*u - begin] (specification 1.6, 1.12)."""
    dy, x, groups = widen(dy), widen(x), window.groups
    padded = pad_or_crop(x, window.cover(x.shape[2:], w_shape[2:]), 0.0, np)
    columns = split_groups(dy, groups)
    if is_small(x.shape, dy.shape[2:], w_shape[2:]):
        windows = write_columns(padded, groups, dy.shape[2:], w_shape[2:], window)
        dw = (columns @ windows.swapaxes(2, 3)).sum(axis=0)
    elif w_shape[0] == groups and multiplies_first(w_shape[1], window) and np.isfinite(padded).all():
        dw = _weight_grad_single(dy, padded, w_shape, window)
    else:
        dw = _weight_grad_by_taps(columns, padded, dy.shape[2:], w_shape, window)
    return np.asarray(dw.reshape(w_shape))


def _weight_grad_by_taps(columns: Array, padded: Array, out: Sizes, w_shape: Sizes, window: Window) -> Array:
    """The sum tap by tap: no window is written out. columns: dy as n g o/g (prod out); returns g o/g c/g *k."""
    groups = window.groups
    dw = np.zeros((groups, w_shape[0] // groups, w_shape[1], *w_shape[2:]))
    for tap, at in tap_slices(out, w_shape[2:], window):
        part = split_groups(padded[(*EVERY, *at)], groups)
        dw[(ALL, *EVERY, *tap)] = (
            np.einsum("ngop,ngcp->goc", columns, part)  # a product of vectors is no work for BLAS
            if w_shape[0] == groups and w_shape[1] == 1
            else (columns @ part.transpose(0, 1, 3, 2)).sum(axis=0)
        )
    return dw


def _weight_grad_single(dy: Array, padded: Array, w_shape: Sizes, window: Window) -> Array:
    """One output channel per group: lay dy out as each tap sees it, then one product with the whole input.

    Finite inputs only: it multiplies what a tap does not read by zero.
    """
    groups, taps = w_shape[0], math.prod(w_shape[2:])
    laid = np.zeros((dy.shape[0], groups, taps, *padded.shape[2:]))
    for number, (_, at) in enumerate(tap_slices(dy.shape[2:], w_shape[2:], window)):
        laid[(*EVERY, number, *at)] = dy
    laid = laid.reshape(*laid.shape[:3], math.prod(padded.shape[2:])).transpose(0, 1, 3, 2)  # n g s k
    return np.asarray((split_groups(padded, groups) @ laid).sum(axis=0))


def conv_weight_grad_by_loops(dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
    """dw[o,c,u] = sum over n, i of dy[n,o,i] x[n, c, s*i + d*u - begin] (specification 1.6, 1.12)."""
    dw = np.zeros(w_shape)
    per_group = w_shape[0] // window.groups
    for o, c in steps(w_shape[:2]):
        for u in steps(w_shape[2:]):
            for n in range(x.shape[0]):
                for i in steps(dy.shape[2:]):
                    place, channel = find_source(i, u, window), o // per_group * w_shape[1] + c
                    value = float(x[(n, channel, *place)]) if is_inside(place, x.shape[2:]) else 0.0  # padding is read
                    dw[(o, c, *u)] += float(dy[(n, o, *i)]) * value
    return dw


def _weight_grad_as_conv(problem: P, /) -> P | None:
    w, window = problem.w, problem.window
    if w is None or window.groups != 1:
        return None
    cover = window.cover(problem.x[2:], w[2:])
    size = tuple(n + b + e for n, (b, e) in zip(problem.x[2:], cover, strict=True))
    return problem.with_(
        operator="conv",
        x=(problem.x[1], problem.x[0], *size),
        w=(w[0], problem.x[0], *problem.y[2:]),
        window=Window.of(problem.axes, stride=window.dilation, dilation=window.stride),
    )


def _compute_weight_grad(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """dw = x correlated with dy, batch and channels swapped, stride and dilation swapped.

    (specification 1.6, 1.7, 1.12)
    """
    inner = _weight_grad_as_conv(problem)
    assert inner is not None and problem.w is not None
    x, dy = arrays["x"], arrays["dy"]
    xp, rest = find_namespace(x), tuple(range(2, x.ndim))
    covered = pad_or_crop(x, problem.window.cover(problem.x[2:], problem.w[2:]), 0.0, xp)
    swapped = {"x": xp.permute_dims(covered, (1, 0, *rest)), "w": xp.permute_dims(dy, (1, 0, *rest))}
    return (xp.permute_dims(take_one(run(inner, swapped)), (1, 0, *rest)),)


def _weight_grad_arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["dy"], arrays["x"], problem.w, problem.window


CONV_WEIGHT_GRAD = OperatorSpec(
    name="conv_weight_grad",
    inputs=("dy", "x"),
    outputs=("dw",),
    factors=("dy", "x"),
    arguments=_weight_grad_arguments,
    reference=conv_weight_grad,
    loops=conv_weight_grad_by_loops,
    sum_length=count_positions,
    flops=count_product_flops,
    family="layers",
    refused_data=SUMS,
    special="x",
    sums=list_product_sums,
    derivations=(Derivation(via="conv", needs=_weight_grad_as_conv, compute=_compute_weight_grad),),
)

"""Convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArrays
from harness.problems.operators.columns import is_small, multiplies_first, split_groups, widen, write_columns
from harness.problems.operators.cost import count_gathered, count_product_flops, list_product_sums
from harness.problems.operators.geometry import Geometry, under
from harness.problems.operators.positions import find_source, is_inside, steps
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import Gradient, OperatorSpec
from harness.problems.taps import ALL, EVERY, pad_or_crop, tap_slices
from harness.problems.window import Sizes, Window


def conv(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """y[n,o,i] = b[o] + sum over c, u of w[o,c,u] x[n, c, s*i + d*u - begin] (specification, sections 1 and 3)."""
    x, w, groups = widen(x), widen(w), window.groups
    out = window.output_shape(x.shape[2:], w.shape[2:])
    padded = pad_or_crop(x, window.cover(x.shape[2:], w.shape[2:]), 0.0, np)
    if is_small(x.shape, out, w.shape[2:]):
        y = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])) @ write_columns(
            padded, groups, out, w.shape[2:], window
        )
    else:
        y = _conv_by_taps(padded, w, out, window)
    y = y.reshape(x.shape[0], w.shape[0], *out)
    return y if b is None else y + widen(b).reshape(1, -1, *(1,) * len(out))


def _conv_by_taps(padded: Array, w: Array, out: Sizes, window: Window) -> Array:
    """The sum tap by tap: no window is written out. Returns n g o/g (prod out)."""
    groups = window.groups
    by_group = w.reshape(groups, w.shape[0] // groups, w.shape[1], *w.shape[2:])
    if w.shape[0] == groups and multiplies_first(w.shape[1], window):
        return _conv_single(padded, by_group[:, 0], out, window)
    y = np.zeros((padded.shape[0], groups, w.shape[0] // groups, math.prod(out)))
    for tap, at in tap_slices(out, w.shape[2:], window):
        y += by_group[(ALL, *EVERY, *tap)] @ split_groups(padded[(*EVERY, *at)], groups)
    return y


def _conv_single(padded: Array, w: Array, out: Sizes, window: Window) -> Array:
    """One output channel per group: multiply channels first, for all taps at once, then shift and add.

    padded: n c *s, w: g c/g *k; reads the input once instead of once per tap.
    """
    groups, kernel = w.shape[0], w.shape[2:]
    rows = w.reshape(groups, w.shape[1], math.prod(kernel)).transpose(0, 2, 1)  # g k c/g
    maps = (rows @ split_groups(padded, groups)).reshape(padded.shape[0], groups, math.prod(kernel), *padded.shape[2:])
    y = np.zeros((padded.shape[0], groups, *out))
    for number, (_, at) in enumerate(tap_slices(out, kernel, window)):
        y += maps[(*EVERY, number, *at)]
    return y


def conv_by_loops(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """y[n,o,i] = b[o] + sum over c, u of w[o,c,u] x[n, c, s*i + d*u - begin] (specification, sections 1 and 3)."""
    n_images, spatial, kernel = x.shape[0], x.shape[2:], w.shape[2:]
    y = np.zeros((n_images, w.shape[0], *window.output_shape(spatial, kernel)))
    per_group = w.shape[0] // window.groups
    for n, o in steps((n_images, w.shape[0])):
        for i in steps(y.shape[2:]):
            total = 0.0 if b is None else float(b[o])
            for c in range(w.shape[1]):
                for u in steps(kernel):
                    place, channel = find_source(i, u, window), o // per_group * w.shape[1] + c
                    value = float(x[(n, channel, *place)]) if is_inside(place, spatial) else 0.0  # padding is read
                    total += float(w[(o, c, *u)]) * value
            y[(n, o, *i)] = total
    return y


def _arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["x"], arrays["w"], arrays.get("b"), problem.window


CONV = OperatorSpec(
    name="conv",
    inputs=("x", "w", "b"),
    outputs=("y",),
    factors=("x", "w"),
    arguments=_arguments,
    reference=conv,
    loops=conv_by_loops,
    sum_length=count_gathered,
    flops=count_product_flops,
    family="layers",
    refused_data=SUMS,
    sums=list_product_sums,
    gradients=(
        Gradient(name="dx", problem=under("conv_input_grad"), takes={"dy": "dy", "w": "w"}),
        Gradient(name="dw", problem=under("conv_weight_grad"), takes={"dy": "dy", "x": "x"}),
        Gradient(name="db", problem=under("conv_bias_grad"), takes={"dy": "dy"}),
    ),
)

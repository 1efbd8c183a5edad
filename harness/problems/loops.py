"""The reference as plain loops over the formulas of the specification, in Python floats: slow, and checked by eye.

Every function has the signature of a backend's method and works in float64 for any number of spatial axes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.problems.window import Sizes, Window

Array = NDArray[Any]


def walk(sizes: Sizes) -> Iterator[Sizes]:
    """Yield every position of these sizes, the last axis fastest."""
    return itertools.product(*map(range, sizes))


def find_source(position: Sizes, tap: Sizes, window: Window) -> Sizes:
    """Input position s*i + d*u - begin of a tap u at an output position i (specification, section 5)."""
    return tuple(
        i * s + u * d - begin
        for i, u, s, d, (begin, _) in zip(position, tap, window.stride, window.dilation, window.padding, strict=True)
    )


def lies_inside(place: Sizes, spatial: Sizes) -> bool:
    """Whether a position is one of the input, and not of its padding."""
    return all(0 <= at < n for at, n in zip(place, spatial, strict=True))


def conv(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """y[n,o,i] = b[o] + sum over c, u of w[o,c,u] x[n, c, s*i + d*u - begin] (specification, sections 1 and 3)."""
    n_images, spatial, kernel = x.shape[0], x.shape[2:], w.shape[2:]
    y = np.zeros((n_images, w.shape[0], *window.output_shape(spatial, kernel)))
    per_group = w.shape[0] // window.groups
    for n, o in walk((n_images, w.shape[0])):
        for i in walk(y.shape[2:]):
            total = 0.0 if b is None else float(b[o])
            for c in range(w.shape[1]):
                for u in walk(kernel):
                    place = find_source(i, u, window)
                    if lies_inside(place, spatial):
                        channel = o // per_group * w.shape[1] + c
                        total += float(w[(o, c, *u)]) * float(x[(n, channel, *place)])
            y[(n, o, *i)] = total
    return y


def conv_input_grad(dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += w[o,c,u] dy[n,o,i]: the transpose of `conv` (specification, section 5)."""
    dx = np.zeros(x_shape)
    per_group = w.shape[0] // window.groups
    for n, o in walk(dy.shape[:2]):
        for i in walk(dy.shape[2:]):
            for c in range(w.shape[1]):
                for u in walk(w.shape[2:]):
                    place = find_source(i, u, window)
                    if lies_inside(place, x_shape[2:]):
                        channel = o // per_group * w.shape[1] + c
                        dx[(n, channel, *place)] += float(w[(o, c, *u)]) * float(dy[(n, o, *i)])
    return dx


def conv_weight_grad(dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
    """dw[o,c,u] = sum over n, i of dy[n,o,i] x[n, c, s*i + d*u - begin] (specification 1.6, 1.12)."""
    dw = np.zeros(w_shape)
    per_group = w_shape[0] // window.groups
    for o, c in walk(w_shape[:2]):
        for u in walk(w_shape[2:]):
            for n in range(x.shape[0]):
                for i in walk(dy.shape[2:]):
                    place = find_source(i, u, window)
                    if lies_inside(place, x.shape[2:]):
                        channel = o // per_group * w_shape[1] + c
                        dw[(o, c, *u)] += float(dy[(n, o, *i)]) * float(x[(n, channel, *place)])
    return dw


def conv_bias_grad(dy: Array) -> Array:
    """db[o] = sum over n, i of dy[n,o,i] (specification 1.14)."""
    db = np.zeros(dy.shape[1])
    for n, o in walk(dy.shape[:2]):
        for i in walk(dy.shape[2:]):
            db[o] += float(dy[(n, o, *i)])
    return db


def conv_transpose(x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
    """y[n, c, s*i + d*u - begin] += w[o,c,u] x[n,o,i], plus b[c]: C transposed times x (specification, section 3)."""
    spatial = window.transposed_shape(x.shape[2:], w.shape[2:], output_padding)
    y = conv_input_grad(x, w, (x.shape[0], w.shape[1] * window.groups, *spatial), window)
    if b is not None:
        for n, c in walk(y.shape[:2]):
            y[n, c] += float(b[c])
    return y


def max_pool(x: Array, window: Window) -> tuple[Array, Array]:
    """y = max over the window, padding as -inf; the first in row-major order wins, NaN wins over all."""
    assert window.kernel is not None
    spatial = x.shape[2:]
    shape = (*x.shape[:2], *window.output_shape(spatial, window.kernel))
    y, indices = np.full(shape, -math.inf), np.full(shape, -1, dtype=np.int64)
    for n, c in walk(shape[:2]):
        for i in walk(shape[2:]):
            for u in walk(window.kernel):
                place = find_source(i, u, window)
                if not lies_inside(place, spatial):
                    continue
                value, best, at = float(x[(n, c, *place)]), y[(n, c, *i)], (n, c, *i)
                if indices[at] < 0 or value > best or (math.isnan(value) and not math.isnan(best)):
                    y[at] = value
                    indices[at] = np.ravel_multi_index(place, spatial)
    return y, indices


def max_pool_grad(dy: Array, x: Array, indices: Array, window: Window) -> Array:
    """dx[n, c, indices[n,c,i]] += dy[n,c,i] (specification 1.17)."""
    dx = np.zeros((*x.shape[:2], math.prod(x.shape[2:])))
    for n, c in walk(dy.shape[:2]):
        for i in walk(dy.shape[2:]):
            if indices[(n, c, *i)] >= 0:
                dx[n, c, indices[(n, c, *i)]] += float(dy[(n, c, *i)])
    return dx.reshape(x.shape)


def _divisor(position: Sizes, spatial: Sizes, window: Window) -> int:
    """Taps that count: inside the input, or inside input and explicit padding; never the ceil overhang."""
    assert window.kernel is not None
    count = 1
    for axis, (n, (begin, end)) in enumerate(zip(spatial, window.padding, strict=True)):
        low, high = (-begin, n + end) if window.count_include_pad else (0, n)
        start = position[axis] * window.stride[axis] - begin
        count *= sum(low <= start + u * window.dilation[axis] < high for u in range(window.kernel[axis]))
    return count


def avg_pool(x: Array, window: Window) -> Array:
    """y = sum over the window / divisor (specification, section 4); 0/0 for a window of padding only is 0."""
    assert window.kernel is not None
    spatial = x.shape[2:]
    y = np.zeros((*x.shape[:2], *window.output_shape(spatial, window.kernel)))
    for n, c in walk(y.shape[:2]):
        for i in walk(y.shape[2:]):
            places = [find_source(i, u, window) for u in walk(window.kernel)]
            total = math.fsum(float(x[(n, c, *place)]) for place in places if lies_inside(place, spatial))
            y[(n, c, *i)] = total / max(1, _divisor(i, spatial, window))
    return y


def avg_pool_grad(dy: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += dy[n,c,i] / divisor[i] (specification 1.17)."""
    assert window.kernel is not None
    dx = np.zeros(x_shape)
    for n, c in walk(dy.shape[:2]):
        for i in walk(dy.shape[2:]):
            share = float(dy[(n, c, *i)]) / max(1, _divisor(i, x_shape[2:], window))
            for u in walk(window.kernel):
                place = find_source(i, u, window)
                if lies_inside(place, x_shape[2:]):
                    dx[(n, c, *place)] += share
    return dx

"""The fast float64 reference, proven equal to the plain loops; the suites use this one.

Every function has the signature of a backend's method. Windows are written out where they are small, so that
sums are one matrix product; large ones run tap by tap over strided slices, channels by BLAS.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.problems.calling import bind_operator, name_outputs
from harness.problems.problem import Problem
from harness.problems.taps import (
    ALL,
    EVERY,
    inner_slices,
    mean_divisors,
    pad_or_crop,
    tap_slices,
    view_windows,
    window_slices,
)
from harness.problems.window import Sizes, Window

Array = NDArray[Any]
MOST_COLUMNS = 2**20  # elements of all windows together: 8 MiB in float64
SUM_COST = 3  # how many additions of arrays cost as much as the sum over one axis of a small one
MOST_PARTS = 2**15  # elements of all that a transposed product adds up: what leaves the first cache is slower at once


def _wide(a: Array) -> Array:
    return np.asarray(a).astype(np.float64)


def _by_group(a: Array, groups: int) -> Array:
    """Split channels and flatten space: (n, c, *s) to (n, g, c/g, prod s)."""
    return a.reshape(a.shape[0], groups, a.shape[1] // groups, math.prod(a.shape[2:]))


def _columns(padded: Array, groups: int, out: Sizes, kernel: Sizes, window: Window) -> Array:
    """Every window of the covered input, written out as a column: n g (c/g prod k) (prod out)."""
    images, channels = padded.shape[:2]
    rows = channels // groups * math.prod(kernel)
    return view_windows(padded, out, kernel, window).reshape(images, groups, rows, math.prod(out))


def _is_small(x_shape: Sizes, out: Sizes, kernel: Sizes, most: int = MOST_COLUMNS) -> bool:
    """Whether the windows of all maps are better written out at once; otherwise operators go tap by tap."""
    taps = math.prod(kernel)
    return taps > 1 and math.prod(x_shape[:2]) * math.prod(out) * taps <= most


def conv(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """y[n,o,i] = b[o] + sum over c, u of w[o,c,u] x[n, c, s*i + d*u - begin] (SPEC sections 1 and 3)."""
    x, w, groups = _wide(x), _wide(w), window.groups
    out = window.output_shape(x.shape[2:], w.shape[2:])
    padded = pad_or_crop(x, window.cover(x.shape[2:], w.shape[2:]), 0.0, np)
    if _is_small(x.shape, out, w.shape[2:]):
        y = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])) @ _columns(
            padded, groups, out, w.shape[2:], window
        )
    else:
        y = _conv_by_taps(padded, w, out, window)
    y = y.reshape(x.shape[0], w.shape[0], *out)
    return y if b is None else y + _wide(b).reshape(1, -1, *(1,) * len(out))


def _conv_by_taps(padded: Array, w: Array, out: Sizes, window: Window) -> Array:
    """The sum tap by tap: no window is written out. Returns n g o/g (prod out)."""
    groups = window.groups
    by_group = w.reshape(groups, w.shape[0] // groups, w.shape[1], *w.shape[2:])
    if w.shape[0] == groups and _multiplies_first(w.shape[1], window):
        return _conv_single(padded, by_group[:, 0], out, window)
    y = np.zeros((padded.shape[0], groups, w.shape[0] // groups, math.prod(out)))
    for tap, at in tap_slices(out, w.shape[2:], window):
        y += by_group[(ALL, *EVERY, *tap)] @ _by_group(padded[(*EVERY, *at)], groups)
    return y


def _multiplies_first(channels: int, window: Window) -> bool:
    """Whether one output channel is cheaper by channels than by taps: many channels, and no position skipped."""
    return channels >= 8 and math.prod(window.stride) == 1


def _conv_single(padded: Array, w: Array, out: Sizes, window: Window) -> Array:
    """One output channel per group: multiply channels first, for all taps at once, then shift and add.

    padded: n c *s, w: g c/g *k; reads the input once instead of once per tap.
    """
    groups, kernel = w.shape[0], w.shape[2:]
    rows = w.reshape(groups, w.shape[1], math.prod(kernel)).transpose(0, 2, 1)  # g k c/g
    maps = (rows @ _by_group(padded, groups)).reshape(padded.shape[0], groups, math.prod(kernel), *padded.shape[2:])
    y = np.zeros((padded.shape[0], groups, *out))
    for number, (_, at) in enumerate(tap_slices(out, kernel, window)):
        y += maps[(*EVERY, number, *at)]
    return y


def conv_input_grad(dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += w[o,c,u] dy[n,o,i]: the transpose of `conv` (SPEC section 5)."""
    dy, w, groups, kernel = _wide(dy), _wide(w), window.groups, w.shape[2:]
    cover = window.cover(x_shape[2:], kernel)
    grown = tuple(n + b + max(0, e) for n, (b, e) in zip(x_shape[2:], cover, strict=True))
    padded, columns = np.zeros((x_shape[0], x_shape[1], *grown)), _by_group(dy, groups)
    if _is_small(x_shape, dy.shape[2:], kernel, MOST_PARTS):
        rows = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])).transpose(0, 2, 1)  # g (c/g k) o/g
        _add_windows(padded, (rows @ columns).reshape(*x_shape[:2], *kernel, *dy.shape[2:]), window)
    else:
        by_group = w.reshape(groups, w.shape[0] // groups, w.shape[1], *kernel)
        for tap, at in tap_slices(dy.shape[2:], kernel, window):
            part = by_group[(ALL, *EVERY, *tap)].transpose(0, 2, 1) @ columns
            padded[(*EVERY, *at)] += part.reshape(*x_shape[:2], *dy.shape[2:])
    return np.ascontiguousarray(padded[(*EVERY, *inner_slices(x_shape[2:], cover))])


def _add_windows(padded: Array, parts: Array, window: Window) -> None:
    """Add every window to the covered input that it comes from: tap by tap or window by window, whatever is fewer.

    parts: n c *k *out.
    """
    axes = padded.ndim - 2
    kernel, out = parts.shape[2 : 2 + axes], parts.shape[2 + axes :]
    if math.prod(kernel) <= math.prod(out):
        for tap, at in tap_slices(out, kernel, window):
            padded[(*EVERY, *at)] += parts[(*EVERY, *tap)]
    else:
        for place, at in window_slices(out, kernel, window):
            padded[(*EVERY, *at)] += parts[(*EVERY, *(ALL,) * axes, *place)]


def conv_weight_grad(dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
    """dw[o,c,u] = sum over n, i of dy[n,o,i] x[n, c, s*i + d*u - begin] (1.6, 1.12)."""
    dy, x, groups = _wide(dy), _wide(x), window.groups
    padded = pad_or_crop(x, window.cover(x.shape[2:], w_shape[2:]), 0.0, np)
    columns = _by_group(dy, groups)
    if _is_small(x.shape, dy.shape[2:], w_shape[2:]):
        windows = _columns(padded, groups, dy.shape[2:], w_shape[2:], window)
        dw = (columns @ windows.swapaxes(2, 3)).sum(axis=0)
    elif w_shape[0] == groups and _multiplies_first(w_shape[1], window) and np.isfinite(padded).all():
        dw = _weight_grad_single(dy, padded, w_shape, window)
    else:
        dw = _weight_grad_by_taps(columns, padded, dy.shape[2:], w_shape, window)
    return np.asarray(dw.reshape(w_shape))


def _weight_grad_by_taps(columns: Array, padded: Array, out: Sizes, w_shape: Sizes, window: Window) -> Array:
    """The sum tap by tap: no window is written out. columns: dy as n g o/g (prod out); returns g o/g c/g *k."""
    groups = window.groups
    dw = np.zeros((groups, w_shape[0] // groups, w_shape[1], *w_shape[2:]))
    for tap, at in tap_slices(out, w_shape[2:], window):
        part = _by_group(padded[(*EVERY, *at)], groups)
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
    return np.asarray((_by_group(padded, groups) @ laid).sum(axis=0))


def conv_bias_grad(dy: Array) -> Array:
    """db[o] = sum over n, i of dy[n,o,i] (1.14)."""
    return np.asarray(_wide(dy).sum(axis=(0, *range(2, dy.ndim))))


def conv_transpose(x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
    """y = C transposed times x, plus b, with C the matrix of `conv` (SPEC section 3)."""
    spatial = window.transposed_shape(x.shape[2:], w.shape[2:], output_padding)
    y = conv_input_grad(x, w, (x.shape[0], w.shape[1] * window.groups, *spatial), window)
    return y if b is None else y + _wide(b).reshape(1, -1, *(1,) * len(spatial))


def max_pool(x: Array, window: Window, ties: str = "first", nan_index: str = "first") -> tuple[Array, Array]:
    """y = max over the window, padding as -inf; the first in row-major order wins, NaN wins over all.

    Selection is exact in any dtype, so x keeps its own; indices are flat over the spatial axes of x.
    ties, nan_index: "last" for the last of several equal maxima, or of several NaN, as a backend may declare.
    """
    assert window.kernel is not None
    spatial = x.shape[2:]
    out, cover = window.output_shape(spatial, window.kernel), window.cover(spatial, window.kernel)
    places = np.arange(math.prod(spatial), dtype=np.int64).reshape(1, 1, *spatial)
    wide = x if x.dtype.itemsize > 2 else x.astype(np.float32)  # exact, and compared many times as fast
    places, padded = pad_or_crop(places, cover, -1, np), pad_or_crop(wide, cover, -math.inf, np)
    special = not np.isfinite(wide).all()
    plain = ties == "first" and not special
    if plain and x.size and _is_small(x.shape, out, window.kernel):
        y, indices = _select(padded, places, out, window)
    else:
        y, indices = _select_by_taps(padded, places, out, window, special, ties, nan_index)
    return y.astype(x.dtype), indices


def _select(padded: Array, places: Array, out: Sizes, window: Window) -> tuple[Array, Array]:
    """The first maximum of every window of finite numbers, among all of its taps at once.

    padded: with -inf beyond the input. places: the flat index of each element, -1 beyond the input.
    """
    assert window.kernel is not None
    values = _columns(padded, padded.shape[1], out, window.kernel, window)  # n c k p
    first = values.argmax(axis=2)
    y = np.take_along_axis(values, first[:, :, None], axis=2)
    at = _columns(places, 1, out, window.kernel, window)[0, 0]  # k p
    indices = at[first, np.arange(math.prod(out))]  # all taps in padding: the first of them, which is -1
    return y.reshape(*padded.shape[:2], *out), indices.reshape(*padded.shape[:2], *out)


def _select_by_taps(
    padded: Array, places: Array, out: Sizes, window: Window, special: bool, ties: str, nan_index: str
) -> tuple[Array, Array]:
    """The maximum of every window tap by tap, for large inputs, NaN, infinities and other rules for ties."""
    assert window.kernel is not None
    y = np.full((*padded.shape[:2], *out), -math.inf, dtype=padded.dtype)
    indices = np.full(y.shape, -1, dtype=np.int64)
    for _, at in tap_slices(out, window.kernel, window):
        value, place = padded[(*EVERY, *at)], places[(*EVERY, *at)]
        wins = value > y
        if special:
            wins |= (np.isnan(value) & ~np.isnan(y)) | ((indices < 0) & (place >= 0))
        if ties == "last":
            wins |= (value == y) & (place >= 0)
        if special and nan_index == "last":
            wins |= np.isnan(value)
        np.copyto(y, value, where=wins)
        np.copyto(indices, np.broadcast_to(place, wins.shape), where=wins)
    return y, indices


def max_pool_grad(dy: Array, x: Array, indices: Array, window: Window) -> Array:
    """dx[n, c, indices[n,c,i]] += dy[n,c,i] (1.17)."""
    maps, area = x.shape[0] * x.shape[1], math.prod(x.shape[2:])
    by_map = indices.reshape(maps, math.prod(dy.shape[2:]))
    flat, valid = by_map + np.arange(maps)[:, None] * area, by_map >= 0
    dx = np.bincount(flat[valid], weights=_wide(dy).reshape(by_map.shape)[valid], minlength=maps * area)
    return dx.reshape(x.shape)


def divisor_map(spatial: Sizes, window: Window) -> Array:
    """Divisor of every mean-pooling window, shape P."""
    counts = [np.asarray(axis, dtype=np.float64) for axis in mean_divisors(spatial, window)]
    return reduce(np.multiply.outer, counts)


def avg_pool(x: Array, window: Window) -> Array:
    """y = sum over the window / divisor (SPEC section 4), axis by axis; 0/0 for a window of padding only is 0."""
    assert window.kernel is not None
    out = window.output_shape(x.shape[2:], window.kernel)
    total = pad_or_crop(_wide(x), window.cover(x.shape[2:], window.kernel), 0.0, np)
    for axis in reversed(range(len(out))):  # the last axis first: what follows runs over shorter rows
        total = _sum_axis(total, axis, out[axis], window)
    return np.asarray(total / divisor_map(x.shape[2:], window))


def avg_pool_grad(dy: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += dy[n,c,i] / divisor[i] (1.17); spread axis by axis."""
    assert window.kernel is not None
    cover, out = window.cover(x_shape[2:], window.kernel), dy.shape[2:]
    grown = tuple(n + b + max(0, e) for n, (b, e) in zip(x_shape[2:], cover, strict=True))
    total = _wide(dy) / divisor_map(x_shape[2:], window)
    for axis in range(len(out)):
        total = _spread_axis(total, axis, grown[axis], window)
    return np.ascontiguousarray(total[(*EVERY, *inner_slices(x_shape[2:], cover))])


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


def rot180(w: Array) -> Array:
    """Turn a kernel (o, c, *k) by 180 degrees in space."""
    return w[(*EVERY, *(slice(None, None, -1),) * (w.ndim - 2))]


def compute(problem: Problem, arrays: Mapping[str, Array], source: Any = None) -> dict[str, Array]:
    """Reference outputs of a problem by name, in float64.

    problem: names the operator and its window. arrays: its inputs by name. source: a module with a function for each
    operator; None for this one, `harness.problems.loops` for the plain loops.
    """
    inputs = turn(problem, arrays)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and Inf are data, not accidents
        outputs = name_outputs(problem, bind_operator(source or sys.modules[__name__], problem, inputs)())
    return turn(problem, outputs)


def turn(problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Turn w and dw by 180 degrees where the problem is a true convolution, which makes it a correlation."""
    if not problem.flip:
        return dict(arrays)
    return {name: rot180(a) if name in ("w", "dw") else a for name, a in arrays.items()}

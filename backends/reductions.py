"""Operators without a kernel array: pooling, its gradients and the bias gradient, shared by backends.

They work on NumPy arrays and on arrays with NumPy's interface, such as CuPy's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from typing import Any

import numpy as np

from backends.guards import check_gradient, is_empty, pool_shape, sum_of_nothing
from harness import Window
from harness.problems import (
    EVERY,
    DeviceArray,
    Namespace,
    Padding,
    Sizes,
    inner_slices,
    mean_divisors,
    pad_or_crop,
    tap_slices,
    view_windows,
)

Index = tuple[slice, ...]
REDUCE_COST = 4  # how many calls on two arrays cost as much as one that reduces an axis of a small one
FEW_TAPS, MOST_WRITTEN = 9, 1 << 20  # of a window, and elements of all windows: between them they are written out
BLOCK_BYTES = 1 << 20  # of maps that are reduced together, so that they stay in the cache


def module_of(a: DeviceArray) -> Namespace:
    """Library of an array: numpy, or one with its interface, such as cupy."""
    return import_module(type(a).__module__.partition(".")[0])


def widen(a: DeviceArray) -> DeviceArray:
    """The array in the dtype of its sums: float16 becomes float32, others stay."""
    return a.astype("float32") if a.dtype.itemsize == 2 else a


def grown(spatial: Sizes, cover: Padding) -> Sizes:
    """Spatial size that holds the input and all of its windows."""
    return tuple(n + begin + max(0, end) for n, (begin, end) in zip(spatial, cover, strict=True))


def map_blocks(shape: Sizes, map_bytes: int, limit: int) -> Iterator[Index]:
    """Return slices over images and channels (n c ...) whose feature maps together stay within a memory limit.

    shape: n c ... of the array. map_bytes: bytes of one feature map, with its temporaries. limit: bytes per block.
    """
    images, channels = shape[:2]
    maps = max(1, limit // map_bytes)
    n, c = max(1, maps // channels), min(maps, channels)
    for i, j in itertools.product(range(0, images, n), range(0, channels, c)):
        yield slice(i, i + n), slice(j, j + c)


def _axis_taps(axis: int, out: Sizes, window: Window) -> Iterator[Index]:
    """Index of each tap along one spatial axis, other axes whole."""
    assert window.kernel is not None
    s, d = window.stride[axis], window.dilation[axis]
    for u in range(window.kernel[axis]):
        yield (*EVERY, *(slice(None),) * axis, slice(u * d, u * d + (out[axis] - 1) * s + 1, s))


def _axis_windows(axis: int, out: Sizes, window: Window) -> Iterator[tuple[Index, Index]]:
    """Index of each window along one spatial axis, and of what it reads."""
    assert window.kernel is not None
    s, d, m = window.stride[axis], window.dilation[axis], window.kernel[axis]
    before = (*EVERY, *(slice(None),) * axis)
    for i in range(out[axis]):
        yield (*before, slice(i, i + 1)), (*before, slice(i * s, i * s + (m - 1) * d + 1, d))


class Reductions:
    """Operators without a kernel array, for NumPy arrays and for arrays with the same interface.

    Windows are combined axis by axis over strided slices; the place of a maximum is found tap by tap.
    """

    pool_bytes: int = BLOCK_BYTES

    def conv_bias_grad(self, dy: DeviceArray) -> DeviceArray:
        """db[o] = sum over n, i of dy[n,o,i]."""
        return widen(dy).sum(axis=(0, *range(2, dy.ndim))).astype(dy.dtype)

    def max_pool(self, x: DeviceArray, window: Window) -> tuple[DeviceArray, DeviceArray]:
        """y = max over the window, with its flat index; the first wins a tie, NaN wins over all."""
        shape = pool_shape(x.shape, window)
        xp, spatial, out = module_of(x), x.shape[2:], shape[2:]
        y, indices = xp.empty(shape, dtype=x.dtype), xp.empty(shape, dtype="int64")
        if is_empty(shape):
            return y, indices
        assert window.kernel is not None  # `pool_shape` refuses a window without one
        padded = pad_or_crop(widen(x), window.cover(spatial, window.kernel), -math.inf, xp)
        inside = _first_inside(xp, spatial, out, window)
        start, offsets = _linear_places(xp, spatial, out, window)
        for at in map_blocks(shape, math.prod(padded.shape[2:]) * padded.itemsize, self.pool_bytes):
            top = _along_axes(xp.maximum, padded[at], out, window)
            place, lowest = start + offsets[_first_tap(padded[at], top, window)], top == -math.inf
            if lowest.any():  # padding never wins
                place = xp.where(lowest, inside, place)
            y[at], indices[at] = _first_zeros(padded[at], top, x[at], place), place
        return y, indices

    def max_pool_grad(self, dy: DeviceArray, x: DeviceArray, indices: DeviceArray, window: Window) -> DeviceArray:
        """dx[indices] += dy, map by map."""
        check_gradient(dy.shape, pool_shape(x.shape, window))
        check_gradient(indices.shape, dy.shape)
        if is_empty(dy.shape):
            return sum_of_nothing(dy, x.shape)
        xp, area = module_of(dy), math.prod(x.shape[2:])
        maps = x.shape[0] * x.shape[1]
        flat = (indices.reshape(maps, -1) + area * xp.arange(maps)[:, None]).reshape(-1)
        values, outside = widen(dy).reshape(-1), indices.reshape(-1) < 0
        if outside.any():  # windows that lie in padding alone
            values, flat = values[~outside], flat[~outside]
        # bincount is the quickest scatter-add of both libraries, and sums in float64
        dx = xp.bincount(flat, weights=values, minlength=maps * area)
        return dx.reshape(x.shape).astype(dy.dtype)

    def avg_pool(self, x: DeviceArray, window: Window) -> DeviceArray:
        """y = sum over the window / divisor; the sum is taken axis by axis."""
        shape = pool_shape(x.shape, window)
        xp, out = module_of(x), shape[2:]
        y = xp.empty(shape, dtype=x.dtype)
        if is_empty(shape):
            return y
        assert window.kernel is not None  # `pool_shape` refuses a window without one
        padded = pad_or_crop(x, window.cover(x.shape[2:], window.kernel), 0.0, xp)
        share = _divisor_map(xp, x.shape[2:], window, widen(x[:0]).dtype)
        for at in map_blocks(x.shape, math.prod(padded.shape[2:]) * x.itemsize, self.pool_bytes):
            y[at] = _along_axes(xp.add, widen(padded[at]), out, window) / share
        return y

    def avg_pool_grad(self, dy: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """dx += dy / divisor over each window; the spread is made axis by axis."""
        check_gradient(dy.shape, pool_shape(x_shape, window))
        xp, out = module_of(dy), dy.shape[2:]
        dx = xp.empty(x_shape, dtype=dy.dtype)
        if is_empty(x_shape):
            return dx
        assert window.kernel is not None  # `pool_shape` refuses a window without one
        cover = window.cover(x_shape[2:], window.kernel)
        sizes, share = grown(x_shape[2:], cover), _divisor_map(xp, x_shape[2:], window, widen(dy[:0]).dtype)
        for at in map_blocks(x_shape, math.prod(sizes) * dy.itemsize, self.pool_bytes):
            total = widen(dy[at]) / share
            for axis in range(len(out)):
                shape = list(total.shape)
                shape[2 + axis] = sizes[axis]
                wider = xp.zeros(shape, dtype=total.dtype)
                if window.kernel[axis] <= out[axis]:
                    for tap in _axis_taps(axis, out, window):
                        wider[tap] += total
                else:
                    for one, reads in _axis_windows(axis, out, window):
                        wider[reads] += total[one]
                total = wider
            dx[at] = total[(*EVERY, *inner_slices(x_shape[2:], cover))]
        return dx


def _along_axes(combine: np.ufunc, a: DeviceArray, out: Sizes, window: Window) -> DeviceArray:
    """Combine the elements of every window of the covered input by a ufunc, one axis after the other."""
    assert window.kernel is not None
    for axis in reversed(range(len(out))):  # the last axis first: what follows runs over shorter rows
        if window.kernel[axis] <= REDUCE_COST * out[axis] or module_of(a) is not np:
            first, *rest = (a[tap] for tap in _axis_taps(axis, out, window))
            a = reduce(combine, rest, first)
        else:
            reads = (reads for _, reads in _axis_windows(axis, out, window))
            a = np.concatenate([combine.reduce(a[at], axis=2 + axis, keepdims=True) for at in reads], axis=2 + axis)
    return a


def _first_tap(padded: DeviceArray, top: DeviceArray, window: Window) -> DeviceArray:
    """Number of the first tap in row-major order whose value is the window's maximum; for a NaN, the first NaN."""
    assert window.kernel is not None
    xp, taps = module_of(top), math.prod(window.kernel)
    if xp is np and taps > FEW_TAPS and taps * top.size <= MOST_WRITTEN:
        windows = view_windows(padded, top.shape[2:], window.kernel, window)  # less work than some passes for every tap
        return windows.reshape(*top.shape[:2], taps, *top.shape[2:]).argmax(axis=2)
    number = xp.zeros(top.shape, dtype="uint8" if taps <= 256 else "int64")
    missing, nan = xp.ones(top.shape, dtype=bool), top != top
    any_nan = bool(nan.any())
    for _, at in tap_slices(top.shape[2:], window.kernel, window):
        value = padded[(*EVERY, *at)]
        behind = value < top
        if any_nan:
            behind |= nan & (value == value)
        missing &= behind
        number += missing  # counting passes over the taps is far quicker than masked copies
    return number


def _first_zeros(padded: DeviceArray, top: DeviceArray, x: DeviceArray, place: DeviceArray) -> DeviceArray:
    """The maxima, with the zero that is indexed where -0 and +0 are equal: which one comes out is the processor's."""
    xp, zero = module_of(top), top == 0
    if not (zero.any() and (xp.signbit(padded) & (padded == 0)).any()):
        return top
    flat, at = x.reshape(*x.shape[:2], -1), place.reshape(*place.shape[:2], -1)
    return xp.where(zero, xp.take_along_axis(flat, at, axis=2).reshape(top.shape), top)


def _linear_places(xp: Namespace, spatial: Sizes, out: Sizes, window: Window) -> tuple[DeviceArray, DeviceArray]:
    """Flat index of the first tap of every window, and what each tap adds to it."""
    assert window.kernel is not None
    start, offsets = xp.zeros((), dtype="int64"), xp.zeros((), dtype="int64")
    for n, p, m, s, d, (begin, _) in zip(
        spatial, out, window.kernel, window.stride, window.dilation, window.padding, strict=True
    ):
        start = start[..., None] * n + (xp.arange(p) * s - begin)
        offsets = offsets[..., None] * n + xp.arange(m) * d
    return start, offsets.reshape(-1)


def _first_inside(xp: Namespace, spatial: Sizes, out: Sizes, window: Window) -> DeviceArray:
    """Flat index of the first position of every window that lies inside the input, or -1."""
    assert window.kernel is not None
    flat, known = xp.zeros((), dtype="int64"), xp.ones((), dtype=bool)
    for n, p, m, s, d, (begin, _) in zip(
        spatial, out, window.kernel, window.stride, window.dilation, window.padding, strict=True
    ):
        start = xp.arange(p) * s - begin
        tap = xp.maximum(0, -(start // d))
        place = start + tap * d
        flat, known = flat[..., None] * n + place, known[..., None] & (tap < m) & (place < n)
    return xp.where(known, flat, -1)


def _divisor_map(xp: Namespace, spatial: Sizes, window: Window, dtype: np.dtype[Any]) -> DeviceArray:
    rows = [xp.asarray(row, dtype=dtype) for row in mean_divisors(spatial, window)]
    return reduce(lambda a, b: a[..., None] * b, rows)

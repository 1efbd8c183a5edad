"""Maximum pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArrays
from harness.problems.numerics import Tie
from harness.problems.operators.columns import is_small, write_columns
from harness.problems.operators.cost import count_pool_flops, list_maximum_sums
from harness.problems.operators.geometry import Geometry, under
from harness.problems.operators.positions import find_source, is_inside, steps
from harness.problems.operators.spec import Gradient, OperatorSpec
from harness.problems.taps import EVERY, pad_or_crop, tap_slices
from harness.problems.window import Sizes, Window


def max_pool(x: Array, window: Window, ties: Tie = "first", nan_index: Tie = "first") -> tuple[Array, Array]:
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
    if plain and x.size and is_small(x.shape, out, window.kernel):
        y, indices = _select(padded, places, out, window)
    else:
        y, indices = _select_by_taps(padded, places, out, window, special, ties, nan_index)
    return y.astype(x.dtype), indices


def _select(padded: Array, places: Array, out: Sizes, window: Window) -> tuple[Array, Array]:
    """The first maximum of every window of finite numbers, among all of its taps at once.

    padded: with -inf beyond the input. places: the flat index of each element, -1 beyond the input.
    """
    assert window.kernel is not None
    values = write_columns(padded, padded.shape[1], out, window.kernel, window)  # n c k p
    first = values.argmax(axis=2)
    y = np.take_along_axis(values, first[:, :, None], axis=2)
    at = write_columns(places, 1, out, window.kernel, window)[0, 0]  # k p
    indices = at[first, np.arange(math.prod(out))]  # all taps in padding: the first of them, which is -1
    return y.reshape(*padded.shape[:2], *out), indices.reshape(*padded.shape[:2], *out)


def _select_by_taps(
    padded: Array, places: Array, out: Sizes, window: Window, special: bool, ties: Tie, nan_index: Tie
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


def max_pool_by_loops(x: Array, window: Window) -> tuple[Array, Array]:
    """y = max over the window, padding as -inf; the first in row-major order wins, NaN wins over all."""
    assert window.kernel is not None
    spatial = x.shape[2:]
    shape = (*x.shape[:2], *window.output_shape(spatial, window.kernel))
    y, indices = np.full(shape, -math.inf), np.full(shape, -1, dtype=np.int64)
    for n, c in steps(shape[:2]):
        for i in steps(shape[2:]):
            for u in steps(window.kernel):
                place = find_source(i, u, window)
                if not is_inside(place, spatial):
                    continue
                value, best, at = float(x[(n, c, *place)]), y[(n, c, *i)], (n, c, *i)
                if indices[at] < 0 or value > best or (math.isnan(value) and not math.isnan(best)):
                    y[at] = value
                    indices[at] = np.ravel_multi_index(place, spatial)
    return y, indices


def _arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["x"], problem.window


def _count_selected(problem: Geometry) -> int:
    """A maximum is one element of its window."""
    return 1


MAX_POOL = OperatorSpec(
    name="max_pool",
    inputs=("x",),
    outputs=("y", "indices"),
    factors=("x",),
    arguments=_arguments,
    reference=max_pool,
    loops=max_pool_by_loops,
    sum_length=_count_selected,
    flops=count_pool_flops,
    family="maxima",
    pools=True,
    sums=list_maximum_sums,
    selects=True,
    linear=False,
    gradients=(
        Gradient(name="dx", problem=under("max_pool_grad"), takes={"dy": "dy", "x": "x", "indices": "indices"}),
    ),
)

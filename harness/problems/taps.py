"""Array helpers that the reference, the derivations and backends share: padding by cropping, and tap slices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from harness.problems.arrays import Array, DeviceArray, Namespace
from harness.problems.window import Padding, Sizes, Window

Slices = tuple[slice, ...]
ALL: Any = slice(None)
EVERY: tuple[Any, ...] = (ALL, ALL)  # all images and channels


def pad_or_crop(x: DeviceArray, padding: Padding, value: float, xp: Namespace) -> DeviceArray:
    """Pad the spatial axes of x with a value; a negative end crops what lies beyond.

    x: n c *s, any array namespace xp with `full` and slice assignment; returns x itself where nothing changes.
    padding: (begin, end) per axis; negative numbers crop. value: of the padding. xp: array namespace.
    """
    if not any(side for pair in padding for side in pair):
        return x
    spatial = x.shape[2:]
    extent = tuple(n + b + e for n, (b, e) in zip(spatial, padding, strict=True))
    kept = tuple(max(0, min(n, size - b)) for n, size, (b, _) in zip(spatial, extent, padding, strict=True))
    x = x[(*EVERY, *map(slice, kept))]
    if kept == extent:
        return x
    out = xp.full((*x.shape[:2], *extent), value, dtype=x.dtype, **device_options(x))
    out[(*EVERY, *inner_slices(kept, padding))] = x
    return out


def inner_slices(spatial: Sizes, padding: Padding) -> Slices:
    """Return the slices of an array of this spatial size in its padded form."""
    return tuple(slice(b, b + n) for n, (b, _) in zip(spatial, padding, strict=True))


def tap_slices(out: Sizes, kernel: Sizes, window: Window) -> Iterator[tuple[Sizes, Slices]]:
    """Every tap in row-major order with the strided slices that it reads from the covered input.

    out: sizes of the output. kernel: sizes of the kernel. window: the window.
    """
    axes = [
        [slice(u * d, u * d + (p - 1) * s + 1, s) for u in range(m)]
        for m, d, p, s in zip(kernel, window.dilation, out, window.stride, strict=True)
    ]
    return zip(itertools.product(*map(range, kernel)), itertools.product(*axes), strict=True)


def window_slices(out: Sizes, kernel: Sizes, window: Window) -> Iterator[tuple[Sizes, Slices]]:
    """Every window in row-major order with the slices of the covered input that its taps read.

    out: sizes of the output. kernel: sizes of the kernel. window: the window.
    """
    axes = [
        [slice(i * s, i * s + (m - 1) * d + 1, d) for i in range(p)]
        for m, d, p, s in zip(kernel, window.dilation, out, window.stride, strict=True)
    ]
    return zip(itertools.product(*map(range, out)), itertools.product(*axes), strict=True)


def view_windows(padded: Array, out: Sizes, kernel: Sizes, window: Window) -> Array:
    """Every window of the covered input, taps before positions: a view of shape n c *k *out, not to be written to.

    padded: input with its padding. out: sizes of the output. kernel: sizes of the kernel. window: the window.
    """
    steps = padded.strides[2:]
    taps = (step * d for step, d in zip(steps, window.dilation, strict=True))
    moves = (step * s for step, s in zip(steps, window.stride, strict=True))
    return as_strided(padded, (*padded.shape[:2], *kernel, *out), (*padded.strides[:2], *taps, *moves), writeable=False)


def find_namespace(x: DeviceArray) -> Namespace:
    """Return the library of an array, with the functions of the array API.

    For NumPy it is NumPy itself, which has had them since version 2.1: `array_api_compat` copies that library name by
    name, which imports all of its parts, compilers included.
    """
    if isinstance(x, np.ndarray | np.generic):
        return np
    from array_api_compat import array_namespace

    return array_namespace(x)


def device_options(x: DeviceArray) -> dict[str, Any]:
    """Arguments that make a new array on the device of x: only torch needs them said."""
    return {"device": x.device} if type(x).__module__.partition(".")[0] == "torch" else {}


def mean_divisors(spatial: Sizes, window: Window) -> list[list[int]]:
    """Return, per axis, the number of taps that count in each mean-pooling window; a divisor is their product.

    Taps inside input and explicit padding count with count_include_pad, otherwise only taps inside the input; never in
    the
    ceil overhang. A window of padding only counts 1, so that 0/0 becomes 0 (specification, section 4).
    """
    assert window.kernel is not None
    out = window.output_shape(spatial, window.kernel)
    counts = []
    for n, p, m, s, d, (begin, end) in zip(
        spatial, out, window.kernel, window.stride, window.dilation, window.padding, strict=True
    ):
        low, high = (-begin, n + end) if window.count_include_pad else (0, n)
        starts = range(-begin, p * s - begin, s)
        # taps u with low <= start + u d < high: from ceil((low - start) / d) up to ceil((high - start) / d)
        counts.append([max(1, min(m, -((at - high) // d)) - max(0, -((at - low) // d))) for at in starts])
    return counts

"""Array helpers of the fast float64 references.

Small problems copy all windows, so that sums are one matrix product; large ones run tap by tap over strided slices,
with channels summed by BLAS.
"""

from __future__ import annotations

import math

import numpy as np

from harness.problems.arrays import Array
from harness.problems.taps import view_windows
from harness.problems.window import Sizes, Window

MOST_COLUMNS = 2**20  # elements of all windows together: 8 MiB in float64
MOST_PARTS = 2**15  # elements of all that a transposed product adds up: what leaves the first cache is slower at once


def widen(a: Array) -> Array:
    """Convert an array to float64."""
    return np.asarray(a).astype(np.float64)


def split_groups(a: Array, groups: int) -> Array:
    """Split channels and flatten space: (n, c, *s) to (n, g, c/g, prod s)."""
    return a.reshape(a.shape[0], groups, a.shape[1] // groups, math.prod(a.shape[2:]))


def write_columns(padded: Array, groups: int, out: Sizes, kernel: Sizes, window: Window) -> Array:
    """Copy every window of the covered input into a column: n g (c/g prod k) (prod out).

    padded: covered input, n c *s. groups: of channels. out: spatial sizes of the output. kernel: sizes of the kernel.
    window: stride and dilation.
    """
    images, channels = padded.shape[:2]
    rows = channels // groups * math.prod(kernel)
    return view_windows(padded, out, kernel, window).reshape(images, groups, rows, math.prod(out))


def is_small(x_shape: Sizes, out: Sizes, kernel: Sizes) -> bool:
    """Return True if copying the windows of all feature maps at once is faster than running tap by tap.

    x_shape: n c *s. out: spatial sizes of the output. kernel: sizes of the kernel.
    """
    return math.prod(kernel) > 1 and _count(x_shape, out, kernel) <= MOST_COLUMNS


def has_few_parts(x_shape: Sizes, out: Sizes, kernel: Sizes) -> bool:
    """Return True if a transposed product is faster with all its addends in one array than tap by tap.

    x_shape: n c *s. out: spatial sizes of the output. kernel: sizes of the kernel.
    """
    return math.prod(kernel) > 1 and _count(x_shape, out, kernel) <= MOST_PARTS


def _count(x_shape: Sizes, out: Sizes, kernel: Sizes) -> int:
    """Number of elements of all windows of all feature maps."""
    return math.prod(x_shape[:2]) * math.prod(out) * math.prod(kernel)


def multiplies_first(channels: int, window: Window) -> bool:
    """Return True if one output channel is cheaper by channels than by taps: many channels, and stride 1."""
    return channels >= 8 and math.prod(window.stride) == 1

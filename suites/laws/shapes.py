"""Smaller convolutions with a problem's window: laws that call many times, or with many images, are asked on these."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness import Problem, Window
from harness.problems import Array, Sizes
from suites.laws.common import kernel_shape, whole_conv, wide

GROUPS = 2  # as many as are needed to tell groups apart


@dataclass(frozen=True, slots=True)
class Cut:
    """Shapes of x and w, and the window with the groups that are left."""

    x: Sizes
    w: Sizes
    window: Window


def filled_conv(problem: Problem) -> bool:
    """Return True for a convolution of integers with at least one image, channel and filter."""
    return whole_conv(problem) and 0 not in (*problem.x, *kernel_shape(problem))


def cut(problem: Problem, *, images: int = 1, channels: int = 1, outputs: int = 1, windows: int = 0) -> Cut:
    """Keep the kernel, the window and at most two groups of a convolution.

    channels, outputs: at most so many per group. windows: where given, each axis is made short enough for so many
    windows and, with a stride, one position that none of them reaches.
    """
    shape, groups = kernel_shape(problem), min(problem.window.groups, GROUPS)
    c, o = min(shape[1], channels), min(shape[0] // problem.window.groups, outputs)
    window = replace(problem.window, groups=groups)
    spatial = problem.x[2:]
    if windows:
        spatial = tuple(
            min(n, max(1, reach + (windows - 1) * s + (s > 1) - begin - end))
            for n, reach, s, (begin, end) in zip(
                spatial, window.reach(shape[2:]), window.stride, window.padding, strict=True
            )
        )
    return Cut((images, c * groups, *spatial), (o * groups, c, *shape[2:]), window)


def bare(window: Window) -> Window:
    """The window without padding."""
    return replace(window, padding=((0, 0),) * window.axes)


def nonzero(problem: Problem, name: str, shape: Sizes) -> Array:
    """Draw an array of the problem's integers with 1 in place of every 0.

    problem: with the seed. name: of the array. shape: n c *s.
    """
    a = wide(problem, name, shape)
    return np.where(a == 0, 1.0, a)


def by_channel(b: Array, axes: int) -> Array:
    """A value for each channel, shaped to be added to n c *s."""
    return b.reshape(1, -1, *(1,) * axes)

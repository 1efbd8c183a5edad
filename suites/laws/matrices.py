"""Laws of convolution as a matrix: its Toeplitz form, the columns of its input, and the sum over its taps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from harness import Deviation, Operator, Problem, Subject, Window, join, law
from harness.spec.reference import rot180
from harness.spec.taps import EVERY, fit, inner, tap_slices
from harness.spec.window import Sizes
from suites.laws.common import Array, equal, wide
from suites.laws.shapes import cut, filled_conv, nonzero

CONV, INPUT = Operator.conv, Operator.conv_input_grad
CHANNELS = 6  # of a group, at most, where every channel and tap has a unit kernel


@law(tolerance="exact", when=filled_conv, needs=(CONV, INPUT))
def toeplitz_matrix(subject: Subject, problem: Problem) -> Deviation:
    """C[(o,i), (c, s i + d t - begin)] = w[o,c,t], else 0;  C x = conv(x, w);  C^T dy = conv_input_grad(dy, w)

    The columns of C are the answers to unit images, all in one batch, so each row must be a shifted kernel. Any
    window, at most two groups, channels and filters, and three windows an axis.
    """
    small = cut(problem, channels=2, outputs=2, windows=3)
    size, w = math.prod(small.x[1:]), nonzero(problem, "w", small.w)
    units = np.eye(size).reshape(size, *small.x[1:])
    answers = subject.conv(units, w, window=small.window, flip=problem.flip)
    c = answers.reshape(size, -1).T
    x, dy = wide(problem, "x", small.x), wide(problem, "dy", (1, *answers.shape[1:]))
    wanted = toeplitz(rot180(w) if problem.flip else w, small.x, small.window)
    y, dx = subject.conv(x, w, window=small.window, flip=problem.flip), subject.input_grad(dy, w, x.shape, small.window)
    return join(
        equal(c, wanted, "C"),
        equal((c @ x.reshape(-1)).reshape(y.shape), y, "C x"),
        equal((c.T @ dy.reshape(-1)).reshape(dx.shape), dx, "C^T dy"),
    )


def toeplitz(w: Array, x_shape: Sizes, window: Window) -> Array:
    """The matrix of `conv` with kernel w on one image: a row for each (o, *i), a column for each (c, *place)."""
    spatial, out = x_shape[2:], window.output_shape(x_shape[2:], w.shape[2:])
    o, c = w.shape[0] // window.groups, w.shape[1]
    numbers = np.arange(1, math.prod(spatial) + 1).reshape(1, 1, *spatial)
    numbers = fit(numbers, window.cover(spatial, w.shape[2:]), 0, np)  # 0 stands for padding
    matrix = np.zeros((window.groups, o, math.prod(out), window.groups, c, math.prod(spatial)))
    by_group = w.reshape(window.groups, o, *w.shape[1:])
    for tap, at in tap_slices(out, w.shape[2:], window):
        places = numbers[(0, 0, *at)].reshape(-1)
        rows = np.flatnonzero(places)
        for g in range(window.groups):
            matrix[g][:, rows, g, :, places[rows] - 1] = by_group[(g, *EVERY, *tap)]
    return matrix.reshape(w.shape[0] * math.prod(out), -1)


@law(tolerance="exact", when=filled_conv, needs=(CONV, INPUT))
def columns_and_back(subject: Subject, problem: Problem) -> Deviation:
    """columns = conv(x, units):  W columns = conv(x, w);  conv_input_grad(columns, units) = multiplicity * x

    im2col and col2im: a unit kernel for every channel and tap, in one group; multiplicity counts the windows and taps
    that hold a position. Any window, flipped or not; one image, at most two groups and four windows an axis.
    """
    x, w, window = _short(problem)
    groups, together = window.groups, replace(window, groups=1)
    depth = x.shape[1] * math.prod(w.shape[2:])
    units = np.eye(depth).reshape(depth, x.shape[1], *w.shape[2:])
    columns = subject.conv(x, units, window=together, flip=problem.flip)
    y = subject.conv(x, w, window=window, flip=problem.flip)
    product = w.reshape(groups, w.shape[0] // groups, -1) @ columns.reshape(groups, depth // groups, -1)
    back = subject.input_grad(columns, units, x.shape, together)
    return join(
        equal(product.reshape(y.shape), y, "W columns"),
        equal(back, multiplicity(x.shape[2:], w.shape[2:], window) * x, "columns scattered back"),
    )


def _short(problem: Problem) -> tuple[Array, Array, Window]:
    """One image of four windows an axis, with at most two groups of CHANNELS channels and as many filters."""
    small = cut(problem, channels=CHANNELS, outputs=CHANNELS, windows=4)
    return wide(problem, "x", small.x), wide(problem, "w", small.w), small.window


def multiplicity(spatial: Sizes, kernel: Sizes, window: Window) -> Array:
    """How many pairs of a window and a tap hold each position of the input, shape S."""
    cover = window.cover(spatial, kernel)
    held = np.zeros((1, 1, *(n + b + max(0, e) for n, (b, e) in zip(spatial, cover, strict=True))))
    for _, at in tap_slices(window.output_shape(spatial, kernel), kernel, window):
        held[(*EVERY, *at)] += 1
    return np.asarray(held[(*EVERY, *inner(spatial, cover))][0, 0])


@law(tolerance="exact", when=filled_conv)
def taps_add_up(subject: Subject, problem: Problem) -> Deviation:
    """conv(x, w) = sum over taps t of w[:,:,t] conv(x, delta_t), with delta_t for every channel by itself

    All taps in one depthwise call with as many filters a channel as the kernel has taps. Any window, flipped or not;
    one image, at most two groups and four windows an axis. With `tap_probe` and linearity this fixes the operator: a
    bilinear map is known by its values on a basis.
    """
    x, w, window = _short(problem)
    groups, taps = window.groups, math.prod(w.shape[2:])
    deltas = np.tile(np.eye(taps), (x.shape[1], 1)).reshape(x.shape[1] * taps, 1, *w.shape[2:])
    shifted = subject.conv(x, deltas, window=replace(window, groups=x.shape[1]), flip=problem.flip)
    y = subject.conv(x, w, window=window, flip=problem.flip)
    parts = w.reshape(groups, w.shape[0] // groups, -1) @ shifted.reshape(groups, w.shape[1] * taps, -1)
    return equal(parts.reshape(y.shape), y, "sum over taps")

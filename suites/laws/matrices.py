"""Laws of convolution as a matrix: its Toeplitz form and its transpose, the columns of its input, the sum over taps."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, law, worst_of
from harness.problems import EVERY, Array, DeviceArray, Sizes, inner_slices, pad_or_crop, rot180, tap_slices
from suites.laws.common import equal, kernel_shape, wide
from suites.laws.shapes import by_channel, cut, filled_conv, nonzero

if TYPE_CHECKING:
    from scipy.sparse import coo_array, csr_array

CONV, INPUT, TRANSPOSE = Operator.conv, Operator.conv_input_grad, Operator.conv_transpose
CHANNELS = 6  # of a group, at most, where every channel and tap has a unit kernel
MOST_ENTRIES = 1 << 18  # of a sparse matrix that a law makes


@law(tolerance="exact", when=filled_conv, needs=(CONV, INPUT))
def toeplitz_matrix(subject: BackendUnderTest, problem: Problem) -> Deviation:
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
    return worst_of(
        equal(c, wanted, "C"),
        equal((c @ x.reshape(-1)).reshape(y.shape), y, "C x"),
        equal((c.T @ dy.reshape(-1)).reshape(dx.shape), dx, "C^T dy"),
    )


def toeplitz(w: Array, x_shape: Sizes, window: Window) -> Array:
    """Return the matrix of `conv` with kernel w on one image: a row for each (o, *i), a column for each (c, *place).

    w: o c/g *k. x_shape: n c *s. window: stride, padding, dilation, groups.
    """
    spatial, out = x_shape[2:], window.output_shape(x_shape[2:], w.shape[2:])
    o, c = w.shape[0] // window.groups, w.shape[1]
    numbers = np.arange(1, math.prod(spatial) + 1).reshape(1, 1, *spatial)
    numbers = pad_or_crop(numbers, window.cover(spatial, w.shape[2:]), 0, np)  # 0 stands for padding
    matrix = np.zeros((window.groups, o, math.prod(out), window.groups, c, math.prod(spatial)))
    by_group = w.reshape(window.groups, o, *w.shape[1:])
    for tap, at in tap_slices(out, w.shape[2:], window):
        places = numbers[(0, 0, *at)].reshape(-1)
        rows = np.flatnonzero(places)
        for g in range(window.groups):
            matrix[g][:, rows, g, :, places[rows] - 1] = by_group[(g, *EVERY, *tap)]
    return matrix.reshape(w.shape[0] * math.prod(out), -1)


def _has_a_small_matrix(problem: Problem) -> bool:
    """True for a transposed convolution of integers whose matrix has few entries, and some."""
    if problem.operator is not TRANSPOSE or problem.data != "integer":
        return False
    return 0 < math.prod(problem.x[2:]) * math.prod(kernel_shape(problem)) <= MOST_ENTRIES and problem.x[0] > 0


@law(tolerance="exact", when=_has_a_small_matrix, needs=(CONV, TRANSPOSE))
def transpose_is_the_matrix_turned(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """C = sum over taps t of W_t ⊗ S_t1 ⊗ ... ⊗ S_ta:  conv_transpose(z, w, b) = C^T z + b;  conv(x, w) = C x

    ⊗ is the Kronecker product of sparse matrices. W_t holds the numbers of tap t, a block for each group;
    S_t[i, s i + d t - begin] = 1 along one axis. Any window with any output padding, flipped or not.
    """
    z, w = wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))
    b = wide(problem, "b", (problem.y[1],)) if problem.bias else None
    y = subject.whole(problem, {"x": z, "w": w, "b": b})["y"]
    x = wide(problem, "dy", y.shape)
    forward = subject.conv(x, w, flip=problem.flip)
    matrix = kronecker(rot180(w) if problem.flip else w, y.shape[2:], z.shape[2:], problem.window)
    turned = (matrix.T @ z.reshape(len(z), -1).T).T.reshape(y.shape)
    return worst_of(
        equal(y, turned if b is None else turned + by_channel(b, problem.axes), "C^T z"),
        equal(forward, (matrix @ x.reshape(len(x), -1).T).T.reshape(z.shape), "C x"),
    )


def kronecker(w: Array, spatial: Sizes, out: Sizes, window: Window) -> csr_array:
    """Return the sparse matrix of `conv` with kernel w from images c *spatial to images o *out, summed over taps.

    w: o c/g *k. spatial, out: sizes of input and output. window: stride, padding, dilation, groups.
    """
    from scipy.sparse import block_diag, csr_array, kron

    steps = [
        [_select(n, p, s, d * tap - begin) for tap in range(m)]
        for n, p, m, s, d, (begin, _) in zip(
            spatial, out, w.shape[2:], window.stride, window.dilation, window.padding, strict=True
        )
    ]
    total: DeviceArray = 0
    for tap in itertools.product(*map(range, w.shape[2:])):
        blocks = np.split(w[(*EVERY, *tap)], window.groups)
        chosen = [row[u] for row, u in zip(steps, tap, strict=True)]
        total = total + kron(block_diag(blocks, format="csr"), reduce(kron, chosen), format="csr")
    return csr_array(total)


def _select(n: int, p: int, stride: int, shift: int) -> coo_array:
    """S[i, stride i + shift] = 1 for the p positions i, where that lies among n numbers."""
    from scipy.sparse import coo_array

    places = stride * np.arange(p) + shift
    rows = np.flatnonzero((places >= 0) & (places < n))
    return coo_array((np.ones(len(rows)), (rows, places[rows])), shape=(p, n))


@law(tolerance="exact", when=filled_conv, needs=(CONV, INPUT))
def columns_and_back(subject: BackendUnderTest, problem: Problem) -> Deviation:
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
    return worst_of(
        equal(product.reshape(y.shape), y, "W columns"),
        equal(back, multiplicity(x.shape[2:], w.shape[2:], window) * x, "columns scattered back"),
    )


def _short(problem: Problem) -> tuple[Array, Array, Window]:
    """One image of four windows an axis, with at most two groups of CHANNELS channels and as many filters."""
    small = cut(problem, channels=CHANNELS, outputs=CHANNELS, windows=4)
    return wide(problem, "x", small.x), wide(problem, "w", small.w), small.window


def multiplicity(spatial: Sizes, kernel: Sizes, window: Window) -> Array:
    """Return the number of pairs of a window and a tap that read each position of the input, shape S.

    spatial: sizes of the input. kernel: sizes of the kernel. window: stride, padding, dilation.
    """
    cover = window.cover(spatial, kernel)
    held = np.zeros((1, 1, *(n + b + max(0, e) for n, (b, e) in zip(spatial, cover, strict=True))))
    for _, at in tap_slices(window.output_shape(spatial, kernel), kernel, window):
        held[(*EVERY, *at)] += 1
    return np.asarray(held[(*EVERY, *inner_slices(spatial, cover))][0, 0])


@law(tolerance="exact", when=filled_conv)
def taps_add_up(subject: BackendUnderTest, problem: Problem) -> Deviation:
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

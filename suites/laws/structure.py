"""Metamorphic laws of convolution: effects of changed shapes, windows, batches and channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness import BackendUnderTest, Deviation, Problem, Window, law, worst_of
from harness.problems import EVERY, Array, pad_or_crop
from suites.laws.common import ALL, equal, kernel_shape, step, whole_conv, wide
from suites.laws.shapes import bare, by_channel


def _plain(problem: Problem) -> bool:
    return whole_conv(problem) and not problem.flip


def _operands(problem: Problem) -> tuple[Array, Array]:
    return wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))


def _padded(problem: Problem) -> bool:
    return _plain(problem) and any(side for pair in problem.window.padding for side in pair)


@law(tolerance="exact", when=_plain)
def linear_in_the_input(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x + h, w) = conv(x, w) + conv(h, w);  conv(2h - 3z, w) = 2 conv(h, w) - 3 conv(z, w)

    And conv(-x, w) = -conv(x, w). Any window; h and z of -1, 0 and 1 keep the sums exact.
    """
    x, w = _operands(problem)
    h, z = (step(problem, name, problem.x) for name in ("h", "z"))
    y, part = subject.conv(x, w), subject.conv(h, w)
    return worst_of(
        equal(subject.conv(x + h, w), y + part, "conv(x + h)"),
        equal(subject.conv(2 * h - 3 * z, w), 2 * part - 3 * subject.conv(z, w), "conv(2h - 3z)"),
        equal(subject.conv(-x, w), -y, "conv(-x)"),
    )


@law(tolerance="exact", when=_plain)
def linear_in_the_kernel(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, w + h) = conv(x, w) + conv(x, h);  conv(x, 2h - 3v) = 2 conv(x, h) - 3 conv(x, v)

    And conv(x, -w) = -conv(x, w). Any window; h and v of -1, 0 and 1 keep the sums exact.
    """
    x, w = _operands(problem)
    h, v = (step(problem, name, w.shape) for name in ("h", "v"))
    y, part = subject.conv(x, w), subject.conv(x, h)
    return worst_of(
        equal(subject.conv(x, w + h), y + part, "conv(w + h)"),
        equal(subject.conv(x, 2 * h - 3 * v), 2 * part - 3 * subject.conv(x, v), "conv(2h - 3v)"),
        equal(subject.conv(x, -w), -y, "conv(-w)"),
    )


def _axes_to_shift(problem: Problem) -> list[int]:
    """Axes along which two windows fit side by side into the input itself; none where one does not fit at all."""
    reach, n = problem.window.reach(problem.kernel), problem.x[2:]
    if any(r > size for r, size in zip(reach, n, strict=True)):
        return []
    return [axis for axis, s in enumerate(problem.window.stride) if reach[axis] + s <= n[axis]]


@law(tolerance="exact", when=lambda p: _plain(p) and bool(_axes_to_shift(p)))
def shift_by_a_stride(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x shifted by s, w; padding 0) = conv(x, w; padding 0) shifted by 1

    Each axis that has room in turn, by one stride of its own.
    """
    x, w = _operands(problem)
    window = bare(problem.window)
    y, deviations = subject.conv(x, w, window=window), []
    for axis in _axes_to_shift(problem):
        whole = (ALL,) * (2 + axis)
        shifted = subject.conv(x[(*whole, slice(window.stride[axis], None))], w, window=window)
        deviations.append(equal(shifted, y[(*whole, slice(1, None))], f"conv shifted on axis {axis}"))
    return worst_of(*deviations)


@law(tolerance="exact", when=lambda p: _plain(p) and any(d > 1 for d in p.window.dilation))
def dilation_is_an_upsampled_kernel(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, w; dilation d) = conv(x, up_d(w); dilation 1)

    up_d puts d-1 zeros between the taps.
    """
    x, w = _operands(problem)
    window = problem.window
    upsampled = np.zeros((*w.shape[:2], *window.reach(w.shape[2:])))
    upsampled[(*EVERY, *(slice(None, None, d) for d in window.dilation))] = w
    close = replace(window, dilation=(1,) * problem.axes)
    return equal(subject.conv(x, w), subject.conv(x, upsampled, window=close), "conv with dilation")


@law(tolerance="exact", when=lambda p: _plain(p) and any(s > 1 for s in p.window.stride))
def stride_is_subsampling(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, w; stride s) = conv(x, w; stride 1)[::s]

    Every axis by its own stride.
    """
    x, w = _operands(problem)
    dense = subject.conv(x, w, window=replace(problem.window, stride=(1,) * problem.axes))
    every = dense[(*EVERY, *(slice(None, None, s) for s in problem.window.stride))]
    return equal(subject.conv(x, w), every, "conv with stride")


@law(tolerance="exact", when=lambda p: _plain(p) and p.window.groups > 1)
def groups_are_block_diagonal(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, w; g groups) = conv(x, W), with W the block-diagonal kernel of all channels

    Depthwise convolution, with as many groups as channels, among them.
    """
    x, w = _operands(problem)
    groups = problem.window.groups
    o, c = w.shape[0] // groups, w.shape[1]
    dense = np.zeros((w.shape[0], c * groups, *w.shape[2:]))
    for g in range(groups):
        dense[g * o : (g + 1) * o, g * c : (g + 1) * c] = w[g * o : (g + 1) * o]
    return equal(subject.conv(x, w), subject.conv(x, dense, window=replace(problem.window, groups=1)), "grouped conv")


@law(tolerance="exact", when=_padded)
def padding_is_explicit_zeros(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, w; padding p) = conv(zeros around x, w; padding 0)

    Both sides of every axis by their own padding.
    """
    x, w = _operands(problem)
    padded = pad_or_crop(x, problem.window.padding, 0.0, np)
    return equal(subject.conv(x, w), subject.conv(padded, w, window=bare(problem.window)), "padded conv")


@law(tolerance="exact", when=lambda p: _plain(p) and p.x[0] > 1)
def images_do_not_mix(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x[pi], w)[n] = conv(x, w)[pi(n)];  conv(x[n:n+1], w) = conv(x, w)[n:n+1]

    The batch reversed, and its last image alone.
    """
    x, w = _operands(problem)
    y = subject.conv(x, w)
    return worst_of(
        equal(subject.conv(x[::-1], w), y[::-1], "conv of the reversed batch"),
        equal(subject.conv(x[-1:], w), y[-1:], "conv of the last image"),
    )


@law(tolerance="exact", when=lambda p: _plain(p) and p.window.groups == 1)
def channels_add_up(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, w) = sum over parts c of conv(x[:, c], w[:, c]);  permuting C in both changes nothing, O permutes y

    One group; the parts are single channels, or six of several. O is permuted in the filters and the bias.
    """
    x, w = _operands(problem)
    y, b = subject.conv(x, w), wide(problem, "b", w.shape[:1])
    biased = y + by_channel(b, problem.axes)
    some = np.array_split(np.arange(x.shape[1]), max(1, min(6, x.shape[1])))
    parts = sum((subject.conv(x[:, c], w[:, c]) for c in some), np.zeros(y.shape))
    return worst_of(
        equal(parts, y, "sum over channels"),
        equal(subject.conv(x[:, ::-1], w[:, ::-1]), y, "conv of reversed channels"),
        equal(subject.conv(x, w[::-1], b[::-1]), biased[:, ::-1], "conv with reversed filters"),
    )


def _fits_exactly(problem: Problem) -> bool:
    """True if the last window of every axis ends at the end of the padded input."""
    cover = problem.window.cover(problem.x[2:], problem.kernel)
    return all(end == wanted for (_, end), (_, wanted) in zip(problem.window.padding, cover, strict=True))


@law(tolerance="exact", when=lambda p: _plain(p) and _fits_exactly(p))
def reflection(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(reflected x, reflected w; paddings swapped) = reflected conv(x, w)

    Every axis; stride 1, or one with which the windows fit the padded input without remainder.
    """
    x, w = _operands(problem)
    back = (*EVERY, *(slice(None, None, -1),) * problem.axes)
    swapped = replace(problem.window, padding=tuple((e, b) for b, e in problem.window.padding))
    return equal(subject.conv(x[back], w[back], window=swapped), subject.conv(x, w)[back], "reflected conv")


@law(tolerance="exact", when=lambda p: _plain(p) and p.axes > 1)
def axes_exchange(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(xT, wT; strides, paddings and dilations exchanged) = conv(x, w)T

    The first spatial axis with the last.
    """
    x, w = _operands(problem)
    order = (0, 1, *reversed(range(2, x.ndim)))
    window = problem.window
    exchanged = Window(
        stride=window.stride[::-1], padding=window.padding[::-1], dilation=window.dilation[::-1], groups=window.groups
    )
    y = subject.conv(x.transpose(order), w.transpose(order), window=exchanged)
    return equal(y, subject.conv(x, w).transpose(order), "transposed conv")


@law(tolerance="exact", when=_plain)
def sums_multiply(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """sum of y[n,o] = sum over c of (sum of x[n,c]) (sum of w[o,c]), where every tap meets every position

    Stride 1 and padding m'-1 with the problem's kernel, dilation and groups.
    """
    x, w = _operands(problem)
    window, groups = problem.window, problem.window.groups
    full = Window.of(
        problem.axes, padding=tuple((r - 1, r - 1) for r in window.reach(w.shape[2:])), dilation=window.dilation,
        groups=groups,
    )  # fmt: skip
    space = tuple(range(2, x.ndim))
    total_x = x.sum(axis=space).reshape(x.shape[0], groups, w.shape[1])
    total_w = w.sum(axis=space).reshape(groups, w.shape[0] // groups, w.shape[1])
    wanted = np.einsum("ngc,goc->ngo", total_x, total_w).reshape(x.shape[0], w.shape[0])
    return equal(subject.conv(x, w, window=full).sum(axis=space), wanted, "sum of y")


@law(tolerance="exact", when=_plain)
def bias_shifts(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(0, w, b) = b, spread over every position of its map

    The input is zero, so nothing else is left.
    """
    _, w = _operands(problem)
    b = wide(problem, "b", w.shape[:1])
    y = subject.conv(np.zeros(problem.x), w, b)
    return equal(y, np.broadcast_to(b.reshape(1, -1, *(1,) * problem.axes), y.shape), "conv(0, w, b)")


@law(tolerance="exact", when=lambda p: _plain(p) and p.window.groups == 1 and p.x[1] > 0)
def impulse_response(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x = delta at p on channel c  =>  full correlation is rot180(w[:, c]) with its last tap at p

    Stride 1, dilation 1, padding m-1; one group.
    """
    _, w = _operands(problem)
    c, place = problem.x[1] - 1, tuple(n // 2 for n in problem.x[2:])
    x = np.zeros((1, *problem.x[1:]))
    x[(0, c, *place)] = 1.0
    full = Window.of(problem.axes, padding=tuple((m - 1, m - 1) for m in problem.kernel))
    wanted = np.zeros((1, w.shape[0], *(n + m - 1 for n, m in zip(problem.x[2:], problem.kernel, strict=True))))
    turned = w[(ALL, c, *(slice(None, None, -1),) * problem.axes)]
    wanted[(0, ALL, *(slice(p, p + m) for p, m in zip(place, problem.kernel, strict=True)))] = turned
    return equal(subject.conv(x, w, window=full), wanted, "impulse response")


def _associates(problem: Problem) -> bool:
    return _plain(problem) and problem.x[1] == 1 and kernel_shape(problem)[:2] == (1, 1)


@law(tolerance="exact", when=_associates)
def wide_convolution_associates(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """(x ⊛ w) ⊛ v = x ⊛ (w ⊛ v), all wide

    One channel; v of -1, 0 and 1 with two taps an axis.
    """
    x, w = _operands(problem)
    x, v = x[:1], step(problem, "v", (1, 1, *(2,) * problem.axes))

    def full(a: Array, k: Array) -> Array:
        window = Window.of(problem.axes, padding=tuple((m - 1, m - 1) for m in k.shape[2:]))
        return subject.conv(a, k, window=window, flip=True)

    return equal(full(full(x, w), v), full(x, full(w, v)), "(x ⊛ w) ⊛ v")

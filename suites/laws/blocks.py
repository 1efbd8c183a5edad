"""Laws of the blocks of networks: receptive fields, residual units and inception modules."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, law
from harness.problems import Array, Sizes
from suites.laws.common import equal, wide
from suites.laws.shapes import cut, filled_conv, nonzero

CONV, INPUT = Operator.conv, Operator.conv_input_grad
BRANCHES = (1, 3, 5)  # kernel sizes of an inception module


@law(tolerance="exact", when=filled_conv, needs=(INPUT,))
def receptive_field(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dy = 1 at (o,i) and 0 elsewhere  =>  dx is not 0 at s i - begin + {0, d, ..., m'-1}, and nowhere else

    m' = m + (m-1)(d-1) is the receptive field, of m positions d apart on each axis, as far as they lie in the input and
    in the channels of o's group. Every position of every filter in turn, with a kernel without zeros; any window,
    flipped or not; one channel and filter a group, at most two groups, three windows an axis.
    """
    small = cut(problem, windows=3)
    spatial, window, channels, groups = small.x[2:], small.window, small.x[1], small.window.groups
    out = window.output_shape(spatial, problem.kernel)
    size = small.w[0] * math.prod(out)
    units = np.eye(size).reshape(size, small.w[0], *out)
    dx = subject.input_grad(units, nonzero(problem, "w", small.w), (size, *small.x[1:]), window)
    field = mark_fields(spatial, out, window.reach(problem.kernel), window)
    own = np.kron(np.eye(groups), np.ones((small.w[0] // groups, channels // groups)))  # o c
    wanted = np.multiply.outer(own, field).swapaxes(1, 2).reshape(dx.shape)
    return equal((dx != 0).astype(float), wanted, "support of dx")


def mark_fields(spatial: Sizes, out: Sizes, reach: Sizes, window: Window) -> Array:
    """Return 1 where a position of the input lies in the receptive field of an output position, else 0: p *s.

    spatial: sizes of the input. out: sizes of the output. reach: effective kernel. window: stride and padding.
    """
    fields = []
    for n, p, r, s, d, (begin, _) in zip(
        spatial, out, reach, window.stride, window.dilation, window.padding, strict=True
    ):
        offset = np.arange(n) - (s * np.arange(p)[:, None] - begin)
        fields.append(((offset >= 0) & (offset < r) & (offset % d == 0)).astype(float))
    field = reduce(np.multiply.outer, fields)  # p1 s1 p2 s2 ...
    axes = range(len(spatial))
    return np.asarray(field.transpose(*(2 * a for a in axes), *(2 * a + 1 for a in axes)).reshape(-1, *spatial))


def _is_odd(problem: Problem) -> bool:
    return filled_conv(problem) and all(m % 2 == 1 for m in problem.kernel)


@law(tolerance="exact", when=_is_odd, needs=(CONV, INPUT))
def residual_unit(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """u(x) = conv(x, w) + x  =>  du = conv_input_grad(dy, w) + dy;  and du[p] = <dy, u(x + e_p) - u(x)>

    The identity passes dy on unchanged. The unit step at each position p in turn is exact, since the unit is
    linear. Equal width: stride 1 and padding (m'-1)/2 with the problem's odd kernel, dilation and at most two groups
    of at most two channels, as many filters; flipped or not; one image of at most m' positions an axis.
    """
    small = cut(problem, channels=2)
    reach, groups, channels = small.window.reach(problem.kernel), small.window.groups, small.x[1]
    window = _keep_width(replace(small.window, stride=(1,) * problem.axes), problem.kernel)
    shape = (1, channels, *(min(n, r) for n, r in zip(small.x[2:], reach, strict=True)))
    x, dy = wide(problem, "x", shape), wide(problem, "dy", shape)
    w = nonzero(problem, "w", (channels, channels // groups, *problem.kernel))

    def unit(a: Array) -> Array:
        return subject.conv(a, w, window=window, flip=problem.flip) + a

    steps = unit(x + np.eye(x.size).reshape(x.size, *shape[1:])) - unit(x)
    du = subject.input_grad(dy, w, shape, window) + dy
    return equal(du, (steps.reshape(x.size, -1) @ dy.reshape(-1)).reshape(shape), "gradient of the unit")


def _keep_width(window: Window, kernel: Sizes) -> Window:
    """The window with the padding (m'-1)/2 of both sides, with which stride 1 keeps the size; for odd kernels."""
    return replace(window, padding=tuple(((r - 1) // 2,) * 2 for r in window.reach(kernel)))


@law(tolerance="exact", when=lambda p: filled_conv(p) and p.dtype in ("float32", "float64"))
def inception_module(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x, (w1 in zeros, w3 in zeros, w5)) = (conv(x, w1), conv(x, w3), conv(x, w5)), concatenated over channels

    Kernels of 1, 3 and 5 taps an axis side by side, two filters each, with the padding of equal width; the smaller ones
    stand in the middle of five taps. The problem's stride and dilation, flipped or not; one group and image, at most
    two channels.
    """
    small = cut(problem, channels=2)
    window = replace(small.window, groups=1)
    x = wide(problem, "x", small.x)
    kernels = [nonzero(problem, f"branch of {m}", (2, x.shape[1], *(m,) * problem.axes)).clip(-2, 2) for m in BRANCHES]
    apart = [subject.conv(x, w, window=_keep_width(window, w.shape[2:]), flip=problem.flip) for w in kernels]
    together = np.zeros((2 * len(BRANCHES), *kernels[-1].shape[1:]))
    for number, (m, w) in enumerate(zip(BRANCHES, kernels, strict=True)):
        rim = (BRANCHES[-1] - m) // 2
        together[(slice(2 * number, 2 * number + 2), slice(None), *(slice(rim, rim + m),) * problem.axes)] = w
    y = subject.conv(x, together, window=_keep_width(window, together.shape[2:]), flip=problem.flip)
    return equal(y, np.concatenate(apart, axis=1), "conv of all branches at once")

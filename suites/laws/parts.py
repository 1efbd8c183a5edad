"""Laws of convolution taken apart and put together: by group, by image, by axis, and on constant input."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, law, worst_of
from harness.problems import EVERY, Array
from suites.laws.common import equal, kernel_shape, wide
from suites.laws.shapes import by_channel, cut, filled_conv, nonzero

FIRST, SECOND = 65, 3  # batches of unequal size, one above what is commonly taken at once


def _is_depthwise(problem: Problem) -> bool:
    return filled_conv(problem) and 1 < problem.window.groups == problem.x[1]


@law(tolerance="exact", when=_is_depthwise, restates=(Operator.conv,))
def depthwise_is_a_loop(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """groups = C:  conv(x, w)[:, c] = conv(x[:, c], w[c]), one call for each channel

    Any number of filters a channel, any window, flipped or not.
    """
    x, w, b = _operands(problem)
    filters, single = w.shape[0] // x.shape[1], replace(problem.window, groups=1)
    rows = [slice(c * filters, (c + 1) * filters) for c in range(x.shape[1])]
    loop = [
        subject.conv(x[:, c : c + 1], w[at], None if b is None else b[at], single, flip=problem.flip)
        for c, at in enumerate(rows)
    ]
    return equal(subject.conv(x, w, b, flip=problem.flip), np.concatenate(loop, axis=1), "depthwise conv")


@law(tolerance="exact", when=filled_conv)
def batches_concatenate(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv((A, B), w) = (conv(A, w), conv(B, w))

    Batches of 65 and 3 images, of one channel and one filter a group, at most two groups and four windows an axis. Any
    window, flipped or not.
    """
    small = cut(problem, images=FIRST + SECOND, windows=4)
    x, w = wide(problem, "x", small.x), wide(problem, "w", small.w)
    together, *apart = (
        subject.conv(part, w, window=small.window, flip=problem.flip) for part in (x, x[:FIRST], x[FIRST:])
    )
    return equal(together, np.concatenate(apart), "conv of both batches")


def find_interior(problem: Problem) -> tuple[slice, ...]:
    """Output positions whose windows lie wholly in the input, per axis."""
    reach, window = problem.window.reach(problem.kernel), problem.window
    return tuple(
        slice(-(-begin // s), (n + begin - r) // s + 1)
        for n, r, s, (begin, _) in zip(problem.x[2:], reach, window.stride, window.padding, strict=True)
    )


def _has_inside(problem: Problem) -> bool:
    return filled_conv(problem) and all(at.stop > at.start for at in find_interior(problem))


@law(tolerance="exact", when=_has_inside)
def constant_stays_constant(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x = 2 everywhere  =>  y[n,o,i] = 2 (sum of w[o]) + b[o], for windows that lie wholly inside the input

    For w and for |w|, since a smoothing kernel has no weight below 0. Any window, flipped or not.
    """
    _, drawn, b = _operands(problem)
    found = []
    for w, what in ((drawn, "conv of a constant"), (np.abs(drawn), "conv of a constant by |w|")):
        y = subject.conv(np.full(problem.x, 2.0), w, b, flip=problem.flip)[(*EVERY, *find_interior(problem))]
        sums = 2 * w.reshape(w.shape[0], -1).sum(axis=1) + (0 if b is None else b)
        found.append(equal(y, np.broadcast_to(by_channel(sums, problem.axes), y.shape), what))
    return worst_of(*found)


@law(tolerance="exact", when=lambda p: filled_conv(p) and p.axes > 1)
def separable_kernel(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """w = a bᵀ  =>  conv(x, w) = a pass along columns with a after a pass along rows with b

    One factor for every axis, others in every channel, each channel by itself; each pass takes the stride, padding and
    dilation of its own axis. Any window, flipped or not; one image.
    """
    x, window = wide(problem, "x", (1, *problem.x[1:])), replace(problem.window, groups=problem.x[1])
    kernel, channels = kernel_shape(problem)[2:], problem.x[1]
    factors = [_factor(problem, axis, (channels, 1, m)) for axis, m in enumerate(kernel)]
    shaped = [f.reshape(channels, 1, *(m if a == axis else 1 for a, m in enumerate(kernel)))
              for axis, f in enumerate(factors)]  # fmt: skip
    once = subject.conv(x, reduce(np.multiply, shaped), window=window, flip=problem.flip)
    for axis in reversed(range(problem.axes)):
        x = subject.conv(x, shaped[axis], window=_along(window, axis), flip=problem.flip)
    return equal(x, once, "one pass for each axis")


def _factor(problem: Problem, axis: int, shape: tuple[int, ...]) -> Array:
    """Numbers -1, 1 and 2, whose products stay small."""
    return nonzero(problem, f"factor {axis}", shape).clip(-1, 2)


def _along(window: Window, axis: int) -> Window:
    """The window of a pass along one axis."""
    here = [number == axis for number in range(window.axes)]
    return replace(
        window,
        stride=tuple(s if at else 1 for s, at in zip(window.stride, here, strict=True)),
        padding=tuple(p if at else (0, 0) for p, at in zip(window.padding, here, strict=True)),
        dilation=tuple(d if at else 1 for d, at in zip(window.dilation, here, strict=True)),
    )


@law(tolerance="exact", when=filled_conv)
def binomials_compose(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """(x ⊛_wide B_1) ⊛_wide B_2 = x ⊛_wide B_3, with B_n the binomial kernel (1 1) ⊛ ... ⊛ (1 1)

    What Gaussians obey, σ₁ ∘ σ₂ = sqrt(σ₁² + σ₂²), in whole numbers: B_n has the variance n/4. Each channel by itself,
    one image, stride and dilation 1.
    """
    x, axes = wide(problem, "x", (1, *problem.x[1:])), problem.axes

    def smooth(a: Array, n: int) -> Array:
        row = np.asarray([float(math.comb(n, k)) for k in range(n + 1)])
        kernel = reduce(np.multiply.outer, [row] * axes)
        window = Window.of(axes, padding=n, groups=a.shape[1])
        return subject.conv(a, np.broadcast_to(kernel, (a.shape[1], 1, *kernel.shape)), window=window)

    return equal(smooth(smooth(x, 1), 2), smooth(x, 3), "two blurs")


def _operands(problem: Problem) -> tuple[Array, Array, Array | None]:
    shape = kernel_shape(problem)
    b = wide(problem, "b", shape[:1]) if problem.bias else None
    return wide(problem, "x", problem.x), wide(problem, "w", shape), b

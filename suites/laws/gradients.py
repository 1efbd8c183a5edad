"""Gradient identities of SPEC section 5, the adjoint triple, and unit-step differences."""

from __future__ import annotations

import numpy as np

from harness import Deviation, Operator, Problem, Subject, Window, join, law
from harness.spec.taps import EVERY, fit
from suites.laws.common import Array, equal, inner, kernel_shape, step, whole_conv, wide

CONV, INPUT, WEIGHT, BIAS = (
    Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_bias_grad,
)  # fmt: skip


def _arrays(problem: Problem) -> tuple[Array, Array, Array]:
    """x, w and dy of a convolution."""
    return (
        wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem)), wide(problem, "dy", problem.y)
    )  # fmt: skip


def _plain(problem: Problem) -> bool:
    return whole_conv(problem) and not problem.flip


@law(tolerance="exact", when=lambda p: _plain(p) and p.window.groups == 1, needs=(CONV, WEIGHT), restates=(WEIGHT,))
def weight_gradient_is_correlation(subject: Subject, problem: Problem) -> Deviation:
    """dw = x~ ⋆ dy, with batch and channels swapped, stride d and dilation s  (1.6, 1.7, 1.12)

    x~ is the padded input; one group.
    """
    x, w, dy = _arrays(problem)
    covered = fit(x, problem.window.cover(x.shape[2:], w.shape[2:]), 0.0, np)
    window = Window.of(problem.axes, stride=problem.window.dilation, dilation=problem.window.stride)
    wanted = subject.conv(covered.swapaxes(0, 1), dy.swapaxes(0, 1), window=window).swapaxes(0, 1)
    return equal(subject.weight_grad(dy, x, w.shape), wanted, "dw")


@law(tolerance="exact", when=_plain, needs=(CONV, INPUT), restates=(INPUT,))
def input_gradient_is_wide_convolution(subject: Subject, problem: Problem) -> Deviation:
    """dx = rot180(w) ⋆_wide up_s(dy) = w ⊛_wide up_s(dy), channels swapped, padding cropped  (1.8, 1.9, 1.16)

    up_s puts s-1 zeros between the elements of dy; dilation stays that of the kernel.
    """
    x, w, dy = _arrays(problem)
    window, groups = problem.window, problem.window.groups
    reach = window.reach(w.shape[2:])
    padded = [n + b + e for n, (b, e) in zip(x.shape[2:], window.padding, strict=True)]
    stuffed = np.zeros((*dy.shape[:2], *(n - r + 1 for n, r in zip(padded, reach, strict=True))))
    stuffed[(*EVERY, *(slice(None, None, s) for s in window.stride))] = dy
    by_group = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    swapped = by_group.reshape(x.shape[1], w.shape[0] // groups, *w.shape[2:])
    wide_window = Window.of(
        problem.axes, padding=tuple((r - 1, r - 1) for r in reach), dilation=window.dilation, groups=groups
    )
    full = subject.conv(stuffed, swapped, window=wide_window, flip=True)
    crop = tuple(slice(b, b + n) for n, (b, _) in zip(x.shape[2:], window.padding, strict=True))
    return equal(subject.input_grad(dy, w, x.shape), full[(*EVERY, *crop)], "dx")


@law(tolerance="exact", when=_plain, needs=(BIAS,))
def bias_gradient_is_sum(subject: Subject, problem: Problem) -> Deviation:
    """db[o] = sum over n, i of dy[n,o,i]  (1.14)

    Summed in float64, exact on whole numbers.
    """
    dy = wide(problem, "dy", problem.y)
    return equal(subject.bias_grad(dy), dy.sum(axis=(0, *range(2, dy.ndim))), "db")


@law(tolerance="exact", when=whole_conv, needs=(CONV, INPUT))
def input_adjoint(subject: Subject, problem: Problem) -> Deviation:
    """<conv(x, w), dy> = <x, dx(dy, w)>

    All strides, paddings, dilations and groups.
    """
    x, w, dy = _arrays(problem)
    dx = subject.input_grad(dy, w, x.shape)
    return equal(inner(x, dx), inner(subject.conv(x, w, flip=problem.flip), dy), "<x, dx>")


@law(tolerance="exact", when=whole_conv, needs=(CONV, WEIGHT))
def weight_adjoint(subject: Subject, problem: Problem) -> Deviation:
    """<conv(x, w), dy> = <w, dw(dy, x)>

    All strides, paddings, dilations and groups.
    """
    x, w, dy = _arrays(problem)
    dw = subject.weight_grad(dy, x, w.shape)
    return equal(inner(w, dw), inner(subject.conv(x, w, flip=problem.flip), dy), "<w, dw>")


@law(tolerance="exact", when=whole_conv, needs=(CONV, BIAS))
def bias_adjoint(subject: Subject, problem: Problem) -> Deviation:
    """<conv(x, w, b) - conv(x, w), dy> = <b, db(dy)>, and conv(x, w, b) - conv(x, w) = b

    The bias is added once to every position of its own map.
    """
    x, w, dy = _arrays(problem)
    b = wide(problem, "b", w.shape[:1])
    shift = subject.conv(x, w, b, flip=problem.flip) - subject.conv(x, w, flip=problem.flip)
    spread = np.broadcast_to(b.reshape(1, -1, *(1,) * problem.axes), shift.shape)
    return join(
        equal(shift, spread, "y(b) - y(0)"), equal(inner(b, subject.bias_grad(dy)), inner(shift, dy), "<b, db>")
    )


@law(tolerance="exact", when=whole_conv, needs=(CONV, INPUT))
def input_unit_step(subject: Subject, problem: Problem) -> Deviation:
    """<dy, conv(x + h, w) - conv(x, w)> = <h, dx(dy, w)>

    conv is bilinear, so a difference with step 1 on whole numbers is the derivative, exactly.
    """
    x, w, dy = _arrays(problem)
    h = step(problem, "h", problem.x)
    change = subject.conv(x + h, w, flip=problem.flip) - subject.conv(x, w, flip=problem.flip)
    return equal(inner(h, subject.input_grad(dy, w, x.shape)), inner(dy, change), "<h, dx>")


@law(tolerance="exact", when=whole_conv, needs=(CONV, WEIGHT))
def weight_unit_step(subject: Subject, problem: Problem) -> Deviation:
    """<dy, conv(x, w + h) - conv(x, w)> = <h, dw(dy, x)>

    conv is bilinear, so a difference with step 1 on whole numbers is the derivative, exactly.
    """
    x, w, dy = _arrays(problem)
    h = step(problem, "h", w.shape)
    change = subject.conv(x, w + h, flip=problem.flip) - subject.conv(x, w, flip=problem.flip)
    return equal(inner(h, subject.weight_grad(dy, x, w.shape)), inner(dy, change), "<h, dw>")


def _whole_transpose(problem: Problem) -> bool:
    return problem.operator is Operator.conv_transpose and problem.data == "integer"


@law(
    tolerance="exact",
    when=_whole_transpose,
    needs=(Operator.conv_transpose, INPUT),
    restates=(Operator.conv_transpose,),
)
def transpose_is_input_gradient(subject: Subject, problem: Problem) -> Deviation:
    """conv_transpose(z, w, b) = conv_input_grad(z, w) + b

    Transposed convolution is C^T z with C the matrix of conv; output_padding only appends positions without a tap.
    """
    z, w = wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))
    b = wide(problem, "b", (problem.y[1],)) if problem.bias else None
    y = subject.whole(problem, {"x": z, "w": w, "b": b})["y"]
    wanted = subject.input_grad(z, w, problem.y)
    return equal(y, wanted if b is None else wanted + b.reshape(1, -1, *(1,) * problem.axes), "y")

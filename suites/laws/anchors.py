"""Absolute anchors: laws that a consistently wrong implementation cannot keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import BackendUnderTest, Deviation, Problem, law, worst_of
from harness.problems import EVERY, Array, pad_or_crop, tap_slices
from suites.laws.common import equal, kernel_shape, whole_conv, wide
from suites.laws.shapes import by_channel, filled_conv


@law(tolerance="exact", when=filled_conv)
def tap_probe(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """w = delta at (o, c, t)  =>  y[n,o,i] = x~[n, c, s i + d t]

    Every tap; each output channel reads one input channel, another one at each tap.
    """
    x, shape, groups = wide(problem, "x", problem.x), kernel_shape(problem), problem.window.groups
    padded = pad_or_crop(x, problem.window.cover(x.shape[2:], shape[2:]), 0.0, np)
    o = np.arange(shape[0])
    deviations = []
    for number, (tap, at) in enumerate(tap_slices(problem.y[2:], shape[2:], problem.window)):
        c = (o + number) % shape[1]
        w = np.zeros(shape)
        place = _turned(tap, shape[2:]) if problem.flip else tap
        at_tap: tuple[Any, ...] = (o, c, *place)
        w[at_tap] = 1.0
        wanted = padded[(*EVERY, *at)][:, o // (shape[0] // groups) * shape[1] + c]
        deviations.append(equal(subject.conv(x, w, flip=problem.flip), wanted, f"y for tap {list(tap)}"))
    return worst_of(*deviations)


def _turned(tap: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(m - 1 - t for m, t in zip(kernel, tap, strict=True))


def _is_pointwise(problem: Problem) -> bool:
    return whole_conv(problem) and set(problem.kernel) == {1} and problem.window.groups == 1 and not _padded(problem)


def _covers_input(problem: Problem) -> bool:
    return (
        whole_conv(problem) and problem.kernel == problem.x[2:] and problem.window.groups == 1 and not _padded(problem)
    )


def _padded(problem: Problem) -> bool:
    return any(side for pair in problem.window.padding for side in pair)


@law(tolerance="exact", when=_is_pointwise)
def pointwise_is_matmul(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """kernel 1x1:  y[n,:,i] = W x[n,:, s i] + b

    A convolution of one tap is a matrix product over channels.
    """
    x, w, b = _operands(problem)
    strided = x[(*EVERY, *(slice(None, None, s) for s in problem.window.stride))]
    wanted = np.einsum("oc,nc...->no...", w.reshape(w.shape[:2]), strided)
    return equal(subject.conv(x, w, b), _add_bias(wanted, b), "y")


@law(tolerance="exact", when=_covers_input)
def full_kernel_is_inner_product(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """kernel = whole input:  y[n,o] = <w[o], x[n]> + b[o]  (specification 1.10)

    A fully connected layer is a convolution whose kernel is the whole input.
    """
    x, w, b = _operands(problem)
    turned = w[(*EVERY, *(slice(None, None, -1),) * problem.axes)] if problem.flip else w
    wanted = x.reshape(x.shape[0], -1) @ turned.reshape(w.shape[0], -1).T
    y = subject.conv(x, w, b, flip=problem.flip)
    return equal(y, _add_bias(wanted.reshape(y.shape), b), "y")


def _operands(problem: Problem) -> tuple[Array, Array, Array | None]:
    shape = kernel_shape(problem)
    b = wide(problem, "b", shape[:1]) if problem.bias else None
    return wide(problem, "x", problem.x), wide(problem, "w", shape), b


def _add_bias(y: Array, b: Array | None) -> Array:
    return y if b is None else y + by_channel(b, y.ndim - 2)

"""The gradient of convolution by its input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operators.columns import has_few_parts, split_groups, widen
from harness.problems.operators.cost import count_product_flops, count_scattered, list_product_sums
from harness.problems.operators.derivation import Derivation, Runner
from harness.problems.operators.geometry import Geometry, P
from harness.problems.operators.positions import find_source, is_inside, steps
from harness.problems.operators.refused import SUMS
from harness.problems.operators.spec import OperatorSpec
from harness.problems.taps import ALL, EVERY, device_options, find_namespace, inner_slices, tap_slices, window_slices
from harness.problems.window import Sizes, Window


def conv_input_grad(dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += w[o,c,u] dy[n,o,i]: the transpose of `conv` (specification, section 5)."""
    dy, w, groups, kernel = widen(dy), widen(w), window.groups, w.shape[2:]
    cover = window.cover(x_shape[2:], kernel)
    grown = tuple(n + b + max(0, e) for n, (b, e) in zip(x_shape[2:], cover, strict=True))
    padded, columns = np.zeros((x_shape[0], x_shape[1], *grown)), split_groups(dy, groups)
    if has_few_parts(x_shape, dy.shape[2:], kernel):
        rows = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])).transpose(0, 2, 1)  # g (c/g k) o/g
        _add_windows(padded, (rows @ columns).reshape(*x_shape[:2], *kernel, *dy.shape[2:]), window)
    else:
        by_group = w.reshape(groups, w.shape[0] // groups, w.shape[1], *kernel)
        for tap, at in tap_slices(dy.shape[2:], kernel, window):
            part = by_group[(ALL, *EVERY, *tap)].transpose(0, 2, 1) @ columns
            padded[(*EVERY, *at)] += part.reshape(*x_shape[:2], *dy.shape[2:])
    return np.ascontiguousarray(padded[(*EVERY, *inner_slices(x_shape[2:], cover))])


def _add_windows(padded: Array, parts: Array, window: Window) -> None:
    """Add every window to the covered input that it comes from: tap by tap or window by window, whatever is fewer.

    parts: n c *k *out.
    """
    axes = padded.ndim - 2
    kernel, out = parts.shape[2 : 2 + axes], parts.shape[2 + axes :]
    if math.prod(kernel) <= math.prod(out):
        for tap, at in tap_slices(out, kernel, window):
            padded[(*EVERY, *at)] += parts[(*EVERY, *tap)]
    else:
        for place, at in window_slices(out, kernel, window):
            padded[(*EVERY, *at)] += parts[(*EVERY, *(ALL,) * axes, *place)]


def conv_input_grad_by_loops(dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
    """dx[n, c, s*i + d*u - begin] += w[o,c,u] dy[n,o,i]: the transpose of `conv` (specification, section 5)."""
    dx = np.zeros(x_shape)
    per_group = w.shape[0] // window.groups
    for n, o in steps(dy.shape[:2]):
        for i in steps(dy.shape[2:]):
            for c in range(w.shape[1]):
                for u in steps(w.shape[2:]):
                    place = find_source(i, u, window)
                    if is_inside(place, x_shape[2:]):
                        channel = o // per_group * w.shape[1] + c
                        dx[(n, channel, *place)] += float(w[(o, c, *u)]) * float(dy[(n, o, *i)])
    return dx


def _input_grad_as_conv(problem: P, /) -> P | None:
    w, window = problem.w, problem.window
    assert w is not None
    reach, groups = window.reach(w[2:]), window.groups
    return problem.with_(
        operator="conv",
        x=(problem.x[0], w[0], *(n + r - 1 for n, r in zip(problem.x[2:], reach, strict=True))),
        w=(problem.x[1], w[0] // groups, *w[2:]),
        window=Window.of(problem.axes, dilation=window.dilation, groups=groups),
    )


def _compute_input_grad(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """dx = rot180(w) wide-correlated with the zero-stuffed dy, channels swapped, padding cropped.

    (specification 1.8, 1.9, 1.16)
    """
    needed = _input_grad_as_conv(problem)
    dy, w = arrays["dy"], arrays["w"]
    xp, groups, window = find_namespace(dy), problem.window.groups, problem.window
    assert needed is not None
    stuffed = xp.zeros(needed.x, dtype=dy.dtype, **device_options(dy))
    target, source = [], []
    for size, p, s, reach, (begin, _) in zip(
        needed.x[2:], dy.shape[2:], window.stride, window.reach(w.shape[2:]), window.padding, strict=True
    ):
        shift = reach - 1 - begin  # where dy[0] falls; windows that lie in the padding alone fall outside
        first, last = max(0, -(shift // s)) if shift < 0 else 0, min(p - 1, (size - 1 - shift) // s)
        source.append(slice(first, last + 1))
        target.append(slice(first * s + shift, last * s + shift + 1, s) if last >= first else slice(0, 0))
    stuffed[(*EVERY, *target)] = dy[(*EVERY, *source)]
    turned = xp.flip(w, axis=tuple(range(2, w.ndim)))
    o, c = w.shape[0] // groups, w.shape[1]
    swapped = xp.permute_dims(turned.reshape(groups, o, c, *w.shape[2:]), (0, 2, 1, *range(3, w.ndim + 1)))
    return run(needed, {"x": stuffed, "w": swapped.reshape(groups * c, o, *w.shape[2:])})


def _input_grad_as_transpose(problem: P, /) -> P | None:
    assert problem.w is not None
    extra = tuple(
        n - ((p - 1) * s + reach - begin - end)
        for n, p, s, reach, (begin, end) in zip(
            problem.x[2:], problem.y[2:], problem.window.stride, problem.window.reach(problem.w[2:]),
            problem.window.padding, strict=True,
        )
    )  # fmt: skip
    return problem.with_(operator="conv_transpose", x=problem.y, output_padding=extra)


def _compute_input_grad_by_transpose(run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
    """conv_input_grad(dy, w) = conv_transpose(dy, w), the remainder of the stride as output padding."""
    needed = _input_grad_as_transpose(problem)
    assert needed is not None
    return run(needed, {"x": arrays["dy"], "w": arrays["w"]})


def _input_grad_arguments(problem: Geometry, arrays: DeviceArrays) -> tuple[Any, ...]:
    return arrays["dy"], arrays["w"], problem.x, problem.window


CONV_INPUT_GRAD = OperatorSpec(
    name="conv_input_grad",
    inputs=("dy", "w"),
    outputs=("dx",),
    factors=("dy", "w"),
    arguments=_input_grad_arguments,
    reference=conv_input_grad,
    loops=conv_input_grad_by_loops,
    sum_length=count_scattered,
    flops=count_product_flops,
    family="layers",
    refused_data=SUMS,
    sums=list_product_sums,
    derivations=(
        Derivation(via="conv_transpose", needs=_input_grad_as_transpose, compute=_compute_input_grad_by_transpose),
        Derivation(via="conv", needs=_input_grad_as_conv, compute=_compute_input_grad),
    ),
)

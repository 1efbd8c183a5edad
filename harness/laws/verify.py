"""Verification of a timed call: complete for small problems, by maps and by random signs for large ones.

Maps: a few (image, output channel) maps, including the last of both, are recomputed completely.
Signs (Freivalds): with random signs s over images and r over output channels, sum_no s_n r_o y_no = conv(sum_n s_n x_n,
sum_o r_o w_o) + (sum_n s_n)(sum_o r_o b_o) costs 1/(N O) of the problem and touches every element. By Hoeffding the sum
of the errors exceeds 8 ||e||_2 with probability below 3e-14, and ||e||_2 over n and o is at most the bound of one map
whose operands are sqrt(sum_n x_n^2) and sqrt(sum_o w_o^2) (Minkowski). Likewise for gradients, over the two axes that
are not summed, and for means, over all maps. Maxima are checked everywhere to be the elements at their indices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import numpy as np

from harness.laws.deviation import Deviation, compare_arrays, worst_of
from harness.laws.error_bounds import LAMBDA, check_outputs, judge_output, magnitude, sum_bound
from harness.problems import reference
from harness.problems.arrays import Array
from harness.problems.data import array_generator
from harness.problems.numerics import FORMATS, Numerics
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.taps import pad_or_crop

WHOLE_FLOPS = 4_000_000
MAPS = 3
POOLED = frozenset({Operator.max_pool, Operator.avg_pool, Operator.avg_pool_grad})


def verify(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Deviation:
    """Compare a call's outputs with the reference, in a time that is small compared with the call's own.

    arrays: inputs by name, on the host.
    outputs: by name, on the host.
    numerics: as declared by the backend.
    """
    if problem.flops <= WHOLE_FLOPS or problem.flip or problem.operator not in (*_CARRIERS, *POOLED):
        return check_outputs(problem, numerics, arrays, outputs, reference.compute(problem, arrays))
    if problem.operator in POOLED:
        return verify_pool(problem, numerics, arrays, outputs)
    name = problem.operator.outputs[0]
    parts = [_check_map(problem, numerics, arrays, outputs[name], number) for number in range(MAPS)]
    return worst_of(*parts, _check_signs(problem, numerics, arrays, outputs[name]))


def _check_map(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], got: Array, number: int) -> Deviation:
    """Recompute one output map: an image and output channel, or an (o, c) pair of the gradient of the kernel."""
    rng = array_generator(problem, f"map{number}")
    first, second = (int(rng.integers(n)) if number else n - 1 for n in got.shape[:2])
    part, inputs = _one_map(problem, arrays, first, second)
    wanted = reference.compute(part, inputs)[problem.operator.outputs[0]]
    found = judge_output(
        part, numerics, inputs, got[first : first + 1, second : second + 1], wanted, what=problem.operator.outputs[0]
    )
    return replace(found, index=(first, second, *found.index[2:]))


def _one_map(
    problem: Problem, arrays: Mapping[str, Array], first: int, second: int
) -> tuple[Problem, dict[str, Array]]:
    groups = problem.window.groups
    window = replace(problem.window, groups=1)
    assert problem.w is not None
    o, c = problem.w[0] // groups, problem.w[1]
    if problem.operator is Operator.conv_weight_grad:
        channel = first // o * c + second
        inputs = {"dy": arrays["dy"][:, first : first + 1], "x": arrays["x"][:, channel : channel + 1]}
        x, w = (problem.x[0], 1, *problem.x[2:]), (1, 1, *problem.w[2:])
        return problem.with_(x=x, w=w, window=window), inputs
    if problem.operator is Operator.conv:
        g = second // o
        inputs = {"x": arrays["x"][first : first + 1, g * c : (g + 1) * c], "w": arrays["w"][second : second + 1]}
        x, w = (1, c, *problem.x[2:]), (1, c, *problem.w[2:])
    else:
        g, within = second // c, second % c
        name = problem.operator.inputs[0]
        inputs = {
            name: arrays[name][first : first + 1, g * o : (g + 1) * o],
            "w": arrays["w"][g * o : (g + 1) * o, within : within + 1],
        }
        transposed = problem.operator is Operator.conv_transpose
        x, w = (1, o if transposed else 1, *problem.x[2:]), (o, 1, *problem.w[2:])
    if arrays.get("b") is not None:
        inputs["b"] = arrays["b"][second : second + 1]
    return problem.with_(x=x, w=w, window=window), inputs


# The two inputs, each with the axis over which it is contracted (images or channels of the output).
_CARRIERS: dict[Operator, tuple[tuple[str, str], tuple[str, str]]] = {
    Operator.conv: (("x", "images"), ("w", "rows")),
    Operator.conv_input_grad: (("dy", "images"), ("w", "columns")),
    Operator.conv_transpose: (("x", "images"), ("w", "columns")),
    Operator.conv_weight_grad: (("dy", "channels"), ("x", "channels")),
}


def _check_signs(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], got: Array) -> Deviation:
    """Contract both free axes of every group with random signs and compare with the contracted problem."""
    name, groups = problem.operator.outputs[0], problem.window.groups
    part, signs, contracted, norms = _contracted_problem(problem), [], {}, {}
    for carrier, axis in _CARRIERS[problem.operator]:
        a, shape = arrays[carrier], part.shapes[carrier]
        sizes = {"images": a.shape[:1], "rows": (groups, a.shape[0] // groups), "columns": (groups, a.shape[1])}
        sign = array_generator(problem, f"signs of {carrier}").choice(
            (-1.0, 1.0), size=sizes.get(axis, (groups, a.shape[1] // groups))
        )
        signs.append(sign)
        contracted[carrier] = _contract(a, axis, sign, 1).reshape(shape)
        norms[carrier] = np.sqrt(_contract(a, axis, np.ones_like(sign), 2)).reshape(shape)
    if name == "dw":
        found = np.einsum("goc...,go,gc->g...", _split_channels(got.astype(np.float64), groups, 0), *signs)
    else:
        found = np.einsum("go...,go->g...", _split_channels(_contract(got, "images", signs[0], 1), groups, 0), signs[1])
    if arrays.get("b") is not None:
        b = arrays["b"].astype(np.float64).reshape(groups, -1)
        images, channels = signs
        contracted["b"] = np.sum(b * channels, axis=1) * images.sum()
        norms["b"] = np.sqrt(np.sum(b * b, axis=1) * images.size)
    wanted = reference.compute(part, contracted)[name]
    size, out = magnitude(part, norms), FORMATS[problem.dtype]
    terms = math.sqrt(got.size / wanted.size)
    allowed = LAMBDA * (sum_bound(part, numerics, norms, size) + out.u * size + terms * out.smallest)
    return compare_arrays(found.reshape(wanted.shape), wanted, allowed, what=f"random signs of {name}", kind="bound")


def _contract(a: Array, axis: str, signs: Array, power: int) -> Array:
    """Sum a^power times signs over images (n), over rows or columns of a kernel, or over channels of each group (g c).

    Processes one image at a time, so that the float64 copy stays in the cache.
    """
    groups = signs.shape[0]
    if axis == "rows":
        return np.asarray(
            np.einsum("goc...,go->gc...", _split_channels(a.astype(np.float64) ** power, groups, 0), signs)
        )
    if axis == "columns":
        return np.asarray(
            np.einsum("goc...,gc->go...", _split_channels(a.astype(np.float64) ** power, groups, 0), signs)
        )
    if axis == "images":
        total = np.zeros(a.shape[1:])
        for sign, image in zip(signs, a, strict=True):
            total += sign * image.astype(np.float64) ** power
        return total
    rows = [(image.astype(np.float64) ** power).reshape(groups, a.shape[1] // groups, -1) for image in a]
    return np.stack([(signs[:, None] @ row)[:, 0] for row in rows])


def _split_channels(a: Array, groups: int, axis: int) -> Array:
    """Split an axis of channels into (group, channel)."""
    return a.reshape(*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])


def _contracted_problem(problem: Problem) -> Problem:
    """Return the problem with one image and one output channel per group (for dw, one pair of channels per group)."""
    assert problem.w is not None
    groups, (o, c, *kernel) = problem.window.groups, problem.w
    if problem.operator is Operator.conv_weight_grad:
        return problem.with_(x=(problem.x[0], groups, *problem.x[2:]), w=(groups, 1, *kernel))
    if problem.operator is Operator.conv:
        return problem.with_(x=(1, *problem.x[1:]), w=(groups, c, *kernel))
    channels = o if problem.operator is Operator.conv_transpose else groups
    return problem.with_(x=(1, channels, *problem.x[2:]), w=(o, 1, *kernel))


def verify_pool(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Deviation:
    """Verify pooling of large arrays: some maps completely; then all, means by random signs and maxima by indices.

    arrays: inputs by name, on the host.
    outputs: by name, on the host.
    numerics: as declared by the backend.
    """
    name, first = problem.operator.inputs[0], problem.operator.outputs[0]
    part = problem.with_(x=(1, 1, *problem.x[2:]))
    rng, parts = array_generator(problem, "maps"), []
    for number in range(MAPS):
        at = tuple(slice(i, i + 1) for i in (int(rng.integers(n)) if number else n - 1 for n in problem.x[:2]))
        given = {name: arrays[name][at]}
        some = {output: a[at] for output, a in outputs.items()}
        parts.append(check_outputs(part, numerics, given, some, reference.compute(part, given)))
    if problem.operator is Operator.max_pool:
        return worst_of(*parts, _check_places(problem, arrays["x"], outputs["y"], outputs["indices"]))
    a, size = arrays[name].astype(np.float64), part.shapes[name]
    signs = rng.choice((-1.0, 1.0), size=problem.x[:2])
    contracted = {name: np.einsum("nc...,nc->...", a, signs).reshape(size)}
    norms = {name: np.sqrt(np.einsum("nc...,nc...->...", a, a)).reshape(size)}
    wanted, found = reference.compute(part, contracted)[first], np.einsum("nc...,nc->...", outputs[first], signs)
    bound, out = magnitude(part, norms), FORMATS[problem.dtype]
    allowed = LAMBDA * (sum_bound(part, numerics, norms, bound) + out.u * bound + math.sqrt(signs.size) * out.smallest)
    what = f"random signs of {first}"
    return worst_of(*parts, compare_arrays(found.reshape(wanted.shape), wanted, allowed, what=what, kind="bound"))


def _check_places(problem: Problem, x: Array, y: Array, indices: Array) -> Deviation:
    """Check everywhere that y is the maximum of its window, and that its index is a place there with that value.

    A window of padding only has the maximum -inf and no index. Ties are decided by the maps that are recomputed.
    """
    flat, places = x.reshape(*problem.x[:2], -1), indices.reshape(*problem.x[:2], -1)
    there = _lie_in_window(problem, indices).reshape(places.shape)
    chosen = np.where(there, np.take_along_axis(flat, np.where(there, places, 0), axis=2), -np.inf)
    return worst_of(
        compare_arrays(y, _find_maxima(problem, x), what="y against the maxima of the windows"),
        compare_arrays(y, chosen.reshape(problem.y), what="y against x[indices] inside of each window"),
    )


def _lie_in_window(problem: Problem, indices: Array) -> Array:
    """Return, for every output, True if its flat index is an element of the input inside of its own window."""
    window, space = problem.window, problem.x[2:]
    inside = (indices >= 0) & (indices < math.prod(space))
    places = np.unravel_index(np.where(inside, indices, 0), space)
    for axis, place in enumerate(places):
        shape = [1] * indices.ndim
        shape[2 + axis] = -1
        begin = np.arange(problem.y[2 + axis]) * window.stride[axis] - window.padding[axis][0]
        offset = place - begin.reshape(shape)
        tap, rest = np.divmod(offset, window.dilation[axis])
        inside &= (rest == 0) & (tap >= 0) & (tap < problem.kernel[axis])
    return inside


def _find_maxima(problem: Problem, x: Array) -> Array:
    """Return the maximum of every window, axis by axis: max over (u, v) = max over u of max over v; NaN wins."""
    window, kernel = problem.window, problem.kernel
    wide = x if x.dtype.itemsize > 2 else x.astype(np.float32)  # exact, and compared many times as fast
    found = pad_or_crop(wide, window.cover(problem.x[2:], kernel), -math.inf, np)
    for axis in reversed(range(problem.axes)):  # the last axis first: what follows runs over shorter rows
        step, out = window.stride[axis], problem.y[2 + axis]
        starts = (u * window.dilation[axis] for u in range(kernel[axis]))
        before = (slice(None),) * (2 + axis)
        taps = [found[(*before, slice(start, start + (out - 1) * step + 1, step))] for start in starts]
        found = reduce(np.maximum, taps)
    return np.asarray(found.astype(x.dtype))

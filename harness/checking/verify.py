"""Verification of a timed call: whole for small problems, by maps and by random signs for large ones.

Maps: a few (image, output channel) maps, the last of both among them, are recomputed in full.
Signs (Freivalds): with random signs r over output channels, sum_o r_o y_o = conv(x, sum_o r_o w_o) + sum_o r_o b_o
costs 1/O of the problem and touches every element. By Hoeffding the sum of the errors exceeds 8 ||e||_2 with
probability below 3e-14, and ||e||_2 over o is at most the bound of one channel whose kernel is sqrt(sum_o w_o^2)
(Minkowski).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.checking.bounds import LAMBDA, check_outputs, judge, limit, magnitude
from harness.checking.deviation import Deviation, compare, join
from harness.spec import reference
from harness.spec.data import generator
from harness.spec.numerics import FORMATS, Numerics
from harness.spec.operator import Operator
from harness.spec.problem import Problem

Array = NDArray[Any]
WHOLE_FLOPS = 4_000_000
MAPS = 3


def verify(
    problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Deviation:
    """Compare a call's outputs with the reference, in time that stays small beside the call's own."""
    if problem.flops <= WHOLE_FLOPS or problem.operator not in _CONTRACTIONS or problem.flip:
        return check_outputs(problem, numerics, arrays, outputs, reference.compute(problem, arrays))
    name = problem.operator.outputs[0]
    parts = [_check_map(problem, numerics, arrays, outputs[name], number) for number in range(MAPS)]
    return join(*parts, _check_signs(problem, numerics, arrays, outputs[name]))


def _check_map(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], got: Array, number: int) -> Deviation:
    """Recompute one output map: an image and output channel, or an (o, c) pair of the kernel's gradient."""
    rng = generator(problem, f"map{number}")
    first, second = (int(rng.integers(n)) if number else n - 1 for n in got.shape[:2])
    part, inputs = _one_map(problem, arrays, first, second)
    wanted = reference.compute(part, inputs)[problem.operator.outputs[0]]
    found = judge(
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


# The input that carries the output channels, and how signs r (g, channel) contract them group by group.
_CONTRACTIONS: dict[Operator, tuple[str, str]] = {
    Operator.conv: ("w", "goc...,go->gc..."),
    Operator.conv_input_grad: ("w", "goc...,gc->go..."),
    Operator.conv_transpose: ("w", "goc...,gc->go..."),
    Operator.conv_weight_grad: ("dy", "ngo...,go->ng..."),
}


def _check_signs(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], got: Array) -> Deviation:
    """Contract the output channels of every group with random signs and compare with the contracted problem."""
    name, groups = problem.operator.outputs[0], problem.window.groups
    carrier, rule = _CONTRACTIONS[problem.operator]
    part = _contracted_problem(problem)
    shape = part.shapes[carrier]
    split = _split_channels(arrays[carrier].astype(np.float64), groups, 1 if carrier == "dy" else 0)
    outputs = _split_channels(got.astype(np.float64), groups, 0 if name == "dw" else 1)
    channels = outputs.shape[1 if name == "dw" else 2]
    signs = generator(problem, "signs").choice((-1.0, 1.0), size=(groups, channels))
    found = np.einsum("goc...,go->gc..." if name == "dw" else "ngo...,go->ng...", outputs, signs)
    contracted = {**arrays, carrier: np.einsum(rule, split, signs).reshape(shape)}
    norms = {**arrays, carrier: np.sqrt(np.einsum(rule, split * split, np.ones_like(signs))).reshape(shape)}
    if arrays.get("b") is not None:
        b = arrays["b"].astype(np.float64).reshape(groups, channels)
        contracted["b"], norms["b"] = np.sum(b * signs, axis=1), np.sqrt(np.sum(b * b, axis=1))
    wanted = reference.compute(part, contracted)[name]
    size, out = magnitude(part, norms), FORMATS[problem.dtype]
    allowed = LAMBDA * (limit(part, numerics, norms, size) + out.u * size + math.sqrt(channels) * out.smallest)
    return compare(found.reshape(wanted.shape), wanted, allowed, what=f"random signs of {name}", kind="bound")


def _split_channels(a: Array, groups: int, axis: int) -> Array:
    """Split an axis of channels into (group, channel)."""
    return a.reshape(*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])


def _contracted_problem(problem: Problem) -> Problem:
    """The same problem with one output channel per group."""
    assert problem.w is not None
    groups, (o, c, *kernel) = problem.window.groups, problem.w
    if problem.operator in (Operator.conv, Operator.conv_weight_grad):
        return problem.with_(w=(groups, c, *kernel))
    x = problem.x if problem.operator is Operator.conv_transpose else (problem.x[0], groups, *problem.x[2:])
    return problem.with_(x=x, w=(o, 1, *kernel))

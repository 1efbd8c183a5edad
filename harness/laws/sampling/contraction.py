"""Random contraction (Freivalds) of a large problem, in blocks: touches every element, holds one block of each array.

With random whole weights a over images, b over channels and g_k over each spatial axis of the output,

    sum a[n] b[o] g[i] y[n,o,i]  =  sum over the inputs with the weights moved to them by the adjoint of each axis,

for an operator that is linear in each of its inputs; g[i] is the product of the g_k[i_k]. Whole numbers make both sides
exact, so they are compared with `==`. For `conv` the right side is the sum over c, u of Z[c,u] W[c,u], with
Z[c,u] = sum a[n] g[i] x[n, c, s i + d u - b] and W[c,u] = sum b[o] w[o,c,u]. The output of the kernel's gradient has
taps for positions; its right side is the sum over n, i of D[n,i] E[n,i], with D = sum b[o] dy[n,o,i] and E the
correlation of sum b'[c] x[n,c,.] with g.

An error e of the output is missed where the same form of e vanishes. A form of one wrong element never does. Of any
other error it does with probability at most (number of axes) / (2 largest weight), by the lemma of Schwartz and Zippel,
in each of the independent rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from harness.laws.sampling.held import Box, Held, split
from harness.laws.sampling.weights import (
    EXACT_BITS,
    Weigh,
    Weights,
    choose_largest,
    make_weights,
    mean_weights,
    spread_weights,
    tap_weights,
)
from harness.laws.sampling.windows import axes_of
from harness.problems.arrays import Array
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.tile import memory_order
from harness.problems.window import Sizes

ROUNDS = 2
LEAST_POSITIONS = 2**12
SHORT, LONG = 64, 2**13  # lengths of vectors: up to the first they are multiplied out, up to the second with others


def contract_problem(held: Held) -> Iterator[tuple[Fraction | None, Fraction]]:
    """Yield both sides of the identity for every round: that of the held outputs and that of the inputs.

    None stands for outputs that are not finite.
    """
    problem = held.problem
    name = problem.operator.outputs[0]
    shape, largest = problem.shapes[name], choose_largest(problem)
    flat = "indices" in problem.operator.inputs  # its indices are flat over space
    shape = (*shape[:2], math.prod(shape[2:])) if flat else shape
    rounds = [
        [make_weights(problem, f"axis {axis}", number, size, largest) for axis, size in enumerate(shape)]
        for number in range(ROUNDS)
    ]
    got = _form_flat(held, rounds) if flat else form(held, name, rounds)
    yield from zip(got, _INPUT_SIDES[problem.operator](held, rounds), strict=True)


def form(held: Held, name: str, rounds: Sequence[Sequence[Weigh]]) -> list[Fraction | None]:
    """Contract every axis of an array with weights, once for each round; None if the sum is not finite.

    name: of the array.
    rounds: for each round, the weights of every axis.
    held: all arrays of the problem.
    """
    shape, totals = held.problem.shapes[name], [_Total() for _ in rounds]
    for box in split(shape, memory_order(shape, held.problem.layout), held.block):
        a = held.read(name, box)
        for total, weights in zip(totals, rounds, strict=True):
            total.add(_contract(a, [weigh(at.start, at.stop) for weigh, at in zip(weights, box, strict=True)]))
    return [total.value for total in totals]


def _form_flat(held: Held, rounds: Sequence[Sequence[Weights]]) -> list[Fraction | None]:
    """Contract dx of maximum pooling likewise, with weights over the flat positions of its maps."""
    shape, totals = held.problem.shapes["dx"], [_Total() for _ in rounds]
    for box in split(shape, memory_order(shape, held.problem.layout), held.block):
        a, places = held.read("dx", box), _flat_places(box[2:], shape[2:])
        for total, (images, channels, space) in zip(totals, rounds, strict=True):
            weights = [images(box[0].start, box[0].stop), channels(box[1].start, box[1].stop)]
            total.add(_contract((a * space.at(places)).reshape(*a.shape[:2], -1), [*weights, np.ones(places.size)]))
    return [total.value for total in totals]


class _Total:
    """An exact sum of float64 numbers; None once one of them is not finite."""

    def __init__(self) -> None:
        self.value: Fraction | None = Fraction(0)

    def add(self, part: float | Fraction) -> None:
        if self.value is not None:
            self.value = self.value + Fraction(part) if math.isfinite(part) else None


def _contract(a: Array, vectors: Sequence[Array]) -> float:
    """Sum a times the outer product of one vector per axis; the innermost axes in memory come first, as one product."""
    channels = a.shape[1] if a.ndim > 2 and not a.flags.c_contiguous else 0
    if channels:  # channels last in memory
        a, vectors = np.moveaxis(a, 1, -1), [vectors[0], *vectors[2:], vectors[1]]
    inner, count = np.ones(1), 0
    while count < a.ndim and (not count or (inner.size < SHORT and vectors[-count - 1].size < LONG)):
        count += 1
        inner = np.multiply.outer(vectors[-count], inner).reshape(-1)
    outer = [*vectors[: a.ndim - count]]
    rows = np.asarray(a.reshape(-1, inner.size) @ inner)
    for vector in reversed(outer):
        rows = np.asarray(rows.reshape(-1, vector.size) @ vector)
    return float(rows.reshape(()))


# --- the side of the inputs ------------------------------------------------------------------------------------------


def _bias_side(held: Held, rounds: Sequence[Sequence[Weights]]) -> list[Fraction | None]:
    """Return sum b[o] dy[n,o,i]."""
    ones: Weigh = lambda start, stop: np.ones(stop - start)  # noqa: E731 - typed
    sides: list[list[Weigh]] = [[ones, channels, *[ones] * held.problem.axes] for (channels,) in rounds]
    return form(held, "dy", sides)


def _mean_side(held: Held, rounds: Sequence[Sequence[Weights]]) -> list[Fraction | None]:
    """The weights of every input of a mean, or of every dy of its gradient, axis by axis."""
    gather = spread_weights if held.problem.operator.spec.scatters else mean_weights
    sides: list[list[Weigh]] = [
        [images, channels, *(gather(held.problem, axis, weights) for axis, weights in enumerate(space))]
        for images, channels, *space in rounds
    ]
    return form(held, held.problem.operator.inputs[0], sides)


def _selected_side(held: Held, rounds: Sequence[Sequence[Weights]]) -> list[Fraction | None]:
    """Return sum a[n] b[c] g[indices[n,c,i]] dy[n,c,i]."""
    shape, totals = held.problem.shapes["dy"], [_Total() for _ in rounds]
    for box in split(shape, memory_order(shape, held.problem.layout), held.block):
        dy, indices = held.read("dy", box), held.read("indices", box)
        for total, (images, channels, space) in zip(totals, rounds, strict=True):
            chosen = np.where(indices >= 0, dy * space.at(np.maximum(indices, 0)), 0.0)
            by = [images(box[0].start, box[0].stop), channels(box[1].start, box[1].stop)]
            chosen = chosen.reshape(*chosen.shape[:2], -1)
            total.add(_contract(chosen, [*by, np.ones(chosen.shape[2])]))
    return [total.value for total in totals]


def _flat_places(box: Box, spatial: Sizes) -> Array:
    """Return the flat positions of a box of a map."""
    grids = np.ix_(*(np.arange(at.start, at.stop) for at in box))
    steps = [math.prod(spatial[axis + 1 :]) for axis in range(len(spatial))]
    return np.asarray(reduce(np.add, [grid * step for grid, step in zip(grids, steps, strict=True)]))


def _product_side(held: Held, rounds: Sequence[Sequence[Weights]]) -> list[Fraction | None]:
    """Sum Z times W over channels and taps, block by block of the first input, and add the weights of the bias."""
    problem, totals = held.problem, [_Total() for _ in rounds]
    assert problem.w is not None
    name, groups, scatters = problem.operator.inputs[0], problem.window.groups, problem.operator.spec.scatters
    n, c, *space = problem.shapes[name]
    virtual, order = (n, groups, c // groups, *space), _grouped(memory_order((n, c, *space), problem.layout))
    seen: tuple[slice, slice] | None = None
    kernels: list[Array] = []
    for box in split(virtual, order, held.block):
        images, group, within, *places = box
        if seen != (group, within):
            seen = (group, within)
            kernels = _kernel_sums(held, group, within, [weights[1] for weights in rounds])
        first = group.start * virtual[2]
        channels = slice(first + within.start, first + (group.stop - group.start - 1) * virtual[2] + within.stop)
        a = held.read(name, (images, channels, *places))
        for total, kernel, (over, _, *spatial) in zip(totals, kernels, rounds, strict=True):
            matrices = [
                tap_weights(axis, weights, at, scatters)
                for axis, weights, at in zip(axes_of(problem), spatial, places, strict=True)
            ]
            total.add(dot(_correlate(a, over(images.start, images.stop), matrices), kernel))
    if problem.bias:
        for total, weights in zip(totals, rounds, strict=True):
            total.add(_bias_weights(held, weights))
    return [total.value for total in totals]


def _grouped(order: tuple[int, ...]) -> tuple[int, ...]:
    """Return an order of axes n c *s, with c split into groups and channels of a group."""
    return tuple(b for axis in order for b in ((1, 2) if axis == 1 else (axis + (axis > 1),)))


def _correlate(a: Array, images: Array, matrices: Sequence[Array]) -> Array:
    """Return Z of a block, (channels, taps), from a of shape n c *s and a matrix (positions, kernel) for each axis."""
    flat = a.reshape(*a.shape[:2], -1)
    columns = []
    for taps in np.ndindex(*(m.shape[1] for m in matrices)):
        vector = reduce(np.multiply.outer, [m[:, u] for m, u in zip(matrices, taps, strict=True)]).reshape(-1)
        if flat.flags.c_contiguous:
            rows = (flat.reshape(-1, vector.size) @ vector).reshape(flat.shape[:2])
        else:
            rows = flat @ vector
        columns.append(images @ rows)
    return np.stack(columns, axis=1)


def _kernel_sums(held: Held, group: slice, within: slice, rounds: Sequence[Weights]) -> list[Array]:
    """Return W of some channels of the first input, (channels, taps): w contracted over the channels of the output."""
    problem = held.problem
    assert problem.w is not None
    outs, ins = problem.w[0] // problem.window.groups, problem.w[1]
    count, taps = group.stop - group.start, math.prod(problem.kernel)
    if problem.operator.spec.scatters:
        rows = slice(group.start * outs + within.start, (group.stop - 1) * outs + within.stop)
        sums = [np.zeros((rows.stop - rows.start, taps)) for _ in rounds]
        for at, columns in split((rows.stop - rows.start, ins), (0, 1), max(1, held.block // taps)):
            row = slice(rows.start + at.start, rows.start + at.stop)
            part = _kernel_part(held, row, columns).reshape(row.stop - row.start, -1, taps)
            for total, weights in zip(sums, rounds, strict=True):
                total[at] += (_row_weights(weights, row, columns, outs, ins) @ part)[:, 0]
        return sums
    width = (within.stop - within.start) * taps
    sums = [np.zeros((count, width)) for _ in rounds]
    for at, column in split((count, outs), (0, 1), max(1, held.block // width)):
        row = slice((group.start + at.start) * outs + column.start, (group.start + at.stop - 1) * outs + column.stop)
        part = _kernel_part(held, row, within).reshape(at.stop - at.start, -1, width)
        by = np.stack([weights(row.start, row.stop).reshape(part.shape[:2]) for weights in rounds], axis=1)
        for total, one in zip(sums, (by @ part).swapaxes(0, 1), strict=True):
            total[at] += one
    return [total.reshape(-1, taps) for total in sums]


def _row_weights(weights: Weights, rows: slice, columns: slice, outs: int, ins: int) -> Array:
    """Return weights of the output channels of some columns of rows of w: (rows or 1, 1, columns)."""
    if rows.start // outs == (rows.stop - 1) // outs:
        first = rows.start // outs * ins
        return weights(first + columns.start, first + columns.stop).reshape(1, 1, -1)
    of_group = np.arange(rows.start, rows.stop)[:, None, None] // outs * ins
    return weights.at(of_group + np.arange(columns.start, columns.stop))


def _kernel_part(held: Held, rows: slice, columns: slice) -> Array:
    return held.read("w", (rows, columns, *(slice(0, m) for m in held.problem.kernel)))


def _bias_weights(held: Held, weights: Sequence[Weights]) -> Fraction:
    """Return sum a[n] b[o] g[i] bias[o]."""
    shape, products = held.problem.y, []
    for axis, weigh in enumerate(weights):
        sums = []
        for (at,) in split(shape[axis : axis + 1], (0,), held.block):
            vector = weigh(at.start, at.stop)
            sums.append(int(np.sum(vector * held.read("b", (at,)) if axis == 1 else vector)))
        products.append(sum(sums))
    return Fraction(math.prod(products))


def _product_of_channels(held: Held, rounds: Sequence[Sequence[Weights]]) -> list[Fraction | None]:
    """Sum D times E over images and positions, with the channels in pieces."""
    problem, totals = held.problem, [_Total() for _ in rounds]
    assert problem.w is not None
    groups, outs, ins = problem.window.groups, problem.w[0] // problem.window.groups, problem.w[1]
    n, _, *space = problem.shapes["dy"]
    most = min(held.block, max(LEAST_POSITIONS, held.block // max(outs, ins)))
    for images, group, *places in split((n, groups, *space), tuple(range(len(space) + 2)), most):
        slab, shifts = _slab(problem, places)
        sides = [np.zeros((images.stop - images.start, group.stop - group.start, *_sizes(at))) for at in (places, slab)]
        parts = [[side.copy() for side in sides] for _ in rounds]
        for which, (name, channels, at) in enumerate((("dy", outs, places), ("x", ins, slab))):
            if min(_sizes(at)) > 0:
                sums = [part[which] for part in parts]
                signs = [weights[which] for weights in rounds]
                _sum_channels(held, name, (images, group, at), channels, signs, sums)
        for total, (dy, x), (_, _, *taps) in zip(totals, parts, rounds, strict=True):
            total.add(dot(dy, _correlate_taps(problem, x, dy.shape, shifts, taps)))
    return [total.value for total in totals]


def _sizes(box: Sequence[slice]) -> Sizes:
    return tuple(at.stop - at.start for at in box)


def _slab(problem: Problem, places: Sequence[slice]) -> tuple[list[slice], list[int]]:
    """Return the positions of x that a box of outputs reads, and the begin of each axis including padding."""
    slab, begins = [], []
    for axis, at in zip(axes_of(problem), places, strict=True):
        begin = at.start * axis.stride - axis.begin
        end = (at.stop - 1) * axis.stride - axis.begin + (axis.kernel - 1) * axis.dilation + 1
        first = min(max(0, begin), axis.n)
        slab.append(slice(first, max(first, min(axis.n, end))))
        begins.append(begin)
    return slab, begins


def _sum_channels(
    held: Held,
    name: str,
    box: tuple[slice, slice, Sequence[slice]],
    channels: int,
    rounds: Sequence[Weights],
    sums: Sequence[Array],
) -> None:
    """Add to each sum, (n, g, *places), the weighted channels of every group; channels in pieces."""
    images, group, places = box
    held_at_once = max(1, held.block // max(1, sums[0][:, 0].size))
    for at, channel in split((group.stop - group.start, channels), (0, 1), held_at_once):
        first = (group.start + at.start) * channels + channel.start
        last = (group.start + at.stop - 1) * channels + channel.stop
        a = held.read(name, (images, slice(first, last), *places))
        a = a.reshape(a.shape[0], at.stop - at.start, -1, math.prod(a.shape[2:]))
        for weights, total in zip(rounds, sums, strict=True):
            if name == "dy":
                by = weights(first, last).reshape(a.shape[1], 1, a.shape[2])
            else:  # columns of the kernel's gradient are numbered within their group
                by = weights(channel.start, channel.stop).reshape(1, 1, a.shape[2])
            total[:, at] += (by @ a).reshape(total[:, at].shape)


def _correlate_taps(
    problem: Problem, x: Array, shape: Sizes, begins: Sequence[int], weights: Sequence[Weights]
) -> Array:
    """Return E of a box: sum over taps of g[u] x[n, g, s i + d u - b], where x begins at the box's first position."""
    total, axes = np.zeros(shape), axes_of(problem)
    tables = [weigh(0, axis.kernel) for weigh, axis in zip(weights, axes, strict=True)]
    for taps in np.ndindex(*problem.kernel):
        to: list[Any] = [...]
        come: list[Any] = [...]
        for axis, u, begin, size, count in zip(axes, taps, begins, x.shape[2:], shape[2:], strict=True):
            shift = begin + u * axis.dilation - max(0, begin)  # of output 0 of the box, in the cut slab
            first = max(0, -(shift // axis.stride))
            last = max(first, min(count, (size - 1 - shift) // axis.stride + 1))
            to.append(slice(first, last))
            start = first * axis.stride + shift
            stop = start + (last - first - 1) * axis.stride + 1 if last > first else start
            come.append(slice(start, stop, axis.stride))
        weight = math.prod(float(table[u]) for table, u in zip(tables, taps, strict=True))
        total[tuple(to)] += weight * x[tuple(come)]
    return total


def dot(a: Array, b: Array) -> Fraction | float:
    """Return the exact sum of products of whole numbers; not finite if one of them is not."""
    most = float(np.max(np.abs(a), initial=0.0)) * float(np.max(np.abs(b), initial=0.0)) * a.size
    if not most > 2.0**EXACT_BITS or not math.isfinite(most):
        return float(np.vdot(a, b))
    return Fraction(sum(int(p) * int(q) for p, q in zip(a.reshape(-1), b.reshape(-1), strict=True)))


_INPUT_SIDES: dict[Operator, Callable[[Held, Sequence[Sequence[Weights]]], list[Fraction | None]]] = {
    Operator.conv: _product_side,
    Operator.conv_transpose: _product_side,
    Operator.conv_input_grad: _product_side,
    Operator.conv_weight_grad: _product_of_channels,
    Operator.conv_bias_grad: _bias_side,
    Operator.avg_pool: _mean_side,
    Operator.avg_pool_grad: _mean_side,
    Operator.max_pool_grad: _selected_side,
}

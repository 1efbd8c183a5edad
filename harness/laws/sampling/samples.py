"""Single outputs of a large problem, recomputed by plain loops over the windows that they read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from harness.laws.sampling.held import Held, split
from harness.laws.sampling.windows import axes_of, count_divisors
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.window import Sizes


def recompute(held: Held, at: Sizes) -> tuple[float, ...]:
    """Return the operator's outputs at an index of its first output; exact, in float64."""
    found = RECOMPUTED[held.problem.operator](held, at)
    return found if isinstance(found, tuple) else (found,)


def _taps(pairs: list[list[tuple[int, int]]]) -> Iterator[tuple[Sizes, Sizes]]:
    """Yield positions and taps over all axes, from those of each axis."""
    for chosen in itertools.product(*pairs):
        yield tuple(place for place, _ in chosen), tuple(tap for _, tap in chosen)


def _channels(problem: Problem) -> tuple[int, int]:
    """Return output and input channels of one group of `conv`."""
    assert problem.w is not None
    return problem.w[0] // problem.window.groups, problem.w[1]


def _conv(held: Held, at: Sizes) -> float:
    """y[n,o,i] = b[o] + sum over c, u of w[o,c,u] x[n, c, s i + d u - b]."""
    (n, o, *place), (outs, ins) = at, _channels(held.problem)
    first = o // outs * ins
    total = float(held.read("b", (slice(o, o + 1),))[0]) if held.problem.bias else 0.0
    reads = [axis.reads(i) for axis, i in zip(axes_of(held.problem), place, strict=True)]
    for j, u in _taps(reads):
        x = held.read("x", (n, slice(first, first + ins), *j))
        total += float(x @ held.read("w", (o, slice(0, ins), *u)))
    return total


def _scatter(held: Held, at: Sizes) -> float:
    """y[n,c,j] = b[c] + sum over o, u and i with j = s i + d u - b of w[o,c,u] x[n,o,i]."""
    (n, c, *place), (outs, ins) = at, _channels(held.problem)
    rows = slice(c // ins * outs, (c // ins + 1) * outs)
    total = float(held.read("b", (slice(c, c + 1),))[0]) if held.problem.bias else 0.0
    readers = [axis.readers(j) for axis, j in zip(axes_of(held.problem), place, strict=True)]
    for i, u in _taps(readers):
        x = held.read(held.problem.operator.inputs[0], (n, rows, *i))
        total += float(x @ held.read("w", (rows, c % ins, *u)))
    return total


def _weight_grad(held: Held, at: Sizes) -> float:
    """dw[o,c,u] = sum over n, i of dy[n,o,i] x[n, c, s i + d u - b]."""
    (o, c, *taps), (outs, ins), axes = at, _channels(held.problem), axes_of(held.problem)
    channel, total, shape = o // outs * ins + c, 0.0, held.problem.shapes["dy"]
    for box in split((shape[0], *shape[2:]), tuple(range(len(shape) - 1)), held.block):
        ranges = [axis.outputs_in(r.start, r.stop, u) for axis, r, u in zip(axes, box[1:], taps, strict=True)]
        if all(first < last for first, last in ranges):
            there = [axis.inputs_at(*r, u) for axis, r, u in zip(axes, ranges, taps, strict=True)]
            dy = held.read("dy", (box[0], o, *(slice(*r) for r in ranges)))
            total += float(np.sum(dy * held.read("x", (box[0], channel, *there))))
    return total


def _bias_grad(held: Held, at: Sizes) -> float:
    """db[o] = sum over n, i of dy[n,o,i]."""
    shape = held.problem.shapes["dy"]
    positions = split((shape[0], 1, *shape[2:]), tuple(range(len(shape))), held.block)
    return sum(float(held.read("dy", (n, at[0], *space)).sum()) for n, _, *space in positions)


def _max_pool(held: Held, at: Sizes) -> tuple[float, float]:
    """Return the maximum of a window and its flat index by the declared rule for ties; -inf and -1 for padding only."""
    axes, spatial, best, index = axes_of(held.problem), held.problem.x[2:], -math.inf, -1
    last = held.subject.numerics(held.problem).ties == "last"
    for j, _ in _taps([axis.reads(i) for axis, i in zip(axes, at[2:], strict=True)]):
        value = float(held.read("x", (*at[:2], *(slice(a, a + 1) for a in j))).reshape(()))
        if value > best or index < 0 or (last and value == best):
            best, index = value, int(np.ravel_multi_index(j, spatial))
    return best, float(index)


def _max_pool_grad(held: Held, at: Sizes) -> float:
    """dx[n,c,j] = sum of dy[n,c,i] over the windows i whose index is j."""
    total, flat = 0.0, int(np.ravel_multi_index(at[2:], held.problem.x[2:]))
    readers = [axis.readers(j) for axis, j in zip(axes_of(held.problem), at[2:], strict=True)]
    for i, _ in _taps(readers):
        there = (*at[:2], *(slice(a, a + 1) for a in i))
        if int(held.read("indices", there).reshape(())) == flat:
            total += float(held.read("dy", there).reshape(()))
    return total


def _divisor(problem: Problem, place: Sizes) -> float:
    """Return the divisor of the mean at an output position."""
    return math.prod(float(count_divisors(problem, axis, i, i + 1)[0]) for axis, i in enumerate(place))


def _avg_pool(held: Held, at: Sizes) -> float:
    """y[n,c,i] = sum over the window / divisor."""
    total = 0.0
    for j, _ in _taps([axis.reads(i) for axis, i in zip(axes_of(held.problem), at[2:], strict=True)]):
        total += float(held.read("x", (*at[:2], *(slice(a, a + 1) for a in j))).reshape(()))
    return total / _divisor(held.problem, at[2:])


def _avg_pool_grad(held: Held, at: Sizes) -> float:
    """dx[n,c,j] = sum of dy[n,c,i] / divisor[i] over the windows i that hold j."""
    total = 0.0
    readers = [axis.readers(j) for axis, j in zip(axes_of(held.problem), at[2:], strict=True)]
    for i, _ in _taps(readers):
        dy = float(held.read("dy", (*at[:2], *(slice(a, a + 1) for a in i))).reshape(()))
        total += dy / _divisor(held.problem, i)
    return total


RECOMPUTED: dict[Operator, Callable[[Held, Sizes], float | tuple[float, ...]]] = {
    Operator.conv: _conv,
    Operator.conv_input_grad: _scatter,
    Operator.conv_transpose: _scatter,
    Operator.conv_weight_grad: _weight_grad,
    Operator.conv_bias_grad: _bias_grad,
    Operator.max_pool: _max_pool,
    Operator.max_pool_grad: _max_pool_grad,
    Operator.avg_pool: _avg_pool,
    Operator.avg_pool_grad: _avg_pool_grad,
}

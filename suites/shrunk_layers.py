"""Every distinct layer of every network with its channels and window, on the smallest space that is like its own.

Like its own means, on each axis: the same parity of the input and of the output, the same positions beyond the last
window, and the same order of output and kernel and of input and kernel. Code that libraries specialise for a layer is
then asked at a small part of the layer's cost.

By default, a layer with large arrays is asked for one of its operators, in turn. All three would take half as long as
everything else that a backend is asked.

Data are whole numbers in float32, and real ones in a short format: whole numbers whose sums are exact do not show the
format in which a path keeps its sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from harness import NamedProblem, Problem, Window
from harness.generate import ask_elements, with_long_numbers
from harness.problems import Dtype, Layout
from suites.layers import gradient_operators, network_names, network_problems

BATCH = 2
MOST_ELEMENTS = 100_000  # of the arrays of an operator that is not asked in turn
FORMS: tuple[tuple[Dtype, Layout], ...] = (
    ("float32", "channels-first"), ("float16", "channels-last"), ("float32", "channels-last"),
    ("bfloat16", "channels-last"), ("float16", "channels-first"),
)  # fmt: skip
SHORT = ("float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a network on its smallest space: a problem for each operator that no earlier layer shares."""

    name: str
    problems: tuple[Problem, ...]

    def choose(self, number: int) -> tuple[Problem, ...]:
        """Return the problems that are asked by default: all with small arrays, and one of those with large ones.

        number: of the layer; the choice goes in turn.
        """
        large = [problem for problem in self.problems if count_elements(problem) > MOST_ELEMENTS]
        left_out = {problem for turn, problem in enumerate(large) if turn != number % len(large)}
        return tuple(problem for problem in self.problems if problem not in left_out)


def count_elements(problem: Problem) -> int:
    """Return the number of elements of all arrays."""
    return sum(map(math.prod, problem.shapes.values()))


def shrunk_problems() -> tuple[NamedProblem, ...]:
    """Return the problems of the default: in float32 or, in turn, in a short format with channels last."""
    chosen = ((layer.name, one) for number, layer in enumerate(distinct_layers()) for one in layer.choose(number))
    return tuple(
        named
        for number, (name, problem) in enumerate(chosen)
        for named in _name_forms(name, problem, FORMS[number % len(FORMS) :][:1], deep=False)
    )


def all_shrunk_problems() -> tuple[NamedProblem, ...]:
    """Return the problems that the default leaves out: large arrays, and every dtype, layout and regime of all."""
    known = {named.problem.line for named in shrunk_problems()}
    return tuple(
        named
        for layer in distinct_layers()
        for problem in layer.problems
        for named in _name_forms(layer.name, problem, FORMS, deep=True)
        if named.problem.line not in known
    )


def _name_forms(
    name: str, problem: Problem, forms: Iterable[tuple[Dtype, Layout]], *, deep: bool
) -> Iterator[NamedProblem]:
    for dtype, layout in forms:
        whole = problem.with_(dtype=dtype, layout=layout, data="integer")
        if dtype in SHORT:
            yield ask_elements(f"layers/{name}", whole.with_(data="normal"))
        if deep or dtype not in SHORT:
            yield ask_elements(f"layers/{name}", with_long_numbers(whole))


@cache
def distinct_layers() -> tuple[Layer, ...]:
    """Return every layer on its smallest space with all of its gradients, each problem once."""
    found: list[Layer] = []
    known: set[Problem] = set()
    for network in network_names():
        for named in network_problems(network, BATCH, gradients=False):
            assert isinstance(named.problem, Problem)
            small = shrink(named.problem)
            operators = (small.operator, *gradient_operators(small).values())
            new = tuple(one for operator in operators if (one := small.with_(operator=operator)) not in known)
            known.update(new)
            if new:
                found.append(Layer(named.name, new))
    return tuple(found)


def shrink(problem: Problem) -> Problem:
    """Return the problem on the smallest space that is like its own; conv_transpose keeps the parity of its input."""
    if problem.operator.spec.transposed:
        spatial = tuple(min(n, 2 + n % 2) for n in problem.x[2:])
    else:
        spatial = tuple(_shrink_axis(problem, axis) for axis in range(problem.axes))
    return problem.with_(x=(*problem.x[:2], *spatial))


def _shrink_axis(problem: Problem, axis: int) -> int:
    kernel, window = problem.kernel[axis], problem.window
    row = replace(
        window, stride=window.stride[axis : axis + 1], padding=window.padding[axis : axis + 1],
        dilation=window.dilation[axis : axis + 1], kernel=None if window.kernel is None else (kernel,),
    )  # fmt: skip
    return _least_like(row, kernel, problem.x[2 + axis])


@cache
def _least_like(row: Window, m: int, own: int) -> int:
    """Return the smallest size that has the traits of a layer's own; networks repeat most of their axes.

    row: the window on the axis. m: taps on the axis. own: the layer's size.
    """
    wanted = _traits(row, m, own)
    return next(n for n in range(1, own + 1) if _traits(row, m, n) == wanted)


def _traits(row: Window, m: int, n: int) -> tuple[object, ...] | None:
    """Return the traits that a smaller size of an axis must share with the layer's own; None where no window fits."""
    ((begin, end),), (s,) = row.padding, row.stride
    span = n + begin + end - row.reach((m,))[0]
    if span < 0 or (row.kernel is not None and n <= begin):
        return None
    p = row.output_shape((n,), (m,))[0]
    return n % 2, p % 2, span % s, p >= m, n >= m, n == m

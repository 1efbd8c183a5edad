"""Every distinct layer of every network with its channels and window, on the smallest space that is like its own.

Like its own means, on each axis: the same parity of the input and of the output, the same positions beyond the last
window, and the same order of output and kernel and of input and kernel. Code that libraries specialise for a layer is
then asked at a small part of the layer's cost.

Data are whole numbers in float32, and real ones in a short format: whole numbers whose sums are exact do not show the
format in which a path keeps its sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from harness import NamedProblem, Problem, Window
from harness.generate import ask_elements, with_long_numbers
from suites.layers import gradient_operators, network_names, network_problems

BATCH = 2
# Elements of a kernel, and of an input, that are asked by default: larger ones take longer than all that they show.
MOST_WEIGHTS, MOST_ELEMENTS = 40_000, 2_000_000
FORMS = (
    ("float32", "channels-first"), ("float16", "channels-last"), ("float32", "channels-last"),
    ("bfloat16", "channels-last"), ("float16", "channels-first"),
)  # fmt: skip
SHORT = ("float16", "bfloat16")


def shrunk_problems() -> tuple[NamedProblem, ...]:
    """Return the layers with small arrays: in float32 or, in turn, in a short format with channels last."""
    return tuple(_ask(deep=False))


def all_shrunk_problems() -> tuple[NamedProblem, ...]:
    """Return the problems that the default leaves out: large arrays, and every dtype, layout and regime of all."""
    known = {named.problem.line for named in shrunk_problems()}
    return tuple(named for named in _ask(deep=True) if named.problem.line not in known)


def _ask(*, deep: bool) -> Iterator[NamedProblem]:
    for number, (name, problem) in enumerate(distinct_layers()):
        if not deep and (math.prod(problem.w or ()) > MOST_WEIGHTS or math.prod(problem.x) > MOST_ELEMENTS):
            continue
        for dtype, layout in FORMS if deep else FORMS[number % len(FORMS) :][:1]:
            whole = problem.with_(dtype=dtype, layout=layout, data="integer")
            if dtype in SHORT:
                yield ask_elements(f"layers/{name}", whole.with_(data="normal"))
            if deep or dtype not in SHORT:
                yield ask_elements(f"layers/{name}", with_long_numbers(whole))


@cache
def distinct_layers() -> tuple[tuple[str, Problem], ...]:
    """Return every layer on its smallest space with all of its gradients, each problem once."""
    found: dict[Problem, str] = {}
    for network in network_names():
        for named in network_problems(network, BATCH, gradients=False):
            assert isinstance(named.problem, Problem)
            small = shrink(named.problem)
            for operator in (small.operator, *gradient_operators(small).values()):
                found.setdefault(small.with_(operator=operator), named.name)
    return tuple((name, problem) for problem, name in found.items())


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

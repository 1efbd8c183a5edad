"""Reduction of a failing problem by simplifying steps, independent of the strategy that generated it.

Hypothesis reduces an example by its draws, one or a few at a time. It stops early if two draws depend on each other (a
named window, and the parts of a free one). This module changes the problem itself, one field at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from harness.errors import GeometryError
from harness.generate.dispatch.possible import is_hollow
from harness.problems.problem import Problem
from harness.problems.window import Sizes

Changes = dict[str, Any]
PLAIN: Changes = {
    "dtype": "float32", "data": "integer", "layout": "channels-first", "bias": False, "flip": False, "math": "ieee",
    "seed": 0,
}  # fmt: skip


def reduce(problem: Problem, breaks: Callable[[Problem], bool]) -> Problem:
    """Return a problem that breaks and that no step of `list_simpler` can simplify further.

    breaks: predicate on problems; it may raise to end the search.
    """
    while (simpler := next(filter(breaks, list_simpler(problem)), None)) is not None:
        problem = simpler
    return problem


def list_simpler(problem: Problem) -> Iterator[Problem]:
    """Yield the valid problems that are simpler in one respect, large steps first."""
    for changes in _list_changes(problem):
        try:
            simpler = problem.with_(**changes)
        except GeometryError:
            continue
        if simpler != problem and not (simpler.operator.spec.indexed and is_hollow(simpler)):
            yield simpler


def _list_changes(problem: Problem) -> Iterator[Changes]:
    if problem.axes > 1:
        yield from (_without_axis(problem, axis) for axis in range(problem.axes))
    yield from ({name: value} for name, value in PLAIN.items() if getattr(problem, name) != value)
    yield from _change_modes(problem)
    yield from _change_counts(problem)
    for axis in range(problem.axes):
        yield from _change_axis(problem, axis)


def _lower(number: int, least: int = 1) -> Iterator[int]:
    """Yield smaller numbers: the minimum, the half, the next smaller power of two and the predecessor."""
    power = 1 << max(0, (number - 1).bit_length() - 1)
    yield from sorted({n for n in (least, number // 2, power, number - 1) if least <= n < number})


def _put(sizes: Sizes, place: int, value: int) -> Sizes:
    return (*sizes[:place], value, *sizes[place + 1 :])


def _drop(sizes: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return (*sizes[:place], *sizes[place + 1 :])


def _without_axis(problem: Problem, axis: int) -> Changes:
    window, w, extra = problem.window, problem.w, problem.output_padding
    return {
        "x": _drop(problem.x, axis + 2),
        "w": None if w is None else _drop(w, axis + 2),
        "output_padding": None if extra is None else _drop(extra, axis),
        "window": replace(
            window, stride=_drop(window.stride, axis), padding=_drop(window.padding, axis),
            dilation=_drop(window.dilation, axis), kernel=None if window.kernel is None else _drop(window.kernel, axis),
        ),
    }  # fmt: skip


def _change_modes(problem: Problem) -> Iterator[Changes]:
    if problem.window.ceil_mode:
        yield {"window": replace(problem.window, ceil_mode=False)}
    if not problem.window.count_include_pad:
        yield {"window": replace(problem.window, count_include_pad=True)}


def _change_counts(problem: Problem) -> Iterator[Changes]:
    """Yield smaller counts of images, groups, and input and output channels of a group."""
    x, w, groups = problem.x, problem.w, problem.window.groups
    yield from ({"x": _put(x, 0, n)} for n in _lower(x[0]))
    if w is None:
        yield from ({"x": _put(x, 1, c)} for c in _lower(x[1]))
        return
    rows, columns = w[0] // groups, w[1]
    yield from (_counted(problem, rows, columns, g) for g in _lower(groups))
    yield from (_counted(problem, n, columns, groups) for n in _lower(rows))
    yield from (_counted(problem, rows, n, groups) for n in _lower(columns))


def _counted(problem: Problem, rows: int, columns: int, groups: int) -> Changes:
    """Changes to a kernel with `rows` and `columns` per group."""
    assert problem.w is not None
    channels = groups * (rows if problem.operator.spec.transposed else columns)
    return {
        "x": _put(problem.x, 1, channels),
        "w": (rows * groups, columns, *problem.w[2:]),
        "window": replace(problem.window, groups=groups),
    }


def _change_axis(problem: Problem, axis: int) -> Iterator[Changes]:
    """Yield smaller values on one axis."""
    window, w, extra = problem.window, problem.w, problem.output_padding
    begin, end = window.padding[axis]
    yield from (
        {"window": replace(window, dilation=_put(window.dilation, axis, d))} for d in _lower(window.dilation[axis])
    )
    for pair in (*((n, end) for n in _lower(begin, 0)), *((begin, n) for n in _lower(end, 0))):
        padding = (*window.padding[:axis], pair, *window.padding[axis + 1 :])
        yield {"window": replace(window, padding=padding)}
    if extra is None and begin + end:  # the same windows, with input values instead of padding
        padding = (*window.padding[:axis], (0, 0), *window.padding[axis + 1 :])
        grown = _put(problem.x, axis + 2, problem.x[axis + 2] + begin + end)
        yield {"window": replace(window, padding=padding), "x": grown}
    for m in _lower(problem.kernel[axis]):
        if w is not None:
            yield {"w": _put(w, axis + 2, m)}
        else:
            yield {"window": replace(window, kernel=_put(problem.kernel, axis, m))}
    if extra is not None:
        yield from ({"output_padding": _put(extra, axis, n)} for n in _lower(extra[axis], 0))
    yield from ({"window": replace(window, stride=_put(window.stride, axis, s))} for s in _lower(window.stride[axis]))
    yield from ({"x": _put(problem.x, axis + 2, n)} for n in _lower(problem.x[axis + 2]))

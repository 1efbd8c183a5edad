"""Problems near a given one, each of which differs in one thing that a cached plan or a kept buffer may forget."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import TypeVar

from harness import GeometryError, Operator, Problem, Window
from harness.problems import DTYPES

T = TypeVar("T")
BATCHES = (1, 33, 2, 0, 5)  # grows past 32, shrinks from above 16, becomes empty, and grows again
WIDE_CHANNELS = 16  # from here on, many libraries take other code for 3x3 and 1x1 kernels
MOST_PADDING = 24  # tried to keep the shape of an output

Neighbours = tuple[tuple[str, Problem], ...]


@lru_cache(maxsize=256)
def near_batches(problem: Problem) -> Neighbours:
    """The problem with batches of 1, 33, 2, 0 and 5 images."""
    return tuple((f"a batch of {n}", problem.with_(x=(n, *problem.x[1:]), seed=problem.seed + n + 1)) for n in BATCHES)


@lru_cache(maxsize=256)
def near_forms(problem: Problem) -> Neighbours:
    """The problem in the other layout, and on real data in every dtype, the shortest first and its own between.

    Real data, because whole numbers that a short dtype holds say nothing of a plan that rounds to it.
    """
    other = "channels-last" if problem.layout == "channels-first" else "channels-first"
    real = problem.with_(data="normal", seed=problem.seed + 51)
    found = [(f"data with {other.replace('-', ' ')}", problem.with_(layout=other, seed=problem.seed + 50))]
    for number, dtype in enumerate(d for d in reversed(DTYPES) if d != problem.dtype):
        found += [
            (f"real data in {dtype}", real.with_(dtype=dtype)),
            (f"real data in {problem.dtype}", real.with_(seed=real.seed + 1 + number)),
        ]
    return tuple(found)


@lru_cache(maxsize=256)
def near_windows(problem: Problem) -> Neighbours:
    """Problems with the shapes of the given one, its output's too where that is possible, and another window."""
    window, last = problem.window, problem.axes - 1
    begin, end = window.padding[last]
    changes: dict[str, Callable[[], Problem | None]] = {
        "another stride": lambda: _keep_output(problem, replace(window, stride=_bump(window.stride))),
        "another dilation": lambda: _keep_output(problem, replace(window, dilation=_bump(window.dilation))),
        "padding on the other side": lambda: _with_padding(problem, _moved(begin, end)),
        "more padding": lambda: _with_padding(problem, (begin + 1, end)),
        "the axes of its window exchanged": lambda: _with_exchanged_axes(problem),
    }
    if problem.operator.pools:
        changes["the other ceil mode"] = lambda: problem.with_(window=replace(window, ceil_mode=not window.ceil_mode))
    if problem.operator.spec.divides:
        changes["the other divisor"] = lambda: problem.with_(
            window=replace(window, count_include_pad=not window.count_include_pad)
        )
    if problem.operator.spec.takes_bias:
        changes["no bias" if problem.bias else "a bias"] = lambda: problem.with_(bias=not problem.bias)
        more = problem.with_(x=(problem.x[0] + 7, *problem.x[1:]))  # a shape that is met without a bias first
        changes["no bias, on more images"] = lambda: more.with_(bias=False)
        changes["a bias, on more images"] = lambda: more.with_(bias=True)
    return tuple(_build(problem, changes))


@lru_cache(maxsize=256)
def near_sizes(problem: Problem) -> Neighbours:
    """Problems with the kernel of the given one over other spaces, and with other kernels over its space."""
    *outer, width = problem.x[2:]
    changes: dict[str, Callable[[], Problem | None]] = {
        "a larger space": lambda: problem.with_(x=(*problem.x[:2], *(n + 3 for n in problem.x[2:]))),
        "a smaller space": lambda: problem.with_(x=(*problem.x[:2], *outer, width - 1)),
        "another kernel": lambda: _with_kernel(problem, (*problem.kernel[:-1], problem.kernel[-1] + 1)),
        "a kernel of one tap": lambda: _with_kernel(problem, (1,) * problem.axes),
        "its axes exchanged": lambda: _with_turned_space(problem),
        "one axis more": lambda: _with_one_axis_more(problem),
        "one axis less": lambda: _with_one_axis_less(problem),
        "more channels": lambda: _with_channels(problem, problem.window.groups * 3),
        "other groups": lambda: _with_other_groups(problem),
        f"{WIDE_CHANNELS} channels and a kernel of 3": lambda: _plain(problem, 3, 1),
        f"{WIDE_CHANNELS} channels and a kernel of 1": lambda: _plain(problem, 1, 0),
    }
    return tuple(_build(problem, changes))


@lru_cache(maxsize=256)
def near_operators(problem: Problem) -> Neighbours:
    """The other operators on the geometry of the given one."""
    own = problem.operator
    alike = [op for op in Operator if op.pools is own.pools and not op.spec.transposed and op is not own]
    others = [] if own.spec.transposed else alike
    return tuple(_build(problem, {op.value: partial(_with_operator, problem, op) for op in others}))


def _build(problem: Problem, changes: dict[str, Callable[[], Problem | None]]) -> Iterator[tuple[str, Problem]]:
    """The variants that are possible and differ from the problem, each with data of its own."""
    for number, (what, change) in enumerate(changes.items()):
        with contextlib.suppress(GeometryError):
            made = change()
            if made is not None and made != problem:
                yield what, made.with_(seed=problem.seed + 101 + number)


def _bump(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return (*sizes[:-1], sizes[-1] + 1)


def _moved(begin: int, end: int) -> tuple[int, int]:
    """The same sum, with other parts."""
    return (end, begin) if begin != end else (begin + 1, max(0, end - 1))


def _with_padding(problem: Problem, sides: tuple[int, int]) -> Problem:
    return problem.with_(window=replace(problem.window, padding=(*problem.window.padding[:-1], sides)))


def _keep_output(problem: Problem, window: Window) -> Problem:
    """The problem under a window, with as much padding at the end of the last axis as keeps the output's shape.

    Where no padding does, the shape of the output changes with the window.
    """
    begin, end = window.padding[-1]
    for more in range(MOST_PADDING):
        with contextlib.suppress(GeometryError):
            padding = (*window.padding[:-1], (begin, end + more))
            made = problem.with_(window=replace(window, padding=padding))
            if made.y == problem.y:
                return made
    return problem.with_(window=window)


def _with_exchanged_axes(problem: Problem) -> Problem | None:
    """Stride, padding and dilation of the first and the last axis exchanged; the shapes of x and w stay."""
    if problem.axes == 1:
        return None

    def turn(values: tuple[T, ...]) -> tuple[T, ...]:
        return (values[-1], *values[1:-1], values[0])

    window = problem.window
    turned = replace(window, stride=turn(window.stride), padding=turn(window.padding), dilation=turn(window.dilation))
    return problem.with_(window=turned, output_padding=_no_output_padding(problem))


def _with_turned_space(problem: Problem) -> Problem | None:
    """The sizes of the first and the last axis of x exchanged: as many elements, and the same kernel."""
    if problem.axes == 1:
        return None
    first, *middle, last = problem.x[2:]
    return problem.with_(x=(*problem.x[:2], last, *middle, first), output_padding=_no_output_padding(problem))


def _with_one_axis_more(problem: Problem) -> Problem | None:
    """The same numbers under a first axis of size 1."""
    if problem.axes == 3:
        return None
    window = problem.window
    return problem.with_(
        x=(*problem.x[:2], 1, *problem.x[2:]),
        w=None if problem.w is None else (*problem.w[:2], 1, *problem.w[2:]),
        output_padding=None if problem.output_padding is None else (0, *problem.output_padding),
        window=replace(
            window, stride=(1, *window.stride), padding=((0, 0), *window.padding), dilation=(1, *window.dilation),
            kernel=None if window.kernel is None else (1, *window.kernel),
        ),
    )  # fmt: skip


def _with_one_axis_less(problem: Problem) -> Problem | None:
    """The problem without its first axis."""
    if problem.axes == 1:
        return None
    window = problem.window
    return problem.with_(
        x=(*problem.x[:2], *problem.x[3:]),
        w=None if problem.w is None else (*problem.w[:2], *problem.w[3:]),
        output_padding=None if problem.output_padding is None else problem.output_padding[1:],
        window=replace(
            window, stride=window.stride[1:], padding=window.padding[1:], dilation=window.dilation[1:],
            kernel=None if window.kernel is None else window.kernel[1:],
        ),
    )  # fmt: skip


def _no_output_padding(problem: Problem) -> tuple[int, ...] | None:
    return None if problem.output_padding is None else (0,) * problem.axes


def _with_kernel(problem: Problem, kernel: tuple[int, ...]) -> Problem:
    if problem.w is None:
        return problem.with_(window=replace(problem.window, kernel=kernel))
    return problem.with_(w=(*problem.w[:2], *kernel))


def _with_channels(problem: Problem, more: int) -> Problem:
    """More channels that are summed over, in groups of the same number."""
    if problem.w is None:
        return problem.with_(x=(problem.x[0], problem.x[1] + more, *problem.x[2:]))
    x = (problem.x[0], problem.x[1] + more, *problem.x[2:])
    if problem.operator is Operator.conv_transpose:
        return problem.with_(x=x, w=(problem.w[0] + more, *problem.w[1:]))
    return problem.with_(x=x, w=(problem.w[0], problem.w[1] + more // problem.window.groups, *problem.w[2:]))


def _with_other_groups(problem: Problem) -> Problem | None:
    """The same kernel array read as another number of groups."""
    if problem.w is None:
        return None
    rows, inner = problem.w[:2]
    now = problem.window.groups
    groups = next((g for g in range(2, rows + 1) if rows % g == 0), 1) if now == 1 else 1
    channels = problem.x[1] if problem.operator.spec.transposed else inner * groups
    return problem.with_(x=(problem.x[0], channels, *problem.x[2:]), window=replace(problem.window, groups=groups))


def _plain(problem: Problem, taps: int, padding: int) -> Problem:
    """The plainest problem of the operator with many channels, which libraries have special code for."""
    window = Window.of(problem.axes, padding=padding, kernel=(taps,) * problem.axes if problem.w is None else None)
    space = (problem.x[0], WIDE_CHANNELS, *(min(n, 6) + taps - 1 for n in problem.x[2:]))
    if problem.w is None:
        return problem.with_(x=space, window=window)
    w = (WIDE_CHANNELS, WIDE_CHANNELS, *(taps,) * problem.axes)
    return problem.with_(x=space, w=w, window=window, output_padding=_no_output_padding(problem))


def _with_operator(problem: Problem, operator: Operator) -> Problem:
    """Another operator on the same geometry."""
    window = problem.window
    if operator.pools and not operator.spec.divides:
        window = replace(window, count_include_pad=True)
    return problem.with_(operator=operator, window=window)

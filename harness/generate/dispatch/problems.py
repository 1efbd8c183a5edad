"""Problems on specialised code paths, for every operator: covering arrays over `values.py`, on whole numbers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from functools import cache

from harness.generate.build import MAXIMA, Choices, build
from harness.generate.covering import Row, cover
from harness.generate.dispatch import values
from harness.generate.dispatch.conditions import windows
from harness.generate.dispatch.dealing import deal_counts
from harness.generate.dispatch.values import WindowClass
from harness.generate.domains import Pair, Value
from harness.plan.suite import NamedProblem
from harness.spec.data import can_be_distinct
from harness.spec.operator import Operator
from harness.spec.problem import MEANS, Problem

LAW = "agrees-with-reference"  # the one law that these problems are asked: it knows every element
AFFORDABLE = 3e6  # operations; a row gets the cheaper counts of its classes above
DEAR, DEAREST = 1e7, 2e7  # above the first a row is split, above the second it is not a default
LONG_FORMATS = ("float32", "float64")  # formats that are wider than another one to which factors may be rounded
KERNELED = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_transpose)


@cache
def dispatch_problems() -> tuple[NamedProblem, ...]:
    """Return problems named dispatch/OPERATOR/0000 and on; the same ones in the same order every time."""
    return tuple(ask_elements(name, problem) for name, problem in _all_problems() if estimate_cost(problem) <= DEAREST)


def dear_dispatch_problems() -> tuple[NamedProblem, ...]:
    """Return the few problems of the same arrays that cost too much to be asked by default."""
    return tuple(ask_elements(name, problem) for name, problem in _all_problems() if estimate_cost(problem) > DEAREST)


@cache
def _all_problems() -> tuple[tuple[str, Problem], ...]:
    found: dict[Problem, str] = {}
    for operator in Operator:
        for number, row in enumerate(_rows(operator)):
            found.setdefault(problem_of(operator, row, number), f"dispatch/{operator}/{number:04d}")
    return tuple((name, problem) for problem, name in found.items())


def ask_elements(name: str, problem: Problem) -> NamedProblem:
    """Name a problem of which every element is asked, and nothing else."""
    return NamedProblem(name=name, problem=problem, laws=(LAW,), optional=True)


def _rows(operator: Operator) -> Sequence[Row]:
    """Return the rows of an operator's arrays; operators that share a geometry share the array."""
    names: tuple[str, ...]
    if operator in KERNELED:
        names = ("layers", "paths")
    elif operator is Operator.conv_bias_grad:
        names = ("sums",)
    else:
        names = ("means", "means-paths") if operator in MEANS else ("maxima", "maxima-paths")
    return tuple(row for name in names for row in _light_rows(name))


@cache
def _light_rows(name: str) -> tuple[Row, ...]:
    """Return the rows of an array, a dear one as several cheap ones.

    What is dear is a large batch with many channels and a wide output at once. Cheap rows have one of the three, with
    all that the other columns say, so that every three values still meet unless two of the three are among them.
    """
    operator = _ARRAYS[name][0]
    light = {key: value for key, value in values.LIGHT.items() if key in _cover(name)[0]}
    found: list[Row] = []
    for number, row in enumerate(_cover(name)):
        if estimate_cost(problem_of(operator, row, number)) <= DEAR:
            found.append(row)
            continue
        found.extend(row | {k: v for k, v in light.items() if k not in kept} for kept in values.DEAR_TOGETHER)
    return tuple(found)


def estimate_cost(problem: Problem) -> float:
    """Estimate what a problem costs to check, in operations: a byte that is touched costs as much as several."""
    padded = math.prod(n + b + e for n, (b, e) in zip(problem.forward_spatial, problem.window.padding, strict=True))
    columns = math.prod(problem.kernel) * math.prod(windows(problem))
    maps = problem.x[0] * max(problem.x[1], problem.y[1])
    return problem.flops + 4 * problem.bytes + 10 * maps * (padded + columns)


_ARRAYS: Mapping[str, tuple[Operator, Mapping[str, Sequence[Value]], Sequence[Pair]]] = {
    "layers": (Operator.conv, values.LAYERS, values.LAYERS_FORBIDDEN),
    "paths": (Operator.conv, values.PATHS, values.PATHS_FORBIDDEN),
    "sums": (Operator.conv_bias_grad, values.SUMS, ()),
    "maxima": (Operator.max_pool, values.MAXIMA, values.POOLS_FORBIDDEN),
    "maxima-paths": (Operator.max_pool, values.MAXIMA_PATHS, values.POOL_PATHS_FORBIDDEN),
    "means": (Operator.avg_pool, values.MEANS, values.POOLS_FORBIDDEN),
    "means-paths": (Operator.avg_pool, values.MEANS_PATHS, values.POOL_PATHS_FORBIDDEN),
}


@cache
def _cover(name: str) -> tuple[Row, ...]:
    operator, columns, forbidden = _ARRAYS[name]
    return deal_counts(
        cover(columns, forbidden), lambda row, number: estimate_cost(problem_of(operator, row, number)) > AFFORDABLE
    )


def problem_of(operator: Operator, row: Row, number: int) -> Problem:
    """Build the problem of a row; what no column says goes round with the row's number."""
    window = _window_of(row)
    axes = len(window.kernel)
    stride = window.stride or (1,) * axes
    begin, end = window.sides
    out, remainder = values.SPACES[row["space"]][-axes:], tuple((number + axis) % 3 for axis in range(axes))
    if window.full:  # windows of what the padding adds to an input of one window
        added = [b + e for b, e in zip(begin, end, strict=True)]
        out = tuple(more // s + 1 for more, s in zip(added, stride, strict=True))
        remainder = tuple(more % s for more, s in zip(added, stride, strict=True))
    elif row["space"] == "one":  # one position of a wide padding needs the room that a stride leaves
        short = [b + e - (m - 1) * window.dilation for b, e, m in zip(begin, end, window.kernel, strict=True)]
        remainder = tuple(n if 0 < n < s else r for n, s, r in zip(short, stride, remainder, strict=True))
    if window.padding == "over":
        remainder = (1,) * axes  # else the last window would hold padding alone
    c, o, groups = _count(operator, row, window, number)
    problem = build(
        Choices(
            operator=operator,
            out=out,
            kernel=window.kernel,
            stride=stride,
            dilation=(window.dilation,) * axes,
            begin=begin,
            end=end,
            remainder=remainder,
            batch=int(row["batch"]),
            channels=c,
            outputs=o,
            groups=groups,
            bias=row.get("bias") == "bias",
            ceil=window.ceil or row.get("rounding") == "ceil",
            exclude_pad=row.get("divisor") == "exclude",
            dtype=str(row["dtype"]),
            layout=str(row["layout"]),
            data="integer",
            hollow=window.padding == "over",
        )
    )
    if operator in MAXIMA:
        return problem.with_(data="distinct") if can_be_distinct(problem) else problem
    return with_long_numbers(problem)


def with_long_numbers(problem: Problem) -> Problem:
    """Return a problem in float32 or float64 on whole numbers of many bits, in one factor or the other.

    A path that rounds its factors to a shorter format gives the right sums of short numbers (mlx#4242). Short formats
    have no room for long numbers, and a maximum has no sum.
    """
    if problem.dtype not in LONG_FORMATS or problem.operator in MAXIMA:
        return problem
    return problem.with_(data="long", seed=zlib.crc32(problem.line.encode()) % 2)


def _window_of(row: Row) -> WindowClass:
    """Return the window that a row names whole, or that its columns put together."""
    if "window" in row:
        return (values.WINDOWS if "bias" in row else values.POOLS)[row["window"]]
    if "kernel" not in row:
        return WindowClass(kernel=(1,) * int(row["axes"]))
    kernel = (values.KERNELS if "groups" in row else values.POOL_KERNELS)[row["kernel"]]
    return WindowClass(
        kernel=kernel, stride=values.stride_of(row["stride"], kernel), padding=row["padding"],  # type: ignore[arg-type]
        dilation=int(row["dilation"]), groups=row.get("groups", "one"), full=row["kernel"] == values.FULL,  # type: ignore[arg-type]
    )  # fmt: skip


def _count(operator: Operator, row: Row, window: WindowClass, number: int) -> tuple[int, int, int]:
    """Return channels and outputs of a group, and the number of groups."""
    c, o = int(row.get("c", 8)), int(row.get("o", 8))
    if operator.pools:
        return c, 1, 1
    if window.groups == "depthwise":
        return 1, 1, c
    if window.groups == "multiplier":
        return 1, *_multiply(c, o, number)
    return c, o, values.GROUPS_OF_MANY[number % 2] if window.groups == "grouped" else 1


def _multiply(c: int, o: int, number: int) -> tuple[int, int]:
    """Return outputs of each channel of a depthwise convolution, and channels: by turns c of them, or o outputs."""
    fitting = [m for m in values.MULTIPLIERS if o % m == 0 and o > m]
    if number % 2 and fitting:
        return fitting[0], o // fitting[0]
    return values.MULTIPLIERS[number % 2], c

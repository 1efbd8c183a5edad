"""Problems on specialised code paths, for every operator: covering arrays over `values.py`, on whole numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from harness.generate.build import Choices, build
from harness.generate.covering import Row, cover
from harness.generate.dispatch import values
from harness.generate.dispatch.conditions import windows
from harness.generate.dispatch.values import WindowClass
from harness.generate.domains import Value
from harness.plan.suite import NamedProblem
from harness.spec.operator import Operator
from harness.spec.problem import MEANS, Problem
from harness.spec.window import Sizes

LAW = "agrees-with-reference"  # the one law that these problems are asked: it knows every element
DEAR, DEAREST = 1e7, 2.5e7  # operations: above the first a row is split, above the second it is not a default
SCATTER, MODULUS = 7919, 104729  # so that counts do not go along with any other column
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
    if operator in KERNELED:
        return (*_light_rows("layers", Operator.conv), *_light_rows("paths", Operator.conv))
    if operator is Operator.conv_bias_grad:
        return _cover("sums")
    return _light_rows(*(("means", Operator.avg_pool) if operator in MEANS else ("maxima", Operator.max_pool)))


@cache
def _light_rows(name: str, operator: Operator) -> tuple[Row, ...]:
    """Return the rows of an array, a dear one as several cheap ones.

    What is dear is a large batch with many channels and a wide output at once. Cheap rows have one of the three, with
    all that the other columns say, so that every three values still meet unless two of the three are among them.
    """
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


@cache
def _cover(name: str) -> tuple[Row, ...]:
    columns, forbidden = {
        "layers": (values.LAYERS, values.LAYERS_FORBIDDEN),
        "paths": (values.PATHS, values.PATHS_FORBIDDEN),
        "sums": (values.SUMS, ()),
        "maxima": (values.MAXIMA, values.POOLS_FORBIDDEN),
        "means": (values.MEANS, values.POOLS_FORBIDDEN),
    }[name]
    return tuple(cover(columns, forbidden))


def problem_of(operator: Operator, row: Row, number: int) -> Problem:
    """Build the problem of a row; what no column says goes round with the row's number."""
    window = _window_of(row)
    axes = len(window.kernel)
    out = (1,) * axes if window.full else values.SPACES[row["space"]][-axes:]
    stride = window.stride or (1,) * axes
    begin, end = _pad(window, axes)
    c, o, groups = _count(operator, row, window, number)
    remainder = (0,) * axes if window.full else tuple((number + axis) % 3 for axis in range(axes))
    return build(
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
        )
    )


def _window_of(row: Row) -> WindowClass:
    """Return the window that a row names whole, or that its columns put together."""
    known: Mapping[Value, WindowClass] = {
        **values.WINDOWS,
        **values.POOLS,
        **values.PADDED_POOLS,
        **values.DILATED_POOLS,
    }
    if "window" in row:
        return known[row["window"]]
    if "kernel" not in row:
        return WindowClass(kernel=(1,) * int(row["axes"]))
    kernel = values.KERNELS[row["kernel"]]
    return WindowClass(
        kernel=kernel, stride=_stride(row["stride"], kernel), padding=row["padding"],  # type: ignore[arg-type]
        dilation=int(row["dilation"]), groups=row["groups"], full=row["kernel"] == values.FULL,  # type: ignore[arg-type]
    )  # fmt: skip


def _stride(name: Value, kernel: Sizes) -> Sizes:
    if name == "unequal":
        return values.UNEQUAL[-len(kernel) :]
    if name == "kernel":
        return kernel
    if name == "beyond":
        return tuple(m + 1 for m in kernel)
    return (int(name),) * len(kernel)


def _pad(window: WindowClass, axes: int) -> tuple[Sizes, Sizes]:
    """Return the paddings at the begin and at the end of each axis."""
    reach = [(m - 1) * window.dilation for m in window.kernel]
    zeros = (0,) * axes
    return {
        "none": (zeros, zeros),
        "same": (tuple(r // 2 for r in reach), tuple(r - r // 2 for r in reach)),
        "half": (tuple(m // 2 for m in window.kernel), tuple((m - 1) // 2 for m in window.kernel)),
        "wide": (tuple(reach), tuple(reach)),
        "causal": (tuple(reach), zeros),
        "end": (zeros, tuple(reach)),
        "beyond": (tuple(r + 1 for r in reach), tuple(r + 2 for r in reach)),
    }[window.padding]


def _count(operator: Operator, row: Row, window: WindowClass, number: int) -> tuple[int, int, int]:
    """Return channels and outputs of a group, and the number of groups."""
    first, second = (
        values.CHANNEL_PAIRS[row["channels"]]
        if "channels" in row
        else (
            row.get("c", 8),
            row.get("o", 8),
        )
    )
    c, o = _channel(first, number), _channel(second, number // 2 + 1)
    if operator.pools:
        return c, 1, 1
    if window.groups == "depthwise":
        return 1, 1, c
    if window.groups == "multiplier":
        return 1, values.MULTIPLIERS[number % 2], c
    return c, o, values.GROUPS_OF_MANY[number % 2] if window.groups == "grouped" else 1


def _channel(value: Value, number: int) -> int:
    counts = values.CHANNELS[value]
    return counts[number * SCATTER % MODULUS % len(counts)]

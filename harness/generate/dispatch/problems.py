"""Problems on specialised code paths, for every operator, made of the values of `values.py`, on whole numbers.

Candidates are layers as networks have them, by covering arrays, and rows in which their parts cross freely. Of these,
the problems are asked that meet most conditions of the model in threes which no other problem meets (`choosing.py`). A
covering array of all columns takes more rows: it asks every three classes of values, also where these meet no three
conditions anew, and does not ask every three conditions, where one is a single count of a class.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from harness.generate.build import MAXIMA, Choices, build_problem
from harness.generate.covering import Row
from harness.generate.dispatch import values
from harness.generate.dispatch.choosing import choose, list_narrow
from harness.generate.dispatch.conditions import conditions_for, windows
from harness.generate.dispatch.crossing import COUNTED, count_classes, cross
from harness.generate.dispatch.flags import flags_of
from harness.generate.dispatch.values import WindowClass
from harness.generate.domains import Pair, Value
from harness.plan.suite import NamedProblem
from harness.problems.data import can_be_distinct
from harness.problems.operator import Operator
from harness.problems.problem import MEANS, Problem

LAW = "agrees-with-reference"  # the one law that these problems are asked: it knows every element
DEAR = 6e6  # operations above which a problem is not asked by default
# Conditions in threes that no other problem meets, for which a problem is worth its cost: a whole layer, whose window
# counts as a condition, any other, and a sum of dy alone, which costs little.
LEAST_OF_LAYER, LEAST_NEW, LEAST_OF_SUM = 12, 2, 1
LONG_FORMATS = ("float32", "float64")  # formats that are wider than another one to which factors may be rounded
KERNELED = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_transpose)


@cache
def dispatch_problems() -> tuple[NamedProblem, ...]:
    """Return problems named dispatch/OPERATOR/0000 and on; the same ones in the same order every time."""
    return tuple(_name("", _chosen))


def costly_dispatch_problems() -> tuple[NamedProblem, ...]:
    """Return more problems on specialised paths, which `dispatch_problems` leaves out for what they cost."""
    return tuple(_name("dear-", _dear))


def _name(kind: str, rows: Callable[[str], Sequence[Row]]) -> Iterator[NamedProblem]:
    """Yield the problems of all operators, equal ones once; operators that share a geometry share rows."""
    known: set[Problem] = set()
    for operator in Operator:
        for number, row in enumerate(rows(_array_of(operator))):
            problem = problem_of(operator, row)
            if problem not in known:
                known.add(problem)
                yield ask_elements(f"dispatch/{operator}/{kind}{number:04d}", problem)


def ask_elements(name: str, problem: Problem) -> NamedProblem:
    """Name a problem of which every element is asked, and nothing else."""
    return NamedProblem(name=name, problem=problem, laws=(LAW,), optional=True)


def _array_of(operator: Operator) -> str:
    """Name the array of an operator's layers."""
    if operator in KERNELED:
        return "layers"
    if operator is Operator.conv_bias_grad:
        return "sums"
    return "means" if operator in MEANS else "maxima"


def estimate_cost(problem: Problem) -> float:
    """Estimate what a problem costs to check, in operations: a byte that is touched costs as much as several."""
    padded = math.prod(n + b + e for n, (b, e) in zip(problem.forward_spatial, problem.window.padding, strict=True))
    columns = math.prod(problem.kernel) * math.prod(windows(problem))
    maps = problem.x[0] * max(problem.x[1], problem.y[1])
    return problem.flops + 4 * problem.bytes + 10 * maps * (padded + columns)


_ARRAYS: Mapping[str, tuple[Operator, Mapping[str, Sequence[Value]], Sequence[Pair]]] = {
    "layers": (Operator.conv, values.LAYERS, values.LAYERS_FORBIDDEN),
    "sums": (Operator.conv_bias_grad, values.SUMS, ()),
    "maxima": (Operator.max_pool, values.MAXIMA, values.POOLS_FORBIDDEN),
    "means": (Operator.avg_pool, values.MEANS, values.POOLS_FORBIDDEN),
}
# The columns that cross beside an array: of windows, and of forms; and pairs that no window has.
_CROSSED: Mapping[str, tuple[Mapping[str, Sequence[Value]], Mapping[str, Sequence[Value]], Sequence[Pair]]] = {
    "layers": (values.PATHS, values.PATH_FORMS, values.PATHS_FORBIDDEN),
    "maxima": (values.MAXIMA_PATHS, values.MAXIMA_PATH_FORMS, values.POOL_PATHS_FORBIDDEN),
    "means": (values.MEANS_PATHS, values.MEANS_PATH_FORMS, values.POOL_PATHS_FORBIDDEN),
}


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: Row
    flags: bytes
    is_dear: bool


@cache
def _chosen(array: str) -> tuple[Row, ...]:
    """Return the rows that are asked by default: first whole layers, then what else meets conditions anew.

    The window of a layer is a condition in the first choice alone. So the layers that all networks have meet each count
    and each form, as a first layer three channels in float32, and not their parts alone.
    """
    cheap = [one for one in _candidates(array) if not one.is_dear]
    narrow, named = _narrow(array), _ARRAYS[array][1].get("window", ())
    flags = [bytes(one.flags[place] for place in narrow) for one in cheap]
    whole = [number for number, one in enumerate(cheap) if "window" in one.row]
    layers = [flags[n] + bytes(cheap[n].row["window"] == window for window in named) for n in whole]
    first = [whole[number] for number in choose(layers, (), LEAST_OF_LAYER)]
    least = LEAST_NEW if named else LEAST_OF_SUM
    return tuple(cheap[n].row for n in (*first, *choose(flags, (flags[n] for n in first), least)))


def _dear(array: str) -> tuple[Row, ...]:
    """Return the dear rows that are worth being asked beside the chosen ones."""
    dear, narrow = [one for one in _candidates(array) if one.is_dear], _narrow(array)
    known = (_judge(array, row).flags for row in _chosen(array))
    flags, met = ([bytes(one[place] for place in narrow) for one in some] for some in ([d.flags for d in dear], known))
    return tuple(dear[number].row for number in choose(flags, met, LEAST_NEW))


@cache
def _narrow(array: str) -> list[int]:
    factors = [one.factor for one in conditions_for(_ARRAYS[array][0])]
    return list_narrow([one.flags for one in _candidates(array) if not one.is_dear], factors)


@cache
def _candidates(array: str) -> tuple[_Candidate, ...]:
    """Return the rows to choose from, with the conditions that hold for their problems.

    A dear row is followed by a cheap one, which keeps one of what makes it dear: its batch, its space or a count.
    """
    found = []
    for number, row in enumerate(_list_rows(array)):
        found.append(_judge(array, row))
        if found[-1].is_dear:
            light = [name for name in values.LIGHT if name in row]
            kept = light[number % len(light)]
            found.append(_judge(array, row | {name: values.LIGHT[name] for name in light if name != kept}))
    return tuple(found)


def _list_rows(array: str) -> Iterator[Row]:
    """Yield the rows of an array, then those of crossed parts, then whole windows in crossed forms."""
    _, columns, forbidden = _ARRAYS[array]
    yield from count_classes(columns, forbidden)
    if array in _CROSSED:
        parts, forms, impossible = _CROSSED[array]
        counted = [name for name in COUNTED if name in columns]
        yield from cross(parts, forms, counted, impossible)
        yield from cross({name: columns[name] for name in ("window", "space")}, forms, counted, forbidden)


def _judge(array: str, row: Row) -> _Candidate:
    problem = _shape(_ARRAYS[array][0], row)
    return _Candidate(row, flags_of(problem), estimate_cost(problem) > DEAR)


def problem_of(operator: Operator, row: Row) -> Problem:
    """Build the problem of a row: maxima on distinct numbers where the dtype has enough, sums on long ones."""
    problem = _shape(operator, row)
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


def _shape(operator: Operator, row: Row) -> Problem:
    """Build the problem of a row on whole numbers; what no column says goes round with its turn."""
    number, window = int(row["turn"]), _window_of(row)
    axes = len(window.kernel)
    stride = window.stride or (1,) * axes
    begin, end = window.sides
    out, remainder = values.SPACES[row["space"]][-axes:], tuple((number + axis) % 3 for axis in range(axes))
    if window.full:  # windows of what the padding adds to an input of one window
        added = [b + e - (m - 1) * (window.dilation - 1) for b, e, m in zip(begin, end, window.kernel, strict=True)]
        out = tuple(more // s + 1 for more, s in zip(added, stride, strict=True))
        remainder = tuple(more % s for more, s in zip(added, stride, strict=True))
    elif row["space"] == "one":  # one position of a wide padding needs the room that a stride leaves
        short = [b + e - (m - 1) * window.dilation for b, e, m in zip(begin, end, window.kernel, strict=True)]
        remainder = tuple(n if 0 < n < s else r for n, s, r in zip(short, stride, remainder, strict=True))
    if window.padding == "over":
        remainder = (1,) * axes  # else the last window would hold padding alone
    c, o, groups = _count(operator, row, window, number)
    return build_problem(
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


def _window_of(row: Row) -> WindowClass:
    """Return the window that a row names whole, or that its columns put together."""
    if "window" in row:
        return (values.WINDOWS if "bias" in row else values.POOLS)[row["window"]].turned(int(row["turn"]))
    if "kernel" not in row:
        return WindowClass(kernel=(1,) * int(row["axes"]))
    kernel = (values.KERNELS if "groups" in row else values.POOL_KERNELS)[row["kernel"]]
    return WindowClass(
        kernel=kernel, stride=values.stride_of(row["stride"], kernel), padding=row["padding"],  # type: ignore[arg-type]
        dilation=int(row["dilation"]), groups=row.get("groups", "one"),  # type: ignore[arg-type]
        full=row["kernel"] in values.FILLING,
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

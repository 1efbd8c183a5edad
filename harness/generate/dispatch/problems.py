"""Problems on specialised code paths for every operator, made of the values of `values.py`, on integers.

Candidates are layers of real networks, from covering arrays, and rows in which the parts of layers combine freely.
`choosing.py` selects the ones that contribute most triples of conditions. A covering array of all columns needs more
rows. It covers every three classes of values, even if they add no triple of conditions, and does not cover every three
conditions, because some of them are a single count of a class.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from harness.generate.answers import avoid_zeros
from harness.generate.build import Choices, build_problem
from harness.generate.covering import Row
from harness.generate.dispatch import values
from harness.generate.dispatch.choosing import choose, list_narrow
from harness.generate.dispatch.conditions import conditions_for, windows
from harness.generate.dispatch.crossing import COUNTED, count_classes, cross
from harness.generate.dispatch.flags import flags_of
from harness.generate.dispatch.possible import reads_nothing
from harness.generate.dispatch.values import WindowClass
from harness.generate.domains import Pair, Value
from harness.plan.suite import NamedProblem
from harness.problems.data import can_be_distinct
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Problem
from harness.problems.validation import read_word
from harness.problems.window import Sizes

LAW = "agrees-with-reference"  # the only law for these problems: it checks every element
DEAR = 6e6  # operations above which a problem is not tested by default
# New triples of conditions that make a problem worth its cost: of a whole layer, whose window counts as a condition;
# of any other problem; and of a sum of dy, which is cheap.
LEAST_OF_LAYER, LEAST_NEW, LEAST_OF_SUM = 12, 2, 1
SHIFTS = 3  # of the positions beyond the last window, from one axis to the next
LONG_FORMATS = ("float32", "float64")  # formats that are wider than another one to which factors may be rounded


@cache
def dispatch_problems() -> tuple[NamedProblem, ...]:
    """Build the problems dispatch/OPERATOR/0000 and so on; deterministic in content and order."""
    return tuple(_name("", choose_candidates))


def costly_dispatch_problems() -> tuple[NamedProblem, ...]:
    """Build further problems that are worth testing, but too expensive to test by default."""
    return tuple(_name("dear-", _dear))


def _name(kind: str, chosen: Callable[[str], Sequence[Candidate]]) -> Iterator[NamedProblem]:
    """Yield the problems of all operators without duplicates; operators with the same geometry share candidates."""
    known: set[Problem] = set()
    for operator in Operator:
        for number, candidate in enumerate(chosen(operator.spec.family)):
            problem = problem_of(operator, candidate)
            if problem not in known:
                known.add(problem)
                yield ask_elements(f"dispatch/{operator}/{kind}{number:04d}", problem)


def ask_elements(name: str, problem: Problem) -> NamedProblem:
    """Name a problem for the one law that checks every element, with a seed for which these are not all 0."""
    return NamedProblem(name=name, problem=avoid_zeros(problem), laws=(LAW,), optional=True)


def estimate_cost(problem: Problem) -> float:
    """Estimate the cost of checking a problem, in operations; a byte of memory traffic counts as several."""
    padded = math.prod(n + b + e for n, (b, e) in zip(problem.forward_spatial, problem.window.padding, strict=True))
    columns = math.prod(problem.kernel) * math.prod(windows(problem))
    maps = problem.x[0] * max(problem.x[1], problem.y[1])
    return problem.flops + 4 * problem.bytes + 10 * maps * (padded + columns)


ARRAYS: Mapping[str, tuple[Operator, Mapping[str, Sequence[Value]], Sequence[Pair]]] = {
    "layers": (Operator.conv, values.LAYERS, values.LAYERS_FORBIDDEN),
    "sums": (Operator.conv_bias_grad, values.SUMS, ()),
    "maxima": (Operator.max_pool, values.MAXIMA, values.POOLS_FORBIDDEN),
    "means": (Operator.avg_pool, values.MEANS, values.POOLS_FORBIDDEN),
}
# Columns that combine in addition to an array: of windows and of forms; and the forbidden pairs of windows.
_CROSSED: Mapping[str, tuple[Mapping[str, Sequence[Value]], Mapping[str, Sequence[Value]], Sequence[Pair]]] = {
    "layers": (values.PATHS, values.PATH_FORMS, values.PATHS_FORBIDDEN),
    "maxima": (values.MAXIMA_PATHS, values.MAXIMA_PATH_FORMS, values.POOL_PATHS_FORBIDDEN),
    "means": (values.MEANS_PATHS, values.MEANS_PATH_FORMS, values.POOL_PATHS_FORBIDDEN),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row, its problem, the conditions of that, and whether it is dear or blind, reading nothing but padding.

    problem: on integers, of the operator that stands for its family in ARRAYS.
    """

    row: Row
    problem: Problem
    flags: bytes
    is_dear: bool
    is_blind: bool


@cache
def choose_candidates(array: str) -> tuple[Candidate, ...]:
    """Candidates that are tested by default: first whole layers, then all that add triples of conditions.

    The window of a layer is a condition in the first selection only. Common layers therefore occur with each count and
    each form (a first layer with three channels in float32), not only their parts.
    """
    cheap = [one for one in list_candidates(array) if not one.is_dear]
    narrow, named = narrow_conditions(array), ARRAYS[array][1].get("window", ())
    flags = [bytes(one.flags[place] for place in narrow) for one in cheap]
    whole = [number for number, one in enumerate(cheap) if "window" in one.row]
    layers = [flags[n] + bytes(cheap[n].row["window"] == window for window in named) for n in whole]
    first = [whole[number] for number in choose(layers, (), LEAST_OF_LAYER)]
    least = LEAST_NEW if named else LEAST_OF_SUM
    return tuple(cheap[n] for n in (*first, *choose(flags, (flags[n] for n in first), least)))


def _dear(array: str) -> tuple[Candidate, ...]:
    """Expensive candidates that are worth testing in addition to the chosen ones."""
    dear, narrow = [one for one in list_candidates(array) if one.is_dear], narrow_conditions(array)
    known = (one.flags for one in choose_candidates(array))
    flags, met = ([bytes(one[place] for place in narrow) for one in some] for some in ([d.flags for d in dear], known))
    return tuple(dear[number] for number in choose(flags, met, LEAST_NEW))


@cache
def narrow_conditions(array: str) -> list[int]:
    """List the places of the conditions of an array that are to meet in threes (`list_narrow`)."""
    factors = [one.factor for one in conditions_for(ARRAYS[array][0])]
    return list_narrow([one.flags for one in list_candidates(array) if not one.is_dear], factors)


@cache
def list_candidates(array: str) -> tuple[Candidate, ...]:
    """Candidate rows, with the conditions that hold for their problems.

    Each expensive row is followed by a cheap one that keeps one reason for its cost: its batch, its space or a count.
    Rows whose windows read nothing but padding are left out: their answer is zero whatever a path computes.
    """
    found = []
    for number, row in enumerate(_list_rows(array)):
        found.append(judge_row(array, row))
        if found[-1].is_dear:
            light = [name for name in values.LIGHT if name in row]
            kept = light[number % len(light)]
            found.append(judge_row(array, row | {name: values.LIGHT[name] for name in light if name != kept}))
    return tuple(one for one in found if not one.is_blind)


def _list_rows(array: str) -> Iterator[Row]:
    """Yield the rows of an array, then those of combined parts, then whole windows in random forms."""
    _, columns, forbidden = ARRAYS[array]
    yield from count_classes(columns, forbidden)
    if array in _CROSSED:
        parts, forms, impossible = _CROSSED[array]
        counted = [name for name in COUNTED if name in columns]
        yield from cross(parts, forms, counted, impossible)
        yield from cross({name: columns[name] for name in ("window", "space")}, forms, counted, forbidden)


def judge_row(array: str, row: Row) -> Candidate:
    """Find the conditions and the cost of a row of an array."""
    problem = shape_row(ARRAYS[array][0], row)
    return Candidate(row, problem, flags_of(problem), estimate_cost(problem) > DEAR, reads_nothing(problem))


def shape_for(operator: Operator, candidate: Candidate) -> Problem:
    """Return the problem of a candidate on integers for another operator of its family."""
    if operator.spec.transposed:
        return shape_row(operator, candidate.row)
    known = candidate.problem
    return known if operator is known.operator else known.with_(operator=operator)


def problem_of(operator: Operator, candidate: Candidate) -> Problem:
    """Build the problem of a candidate: distinct numbers for maxima if the dtype has enough, long numbers for sums."""
    problem = shape_for(operator, candidate)
    if operator.spec.indexed:
        return problem.with_(data="distinct") if can_be_distinct(problem) else problem
    return with_long_numbers(problem)


def with_long_numbers(problem: Problem) -> Problem:
    """Return a float32 or float64 problem on integers with many bits, in one factor or the other.

    A path that rounds its factors to a shorter format still sums short numbers correctly (mlx#4242). 16-bit formats
    have no room for long numbers, and a maximum has no sum; such problems are returned unchanged.
    """
    spec = problem.operator.spec
    if problem.dtype not in LONG_FORMATS or spec.indexed or "long" in spec.refused_data:
        return problem
    return problem.with_(data="long", seed=zlib.crc32(problem.line.encode()) % 2)


def shape_row(operator: Operator, row: Row) -> Problem:
    """Build the problem of a row on integers; values without a column cycle with `turn`."""
    number, window = int(row["turn"]), _window_of(row)
    begin, end = window.sides
    out, remainder = _space_of(window, row["space"], number % SHIFTS)
    c, o, groups = _count(operator, row, window, number)
    return build_problem(
        Choices(
            operator=operator,
            out=out,
            kernel=window.kernel,
            stride=window.steps,
            dilation=(window.dilation,) * len(window.kernel),
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
            dtype=read_word("dtype", row["dtype"], DTYPES),
            layout=read_word("layout", row["layout"], LAYOUTS),
            data="integer",
            hollow=window.padding == "over",
        )
    )


@cache
def _space_of(window: WindowClass, space: Value, shift: int) -> tuple[Sizes, Sizes]:
    """Return the output size of a window on each axis, and the positions beyond its last window.

    space: name of the size. shift: of the positions, 0 to SHIFTS - 1.
    """
    axes, stride, (begin, end) = len(window.kernel), window.steps, window.sides
    out, remainder = values.ALL_SPACES[space][-axes:], tuple((shift + axis) % SHIFTS for axis in range(axes))
    if window.full:  # number of windows that the padding adds to an input of one window
        added = [b + e - (m - 1) * (window.dilation - 1) for b, e, m in zip(begin, end, window.kernel, strict=True)]
        out = tuple(more // s + 1 for more, s in zip(added, stride, strict=True))
        remainder = tuple(more % s for more, s in zip(added, stride, strict=True))
    elif space == "one":  # with wide padding, one position needs the remainder of a stride
        short = [b + e - (m - 1) * window.dilation for b, e, m in zip(begin, end, window.kernel, strict=True)]
        remainder = tuple(n if 0 < n < s else r for n, s, r in zip(short, stride, remainder, strict=True))
    elif space == values.SQUARE:
        remainder = window.fill_strides(begin, end)
    if window.padding == "over":
        remainder = (1,) * axes  # else the last window would hold padding only
    return out, remainder


def _window_of(row: Row) -> WindowClass:
    """Window that a row names as a whole, or that its columns describe."""
    if "window" in row:
        return (values.WINDOWS if "bias" in row else values.POOLS)[row["window"]].turned(int(row["turn"]))
    if "kernel" not in row:
        return WindowClass(kernel=(1,) * int(row["axes"]))
    kernels = values.KERNELS if "groups" in row else values.POOL_KERNELS
    parts = (row[name] for name in ("kernel", "stride", "dilation", "padding"))
    return _assemble(kernels[row["kernel"]], *parts, row.get("groups", "one"))


@cache
def _assemble(kernel: Sizes, name: Value, stride: Value, dilation: Value, padding: Value, groups: Value) -> WindowClass:
    """Return the window that values of the columns describe.

    kernel: its sizes. name: of the kernel.
    """
    return WindowClass(
        kernel=kernel, stride=values.stride_of(stride, kernel), dilation=int(dilation),
        padding=read_word("padding", padding, values.PADDING_NAMES),
        groups=read_word("groups", groups, values.GROUP_NAMES), full=name in values.FILLING,
    )  # fmt: skip


def _count(operator: Operator, row: Row, window: WindowClass, number: int) -> tuple[int, int, int]:
    """Channels and outputs per group, and the number of groups."""
    c, o = int(row.get("c", 8)), int(row.get("o", 8))
    if operator.pools:
        return c, 1, 1
    if window.groups == "depthwise":
        return 1, 1, c
    if window.groups == "multiplier":
        return 1, *_multiply(c, o, number)
    return c, o, values.GROUPS_OF_MANY[number % 2] if window.groups == "grouped" else 1


def _multiply(c: int, o: int, number: int) -> tuple[int, int]:
    """Outputs per channel of a depthwise convolution, and channels: in turn, exactly c channels or o outputs."""
    fitting = [m for m in values.MULTIPLIERS if o % m == 0 and o > m]
    if number % 2 and fitting:
        return fitting[0], o // fitting[0]
    return values.MULTIPLIERS[number % 2], c

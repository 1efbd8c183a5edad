"""Search for pairs of conditions that can co-occur: a pair is possible if a problem with both is found.

Covering arrays cannot answer this, because they omit expensive and uninteresting pairs of values. This search omits
nothing. It draws problems from the full product of all values named in conditions. For each pair that no draw contains,
it combines traits of a problem that meets one condition with traits of a problem that meets the other. It needs only
the geometry of problems, so that expensive ones cost nothing. A pair that is still not found counts as impossible, such
as a kernel of one tap with a dilation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.errors import GeometryError
from harness.generate.build import Choices, build_problem
from harness.generate.dispatch import values
from harness.generate.dispatch.conditions import (
    BATCHES,
    CONVOLVED,
    EXACT,
    OFF_BY_ONE,
    POOLED,
    Condition,
    conditions_for,
    windows,
)
from harness.generate.dispatch.flags import flags_of
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.operators.cost import count_taps
from harness.problems.problem import LAYOUTS, Problem
from harness.problems.window import Sizes

if TYPE_CHECKING:
    from harness.problems.arrays import Flags

DRAWS = 1500  # random problems, the same in each run
CROSSINGS = 120  # attempts to build a problem for a pair that no draw contains
WITNESSES = 12  # most problems per condition to combine
INPUT = "input"  # number of windows if the input is as large as the kernel
POINT = "point"  # number of windows if the input has one position

Traits = dict[str, Any]  # column -> value
_CHANNELS: Sizes = (*EXACT, *(value for near in OFF_BY_ONE for value in near))
_STRIDES = (1, 2, 3, 4, "unequal", "kernel", "beyond")
_PADDINGS = ("none", "same", "half", "wide", "causal", "end", "beyond", "begin beyond", "end beyond", "far")
_FAR = 40  # a padding that makes every output wide, even if the kernel is as large as its input
_SPACES = ((1, 1, 1), (2, 2, 3), (4, 4, 4), (2, 2, 4), (1, 3, 5), (1, 2, 16), (1, 1, 33), (2, 2, 64), INPUT, POINT)
_COMMON: Mapping[str, Sequence[Any]] = {
    "stride": _STRIDES, "padding": _PADDINGS, "dilation": (1, 2, 4, 12), "space": _SPACES, "remainder": (0, 1, 2, 3),
    "batch": BATCHES, "c": _CHANNELS, "layout": LAYOUTS, "dtype": tuple(DTYPES),
}  # fmt: skip
_CONVOLUTIONS: Mapping[str, Sequence[Any]] = {
    **_COMMON,
    "kernel": (*(sizes for _, sizes in CONVOLVED.values()), (3, 2), (16,), (2, 12), (2, 2, 2)),
    "groups": ("one", "grouped", "depthwise", "multiplier"), "o": _CHANNELS, "bias": (False, True),
}  # fmt: skip
_POOLS: Mapping[str, Sequence[Any]] = {
    **_COMMON,
    "kernel": (*(sizes for _, sizes in POOLED.values()), (9, 8), (16, 17), (33, 32), (1, 18), (18, 1), (65,), (1025,)),
    "ceil": (False, True), "exclude": (False, True),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """Conditions of an operator that can hold, in the order of `conditions_for`.

    together: True if two conditions can co-occur; on the diagonal, if one can hold. Shape (conditions,) * 2.
    """

    conditions: tuple[Condition, ...]
    together: Flags


def applies(condition: Condition, operator: Operator) -> bool:
    """Return True if a condition applies to an operator: those of bias and divisor only if it has one."""
    if condition.factor == "bias":
        return operator.spec.takes_bias
    return condition.factor != "divisor" or operator.spec.divides


def search_possible(operator: Operator) -> Possible:
    """Search for the conditions of `conditions_for` that can co-occur in a problem of an operator; deterministic.

    A condition without any problem counts as possible, alone and with every other one, so that a failure of the search
    appears as "never asked" instead of disappearing. It takes more than a second; `impossible.find_possible` has the
    same pairs as a table.
    """
    return _search(representative(operator))


@cache
def representative(operator: Operator) -> Operator:
    """Return the operator that answers for all that have its geometry and its table of conditions."""
    return next(other for other in Operator if other.spec.family == operator.spec.family)


def list_columns(operator: Operator) -> Mapping[str, Sequence[Any]]:
    """Return the possible values of every trait of an operator's problems."""
    return _POOLS if operator.pools else _CONVOLUTIONS


@cache
def _search(operator: Operator) -> Possible:
    import numpy as np

    conditions, draw = conditions_for(operator), random.Random(0)
    columns = list_columns(operator)
    rows = [{name: draw.choice(values) for name, values in columns.items()} for _ in range(DRAWS)]
    kept = [(row, problem) for row in rows if (problem := make_problem(operator, row)) is not None]
    met = np.array([list(flags_of(problem)) for _, problem in kept], dtype=bool)
    together = (met.T.astype(np.int32) @ met.astype(np.int32)) > 0
    witnesses = [[kept[n][0] for n in np.flatnonzero(column)[:WITNESSES]] for column in met.T]
    for a, first in enumerate(conditions):
        for b in range(a):
            second = conditions[b]
            if not together[a, b] and first.factor != second.factor:
                together[a, b] = together[b, a] = not witnesses[a] or not witnesses[b] or any(
                    flags[a] and flags[b]
                    for flags in map(flags_of, _cross(operator, witnesses[a], witnesses[b], draw))
                )  # fmt: skip
    unknown = [number for number, found in enumerate(witnesses) if not found]
    together[unknown, unknown] = True
    return Possible(conditions=conditions, together=together)


def _cross(operator: Operator, first: list[Traits], second: list[Traits], draw: random.Random) -> list[Problem]:
    """Problems with each trait from a witness of one condition or of the other."""
    found = []
    for _ in range(CROSSINGS):
        pair = (draw.choice(first), draw.choice(second))
        problem = make_problem(operator, {name: pair[draw.random() < 0.5][name] for name in pair[0]})
        if problem is not None:
            found.append(problem)
    return found


def make_problem(operator: Operator, traits: Traits) -> Problem | None:
    """Build the problem with these traits; None if there is none.

    None means that a kernel as large as its input does not fit, or that a window of max pooling holds padding only.
    """
    kernel = traits["kernel"]
    axes = len(kernel)
    stride = values.stride_of(traits["stride"], kernel)
    dilation = (1 if axes == 1 and kernel[0] > 1000 else traits["dilation"],) * axes
    reach = [(m - 1) * d for m, d in zip(kernel, dilation, strict=True)]
    begin, end = zip(*(_pad(traits["padding"], r) for r in reach), strict=True)
    out, remainder = traits["space"], (traits["remainder"],) * axes
    if out in (INPUT, POINT):
        sizes = kernel if out == INPUT else (1,) * axes
        spans = [n + b + e - r - 1 for n, b, e, r in zip(sizes, begin, end, reach, strict=True)]
        if min(spans) < 0:
            return None
        out = tuple(span // s + 1 for span, s in zip(spans, stride, strict=True))
        remainder = tuple(span % s for span, s in zip(spans, stride, strict=True))
    c, o, groups = _count(traits)
    try:
        problem = build_problem(
            Choices(
                operator=operator, out=out[-axes:], kernel=kernel, stride=stride, dilation=dilation,
                begin=begin, end=end, remainder=remainder, batch=traits["batch"], channels=c, outputs=o, groups=groups,
                bias=traits.get("bias", False), ceil=traits.get("ceil", False),
                exclude_pad=traits.get("exclude", False), dtype=traits["dtype"], layout=traits["layout"],
                data="integer", hollow=True,
            )
        )  # fmt: skip
    except GeometryError:
        return None
    return None if operator.spec.indexed and is_hollow(problem) else problem


def _pad(name: str, r: int) -> tuple[int, int]:
    """Padding on both sides of an axis; r is (k-1)d."""
    return {
        "none": (0, 0), "same": (r // 2, r - r // 2), "half": ((r + 1) // 2, (r + 1) // 2), "wide": (r, r),
        "causal": (r, 0), "end": (0, r), "beyond": (r + 1, r + 2), "begin beyond": (r + 1, 0),
        "end beyond": (0, r + 1), "far": (_FAR, _FAR),
    }[name]  # fmt: skip


def _count(traits: Traits) -> tuple[int, int, int]:
    """Channels and outputs per group, and the number of groups."""
    c, o, groups = traits["c"], traits.get("o", 1), traits.get("groups", "one")
    if groups == "depthwise":
        return 1, 1, c
    if groups == "multiplier":
        divisor = next((d for d in (c, 2, 3, 5) if o % d == 0 and o > d), 0)
        return (1, o // divisor, divisor) if divisor else (1, 3, c)
    return c, o, 2 if groups == "grouped" else 1


def is_hollow(problem: Problem) -> bool:
    """Return True if a window holds padding only: its first tap at or after the input's start lies beyond its end."""
    window = problem.window
    for n, o, m, s, d, (b, _) in zip(
        problem.x[2:], windows(problem), problem.kernel, window.stride, window.dilation, window.padding, strict=True
    ):
        for begin in range(-b, o * s - b, s):
            tap = max(0, -(begin // d))
            if tap >= m or begin + tap * d >= n:
                return True
    return False


def reads_nothing(problem: Problem) -> bool:
    """Return True if every tap of every window reads padding, so that the answer says nothing about the data.

    On some axis, no tap of any window is at a position of the forward operator's input.
    """
    return count_taps(problem) == 0

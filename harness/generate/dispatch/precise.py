"""Problems on specialised code paths in short formats and on real data, for paths that keep their sums in the format.

Whole numbers find every wrong element, and hide how a sum was kept: they are exact in float16 and bfloat16. A library
that sums 3x3 windows of 16 channels in float16, and all else in float32, answers them correctly. Of the candidates of
`problems.py`, those are chosen here that bring most conditions of windows together in threes, with thresholds in place
of counts of channels. (ComputeLibrary#1154, MIOpen#2109, pytorch#153276, tt-metal#24487)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

from harness.generate.dispatch.choosing import choose
from harness.generate.dispatch.conditions import Condition, conditions_for, windows
from harness.generate.dispatch.problems import (
    ARRAYS,
    Candidate,
    ask_elements,
    estimate_cost,
    list_candidates,
    narrow_conditions,
    shape_for,
)
from harness.plan.suite import NamedProblem
from harness.problems.operator import Operator
from harness.problems.problem import Problem

SHORT = ("float16", "bfloat16")
FACTORS = frozenset({"kernel", "stride", "padding", "dilation", "groups", "layout", "dtype"})
THRESHOLDS = frozenset(
    {"C >= 8", "C >= 16", "C >= 64", "O >= 16", "O >= 64", "batch above 4", "output 16 wide or more"}
)
# New triples of conditions that make a problem worth its cost, by family; a sum of dy is cheap.
LEAST_NEW = {"layers": 32, "means": 32, "sums": 12}
MOST = 5e5  # operations of a problem: a format shows on few positions
LEAST_TERMS = 8  # of a sum: shorter ones are rounded too little for their format to show


@cache
def precise_problems() -> tuple[NamedProblem, ...]:
    """Build the problems precise/OPERATOR/000 and so on; deterministic in content and order."""
    return tuple(
        ask_elements(f"precise/{operator}/{number:03d}", shape_for(operator, one).with_(data="normal"))
        for operator in Operator
        if operator.spec.family in LEAST_NEW
        for number, one in enumerate(_choose_short(operator.spec.family))
    )


@cache
def _choose_short(array: str) -> tuple[Candidate, ...]:
    """Candidates in short formats with most new triples of conditions, and with sums long enough to show the format."""
    conditions, narrow = conditions_for(ARRAYS[array][0]), set(narrow_conditions(array))
    places = [place for place, one in enumerate(conditions) if _counts(one, place in narrow) or array == "sums"]
    short = list(_list_short(array))
    chosen = choose([bytes(one.flags[place] for place in places) for one in short], (), LEAST_NEW[array])
    return tuple(short[number] for number in chosen)


def _counts(condition: Condition, is_narrow: bool) -> bool:
    return condition.name in THRESHOLDS or (is_narrow and condition.factor in FACTORS)


def _list_short(array: str) -> Iterator[Candidate]:
    for one in list_candidates(array):
        short = one.problem.dtype in SHORT and not one.is_dear and _count_terms(one.problem) >= LEAST_TERMS
        if short and estimate_cost(one.problem) <= MOST:
            yield one


def _count_terms(problem: Problem) -> int:
    """Return the least number of terms of a sum among the operators that share a row."""
    taps, positions = math.prod(problem.kernel), problem.x[0] * math.prod(windows(problem))
    if problem.w is None:
        return taps
    if not problem.operator.spec.multiplies:
        return positions
    inputs, outputs = problem.w[1], problem.w[0] // problem.window.groups
    return min(taps * inputs, taps * outputs, positions)

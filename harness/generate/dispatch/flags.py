"""Conditions that hold for a problem, as bytes; results are cached factor by factor.

A suite has thousands of problems, but only some dozens of values per factor.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

from harness.generate.dispatch.conditions import Condition, conditions_for, count_inputs, count_outputs, windows
from harness.problems.operator import Operator
from harness.problems.problem import Problem

# All that the conditions of a factor depend on: the same of them hold for problems with equal values.
LOOKS_AT: dict[str, Callable[[Problem], Hashable]] = {
    "C": count_inputs,
    "O": count_outputs,
    "kernel": lambda p: (p.kernel, p.kernel == p.forward_spatial),
    "stride": lambda p: (p.window.stride, p.kernel),
    "padding": lambda p: (p.window.padding, p.window.dilation, p.kernel),
    "dilation": lambda p: (p.window.dilation, p.kernel),
    "groups": lambda p: (p.window.groups, p.w and p.w[:2]),
    "space": lambda p: (windows(p), p.forward_spatial, p.window.stride),
    "batch": lambda p: p.x[0],
    "layout": lambda p: p.layout,
    "dtype": lambda p: p.dtype,
    "bias": lambda p: p.bias,
    "rounding": lambda p: p.window.ceil_mode,
    "divisor": lambda p: p.window.count_include_pad,
}


@dataclass(frozen=True, slots=True)
class _Factor:
    looks_at: Callable[[Problem], Hashable]
    conditions: tuple[Condition, ...]
    known: dict[Hashable, bytes] = field(default_factory=dict)

    def flags(self, problem: Problem) -> bytes:
        seen = self.looks_at(problem)
        if seen not in self.known:
            self.known[seen] = bytes(one.holds(problem) for one in self.conditions)
        return self.known[seen]


@cache
def _factors(operator: Operator) -> tuple[_Factor, ...]:
    groups = groupby(conditions_for(operator), key=lambda one: one.factor)
    return tuple(_Factor(LOOKS_AT[factor], tuple(conditions)) for factor, conditions in groups)


def flags_of(problem: Problem) -> bytes:
    """Return a byte for every condition of `conditions_for`, in its order: 1 if it holds for the problem, else 0."""
    return b"".join(factor.flags(problem) for factor in _factors(problem.operator))

"""A right backend whose answers are spoiled where a condition holds: code that is chosen by shape and wrong."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.generate.dispatch.conditions import conditions_for
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from tests.faulty.right import Right
from tests.planting.calls import as_seen, problem_of_call
from tests.planting.spoils import PUBLIC, SPOILS

WORDS = ((">=", "from"), (">", "above"), ("=", "is"), ("in ", "one-of "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Target of a conditioned fault: one operator's answer, if several conditions hold together.

    conditions: names from the model of dispatch. also: a further predicate of the problem as the backend sees it.
    name: of the kind; by default the conditions and the spoil name the fault. report: where it was reported.
    """

    operator: Operator
    conditions: tuple[str, ...] = ()
    spoil: str
    name: str = ""
    also: Callable[[Problem], bool] | None = None
    report: str = ""

    @property
    def title(self) -> str:
        """Name of the backend."""
        told = "-and-".join(map(_slug, self.conditions))
        return f"faulty:{self.name or f'{self.operator}-if-{told}-{self.spoil}'}"

    @property
    def tests(self) -> tuple[Callable[[Problem], bool], ...]:
        """Predicates of the problem."""
        known = {one.name: one.holds for one in conditions_for(self.operator)}
        return (*(known[name] for name in self.conditions), *([self.also] if self.also else ()))


def _slug(condition):
    for sign, word in WORDS:
        condition = condition.replace(sign, word)
    return re.sub(r"[^a-z0-9]+", "-", condition.lower()).strip("-")


def _spoiling(operator):
    plain = getattr(Right, operator)

    def method(self, *args):
        return self.spoil(plain(self, *args), operator, args)

    method.__name__ = operator.value
    return method


class Conditioned(Right):
    """A right implementation of all operators, except for the target of its plan."""

    def __init__(self, plan):
        self.plan, self.name = plan, plan.title
        self.tests = plan.tests
        self.changed = False  # whether a spoil has made another answer

    def strikes(self, problem):
        """Return True if the answer to this problem is spoiled."""
        return problem.operator is self.plan.operator and self.holds(as_seen(problem))

    def holds(self, seen):
        return all(test(seen) for test in self.tests)

    def spoil(self, answer, operator, args):
        if operator is not self.plan.operator:
            return answer
        y = answer[0] if isinstance(answer, tuple) else answer
        seen = problem_of_call(operator, args) if y.size else None
        if seen is None or not self.holds(seen):
            return answer
        spoiled = np.asarray((SPOILS | PUBLIC)[self.plan.spoil](y, operator, args)).astype(y.dtype)
        self.changed |= not np.array_equal(spoiled, y, equal_nan=True)
        return (spoiled, *answer[1:]) if isinstance(answer, tuple) else spoiled

    conv = _spoiling(Operator.conv)
    conv_input_grad = _spoiling(Operator.conv_input_grad)
    conv_weight_grad = _spoiling(Operator.conv_weight_grad)
    conv_bias_grad = _spoiling(Operator.conv_bias_grad)
    conv_transpose = _spoiling(Operator.conv_transpose)
    max_pool = _spoiling(Operator.max_pool)
    max_pool_grad = _spoiling(Operator.max_pool_grad)
    avg_pool = _spoiling(Operator.avg_pool)
    avg_pool_grad = _spoiling(Operator.avg_pool_grad)

"""Search for a valid problem that satisfies several conditions at once; a "no" means that it found none."""

import random
from functools import cache, partial

from harness.errors import GeometryError
from harness.generate.dispatch import possible
from harness.generate.dispatch.drawing import domain, layer_of
from harness.problems.numerics import DTYPES
from tests.planting.calls import as_seen
from tests.planting.conditioned import Plan

STARTS, STEPS = 40, 300  # problems tried: 12 000 before a conjunction is called impossible


@cache
def is_possible(operator, condition):
    """Return whether any problem satisfies a single condition."""
    return find_problem(Plan(operator=operator, conditions=(condition,), spoil="zeros")) is not None


def find_problem(plan, starts=STARTS):
    """Return a problem on which all conditions of a plan hold, or None where hill climbing meets none.

    From a random problem one to three of its values are drawn anew at a time, and kept where no fewer conditions hold.
    Problems come from the domain of `fuzz`, with no limit on what they cost, and from that of `possible.py`, in turn.
    A maximum over padding alone has no place and is no problem here.
    """
    if len(plan.conditions) > 1 and not all(is_possible(plan.operator, name) for name in plan.conditions):
        return None
    rng, tests = random.Random(plan.title), plan.tests
    for start in range(starts):
        choices, make = _world(plan.operator, start)
        chosen = {key: rng.choice(some) for key, some in choices.items()}
        best, problem = _score(make, chosen, tests)
        for _ in range(STEPS):
            if best == len(tests):
                return problem
            drawn = rng.sample(sorted(choices), rng.choice((1, 1, 2, 3)))
            tried = chosen | {key: rng.choice(choices[key]) for key in drawn}
            score, found = _score(make, tried, tests)
            if score >= best:
                best, chosen, problem = score, tried, found
    return None


def _world(operator, start):
    """Return the values of every key of a problem, and what makes a problem of one value for each key."""
    if start % 4 == 3:
        columns = possible.list_columns(operator)
        return columns, partial(possible.make_problem, operator)
    axes = (2, 1, 3)[start % 4]
    choices = {"dtype": DTYPES, "hollow": (False, True), **domain(operator, axes)}
    return choices, partial(layer_of, operator, axes, dear=float("inf"))


def _score(make, chosen, tests):
    """Return how many conditions hold, and the problem."""
    try:
        problem = make(chosen)
    except GeometryError:
        problem = None
    if problem is None or (problem.operator.spec.indexed and possible.is_hollow(problem)):
        return -1, None
    seen = as_seen(problem)
    return sum(map(bool, (test(seen) for test in tests))), problem

"""Plans of conditioned faults: every condition of the model alone, and conjunctions drawn at random."""

import random
from itertools import count

from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.possible import applies
from harness.problems.line import parse_line
from harness.problems.operator import Operator
from tests.planting.calls import as_seen
from tests.planting.conditioned import Plan
from tests.planting.spoils import SPOILS

# Everyday layers, on which conditions hold together.
CONVOLVED = (
    "x=2x16x8x8 w=32x16x3x3 pad=1", "x=1x64x7x7 w=64x64x1x1 layout=channels-last dtype=float16",
    "x=8x3x12x12 w=16x3x7x7 stride=2 pad=3", "x=2x32x9x9 w=32x1x3x3 pad=1 groups=32",
    "x=5x8x8x8 w=16x8x3x3 stride=2 pad=1 dtype=bfloat16", "x=2x8x16x16 w=8x8x1x1 stride=2 layout=channels-last",
    "x=1x16x5x5 w=16x16x5x5 pad=2 dtype=float64", "x=2x4x20 w=16x4x3 pad=2:0 dtype=float32",
    "x=33x8x4x4 w=8x8x2x2 stride=2", "x=2x8x3x5x5 w=8x8x3x3x3 pad=1", "x=2x16x11x9 w=16x16x3x3 pad=2 dilation=2",
    "x=2x8x3x4 w=5x8x3x4 layout=channels-last",
)  # fmt: skip
POOLED = (
    "x=2x16x8x8 kernel=2x2 stride=2", "x=1x64x11x11 kernel=3x3 stride=2 pad=1", "x=8x32x7x7 kernel=7x7",
    "x=2x8x7x7 kernel=3x3 stride=2 ceil layout=channels-last", "x=33x4x5x5 kernel=3x3 pad=1 dtype=float16",
    "x=5x3x6x7 kernel=2x2", "x=2x16x12 kernel=3 stride=2 dtype=bfloat16", "x=1x8x4x4x4 kernel=2x2x2 stride=2",
    "x=16x8x20x20 kernel=20x20 dtype=float64", "x=2x31x9x33 kernel=3x3 pad=1", "x=2x128x4x4 kernel=2x2 stride=2",
    "x=2x17x5x4 kernel=2x2 stride=3 layout=channels-last dtype=float16",
)  # fmt: skip
SIZES = (1, 2, 2, 2, 3, 3, 3, 3, 3, 3)  # how many conditions a random conjunction has: mostly three


def single_plans():
    """Return a plan for every condition of every operator, spoils in turn."""
    spoils, turns = tuple(SPOILS), count()
    return tuple(
        Plan(operator=operator, conditions=(condition.name,), spoil=spoils[next(turns) % len(spoils)])
        for operator in Operator
        for condition in conditions_of(operator)
    )


def conditions_of(operator):
    """Return the conditions that say something of an operator: none of a bias or a divisor where it has none."""
    return tuple(one for one in conditions_for(operator) if applies(one, operator))


def family():
    """Return the planted family: every condition alone, and pairs and triples that hold on everyday layers."""
    return (*single_plans(), *(plan for operator in Operator for plan in _together(operator)))


def _together(operator):
    """Return pairs and triples of conditions that hold together on a layer, so that they can."""
    rng, spoils, found = random.Random(f"together {operator}"), tuple(SPOILS), {}
    layers = POOLED if operator.pools else CONVOLVED
    for number, layer in enumerate((*layers, *layers)):
        problem = as_seen(_parse(operator, layer))
        by_factor = {}
        for condition in conditions_of(operator):
            if condition.holds(problem):
                by_factor.setdefault(condition.factor, []).append(condition.name)
        factors = sorted(rng.sample(sorted(by_factor), 2 + (number >= len(layers))))
        conditions = tuple(rng.choice(by_factor[factor]) for factor in factors)
        plan = Plan(operator=operator, conditions=conditions, spoil=spoils[number % len(spoils)])
        found.setdefault(plan.title, plan)
    return found.values()


def _parse(operator, layer):
    """Return the problem of a layer; that of conv_transpose undoes the layer's convolution."""
    if operator is not Operator.conv_transpose:
        return parse_line(f"{operator} {layer}")
    conv = parse_line(f"conv {layer}")
    least = conv.window.transposed_shape(conv.y[2:], conv.kernel, (0,) * conv.axes)
    extra = tuple(n - m for n, m in zip(conv.x[2:], least, strict=True))
    return conv.with_(operator=operator, x=conv.y, output_padding=extra)


def random_plan(rng, operator, size):
    """Return a plan with conditions of different factors and any spoil."""
    by_factor = {}
    for condition in conditions_of(operator):
        by_factor.setdefault(condition.factor, []).append(condition.name)
    factors = sorted(rng.sample(sorted(by_factor), size))
    conditions = tuple(rng.choice(by_factor[factor]) for factor in factors)
    return Plan(operator=operator, conditions=conditions, spoil=rng.choice(tuple(SPOILS)))


def random_plans(number, seed):
    """Return plans of one to three random conditions, all different."""
    rng, found = random.Random(seed), {}
    while len(found) < number:
        plan = random_plan(rng, rng.choice(tuple(Operator)), rng.choice(SIZES))
        found.setdefault(plan.title, plan)
    return tuple(found.values())

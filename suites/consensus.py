"""Suite `consensus`: all available backends vote on random problems, with no reference in between."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from harness import Law, NamedProblem, Operator, Problem, Suite, hookimpl
from harness.generate import TAILS, TINY, VOLUME, Choices, build_problem, spread_choices
from harness.problems import Dtype, Regime
from suites.laws import all_laws

COUNT, SEED = 120, 20
DTYPES: tuple[Dtype, ...] = ("float32", "float32", "float64", "float16")
DATA: tuple[Regime, ...] = ("integer", "normal", "uniform", "wide")


def random_problems(count: int = COUNT, seed: int = SEED) -> tuple[NamedProblem, ...]:
    """Problems of every operator in turn, all axes different, some of them wide; the same for the same seed.

    Problems without a single tap inside the input are drawn again: there is nothing to disagree about.
    """
    rng, operators = random.Random(seed), tuple(Operator)
    found: list[NamedProblem] = []
    while len(found) < count:
        problem = draw_problem(rng, operators[len(found) % len(operators)])
        if problem.flops:
            found.append(NamedProblem(name=f"vote/{len(found):03d}", problem=problem))
    return tuple(found)


def draw_problem(rng: random.Random, operator: Operator) -> Problem:
    """One random problem of an operator."""
    axes = rng.choice((1, 2, 2, 2, 3))
    tier = VOLUME if axes == 3 else TINY

    def each(domain: Sequence[int]) -> tuple[int, ...]:
        return tuple(rng.choice(domain) for _ in range(axes))

    out = each(tier.size)
    choices = Choices(
        operator=operator, out=(*out[:-1], rng.choice(TAILS)) if rng.random() < 0.3 else out, kernel=each(tier.kernel),
        stride=each(tier.stride), dilation=each(tier.dilation), begin=each(tier.padding), end=each(tier.padding),
        remainder=each(tier.stride), batch=rng.choice(tier.batch), channels=rng.choice(tier.channels),
        groups=rng.choice(tier.groups), outputs=rng.choice(tier.outputs), bias=rng.random() < 0.5,
        flip=rng.random() < 0.2, ceil=rng.random() < 0.5, exclude_pad=rng.random() < 0.5, dtype=rng.choice(DTYPES),
        layout=rng.choice(("channels-first", "channels-last")), data=rng.choice(DATA), seed=rng.randrange(2**16),
    )  # fmt: skip
    return build_problem(spread_choices(choices, tier))


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the vote; a backend that is outvoted is asked the laws."""
    register(
        Suite(
            name="consensus",
            kind="consensus",
            description="backends vote on random problems; the odd one out is named, with the law that it breaks",
            problems=random_problems,
            laws=tuple(law.name for law in all_laws()),
            budget_s=20.0,
        )
    )

"""Suite `correctness`: the reference on every problem, every other law wherever its conditions meet anew."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from harness import Law, NamedProblem, Suite, hookimpl
from harness.generate import (
    costly_dispatch_problems,
    count_problems,
    covering_problems,
    dispatch_problems,
    precise_problems,
    rare_problems,
    spread_laws,
)
from suites.geometries import correctness_problems
from suites.laws import all_laws
from suites.shrunk_layers import all_shrunk_problems, shrunk_problems

# Laws that repeat calls. What they look for (a cache, a race, a buffer) does not depend on what is computed, so that a
# problem for each value of a factor is enough.
ONCE = (
    "threads-agree", "history-leaves-no-trace", "prepared-calls-are-steady", "answers-follow-contents",
    "outputs-are-fresh", "repeats-to-the-bit",
)  # fmt: skip


@cache
def apart_problems() -> tuple[NamedProblem, ...]:
    """Return chosen geometries, and generated ones in which every three values meet; laws are spread over them."""
    return spread_laws((*correctness_problems(), *covering_problems()), all_laws(), ONCE)


@cache
def asked_problems() -> tuple[NamedProblem, ...]:
    """Return problems for all laws, and those on specialised paths."""
    paths = (*rare_problems(), *precise_problems(), *dispatch_problems())
    return (*apart_problems(), *count_problems(), *shrunk_problems(), *paths)


def deeper_problems() -> tuple[NamedProblem, ...]:
    """Return problems that take minutes: every layer of every network in every form, and costly rows of the arrays."""
    return (*all_shrunk_problems(), *costly_dispatch_problems())


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the laws, and the suite that applies them."""
    laws = all_laws()
    for law in laws:
        register(law)
    register(
        Suite(
            name="correctness",
            kind="correctness",
            description="laws and the float64 reference, on whole numbers and on real data",
            problems=asked_problems,
            laws=tuple(law.name for law in laws),
            budget_s=20.0,
            deeper=deeper_problems,
            breadth_s=60.0,
        )
    )

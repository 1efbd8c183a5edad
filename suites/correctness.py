"""Suite `correctness`: every law on every geometry where its conditions hold."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, Suite, hookimpl
from harness.generate.covering import covering_problems
from harness.generate.dispatch.problems import dispatch_problems
from suites.geometries import correctness_problems
from suites.laws import all_laws


def asked_problems() -> tuple[NamedProblem, ...]:
    """Chosen geometries, and generated ones in which every three values of their parameters meet."""
    return (*correctness_problems(), *covering_problems(), *dispatch_problems())


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Hand over the laws, and the suite that applies them."""
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
        )
    )

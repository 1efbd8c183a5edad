"""Suite `learning`: LeNet-5 learns real handwritten digits on every backend that has its operators."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, NetworkProblem, Suite, hookimpl
from suites.architectures.lenet import LENET5
from suites.laws.learning import LAWS
from suites.training import BATCH


def learning_problems() -> tuple[NamedProblem, ...]:
    """A step over one batch; the laws take hundreds of them."""
    return (NamedProblem(name="lenet5/digits", problem=NetworkProblem(architecture=LENET5, work="step", n=BATCH)),)


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the laws of learning and the suite."""
    for law in LAWS:
        register(law)
    register(
        Suite(
            name="learning",
            kind="correctness",
            description="LeNet-5 learns real handwritten digits, and its loss falls as the reference's does",
            problems=learning_problems,
            laws=tuple(law.name for law in LAWS),
            budget_s=60.0,
            time_limit_s=900.0,
        )
    )

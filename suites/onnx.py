"""Suite `onnx`: the convolution and pooling cases of the ONNX package, as evidence from outside.

A problem line is the key of a result, and two cases may share a geometry: the seed of a case's problem is its number,
by which the law finds it again. Its data come from the package, not from the seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness import (
    BackendUnderTest,
    Deviation,
    Law,
    NamedProblem,
    Numerics,
    Operator,
    Problem,
    Suite,
    compare_arrays,
    hookimpl,
    law,
    worst_of,
)
from harness.laws import is_exact, magnitude, rounding_bound, sum_bound
from suites.onnx_cases import WANTED, Case, load_cases

THEIRS = Numerics(algorithm="direct")  # what is granted to the package's own values


def find_case(problem: Problem) -> Case | None:
    """The case whose problem this is, or None. Raises UsageError where the cases cannot be read."""
    if not 1 <= problem.seed <= WANTED:
        return None
    case = load_cases()[problem.seed - 1]
    return case if case.problem == problem else None


def is_case(problem: Problem) -> bool:
    """Return True for one of the cases; for seeds that no case has, without reading them."""
    return find_case(problem) is not None


def check_case(subject: BackendUnderTest, case: Case) -> Deviation:
    """Run a case and compare every output that it states, by the formula of the law."""
    problem, numerics = case.problem, subject.numerics()
    got = subject.run(problem, case.inputs)
    if problem.operator is Operator.max_pool:
        return worst_of(*(compare_arrays(got[name], wanted, what=name) for name, wanted in case.outputs.items()))
    y, wanted = got["y"].astype(np.float64), case.outputs["y"]
    if is_exact(problem, numerics, case.inputs):
        return compare_arrays(np.rint(y) if numerics.normwise else y, wanted, what="y")
    size = magnitude(problem, case.inputs)
    allowed = sum(sum_bound(problem, one, case.inputs, size) for one in (numerics, THEIRS))
    allowed = allowed + 2 * rounding_bound(problem, wanted) + case.slack
    return compare_arrays(y, wanted, allowed, what="y", kind="norm" if numerics.normwise else "bound")


@law(tolerance="bound", when=is_case)
def onnx_case(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """|operator(x) - y of the case| <= declared bound + direct bound + 2 u |y|; == for maxima

    The expected outputs were computed by another program in the same dtype, so that they may have the error of a direct
    sum themselves. One case is written in four decimals: h + avg_pool(h) is added, with h half a unit of the last.
    Max pooling, values and indices, and integers with exact sums are compared with ==.
    """
    case = find_case(problem)
    assert case is not None
    return check_case(subject, case)


def onnx_problems() -> tuple[NamedProblem, ...]:
    """Every case as a problem, in the order of their numbers. Raises UsageError as `load_cases` does."""
    return tuple(NamedProblem(name=f"onnx/{case.name}", problem=case.problem) for case in load_cases())


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the law and the suite; the cases are read when they are asked for."""
    register(onnx_case)
    register(
        Suite(
            name="onnx",
            kind="correctness",
            description="the convolution and pooling cases of the ONNX package",
            problems=onnx_problems,
            laws=(onnx_case.name,),
            budget_s=20.0,
        )
    )

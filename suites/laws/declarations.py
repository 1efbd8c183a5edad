"""Laws that hold a backend to what it declares of its arithmetic."""

from __future__ import annotations

import numpy as np

from harness import Deviation, Operator, Problem, Subject, join, law, structure
from harness.checking.bounds import check_outputs
from harness.spec import reference
from harness.spec.data import make_arrays
from suites.laws.common import equal


def _real(problem: Problem) -> bool:
    return problem.data == "normal" and problem.dtype in ("float32", "float64")


@law(tolerance="exact", when=lambda problem: _real(problem) and problem.operator is Operator.conv)
def nan_stays_local(subject: Subject, problem: Problem) -> Deviation:
    """x[p] = NaN  =>  y[i] is NaN where window i holds p; all other y[i] keep their bits

    The second half only where the backend declares nan_local, which transforms of the whole input cannot be.
    """
    arrays = make_arrays(problem)
    place = (*(n // 2 for n in problem.x[:2]), *((n - 1) // 2 for n in problem.x[2:]))
    poisoned = {**arrays, "x": arrays["x"].copy()}
    poisoned["x"][place] = np.nan
    held = np.isnan(reference.compute(problem, poisoned)["y"])
    before, after = subject.run(problem, arrays)["y"], subject.run(problem, poisoned)["y"]
    reached = structure(bool(np.isnan(after[held]).all()), f"NaN in {int(held.sum())} windows that hold it")
    if not subject.numerics().nan_local:
        return reached
    kept = equal(np.where(held, 0, after), np.where(held, 0, before), "y outside the windows that hold a NaN")
    return join(kept, reached)


@law(tolerance="exact", when=_real)
def repeats_to_the_bit(subject: Subject, problem: Problem) -> Deviation:
    """f(x) = f(x), to the bit, call after call

    Where the backend declares that it is not deterministic, each call keeps the bound of its class instead.
    """
    arrays = make_arrays(problem)
    prepared = subject.prepare(problem, arrays)
    calls = [prepared.fetch(prepared.run()) for _ in range(3)]
    if subject.numerics().deterministic:
        return join(*(equal(again[name], calls[0][name], name) for again in calls[1:] for name in again))
    wanted = reference.compute(problem, arrays)
    return join(*(check_outputs(problem, subject.numerics(), arrays, one, wanted) for one in calls))

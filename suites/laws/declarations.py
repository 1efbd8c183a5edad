"""Laws that hold a backend to its declared arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, law, statement, worst_of
from harness.laws import check_outputs, find_nan_reach
from harness.problems import make_arrays, reference
from suites.laws.common import compare_beside, equal


def _real(problem: Problem) -> bool:
    return problem.data == "normal" and problem.dtype in ("float32", "float64")


LINEAR = frozenset(
    {
        Operator.conv,
        Operator.conv_transpose,
        Operator.conv_input_grad,
        Operator.conv_weight_grad,
        Operator.conv_bias_grad,
    }
)


@law(tolerance="exact", when=lambda problem: _real(problem) and problem.operator in LINEAR)
def nan_stays_local(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x[p] = NaN  =>  y[i] is NaN where window i holds p; all other y[i] keep their bits

    The same for the array that each gradient reads. Where the backend declares that nan_local does not hold, as for
    transforms of a whole image, the second half is asked of what the NaN cannot reach: other images, and channels that
    do not read it. Within the bound, and not to the bit, where the backend is not deterministic, or transforms with a
    bound by norm.
    """
    arrays, numerics, output = make_arrays(problem), subject.numerics(), problem.operator.outputs[0]
    name = problem.operator.spec.moved_over
    poisoned = {**arrays, name: arrays[name].copy(order="K")}
    poisoned[name][tuple((n - 1) // 2 for n in arrays[name].shape)] = np.nan
    wanted = reference.compute(problem, poisoned)
    held = np.isnan(wanted[output])
    before, after = subject.run(problem, arrays)[output], subject.run(problem, poisoned)[output]
    reached = statement(bool(np.isnan(after[held]).all()), f"NaN in {int(held.sum())} places that it reaches")
    what = f"{output} where the NaN does not reach"
    beyond = held if numerics.nan_local else held | find_nan_reach(problem, poisoned)
    apart = compare_beside(subject, problem, poisoned, (before, after), beyond, what)
    found = worst_of(apart, reached)
    stays = apart.passed and not np.isnan(np.where(held, 0, after)).any()
    return replace(found, observed="NaN stays in its windows" if stays else "NaN spreads")


@law(tolerance="exact", when=lambda problem: _real(problem) and problem.operator is Operator.conv)
def nan_survives_a_zero_kernel(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """w = 0  =>  y[i] is NaN where window i holds a NaN or an infinity, and b[o] elsewhere

    0 times NaN and 0 times Inf are NaN (IEEE 754), so no kernel may be skipped for being zero.
    """
    arrays = make_arrays(problem.with_(data="nonfinite"))
    arrays["w"] = np.zeros_like(arrays["w"])
    wanted, got = reference.compute(problem, arrays)["y"], subject.run(problem, arrays)["y"]
    numerics = subject.numerics()
    if not numerics.nan_local:
        held = np.isnan(wanted)
        found = statement(bool(np.isnan(got[held]).all()), f"NaN in {int(held.sum())} windows that hold one")
        beyond = held | find_nan_reach(problem, arrays)
        rest = () if beyond.all() else (equal(np.where(beyond, 0, got), np.where(beyond, 0, wanted), "conv(x, 0, b)"),)
        return worst_of(found, *rest)
    return equal(got, wanted, "conv(x, 0, b)")


@law(tolerance="exact", when=_real)
def repeats_to_the_bit(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) = f(x), to the bit, call after call

    Where the backend declares that it is not deterministic, each call keeps the bound of its class instead.
    """
    arrays = make_arrays(problem)
    with subject.together():
        calls = subject.answer_all([subject.prepare(problem, arrays)] * 3)
    same = worst_of(*(equal(again[name], calls[0][name], name) for again in calls[1:] for name in again))
    wanted = reference.compute(problem, arrays)
    bounded = worst_of(*(check_outputs(problem, subject.numerics(), arrays, one, wanted) for one in calls))
    found = same if subject.numerics().deterministic else bounded
    return replace(found, observed="the same bits" if same.passed else "other bits each call")

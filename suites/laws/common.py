"""Conditions and array helpers that several laws share."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, compare_arrays
from harness.laws import check_outputs, nothing_to_show
from harness.problems import Array, Sizes, array_generator, draw_array, reference

ALL: Any = slice(None)  # any type: NumPy's annotations know no mixed indices that are unpacked


def whole_conv(problem: Problem) -> bool:
    """Return True if the problem is a convolution of integers."""
    return problem.operator is Operator.conv and problem.data == "integer"


def whole_max_pool(problem: Problem) -> bool:
    """Return True if the problem is max pooling of integers, tied or not."""
    return problem.operator is Operator.max_pool and problem.data in ("integer", "distinct")


def whole_avg_pool(problem: Problem) -> bool:
    """Return True if the problem is mean pooling of integers."""
    return problem.operator is Operator.avg_pool and problem.data == "integer"


def wide(problem: Problem, name: str, shape: Sizes) -> Array:
    """Draw an array of the problem's data, widened to float64 for computations of the law itself.

    name: of the array. shape: n c *s.
    """
    return np.asarray(draw_array(problem, name, shape).astype(np.float64))


def step(problem: Problem, name: str, shape: Sizes) -> Array:
    """Draw a direction of integers -1, 0 and 1.

    problem: with the seed. name: of the array. shape: n c *s.
    """
    return array_generator(problem, name).integers(-1, 1, size=shape, endpoint=True).astype(np.float64)


def kernel_shape(problem: Problem) -> Sizes:
    """Shape of the kernel array; only convolutions have one."""
    assert problem.w is not None
    return problem.w


def inner(a: Array, b: Array) -> Array:
    """The inner product <a, b> as an array of one number; exact on whole numbers below 2^53."""
    return np.asarray([np.sum(a * b)])


def equal(got: Array, wanted: Array, what: str) -> Deviation:
    """Compare two arrays for equality, without any allowance.

    got, wanted: arrays. what: their name, for the message.
    """
    return compare_arrays(got, wanted, what=what)


def compare_beside(
    subject: BackendUnderTest, problem: Problem, poisoned: dict[str, Array], outputs: tuple[Array, Array],
    reached: Array, what: str,
) -> Deviation:  # fmt: skip
    """Compare what a NaN of the inputs does not reach with what it is without one.

    To the bit; within the bound where the backend is not deterministic, or transforms with a bound by norm. Nothing is
    compared where the NaN reaches every place, such as that of the one map of a backend that spreads it through a map.
    subject: the backend. problem: its problem. poisoned: the inputs with NaN. outputs: without NaN, and with it.
    reached: mask of the places that are not compared. what: the name of the rest, for the message.
    """
    if reached.all():
        return nothing_to_show(f"{what}: a NaN reaches every place")
    numerics, (before, after) = subject.numerics(problem), outputs
    if numerics.deterministic and (numerics.nan_local or not numerics.normwise):
        return equal(np.where(reached, 0, after), np.where(reached, 0, before), what)
    wanted, output = reference.compute(problem, poisoned), problem.operator.outputs[0]
    spoiled = np.where(reached, wanted[output], after).astype(after.dtype)
    return check_outputs(problem, numerics, poisoned, {output: spoiled}, wanted)

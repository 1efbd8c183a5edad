"""Derived operators equal the reference, for every set of missing operators."""

from typing import ClassVar

import pytest

from harness import Backend, BackendUnderTest, Operator, parse_line
from harness.backend.routing import UnsupportedError, find_route
from harness.laws.error_bounds import check_outputs
from harness.problems import reference
from harness.problems.data import make_arrays
from suites.geometries import correctness_problems
from tests.faulty.right import Right

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # NaN and Inf are data here


class OnlyConv(Backend):
    name = "only-conv"
    conv = Right.conv


class OnlyTransposed(Backend):
    name = "only-transposed"
    conv_transpose = Right.conv_transpose


class OnlyInputGrad(Backend):
    name = "only-input-grad"
    conv_input_grad = Right.conv_input_grad


class OnlySquare(Backend):
    """Two axes and no groups."""

    name = "only-square"
    axes: ClassVar = (2,)
    grouped: ClassVar = False
    conv = Right.conv
    conv_weight_grad = Right.conv_weight_grad
    conv_bias_grad = Right.conv_bias_grad
    max_pool = Right.max_pool
    max_pool_grad = Right.max_pool_grad


PROBLEMS = [item.problem for item in correctness_problems() if item.problem.dtype in ("float32", "float64")]


@pytest.mark.parametrize("kind", [OnlyConv, OnlyTransposed, OnlyInputGrad, OnlySquare])
def test_derived_operators_equal_the_reference(kind):
    backend, seen = kind(), set()
    for problem in PROBLEMS:
        route = find_route(backend, problem)
        if route.kind == "unsupported":
            continue
        arrays = make_arrays(problem)
        outputs = BackendUnderTest(backend, problem).run(problem, arrays)
        found = check_outputs(problem, backend.numerics, arrays, outputs, reference.compute(problem, arrays))
        assert found.passed, f"{problem.line} {route}: {found.describe()}"
        seen.add((problem.operator, route.kind))
    native = {operator for operator, how in seen if how == "native"}
    derived = {operator for operator, how in seen if how == "derived"}
    assert native == {operator for operator in Operator if hasattr(kind, operator.value)}
    assert derived - native == DERIVED[kind.name]


C, DX, DW, DB, T = (
    Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_bias_grad,
    Operator.conv_transpose,
)  # fmt: skip
AVG, AVG_GRAD = Operator.avg_pool, Operator.avg_pool_grad
DERIVED = {
    "only-conv": {DX, DW, DB, T, AVG, AVG_GRAD},
    "only-transposed": {DX, AVG_GRAD},
    "only-input-grad": {T, AVG_GRAD},
    "only-square": {DX, T, AVG, AVG_GRAD},
}


def test_axes_and_groups_that_a_backend_lacks_are_derived():
    square = OnlySquare()
    assert find_route(square, parse_line("conv x=1x2x9 w=3x2x3")).via == "the 2-D operator on one row"
    assert find_route(square, parse_line("conv x=1x4x9x9 w=6x2x3x3 groups=2")).via == "one call per group"
    assert find_route(square, parse_line("conv x=1x2x9x9x9 w=3x2x3x3x3")).kind == "unsupported"


def test_what_has_no_route_says_why():
    backend = OnlyConv()
    problem = parse_line("max_pool x=1x2x9 kernel=3")
    assert find_route(backend, problem).reason == "only-conv has no max_pool"
    with pytest.raises(UnsupportedError, match="only-conv has no max_pool"):
        BackendUnderTest(backend, problem).run(problem, make_arrays(problem))
    half = parse_line("conv x=1x2x9 w=3x2x3 dtype=bfloat16")
    assert find_route(backend, half).reason == "only-conv has no bfloat16, only float64, float32, float16"
    tf32 = parse_line("conv x=1x2x9 w=3x2x3 math=tf32")
    assert find_route(backend, tf32).reason == "only-conv has no TF32 arithmetic"

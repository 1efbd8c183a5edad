"""Bounds hold what they say that they permit."""

from dataclasses import replace

import numpy as np
import pytest

from harness import Numerics, Operator, parse_line
from harness.laws.error_bounds import check_outputs, relative_bound
from harness.problems import reference
from harness.problems.data import make_arrays


@pytest.mark.parametrize("early", [0, 1])
def test_a_gradient_of_means_may_round_its_shares_first(early, monkeypatch):
    operator = Operator.avg_pool_grad
    assert operator.spec.early_roundings == 1
    monkeypatch.setattr(operator, "spec", replace(operator.spec, early_roundings=early))
    problem = parse_line("avg_pool_grad x=8x8x40 kernel=3 dtype=float16 data=uniform")
    arrays = make_arrays(problem)
    shares = (arrays["dy"] / np.float16(3)).astype(np.float16)
    summed = parse_line("avg_pool_grad x=8x8x40 kernel=3 dtype=float64")
    dx = 3 * reference.compute(summed, {"dy": shares.astype(np.float64)})["dx"]
    numerics = Numerics(accumulator={"float16": "float32"})
    wanted = reference.compute(problem, arrays)
    assert check_outputs(problem, numerics, arrays, {"dx": dx.astype(np.float16)}, wanted).passed is bool(early)


def test_a_sum_of_zeros_is_bounded_where_no_other_sum_is():
    problem = parse_line("conv x=1x1x300 w=1x1x300 dtype=bfloat16 data=uniform")
    numerics = Numerics(accumulator={"bfloat16": "bfloat16"})
    arrays = {name: np.zeros_like(a) for name, a in make_arrays(problem).items()}
    wanted = reference.compute(problem, arrays)
    assert check_outputs(problem, numerics, arrays, {"y": wanted["y"].astype("float32")}, wanted).passed
    assert not check_outputs(problem, numerics, arrays, {"y": wanted["y"].astype("float32") + 1}, wanted).passed


COARSE = ({"float64": "bfloat16", "float32": "float16"}, {"float64": "float32", "float32": "tf32"}, {})


@pytest.mark.parametrize("accumulator", COARSE)
@pytest.mark.parametrize("data", ["normal", "uniform", "integer"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sums_less_precise_than_the_data_widen_no_bound(dtype, data, accumulator):
    problem = parse_line(f"conv x=1x64x8x8 w=8x64x3x3 dtype={dtype} data={data}")
    arrays = make_arrays(problem)
    wanted = reference.compute(problem, arrays)
    y = wanted["y"].astype(dtype)
    numerics = Numerics(accumulator=accumulator)
    assert relative_bound(problem, numerics) == relative_bound(problem, Numerics())
    assert check_outputs(problem, numerics, arrays, {"y": y}, wanted).passed
    assert not check_outputs(problem, numerics, arrays, {"y": (y * 1.01).astype(dtype)}, wanted).passed


@pytest.mark.parametrize("math", ["ieee", "tf32"])
def test_inputs_are_rounded_to_nothing_less_precise_than_the_problem_permits(math):
    problem = parse_line(f"conv x=1x64x8x8 w=8x64x3x3 math={math}")
    permitted = Numerics() if math == "ieee" else Numerics(rounds_input_to="tf32")
    assert relative_bound(problem, Numerics(rounds_input_to="bfloat16")) == relative_bound(problem, permitted)

import math

import numpy as np
import pytest
from hypothesis import given, settings

from harness import Operator, parse_line
from harness.laws.error_bounds import is_exact
from harness.problems.data import can_be_distinct, draw_array, long_factor, make_arrays
from harness.problems.numerics import FORMATS, Numerics
from harness.problems.reference import compute
from tests.problems.strategies import problems


@given(problems(regimes=("integer",)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_whole_numbers_keep_every_sum_exact(problem):
    arrays = make_arrays(problem)
    if not problem.operator.value.startswith("avg"):
        assert is_exact(problem, Numerics(), arrays)
    for name, a in arrays.items():
        assert name == "indices" or np.array_equal(a.astype(np.float64), np.rint(a.astype(np.float64)))


@given(problems(operators=(Operator.conv, Operator.conv_transpose), regimes=("integer",)))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_whole_numbers_keep_the_sums_of_the_gradients_exact_too(problem):
    shapes = {**problem.shapes, "dy": problem.y}
    magnitudes = {name: np.abs(draw_array(problem, name, shapes[name]).astype(float)) for name in ("x", "w", "dy")}
    for gradient in problem.operator.spec.gradients[:2]:
        arrays = {name: magnitudes[given] for name, given in gradient.takes.items()}
        (sums,) = compute(gradient.problem(problem), arrays).values()
        assert np.max(sums, initial=0) <= 2.0 ** FORMATS[problem.dtype].bits


@pytest.mark.parametrize(
    ("line", "whole", "thinned"),
    [  # only the arrays of long sums are thinned, and taps that read padding do not make a sum long
        ("conv x=65537x1x2 w=1x1x2 dtype=float16 data=integer", "w", "x"),
        ("conv x=1x64x3x3 w=8x64x3x3 pad=1 dtype=bfloat16 data=integer", "b", "w"),
        ("conv x=1x64x1x1 w=2x64x5x5 pad=8 dilation=4 dtype=bfloat16 data=integer", "w", ""),
        ("max_pool_grad x=1x1x1025 kernel=1025 dtype=bfloat16 data=integer", "x", ""),
        ("conv_bias_grad x=9x1x9x9 w=4x1x1x1 dtype=bfloat16 data=integer", "x", "dy"),
    ],
)
def test_whole_numbers_are_0_only_where_sums_would_not_be_exact(line, whole, thinned):
    problem = parse_line(line)
    shape = {"b": (64,), "w": problem.w, "dy": problem.y}
    assert draw_array(problem, whole, shape.get(whole, problem.x)).all()
    if thinned:
        values = draw_array(problem, thinned, shape.get(thinned, problem.x))
        assert values.any() and not values.all()


def test_sums_beyond_the_significand_are_not_called_exact():
    problem = parse_line("conv x=1x64x9 w=1x64x3 dtype=float16 data=integer")
    arrays = {name: np.full_like(a, 8) for name, a in make_arrays(problem).items()}
    assert not is_exact(problem, Numerics(), arrays)


@pytest.mark.parametrize("data", ["integer", "normal", "uniform", "distinct"])
def test_the_same_line_gives_the_same_data(data):
    line = f"max_pool x=2x3x7x8 kernel=3x2 data={data} seed=5"
    first, again = make_arrays(parse_line(line)), make_arrays(parse_line(line))
    other = make_arrays(parse_line(line.replace("seed=5", "seed=6")))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_channels_last_is_another_order_of_the_same_values():
    first = make_arrays(parse_line("conv x=2x3x7x8 w=4x3x3x2"))["x"]
    last = make_arrays(parse_line("conv x=2x3x7x8 w=4x3x3x2 layout=channels-last"))["x"]
    assert np.array_equal(first, last)
    assert first.flags.c_contiguous
    assert np.moveaxis(last, 1, -1).flags.c_contiguous


def test_distinct_data_has_no_ties():
    x = make_arrays(parse_line("max_pool x=2x3x7x8 kernel=2x2 data=distinct"))["x"]
    assert all(len(np.unique(m)) == m.size for m in x.reshape(6, -1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_distinct_numbers_are_distinct_as_far_as_the_dtype_can_tell(dtype):
    for n in (16, 23, 64, 65, 100):
        problem = parse_line(f"max_pool x=1x1x{n}x{n} kernel=2x2 dtype={dtype} data=distinct")
        x = make_arrays(problem)["x"].astype(float)
        assert np.isfinite(x).all()
        assert (len(np.unique(x)) == n * n) == can_be_distinct(problem), n


@pytest.mark.parametrize(
    "line",
    [
        "conv x=2x64x5x5 w=8x64x3x3 bias", "conv_weight_grad x=5x8x9x9 w=4x8x3x3 dtype=float64",
        "conv_input_grad x=2x8x4x4 w=16x1x3x3 groups=8", "conv_transpose x=2x8x4x4 w=8x3x3x3",
        "conv x=1x300x4 w=2x300x4",
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_long_numbers_have_bits_that_shorter_formats_lose_and_exact_sums(line, seed):
    problem = parse_line(f"{line} data=long seed={seed}")
    arrays = make_arrays(problem)
    assert is_exact(problem, Numerics(), arrays)
    long = long_factor(problem)
    assert long == problem.operator.inputs[seed]
    bits = {name: np.log2(np.abs(a.astype(float)).max()) for name, a in arrays.items() if name != "b"}
    assert bits.pop(long) > (25 if problem.dtype == "float64" else 12)
    assert all(0 <= other < 2 for other in bits.values())
    assert all(a.all() for name, a in arrays.items() if name != long)


def test_pooling_has_one_long_array():
    assert long_factor(parse_line("avg_pool_grad x=1x2x6 kernel=2 data=long seed=1")) == "dy"


@pytest.mark.parametrize(
    "line",
    [
        "max_pool_grad x=2x5x7x7 kernel=7x7", "max_pool_grad x=3x4x5 kernel=3 stride=2 dtype=bfloat16",
        "max_pool x=2x3x1x1 kernel=1x1", "avg_pool_grad x=2x3x4x4 kernel=4x4 dtype=float16",
    ],
)  # fmt: skip
def test_distinct_data_has_no_zero_and_tells_maps_of_one_position_apart(line):
    arrays = make_arrays(parse_line(f"{line} data=distinct"))
    assert all(a.astype(float).all() for name, a in arrays.items() if name != "indices")
    first = next(iter(arrays.values()))
    assert len(np.unique(first.reshape(-1, math.prod(first.shape[2:])), axis=0)) > 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_distinct_numbers_differ_between_the_maps_that_a_format_has_room_for(dtype):
    x = make_arrays(parse_line(f"max_pool x=2x4x3x3 kernel=2x2 dtype={dtype} data=distinct"))["x"].astype(float)
    assert len(np.unique(x)) == x.size == 72
    assert np.array_equal(np.unique(np.abs(x)), 4.0 * np.arange(1, 37))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_distinct_numbers_of_several_maps_are_exact_with_one_more_and_one_less(dtype):
    x = make_arrays(parse_line(f"max_pool x=9x7x6x5 kernel=2x2 dtype={dtype} data=distinct"))["x"]
    for step in (-1, 1):
        moved = x.astype(float) + step
        assert np.array_equal(moved.astype(x.dtype).astype(float), moved)

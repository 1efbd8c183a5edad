import math

import pytest

from harness import parse_line
from harness.analysis.roofline import (
    ALLOWANCE,
    READ_GAIN,
    copy_rate,
    executed_flops,
    floor_ns,
    is_too_fast,
    least_bytes,
)
from harness.problems.numerics import Numerics
from harness.record.run import Peak

DIRECT, GEMM, FFT, WINOGRAD = (Numerics(algorithm=name) for name in ("direct", "gemm", "fft", "winograd"))
COPIES = {"32768": 400.0, "2097152": 150.0, "268435456": 40.0}
PEAK = Peak(
    device="cpu", gemm_gflops={"float32": 500.0, "float64": 240.0, "bfloat16": 1000.0}, copy_gbs=40.0,
    copy_by_bytes=COPIES,
)  # fmt: skip
CUDA = Peak(
    device="cuda", gemm_gflops={"float32": 50_000.0, "tf32": 400_000.0, "float64": 60_000.0, "float16": 700_000.0},
    copy_gbs=3_000.0, copy_by_bytes={"33554432": 5_000.0, "536870912": 3_000.0},
)  # fmt: skip
LARGE = parse_line("conv x=8x256x28x28 w=256x256x3x3 pad=1")


@pytest.mark.parametrize("numerics", [DIRECT, GEMM])
def test_all_operations_run_at_most_at_the_rate_of_a_product(numerics):
    assert floor_ns(LARGE, numerics, PEAK) == LARGE.flops / 500.0  # GFLOP/s is FLOP per ns


def test_winograd_does_as_few_multiplications_as_its_arithmetic_allows():
    assert LARGE.flops / executed_flops(LARGE, WINOGRAD) == pytest.approx((24 / 10) ** 2)
    assert LARGE.flops / executed_flops(LARGE, WINOGRAD) < 6
    line = parse_line("conv x=1x8x99 w=8x8x5")
    assert line.flops / executed_flops(line, WINOGRAD) == pytest.approx(40 / 12)
    points = parse_line("conv x=1x8x9x9 w=8x8x1x1")
    assert executed_flops(points, WINOGRAD) == points.flops


@pytest.mark.parametrize(
    ("line", "numerics"),
    [
        ("conv x=8x256x28x28 w=256x256x3x3 pad=1", FFT),
        ("max_pool x=8x256x112x112 kernel=3x3 stride=2", DIRECT),
        ("avg_pool_grad x=8x256x112x112 kernel=3x3 stride=2", DIRECT),
        ("conv_bias_grad x=8x64x112x112 w=64x64x3x3 pad=1", GEMM),
    ],
)
def test_what_is_no_product_is_bound_by_bytes_alone(line, numerics):
    problem = parse_line(line)
    assert executed_flops(problem, numerics) == 0
    assert floor_ns(problem, numerics, PEAK) == pytest.approx(
        least_bytes(problem) / (READ_GAIN * copy_rate(least_bytes(problem), PEAK))
    )


def test_the_longer_of_both_counts():
    thin = parse_line("conv x=16x64x256x256 w=1x64x1x1")
    for_bytes, for_operations = least_bytes(thin) / (READ_GAIN * 40.0), thin.flops / 500.0
    assert for_bytes > for_operations
    assert floor_ns(thin, GEMM, PEAK) == pytest.approx(for_bytes)


@pytest.mark.parametrize(
    ("moved", "rate"),
    [(32767, None), (32768, 400.0), (2**20, 400.0), (2**21, 150.0), (2**27, 150.0), (2**28, 40.0), (2**40, 40.0)],
)
def test_between_two_working_sets_the_faster_counts(moved, rate):
    assert copy_rate(moved, PEAK) == rate


def test_a_larger_working_set_may_be_the_faster_one():
    odd = Peak(device="cpu", gemm_gflops={}, copy_gbs=40.0, copy_by_bytes={"32768": 80.0, "2097152": 150.0})
    assert copy_rate(40_000, odd) == 150.0


def test_a_format_that_holds_the_numbers_may_be_faster():
    def rate(line, peak, numerics=DIRECT):
        problem = parse_line(f"conv x=8x256x28x28 w=256x256x3x3 {line}")
        floor = floor_ns(problem, numerics, peak)
        return None if floor is None else round(problem.flops / floor)

    assert rate("dtype=float32", PEAK) == 500
    assert rate("dtype=bfloat16", PEAK) == 1000
    assert rate("dtype=float64", PEAK) == 250  # half the lanes of float32
    assert rate("dtype=float16", PEAK) is None  # float16 was not measured
    assert rate("dtype=float32", CUDA) == 60_000  # not the rate of TF32, which holds fewer bits
    assert rate("dtype=float32 math=tf32", CUDA) == 400_000  # nor that of float16, which holds less
    assert rate("dtype=float32", CUDA, Numerics(rounds_input_to="tf32")) == 400_000
    assert rate("dtype=float16", CUDA) == 700_000
    assert rate("dtype=bfloat16", CUDA) is None
    assert rate("dtype=float32 math=tf32", PEAK) is None
    narrow = Peak(device="cpu", gemm_gflops={"float16": 60.0, "bfloat16": 1000.0}, copy_gbs=40.0)
    assert rate("dtype=float16", narrow) == 60  # bfloat16 has fewer bits
    slow = Peak(device="cpu", gemm_gflops={"float32": 90.0, "float64": 60.0}, copy_gbs=9.0)
    assert rate("dtype=float32", slow) == 120


def test_nothing_is_said_where_nothing_is_known():
    assert floor_ns(LARGE, DIRECT, None) is None
    small = parse_line("max_pool x=1x1x8x8 kernel=2x2")
    assert floor_ns(small, DIRECT, PEAK) is None
    assert not is_too_fast(0.0, None)


def test_old_runs_without_copies_by_size_have_a_floor_by_operations():
    assert floor_ns(LARGE, GEMM, Peak(device="cpu", gemm_gflops={"float32": 500.0}, copy_gbs=40.0)) == LARGE.flops / 500


@pytest.mark.parametrize(
    ("line", "elements"),
    [
        ("conv x=1x4x8x8 w=6x4x3x3", 4 * 64 + 6 * 4 * 9 + 6 * 36),
        ("conv x=1x4x8x8 w=6x4x1x1 stride=2", 4 * 16 + 6 * 4 + 6 * 16),  # a quarter of x
        ("conv x=1x4x5 w=6x4x2 stride=3 pad=1", 4 * 3 + 6 * 4 * 2 + 6 * 2),  # positions 0, 2 and 3
        ("conv x=1x4x9 w=6x4x2 stride=3", 4 * 6 + 6 * 4 * 2 + 6 * 3),
        ("conv_input_grad x=1x4x8x8 w=6x4x1x1 stride=2", 6 * 16 + 6 * 4 + 4 * 64),  # all of dx is written
        ("conv_weight_grad x=1x4x8x8 w=6x4x1x1 stride=2", 6 * 16 + 4 * 16 + 6 * 4),
        ("conv x=1x4x8x8 w=6x4x3x3 dilation=9 pad=9", 4 * 64 + 6 * 4 + 6 * 64),  # only the middle tap meets x
        ("conv_bias_grad x=2x4x8x8 w=6x4x3x3", 2 * 6 * 36 + 6),
        ("avg_pool x=1x4x8x8 kernel=1x1 stride=2", 4 * 16 + 4 * 16),
        ("avg_pool_grad x=1x4x8x8 kernel=2x2 stride=2", 4 * 16 + 4 * 64),
    ],
)
def test_only_what_a_window_touches_must_move(line, elements):
    assert least_bytes(parse_line(line)) == 4 * elements


def test_indices_take_as_few_bytes_as_hold_them_and_gradients_of_pooling_read_no_x():
    pool = parse_line("max_pool x=1x4x8x8 kernel=2x2 stride=2")
    assert least_bytes(pool) == 4 * (4 * 64 + 4 * 16) + 1 * 4 * 16
    grad = parse_line("max_pool_grad x=1x4x300x300 kernel=2x2 stride=2")
    assert least_bytes(grad) == 4 * (4 * 150**2 + 4 * 300**2) + 3 * 4 * 150**2


def test_outputs_that_padding_cuts_off_need_no_input_of_a_transposed_convolution():
    whole = parse_line("conv_transpose x=1x4x8 w=4x3x1 output_padding=0")
    assert least_bytes(whole) == 4 * (4 * 8 + 4 * 3 + 3 * 8)
    cut = parse_line("conv_transpose x=1x4x8 w=4x3x1 pad=2 output_padding=0")
    assert least_bytes(cut) == 4 * (4 * 4 + 4 * 3 + 3 * 4)


@pytest.mark.parametrize(
    "line",
    [
        "conv x=2x4x9x7 w=6x2x3x2 stride=2,1 dilation=1,2 pad=1,0 groups=2 bias",
        "conv_transpose x=2x4x9x7 w=4x3x3x2 stride=2,1 output_padding=1,0",
        "max_pool x=2x4x9x7 kernel=3x2 stride=2,1",
    ],
)
def test_no_more_than_every_array_once(line):
    problem = parse_line(line)
    assert 0 < least_bytes(problem) <= problem.bytes


def test_too_fast_is_beyond_the_noise_of_the_peak():
    assert is_too_fast(100.0, 100.0 * ALLOWANCE * 1.001)
    assert not is_too_fast(100.0, 100.0 * ALLOWANCE)
    assert ALLOWANCE > 1


def test_a_time_above_the_peak_of_the_device_is_found():
    """1.699 TFLOP in 18.9 ms are 89.7 TFLOP/s, on a device whose peak in float32 is 66.9 (gpu-mode 162)."""
    peak = Peak(device="cuda", gemm_gflops={"float32": 66_900.0}, copy_gbs=3_350.0)
    problem = parse_line("conv x=64x256x56x56 w=256x256x3x3 pad=1")
    scaled = 18.9e6 * problem.flops / 1.699e12
    assert is_too_fast(scaled, floor_ns(problem, DIRECT, peak))
    assert not is_too_fast(problem.flops / 60_000.0, floor_ns(problem, DIRECT, peak))
    assert math.isclose(problem.flops / scaled, 89_894, rel_tol=1e-3)

from hypothesis import given, settings

from harness import parse_line
from harness.problems.accumulation import longest_sum
from harness.problems.loops import _inside, _source, _steps
from tests.problems.strategies import problems


@given(problems())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_taps_on_padding_are_not_counted(problem):
    from harness.problems.problem import count_taps

    out = problem.x[2:] if problem.operator == "conv_transpose" else problem.y[2:]
    counted = sum(
        _inside(_source(i, u, problem.window), problem.forward_spatial)
        for i in _steps(out) for u in _steps(problem.kernel)
    )  # fmt: skip
    assert count_taps(problem) == counted


def test_flops_of_a_layer():
    assert parse_line("conv x=1x3x5x5 w=2x3x1x1").flops == 2 * 25 * 3 * 2
    assert parse_line("conv x=1x3x5x5 w=2x3x1x1 bias").flops == 2 * 25 * 3 * 2 + 50
    assert parse_line("conv_bias_grad x=2x3x5x5 w=2x3x1x1").flops == 2 * 2 * 25


def test_bytes_count_every_array_once():
    assert parse_line("conv x=1x1x4 w=1x1x1 dtype=float64").bytes == (4 + 1 + 4) * 8
    assert parse_line("max_pool x=1x1x4 kernel=2").bytes == 4 * 4 + 3 * 4 + 3 * 8


def test_accumulation_lengths():
    assert longest_sum(parse_line("conv x=2x6x9x7 w=4x3x3x2 groups=2")) == 18
    assert longest_sum(parse_line("conv_input_grad x=2x6x9x7 w=4x3x3x2 groups=2")) == 12
    assert longest_sum(parse_line("conv_weight_grad x=2x6x9x7 w=4x3x3x2 groups=2")) == 2 * 7 * 6

"""A broken problem is reduced until nothing can be removed from it."""

import pytest

from harness import Operator, parse_line
from harness.generate.reduction import list_simpler, reduce

LARGE = {
    Operator.conv: "conv x=4x6x9x8 w=4x3x3x2 bias stride=2,1 pad=1:2,0:1 dilation=2,1 groups=2 flip dtype=bfloat16",
    Operator.conv_transpose: "conv_transpose x=3x6x5x4 w=6x2x3x2 stride=2,3 pad=1,0 groups=3 output_padding=1,2 seed=3",
    Operator.max_pool: "max_pool x=3x5x9x8x4 kernel=3x2x2 stride=2,1,1 pad=1,1,0 dilation=2,1,1 ceil dtype=float64",
    Operator.avg_pool_grad: "avg_pool_grad x=3x5x9 kernel=4 stride=3 pad=1:2 ceil exclude_pad data=wide",
}
LEAST = {
    Operator.conv: "conv x=1x1x1 w=1x1x1 data=integer",
    Operator.conv_transpose: "conv_transpose x=1x1x1 w=1x1x1 data=integer",
    Operator.max_pool: "max_pool x=1x1x1 kernel=1 data=integer",
    Operator.avg_pool_grad: "avg_pool_grad x=1x1x1 kernel=1 data=integer",
}


@pytest.mark.parametrize("operator", LARGE)
def test_what_always_breaks_becomes_the_least_problem(operator):
    assert reduce(parse_line(LARGE[operator]), lambda problem: True) == parse_line(LEAST[operator])


@pytest.mark.parametrize("operator", LARGE)
def test_what_breaks_nowhere_else_stays(operator):
    large = parse_line(LARGE[operator])
    assert reduce(large, lambda problem: False) == large


@pytest.mark.parametrize("operator", LARGE)
def test_every_step_is_another_valid_problem_of_the_operator(operator):
    large = parse_line(LARGE[operator])
    steps = list(list_simpler(large))
    assert len(steps) > 15
    assert large not in steps
    assert {step.operator for step in steps} == {operator}
    assert all(parse_line(step.line) == step for step in steps)
    assert len({step.line for step in steps}) == len(steps)


def test_what_matters_is_kept():
    found = reduce(
        parse_line("conv x=33x24x20x18 w=48x24x3x5 stride=2,1 pad=1,2 layout=channels-last dtype=float16"),
        lambda p: p.w[1] >= 16 and p.w[1] % 8 == 0 and p.kernel[-1] > 2 and p.layout == "channels-last",
    )
    assert found == parse_line("conv x=1x16x3 w=1x16x3 layout=channels-last data=integer")


def test_no_window_of_a_maximum_becomes_hollow():
    dilated = parse_line("max_pool x=1x1x5 kernel=2 stride=2 pad=2:2 dilation=3")
    assert {step.x[2] for step in list_simpler(dilated)} == {9, 5, 4, 2}  # the window over 1 would hold padding alone


def test_padding_becomes_part_of_the_input_where_that_breaks_alike():
    found = reduce(parse_line("conv_input_grad x=1x1x3 w=1x1x10 stride=3 pad=2:5"), lambda p: p.kernel[0] > 9)
    assert found == parse_line("conv_input_grad x=1x1x10 w=1x1x10 data=integer")


def test_an_end_of_the_search_gets_through():
    def stop(problem):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        reduce(parse_line(LARGE[Operator.conv]), stop)

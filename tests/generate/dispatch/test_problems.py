"""Parts of the problems of a family."""

from dataclasses import replace

import numpy as np
import pytest

from harness import Operator, parse_line
from harness.generate.dispatch.possible import reads_nothing
from harness.generate.dispatch.problems import dispatch_problems, with_long_numbers
from harness.problems.data import make_arrays
from harness.problems.reference import compute


@pytest.mark.parametrize("operator", [one for one in Operator if one.pools and not one.spec.indexed])
def test_long_numbers_are_left_out_where_an_operator_refuses_them(operator, monkeypatch):
    problem = parse_line(f"{operator} x=1x2x5 kernel=2 data=integer")
    assert with_long_numbers(problem).data == "long"
    monkeypatch.setattr(operator, "spec", replace(operator.spec, refused_data={"long": "no sums"}))
    assert with_long_numbers(problem).data == "integer"


@pytest.mark.parametrize(
    ("line", "blind"),
    [
        ("conv x=2x2x1x2 w=3x2x1x1 stride=2,2 pad=1:2,1:2", True),  # no window begins inside the first axis
        ("conv x=2x2x2x2 w=3x2x1x1 stride=2,2 pad=2:2,1:2", False),
        ("conv x=1x1x1 w=1x1x4 stride=2 pad=18 dilation=12", True),  # taps step over the input
        ("conv_transpose x=2x17x10 w=17x1x5 stride=2 pad=17:18 dilation=4 output_padding=1", True),
        ("avg_pool x=5x8x2x1 kernel=1x1 stride=2,2 pad=1:2,1:2 ceil exclude_pad", True),
        ("max_pool x=1x4x6 kernel=3 pad=1", False),
    ],
)  # fmt: skip
def test_a_problem_reads_nothing_where_all_taps_of_all_windows_read_padding(line, blind):
    problem = parse_line(f"{line} data=integer")
    assert reads_nothing(problem) is blind
    arrays = {name: np.ones_like(a) for name, a in make_arrays(problem).items()}
    assert np.any(compute(problem, arrays)[problem.operator.outputs[0]]) != blind


def test_every_problem_on_a_path_reads_its_input():
    kerneled = [one for one in dispatch_problems() if one.problem.operator is not Operator.conv_bias_grad]
    assert not [one.name for one in kerneled if reads_nothing(one.problem)]

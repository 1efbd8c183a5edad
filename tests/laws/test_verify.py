"""Verification of large calls: one wrong element anywhere is found, honest rounding is not."""

import numpy as np
import pytest

from harness import Numerics, parse_line
from harness.laws.verify import WHOLE_FLOPS, verify
from harness.problems import reference
from harness.problems.data import make_arrays

LARGE = (
    "conv x=4x32x24x25 w=48x16x3x3 groups=2 bias stride=1,2 pad=1:0,2",
    "conv_input_grad x=4x32x24x25 w=48x16x3x3 groups=2 pad=1:0,2",
    "conv_weight_grad x=4x32x24x25 w=48x16x3x3 groups=2 pad=1:0,2",
    "conv_transpose x=4x48x12x13 w=48x16x3x3 groups=2 bias stride=2 output_padding=1",
)


def _outputs(problem, arrays):
    return {name: a.astype(np.float32) for name, a in reference.compute(problem, arrays).items()}


@pytest.mark.parametrize("line", LARGE)
def test_rounding_passes_and_any_element_fails_that_is_wrong_by_what_elements_usually_are(line):
    problem = parse_line(line)
    assert problem.flops > WHOLE_FLOPS
    arrays = make_arrays(problem)
    outputs = _outputs(problem, arrays)
    assert verify(problem, Numerics(), arrays, outputs).passed
    (name,) = outputs
    rng = np.random.default_rng(0)
    for _ in range(5):
        wrong = outputs[name].copy()
        place = tuple(int(rng.integers(n)) for n in wrong.shape)
        wrong[place] += np.std(outputs[name])
        found = verify(problem, Numerics(), arrays, {name: wrong})
        assert not found.passed, f"{name}{list(place)}"
    assert not verify(problem, Numerics(), arrays, {name: np.full_like(outputs[name], np.nan)}).passed


def test_inputs_rounded_to_eleven_bits_fail():
    problem = parse_line("conv x=4x8x40x40 w=16x8x3x3")
    arrays = make_arrays(problem)
    short = {k: (a.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for k, a in arrays.items()}
    assert not verify(problem, Numerics(), arrays, _outputs(problem, short)).passed


@pytest.mark.parametrize(
    "line",
    [
        "max_pool x=8x16x96x129 kernel=3x2 stride=1,2 pad=1,0",
        "avg_pool x=8x16x96x129 kernel=3x2 stride=1,2 pad=1,0",
        "avg_pool_grad x=8x16x96x129 kernel=3x2 stride=1,2 pad=1,0",
    ],
)
def test_large_pools_pass_and_a_wrong_place_fails(line):
    problem = parse_line(line)
    assert problem.flops > WHOLE_FLOPS
    arrays = make_arrays(problem)
    wanted = reference.compute(problem, arrays)
    outputs = {name: a if a.dtype.kind == "i" else a.astype(np.float32) for name, a in wanted.items()}
    assert verify(problem, Numerics(), arrays, outputs).passed
    for name in outputs:
        wrong = outputs[name].copy()
        wrong[3, 5, 40, 20] += 1 if wrong.dtype.kind == "i" else 2 + abs(wrong[3, 5, 40, 20])
        assert not verify(problem, Numerics(), arrays, {**outputs, name: wrong}).passed, name


def test_windows_of_padding_only_have_no_place():
    problem = parse_line("max_pool x=8x16x130x97 kernel=2x2 pad=3 dilation=1,3")
    arrays = make_arrays(problem)
    outputs = reference.compute(problem, arrays)
    assert (outputs["indices"] < 0).any()
    assert verify(problem, Numerics(), arrays, outputs).passed

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


@pytest.mark.parametrize(
    "line",
    [
        "max_pool x=8x32x112x112 kernel=3x3 stride=2",
        "max_pool x=8x16x112x113 kernel=3x2 stride=2,1 pad=1:0,0:1 dilation=2,3 ceil",
        "max_pool x=8x16x12000 kernel=5 stride=1 pad=2",
        "max_pool x=8x16x112x112 kernel=3x3 stride=1 pad=1 dtype=float16",
    ],
)
@pytest.mark.parametrize("taken", ["elsewhere", "second"])
def test_one_wrong_maximum_in_one_map_fails_though_it_is_the_element_at_its_index(line, taken):
    problem = parse_line(line)
    assert problem.flops > WHOLE_FLOPS
    arrays = make_arrays(problem)
    outputs = reference.compute(problem, arrays)
    outputs["y"] = outputs["y"].astype(arrays["x"].dtype)
    assert verify(problem, Numerics(), arrays, outputs).passed
    at = (2, 7, *(5,) * problem.axes)  # in no map that is recomputed as a whole
    flat = arrays["x"][2, 7].reshape(-1)
    if taken == "elsewhere":  # the largest number of the map, far from the window
        place = int(flat.astype(np.float32).argmax())
    else:  # another element of the window
        inside = [n for n in range(flat.size) if _is_in_window(problem, at[2:], n)]
        place = next(n for n in inside if n != outputs["indices"][at])
    y, indices = outputs["y"].copy(), outputs["indices"].copy()
    y[at], indices[at] = flat[place], place
    assert y[at] != outputs["y"][at]
    assert not verify(problem, Numerics(), arrays, {"y": y, "indices": indices}).passed


def test_an_index_beyond_its_window_fails_though_the_maximum_is_right():
    problem = parse_line("max_pool x=8x32x112x112 kernel=3x3 stride=2 data=integer")
    arrays = make_arrays(problem)
    outputs = reference.compute(problem, arrays)
    at, flat = (2, 7, 5, 5), arrays["x"][2, 7].reshape(-1)
    equal = np.flatnonzero(flat == outputs["y"][at])
    indices = outputs["indices"].copy()
    indices[at] = next(n for n in equal[::-1] if not _is_in_window(problem, at[2:], n))
    assert not verify(problem, Numerics(), arrays, {**outputs, "indices": indices}).passed


def _is_in_window(problem, position, place):
    """True if a flat index lies in the window of an output, by the definition of a window."""
    window = problem.window
    return all(
        p in [i * s - begin + u * d for u in range(k)]
        for p, i, s, d, k, (begin, _) in zip(
            np.unravel_index(place, problem.x[2:]), position, window.stride, window.dilation, problem.kernel,
            window.padding, strict=True,
        )
    )  # fmt: skip

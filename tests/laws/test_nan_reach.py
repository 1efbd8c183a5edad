"""A declared transform may spread NaN over what it transforms, and over nothing else."""

import numpy as np
import pytest

from harness.laws.error_bounds import check_outputs
from harness.laws.nan_reach import find_nan_reach
from harness.laws.subject import BackendUnderTest
from harness.problems import reference
from harness.problems.data import make_arrays
from harness.problems.line import parse_line
from harness.problems.numerics import Numerics
from suites.laws.declarations import nan_stays_local, nan_survives_a_zero_kernel
from tests.faulty.right import Right

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NaN, which is the data here

FFT = Numerics(algorithm="fft", nan_local=False)
LINES = (
    "conv x=4x4x9x9 w=6x2x3x3 bias pad=1 groups=2",
    "conv_input_grad x=4x4x9x9 w=6x2x3x3 groups=2",
    "conv_weight_grad x=4x4x9x9 w=6x2x3x3 groups=2",
    "conv_transpose x=4x4x5x5 w=4x3x3x3 stride=2",
    "avg_pool x=4x4x8x8 kernel=2x2 stride=2",
    "conv_bias_grad x=4x4x9 w=3x4x3",
)


class SpreadsOverImages(Right):
    """Declares a transform of each image, and adds what makes every output NaN if one number of the input is."""

    name, numerics = "spreads-over-images", FFT

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, window) + x.dtype.type(0) * x.sum()


class SpreadsOverItsImage(Right):
    """The same for each image, as it declares."""

    name, numerics = "spreads-over-its-image", FFT

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, window) + 0 * x.sum(axis=(1, 2, 3), keepdims=True, dtype=x.dtype)


def _spoil(problem, place):
    arrays = make_arrays(problem)
    first = problem.operator.spec.factors[0]
    arrays[first][place[: arrays[first].ndim]] = np.nan
    return arrays, reference.compute(problem, arrays)[problem.operator.outputs[0]]


@pytest.mark.parametrize("line", LINES)
def test_a_transform_reaches_what_reads_the_same_image_and_channel(line):
    problem = parse_line(line)
    arrays, wanted = _spoil(problem, (1, 2, 2, 2))
    reach = find_nan_reach(problem, FFT, arrays, wanted)
    held = np.isnan(wanted)
    assert (reach | held == reach).all()
    planes = held.any(axis=tuple(range(2, held.ndim)), keepdims=True)
    assert (reach == np.broadcast_to(planes, reach.shape)).all() and not reach.all()


def test_a_tile_reaches_no_further_than_itself():
    problem = parse_line("conv x=2x1x12x12 w=1x1x3x3 pad=1")
    arrays, wanted = _spoil(problem, (1, 0, 0, 0))
    reach = find_nan_reach(problem, Numerics(algorithm="winograd", tile=2, nan_local=False), arrays, wanted)
    assert sorted(zip(*np.nonzero(reach), strict=True)) == [(1, 0, y, x) for y in range(3) for x in range(3)]


def test_nothing_is_reached_by_finite_numbers():
    problem = parse_line(LINES[0])
    arrays = make_arrays(problem)
    assert not find_nan_reach(problem, FFT, arrays, reference.compute(problem, arrays)["y"]).any()


@pytest.mark.parametrize(("backend", "passes"), [(SpreadsOverItsImage, True), (SpreadsOverImages, False)])
def test_no_declaration_excuses_nan_of_another_image(backend, passes):
    line = "conv x=8x2x9x9 w=3x2x3x3 pad=1"
    problem = parse_line(f"{line} data=nonfinite")
    arrays = make_arrays(problem)
    got = {"y": backend().conv(*(arrays[name] for name in "xw"), None, problem.window)}
    found = check_outputs(problem, FFT, arrays, got, reference.compute(problem, arrays))
    assert found.passed is passes
    for law in (nan_stays_local, nan_survives_a_zero_kernel):
        problem = parse_line(f"{line} data=normal")
        assert law.check(BackendUnderTest(backend(), problem), problem).passed is passes, law.name

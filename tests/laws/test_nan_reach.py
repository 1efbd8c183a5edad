"""A declared transform may spread NaN over what it transforms, and over nothing else."""

import numpy as np
import pytest

from backends import fft, scipy_signal
from harness.laws.error_bounds import check_outputs
from harness.laws.nan_reach import find_nan_reach
from harness.laws.subject import BackendUnderTest
from harness.problems import reference
from harness.problems.data import make_arrays
from harness.problems.line import parse_line
from harness.problems.numerics import Numerics
from suites.laws.declarations import nan_stays_local, nan_survives_a_zero_kernel
from suites.laws.reference import agrees_with_reference
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
    reach = find_nan_reach(problem, arrays)
    held = np.isnan(wanted)
    assert (reach | held == reach).all()
    planes = held.any(axis=tuple(range(2, held.ndim)), keepdims=True)
    assert (reach == np.broadcast_to(planes, reach.shape)).all() and not reach.all()


@pytest.mark.parametrize(
    "line",
    [
        "conv_input_grad x=2x3x11x14 w=5x3x3x2 stride=2,1 pad=1:0,2:1 dilation=1,2",  # rows that no window reads
        "conv x=1x16x3 w=24x4x2 bias stride=4 pad=6 dilation=12 groups=4",  # one tap reads the input, or none
        "conv x=3x6x4x1 w=1x6x4x4 pad=3,3 dilation=2,2",
        "conv_input_grad x=2x63x2x3 w=252x1x3x2 stride=1,2 pad=12,6 dilation=12,12 groups=63",
        "conv_weight_grad x=2x3x11x14 w=5x3x3x2 stride=4,3",
        "conv_transpose x=2x4x5x5 w=4x3x3x3 stride=3 output_padding=1,2",
    ],
)
@pytest.mark.parametrize("backend", [fft.FFT, scipy_signal.ScipySignal])
def test_a_transform_reaches_positions_that_no_window_reads(backend, line):
    """A NaN anywhere in the first factor makes no honest transform wrong, and no other image may hold one."""
    problem = parse_line(f"{line} data=nonfinite")
    subject = BackendUnderTest(backend(), problem)
    assert subject.numerics().nan_local is False
    found = agrees_with_reference.check(subject, problem)
    assert found.passed, found.describe()


def test_nothing_is_reached_by_finite_numbers():
    problem = parse_line(LINES[0])
    arrays = make_arrays(problem)
    assert not find_nan_reach(problem, arrays).any()


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

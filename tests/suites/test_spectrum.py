"""The bounds of the Fourier laws hold for what is right, and are far below what would be missed."""

import numpy as np
import pytest

from harness import parse_line
from harness.laws.subject import BackendUnderTest
from suites.laws.convolution import is_wide
from suites.laws.spectrum import (
    answer,
    bound_transforms,
    convolution_theorem,
    parseval_identity,
    spectrum,
    young_inequality,
)
from tests.faulty.algebra import Unnormalised
from tests.faulty.right import Right

LAWS = (convolution_theorem, parseval_identity)
LINES = [
    f"conv {shape}{flip} dtype={dtype} data=integer"
    for shape in ("x=1x1x19 w=1x1x4 pad=3", "x=1x1x12x9 w=1x1x4x3 pad=3,2", "x=1x1x5x6x4 w=1x1x2x3x2 pad=1,2,1")
    for flip in ("", " flip")
    for dtype in ("float64", "float32", "float16", "bfloat16")
]


class Off(Right):
    """The largest element is too large by a part of itself."""

    name = "off"
    part = 0.0

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        largest = np.unravel_index(np.argmax(np.abs(y.astype(np.float64))), y.shape)
        y[largest] *= 1 + self.part
        return y


def _apply(law, backend, line):
    problem = parse_line(line)
    assert law.applies(problem)
    return law.check(BackendUnderTest(backend, problem), problem)


@pytest.mark.parametrize("line", LINES)
def test_the_laws_hold_and_prove_something(line):
    for law in (*LAWS, young_inequality):
        deviation = _apply(law, Right(), line)
        assert deviation.passed, deviation.describe()
        assert deviation.vacuous <= deviation.compared / 4


@pytest.mark.parametrize("line", [line for line in LINES if "bfloat16" not in line])
def test_one_element_off_by_a_tenth_breaks_the_theorem_and_parseval(line):
    backend = Off()
    backend.part = 0.1
    assert not _apply(convolution_theorem, backend, line).passed
    assert not _apply(parseval_identity, backend, line).passed


def test_in_float64_a_millionth_of_a_millionth_is_seen():
    backend = Off()
    backend.part = 1e-9
    assert not _apply(convolution_theorem, backend, LINES[0]).passed


def test_an_answer_that_grows_breaks_young():
    assert not _apply(young_inequality, Unnormalised(), LINES[0]).passed


def test_only_wide_convolutions_of_one_channel_are_asked():
    for line in ("x=1x2x19 w=1x2x4 pad=3", "x=1x1x19 w=1x1x4 pad=2", "x=1x1x19 w=1x1x4 pad=3 stride=2",
                 "x=1x1x19 w=1x1x4 pad=3 bias", "x=2x1x19 w=1x1x4 pad=3"):  # fmt: skip
        assert not is_wide(parse_line(f"conv {line}"))


def test_a_spectrum_of_fewer_points_is_that_of_the_wrapped_array():
    a = np.arange(7.0)
    wrapped = np.array([0 + 4, 1 + 5, 2 + 6, 3])
    assert np.allclose(spectrum(a, (4,)), np.fft.fft(wrapped))
    assert np.allclose(spectrum(a, (16,)), np.fft.fft(a, 16))
    b = np.arange(15.0).reshape(3, 5)
    assert np.allclose(spectrum(b, (2, 4))[0, 0], b.sum())
    assert np.allclose(spectrum(b, (4, 8)), np.fft.fft2(b, (4, 8)))


@pytest.mark.parametrize("line", LINES[::4])
def test_the_rounding_of_the_laws_own_transforms_keeps_its_bound(line):
    problem = parse_line(line)
    wide = answer(BackendUnderTest(Right(), problem), problem)
    exact = np.rint(wide.x * 2**20), np.rint(wide.k * 2**20)  # whole numbers, whose convolution float64 holds
    y = np.zeros(wide.y.shape)
    for at in np.ndindex(*exact[1].shape):
        y[tuple(slice(i, i + n) for i, n in zip(at, exact[0].shape, strict=True))] += exact[1][at] * exact[0]
    whole = type(wide)(exact[0], exact[1], y, np.zeros(()))
    error = np.abs(spectrum(y, whole.lengths) - whole.product).max()
    assert 0 < error <= bound_transforms(whole, whole.lengths)

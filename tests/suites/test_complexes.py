"""Complex arrays are asked only of backends that take them, and both halves of the kernel count."""

import numpy as np
import pytest

from harness import Numerics, parse_line
from harness.backend.routing import UnsupportedError
from harness.laws.subject import BackendUnderTest
from suites.laws.complexes import complex_linearity
from tests.faulty.algebra import Conjugates
from tests.faulty.right import Right

LINES = (
    "conv x=2x3x17 w=4x3x5 bias stride=2 pad=1:2 dilation=2 data=integer",
    "conv x=2x4x8x10 w=6x2x2x3 groups=2 pad=0:1,2:0 dtype=float64 layout=channels-last data=integer",
    "conv x=1x5x9x17 w=7x5x3x3 pad=1,1 flip data=integer",
)


def _apply(backend, line):
    problem = parse_line(line)
    assert complex_linearity.applies(problem)
    return complex_linearity.check(BackendUnderTest(backend, problem), problem)


@pytest.mark.parametrize("line", LINES)
def test_a_backend_that_is_linear_over_the_complex_numbers_passes(line):
    assert _apply(Right(), line).passed
    assert "conv(x + iu, w + iv)" in _apply(Conjugates(), line).describe()


def test_a_norm_wise_backend_is_rounded_part_by_part():
    class Near(Right):
        numerics = Numerics(algorithm="fft", nan_local=False)

        def conv(self, x, w, b, window):
            y = super().conv(x, w, b, window)
            return y + y.dtype.type(0.1 - 0.2j if y.dtype.kind == "c" else 0.1)

    assert _apply(Near(), LINES[0]).passed


def test_imaginary_parts_that_are_dropped_are_seen():
    class Drops(Right):
        def conv(self, x, w, b, window):
            return super().conv(x, w, b, window).real.astype(x.dtype)

    assert not _apply(Drops(), LINES[0]).passed


def test_another_dtype_is_an_error_that_names_both():
    class Widens(Right):
        def conv(self, x, w, b, window):
            y = super().conv(x, w, b, window)
            return y.astype(np.complex128) if y.dtype.kind == "c" else y

    with pytest.raises(ValueError, match=r"complex128.*wanted complex64"):
        _apply(Widens(), LINES[0])


@pytest.mark.parametrize(("member", "value", "reason"), [
    ("takes_complex", False, "takes no complex arrays"), ("grouped", False, "has no groups"),
    ("dtypes", ("float32",), "has no float64"),
])  # fmt: skip
def test_what_does_not_take_complex_arrays_by_itself_is_not_asked(member, value, reason):
    backend = type("Short", (Right,), {member: value})()
    with pytest.raises(UnsupportedError, match=reason):
        _apply(backend, LINES[1])

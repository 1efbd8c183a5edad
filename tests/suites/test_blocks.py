"""The laws of building blocks ask what their formulas say, on geometries with a field that is known by hand."""

import numpy as np
import pytest

from harness import BackendUnderTest, Window, parse_line
from suites.laws.blocks import inception_module, mark_fields, receptive_field, residual_unit
from tests.faulty.backward import InputGradFlipped
from tests.faulty.forward import Flipped
from tests.faulty.right import Right

CONV = "conv x=2x4x9x8 w=6x2x3x5 groups=2 data=integer"


def _apply(law, backend, line):
    problem = parse_line(line)
    assert law.applies(problem)
    return law.check(BackendUnderTest(backend, problem), problem)


def test_the_field_of_three_taps_two_apart_spans_five_positions():
    assert mark_fields((7,), (3,), (5,), Window.of(1, dilation=2)).tolist() == [
        [1, 0, 1, 0, 1, 0, 0], [0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 1, 0, 1]
    ]  # fmt: skip


def test_padding_clips_the_field_and_strides_move_it():
    window = Window.of(1, stride=2, padding=((1, 1),))
    assert mark_fields((4,), (2,), (3,), window).tolist() == [[1, 1, 0, 0], [0, 1, 1, 1]]


def test_the_field_of_a_plane_is_the_product_of_its_axes():
    window = Window.of(2)
    rows, columns = mark_fields((3,), (2,), (2,), Window.of(1)), mark_fields((4,), (2,), (3,), Window.of(1))
    assert np.array_equal(mark_fields((3, 4), (2, 2), (2, 3), window), np.kron(rows, columns).reshape(4, 3, 4))


@pytest.mark.parametrize("law", [receptive_field, residual_unit, inception_module], ids=lambda law: law.name)
@pytest.mark.parametrize("flip", ["", " flip"])
@pytest.mark.parametrize("window", ["", " pad=1:2,0:1 dilation=2,1", " stride=2,3 pad=2"])
def test_a_right_backend_keeps_the_laws(law, window, flip):
    deviation = _apply(law, Right(), f"{CONV}{window}{flip}")
    assert deviation.passed, deviation.describe()
    assert deviation.compared >= 60


def test_a_lost_position_breaks_the_receptive_field():
    class Clipped(Right):
        """The last position of dx is left out."""

        def conv_input_grad(self, dy, w, x_shape, window):
            dx = super().conv_input_grad(dy, w, x_shape, window)
            dx[..., -1] = 0
            return dx

    assert not _apply(receptive_field, Clipped(), CONV).passed


def test_a_position_too_many_breaks_the_receptive_field():
    class Smeared(Right):
        """A trace of every gradient is left at its neighbour."""

        def conv_input_grad(self, dy, w, x_shape, window):
            dx = super().conv_input_grad(dy, w, x_shape, window)
            return dx + np.roll(dx, 1, axis=-1)

    assert not _apply(receptive_field, Smeared(), CONV).passed


def test_a_turned_kernel_breaks_the_residual_unit_and_no_inception_module():
    assert not _apply(residual_unit, InputGradFlipped(), CONV).passed
    assert _apply(inception_module, Flipped(), CONV).passed  # all branches are turned alike


def test_kernels_trimmed_without_their_window_break_the_inception_module():
    class Trimmed(Right):
        """The first column is dropped where every tap in it is zero, and the window stays where it was."""

        def conv(self, x, w, b, window):
            if w.shape[-1] > 1 and not w[:2, ..., 0].any():
                w = np.roll(w, -1, axis=-1)
            return super().conv(x, w, b, window)

    assert not _apply(inception_module, Trimmed(), CONV).passed

"""Tiled data: any element is known without the array, in either layout, and make_arrays returns the same."""

import numpy as np
import pytest

from harness import parse_line
from harness.laws.sampling.held import draw_held
from harness.laws.subject import BackendUnderTest
from harness.problems import tile
from harness.problems.data import make_arrays
from harness.problems.tile import PERIOD, amplitude, is_large, make_tile, make_tiled, memory_order
from tests.faulty.right import Right

LAYOUTS = ["channels-first", "channels-last"]


def _is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def test_no_power_of_two_is_a_multiple_of_the_period():
    assert _is_prime(PERIOD)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_element_follows_from_its_offset_in_memory(layout, monkeypatch):
    monkeypatch.setattr(tile, "PERIOD", 127)
    problem = parse_line(f"conv x=3x4x9x11 w=2x4x3x3 data=integer dtype=float16 layout={layout}")
    one, a = make_tile(problem, "x"), make_tiled(problem, "x", problem.x)
    flat = a.transpose(memory_order(a.shape, layout)).reshape(-1)
    assert np.shares_memory(flat, a)  # the order of memory, without a copy
    offsets = np.array([0, 1, 126, 127, 500, flat.size - 1])
    assert np.array_equal(one.take(offsets), flat[offsets])
    assert np.array_equal(one.take(np.arange(flat.size)), np.resize(one.table, flat.size))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_large_problems_have_the_same_data_everywhere(layout, monkeypatch):
    monkeypatch.setattr(tile, "PERIOD", 127)
    problem = parse_line(f"conv x=3x4x9x11 w=2x4x3x3 bias data=integer layout={layout}")
    assert not is_large(problem)
    drawn, held = make_arrays(problem), draw_held(BackendUnderTest(Right(), problem), problem).arrays
    assert not np.array_equal(drawn["x"], held["x"])  # small problems are drawn as ever
    monkeypatch.setattr(tile, "LARGE", 100)
    assert is_large(problem)
    assert not is_large(problem.with_(data="normal"))
    for name, a in make_arrays(problem).items():
        assert np.array_equal(a, held[name])
        assert a.strides == held[name].strides


def test_seed_and_name_choose_the_data():
    problem = parse_line("conv x=1x1x9 w=1x1x3 data=integer")
    first = make_tile(problem, "x").table
    assert np.array_equal(first, make_tile(problem, "x").table)
    assert not np.array_equal(first, make_tile(problem.with_(seed=1), "x").table)
    assert not np.array_equal(first, make_tile(problem, "w").table)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("conv x=1x8x9x9 w=1x8x1x1 dtype=bfloat16", (3, 1.0)),  # 8 * 9 + 3 <= 2^8
        ("conv x=1x29x9x9 w=1x29x1x1 dtype=bfloat16", (2, 1.0)),
        ("conv_bias_grad x=13x1x79 w=5x1x1 dtype=float16", (1, 1.0)),
        ("max_pool x=1x1x9 kernel=3 dtype=bfloat16", (8, 1.0)),
        ("conv_bias_grad x=1x1x32768x32768 w=1x1x1x1", (1, 2.0**-8)),
    ],
)
def test_values_are_as_large_as_exact_sums_allow(line, wanted):
    assert amplitude(parse_line(f"{line} data=integer")) == wanted


def test_sums_too_long_for_dense_data_are_thinned():
    line = "conv_weight_grad x=1x1x32768x32768 w=1x1x1x1 data=integer"
    density = np.count_nonzero(make_tile(parse_line(line), "x").table) / PERIOD
    assert density == pytest.approx(2 / 3 / 16, rel=0.02)  # -1 and 1 of three values, and the root of 2^-8

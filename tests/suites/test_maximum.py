"""Each part of a law of max pooling can fail by itself, and none forbids what a backend may choose."""

import numpy as np
import pytest

from harness import Law, Numerics, parse_line
from harness.problems import reference
from suites.laws import maximum, pool_gradients
from tests.asking import ask
from tests.faulty import pooling, pooling_more
from tests.faulty.right import Right

FAULTS = {fault.name: fault for module in (pooling, pooling_more) for fault in module.FAULTS}
LAWS = {law.name: law for module in (maximum, pool_gradients) for law in vars(module).values() if isinstance(law, Law)}
PADDED = "x=2x3x9x11 kernel=3x2 stride=2,1 pad=1:0,0:1"
APART = "x=2x3x8x9 kernel=2x3 stride=2,3"
GLOBAL = "x=2x4x6x5 kernel=6x5"


class LastWins(Right):
    """Of equal maxima, and of several NaN, the last is indexed."""

    name = "right:last-wins"

    def max_pool(self, x, window):
        return reference.max_pool(x, window, ties="last", nan_index="last")


class Normwise(Right):
    """Declaration of a backend of transforms for all its operators, maxima included."""

    name = "right:normwise"
    numerics = Numerics(algorithm="fft", nan_local=False)


def _check(backend, law, line):
    return ask(backend, LAWS[law], parse_line(line).line)


@pytest.mark.parametrize(
    ("law", "fault", "line", "part"),
    [
        ("maximum-is-selected", "index-of-batch", PADDED, "indices: got"),
        ("maximum-is-selected", "corner-lost", PADDED, "y against"),
        ("maximum-is-selected", "max-pads-zero", f"{PADDED} data=negative", "y against"),
        ("maximum-shifts", "max-pads-zero", PADDED, "max_pool(x - c)"),
        ("maximum-scales", "compares-sixteenths", PADDED, "max_pool("),
        ("maximum-keeps-increasing-functions", "compares-sixteenths", PADDED, "max_pool(f(x))"),
        ("maximum-keeps-order", "compares-sixteenths", f"{PADDED} seed=3", "against max_pool(x)"),
        ("maximum-is-separable", "corner-lost", PADDED, "max_pool axis by axis"),
        ("maxima-compose", "corner-lost", PADDED, "max_pool of max_pool"),
        ("maximum-of-a-constant", "max-pads-zero", PADDED, "got 0, wanted -3"),
        ("maximum-padding-is-minus-infinity", "max-pads-swapped", PADDED, "padded max_pool"),
        ("maximum-dilation-is-polyphase", "pool-dilation-ignored", "x=1x3x10x9 kernel=2x3 dilation=3,2", "dilated"),
        ("nan-wins-its-windows", "nan-skipped", APART, "NaN in 0 of 6 windows that hold one"),
        ("nan-wins-its-windows", "nan-below-infinity", APART, "windows that hold one among +inf"),
        ("nan-wins-its-windows", "index-of-batch", APART, "index of a NaN"),
        ("infinity-wins-its-windows", "infinity-clipped", APART, "y with one +inf in each map"),
        ("infinity-wins-its-windows", "index-of-batch", APART, "index of +inf"),
        ("minus-infinity-is-a-number", "starts-from-lowest", PADDED, "max_pool(-inf)"),
        ("minus-infinity-is-a-number", "index-of-batch", PADDED, "indices: got"),
        ("unpooling-pools-back", "largest-magnitude", PADDED, "max_pool of the unpooled y"),
        ("unpooling-pools-back", "index-of-batch", PADDED, "indices: got"),
        ("global-maximum", "compares-bits", GLOBAL, "global max_pool"),
        ("global-maximum", "window-too-short", GLOBAL, "global max_pool"),
    ],
)
def test_each_part_of_a_law_can_fail(law, fault, line, part):
    found = _check(FAULTS[f"faulty:{fault}"](), law, f"max_pool {line}")
    assert found.outcome == "failed"
    assert part in found.reason


@pytest.mark.parametrize("backend", [LastWins(), Normwise()], ids=lambda backend: backend.name)
@pytest.mark.parametrize("data", ["integer", "distinct", "constant", "zeros", "nonfinite", "normal"])
@pytest.mark.parametrize("shape", [PADDED, APART, GLOBAL, "x=1x2x8x7 kernel=2x3 stride=3,2 pad=1 dilation=2,1 ceil"])
def test_what_a_backend_may_choose_breaks_no_law(backend, data, shape):
    for operator in ("max_pool", "max_pool_grad"):
        problem = parse_line(f"{operator} {shape} data={data}")
        found = {name: _check(backend, name, problem.line) for name, law in LAWS.items() if law.applies(problem)}
        assert {name: one.reason for name, one in found.items() if one.outcome != "passed"} == {}
        assert found or data == "nonfinite"


def test_nan_beside_its_windows_is_forbidden_only_where_declared():
    class Spread(Right):
        name = "spread"

        def max_pool(self, x, window):
            y, indices = super().max_pool(x, window)
            return np.where(np.isnan(x).any(), np.nan, y).astype(x.dtype), indices

    class InItsMap(Right):
        name, numerics = "in-its-map", Numerics(nan_local=False)

        def max_pool(self, x, window):
            y, indices = super().max_pool(x, window)
            return np.where(np.isnan(x).any(axis=(2, 3), keepdims=True), np.nan, y).astype(x.dtype), indices

    class Declared(Spread):
        numerics = Numerics(nan_local=False)

    assert "y beside the NaN" in _check(Spread(), "nan-wins-its-windows", f"max_pool {PADDED}").reason
    assert _check(InItsMap(), "nan-wins-its-windows", f"max_pool {PADDED}").outcome == "passed"
    beyond = _check(Declared(), "nan-wins-its-windows", f"max_pool {PADDED}")
    assert "y of maps beside those with NaN" in beyond.reason


@pytest.mark.parametrize("line", ["max_pool x=1x1x8x8 kernel=2x2 stride=2", "max_pool x=2x3x3x3 kernel=3x3"])
def test_places_that_a_nan_reaches_are_not_counted_as_compared(line):
    """One map alone, where the NaN may spread; windows that hold every position, where it may not."""

    class Declared(Right):
        name, numerics = "declared", Numerics(nan_local="x=2" in line)

    found, problem = _check(Declared(), "nan-wins-its-windows", line), parse_line(line)
    assert (found.outcome, found.deviation.idle) == ("passed", None)
    assert found.deviation.compared == 2 + int(np.prod(problem.y))

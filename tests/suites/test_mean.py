"""Laws of mean pooling: each one by a fault that it must name, and the deviations that a declaration permits."""

import pytest

from harness import Law, Numerics, parse_line
from suites.laws import mean
from tests.asking import ask
from tests.faulty import pooling, pooling_more
from tests.faulty.right import Right

FAULTS = {fault.name: fault for module in (pooling, pooling_more) for fault in module.FAULTS}
LAWS = {law.name: law for law in vars(mean).values() if isinstance(law, Law)}
PADDED = "x=2x2x7x9 kernel=3x3 stride=2,1 pad=1:0,0:1"
CEIL = "x=2x2x7x6 kernel=3x4 stride=3,2 pad=0:1,1 ceil"
GLOBAL = "x=2x4x6x5 kernel=6x5"


def _check(backend, law, line):
    return ask(backend, LAWS[law], parse_line(f"avg_pool {line}").line)


@pytest.mark.parametrize(
    ("law", "fault", "line", "part"),
    [
        ("mean-is-depthwise-convolution", "mean-corner-lost", f"{PADDED} data=integer", "avg_pool * divisor"),
        ("mean-of-ones-is-one", "mean-counts-overhang", f"{CEIL} data=integer", "avg_pool(1)"),
        ("mean-of-ones-is-one", "exclude-ignored", f"{PADDED} exclude_pad data=integer", "avg_pool(1)"),
        ("mean-padding-is-explicit-zeros", "mean-end-from-begin", PADDED, "padded avg_pool"),
        ("mean-padding-is-explicit-zeros", "mean-end-from-begin", CEIL, "padded avg_pool"),
        ("mean-leaves-out-the-overhang", "mean-counts-overhang", CEIL, "avg_pool in the overhang"),
        ("modes-share-their-sums", "exclude-ignored", f"{PADDED} data=integer", "sums with padding counted"),
        ("mean-keeps-order", "mean-unsigned", f"{PADDED} data=integer", "against avg_pool(x)"),
        ("mean-lies-between", "mean-unsigned", PADDED, "against the range of its window"),
        ("mean-lies-between", "exclude-ignored", f"{PADDED} exclude_pad data=uniform", "against the range"),
        ("global-mean", "mean-corner-lost", GLOBAL, "global avg_pool"),
        ("nan-stays-in-its-means", "running-sum", PADDED, "y beside the NaN"),
        ("nan-stays-in-its-means", "mean-corner-lost", f"{PADDED} seed=3", "windows that hold one"),
    ],
)
def test_each_law_can_fail(law, fault, line, part):
    found = _check(FAULTS[f"faulty:{fault}"](), law, line)
    assert found.outcome == "failed"
    assert part in found.reason


def test_running_sums_that_are_declared_may_carry_a_nan_on():
    class Declared(FAULTS["faulty:running-sum"]):
        numerics = Numerics(nan_local=False)

    assert _check(Declared(), "nan-stays-in-its-means", PADDED).outcome == "passed"


def test_no_declaration_excuses_a_nan_of_another_map():
    class Spread(Right):
        name, numerics = "spread", Numerics(nan_local=False)

        def avg_pool(self, x, window):
            return super().avg_pool(x, window) + 0 * x.sum(dtype=x.dtype)

    assert "y of maps beside those with NaN" in _check(Spread(), "nan-stays-in-its-means", PADDED).reason


def test_padding_that_counts_brings_a_zero_into_the_range():
    positive = f"{PADDED} data=uniform"  # means next to padding are below all that is in their window
    assert _check(Right(), "mean-lies-between", positive).outcome == "passed"
    assert _check(Right(), "mean-lies-between", f"{PADDED} exclude_pad data=uniform").outcome == "passed"


@pytest.mark.parametrize("line", ["x=2x3x17 kernel=3 stride=2", "x=2x2x7x9 kernel=3x3 stride=2,2"])
def test_laws_of_padding_need_padding_and_those_of_the_overhang_an_overhang(line):
    problem = parse_line(f"avg_pool {line}")
    assert not LAWS["mean-padding-is-explicit-zeros"].applies(problem)
    assert not LAWS["mean-leaves-out-the-overhang"].applies(problem)
    assert LAWS["mean-leaves-out-the-overhang"].applies(parse_line(f"avg_pool {CEIL}"))
    assert LAWS["mean-padding-is-explicit-zeros"].applies(parse_line(f"avg_pool {CEIL}"))

"""Laws of the gradients of pooling: each part by a fault that it must name, and where they do not apply."""

import pytest

from harness import Law, Numerics, parse_line
from suites.laws import pool_gradients
from tests.asking import ask
from tests.faulty import pooling, pooling_more
from tests.faulty.right import Right

FAULTS = {fault.name: fault for module in (pooling, pooling_more) for fault in module.FAULTS}
LAWS = {law.name: law for law in vars(pool_gradients).values() if isinstance(law, Law)}
PADDED = "x=2x3x9x11 kernel=3x2 stride=2,1 pad=1:0,0:1"
APART = "x=2x3x8x9 kernel=2x3 stride=2,3"


def _check(backend, law, line):
    return ask(backend, LAWS[law], parse_line(line).line)


@pytest.mark.parametrize(
    ("law", "fault", "line", "part"),
    [
        ("maximum-gradient-is-conserved", "max-grad-overwrites", f"max_pool {PADDED} data=integer", "sum of dx"),
        ("maximum-gradient-is-conserved", "max-grad-at-first", f"max_pool {PADDED} data=integer", "beside the winners"),
        ("maximum-unit-step", "max-grad-transposed", f"max_pool {PADDED} data=distinct", "<h, dx>"),
        ("maximum-gradient-is-placed", "max-grad-transposed", f"max_pool_grad {APART}", "dx["),
        ("mean-adjoint", "mean-grad-whole-kernel", f"avg_pool {PADDED} exclude_pad data=integer", "<x, dx>"),
        ("mean-gradient-is-conserved", "mean-grad-whole-kernel", f"avg_pool {PADDED} exclude_pad data=integer", "sum"),
        ("mean-gradient-is-spread-evenly", "mean-grad-undivided", f"avg_pool_grad {APART}", "dx["),
        ("pool-gradient-scales", "pool-grad-clipped", f"max_pool_grad {PADDED}", "dx(4 dy)"),
        ("pool-gradient-scales", "pool-grad-clipped", "avg_pool_grad x=1x2x9 kernel=2", "dx(4 dy)"),
        ("pool-gradient-scales", "pool-grad-rectified", f"max_pool_grad {PADDED}", "dx(-dy)"),
        ("pool-gradient-scales", "pool-grad-rectified", f"avg_pool_grad {PADDED}", "dx(-dy)"),
        ("pool-gradient-adds", "pool-grad-rectified", f"max_pool_grad {PADDED}", "dx(dy + dz)"),
        ("pool-gradient-adds", "pool-grad-rectified", f"avg_pool_grad {PADDED}", "dx(dy + dz)"),
        ("gradient-nan-stays-local", "max-grad-by-mask", f"max_pool_grad {PADDED}", "dx beside the NaN"),
        ("gradient-nan-stays-local", "mean-grad-by-matrix", f"avg_pool_grad {PADDED}", "dx beside the NaN"),
    ],
)
def test_each_part_of_a_law_can_fail(law, fault, line, part):
    found = _check(FAULTS[f"faulty:{fault}"](), law, line)
    assert found.outcome == "failed"
    assert part in found.reason


@pytest.mark.parametrize("axes", [(2, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("operator", ["max_pool_grad", "avg_pool_grad"])
def test_a_declared_spread_of_nan_ends_with_its_map(operator, axes):
    class Spread(Right):
        name, numerics = "spread", Numerics(nan_local=False)

        def avg_pool_grad(self, dy, x_shape, window):
            return super().avg_pool_grad(dy, x_shape, window) + 0 * dy.sum(axis=axes, keepdims=True, dtype=dy.dtype)

        def max_pool_grad(self, dy, x, indices, window):
            dx = super().max_pool_grad(dy, x, indices, window)
            return dx + 0 * dy.sum(axis=axes, keepdims=True, dtype=dy.dtype)

    found = _check(Spread(), "gradient-nan-stays-local", f"{operator} {PADDED}")
    if len(axes) == 2:
        assert found.outcome == "passed", found.reason
    else:
        assert found.outcome == "failed" and "dx of maps beside those with NaN" in found.reason


def test_padding_that_counts_takes_its_share_of_the_gradient():
    law = LAWS["mean-gradient-is-conserved"]
    assert not law.applies(parse_line(f"avg_pool {PADDED} data=integer"))
    assert law.applies(parse_line(f"avg_pool {PADDED} exclude_pad data=integer"))


@pytest.mark.parametrize(("dtype", "applies"), [("bfloat16", False), ("float16", True)])
def test_unit_steps_need_numbers_that_the_dtype_has(dtype, applies):
    problem = parse_line(f"max_pool x=1x1x12x12 kernel=2x2 dtype={dtype} data=distinct")
    assert LAWS["maximum-unit-step"].applies(problem) is applies


def test_sums_that_the_dtype_does_not_hold_are_not_compared():
    line = "max_pool x=1x1x40x40 kernel=20x20 dtype=bfloat16 data=integer"
    found = _check(Right(), "maximum-gradient-is-conserved", line)
    assert found.outcome == "skipped"
    assert "not exact in bfloat16" in found.reason

import pytest
from hypothesis import find, settings

from harness import Operator, parse_line
from harness.generate.domains import TAILS, TINY
from harness.generate.strategy import problems
from tests.generate.drawn import QUIET, draw


def test_what_is_asked_for_is_what_is_drawn():
    asked = {
        "operators": (Operator.conv_transpose, Operator.max_pool), "dtypes": ("float16", "float64"), "axes": (1, 3),
        "regimes": ("integer", "distinct", "uniform"), "maths": ("tf32",),
    }  # fmt: skip
    drawn = draw(problems(**asked))
    assert {p.operator for p in drawn} == set(asked["operators"])
    assert {p.dtype for p in drawn} == set(asked["dtypes"])
    assert {p.axes for p in drawn} == set(asked["axes"])
    assert {p.data for p in drawn} == set(asked["regimes"])
    assert {p.math for p in drawn} == {"tf32"}


def test_a_single_choice_is_enough():
    asked = {"operators": (Operator.conv,), "dtypes": ("float32",), "axes": (2,), "regimes": ("integer",)}
    assert len({p.line for p in draw(problems(**asked), 20)}) > 10


def test_nothing_is_larger_than_asked_for():
    for problem in draw(problems(largest=2, tails=False)):
        assert max(*problem.kernel, *problem.window.stride, *problem.window.dilation, problem.x[0]) <= 2
        assert problem.window.groups <= 2
        assert problem.w is None or max(problem.w[0] // problem.window.groups, problem.w[1]) <= 2


@pytest.mark.slow
def test_widths_cross_those_of_registers_and_tiles():
    widths = {p.y[-1] for p in draw(problems(operators=(Operator.conv,), axes=(1, 2)), 600)}
    assert len(widths & set(TAILS)) >= 9, widths
    without = {p.y[-1] for p in draw(problems(operators=(Operator.conv,), axes=(1, 2), tails=False), 600)}
    assert not without & {w for w in TAILS if w > 2 * max(TINY.width)}


def test_most_problems_have_axes_that_differ():
    drawn = draw(problems(operators=(Operator.conv,), axes=(2,)), 300)
    for values in (
        [p.kernel for p in drawn], [p.window.stride for p in drawn], [p.window.dilation for p in drawn],
        [p.y[2:] for p in drawn], [p.x[2:] for p in drawn],
    ):  # fmt: skip
        plain = [v for v in values if v != (1, 1)]
        assert sum(a != b for a, b in plain) > 0.7 * len(plain)
    padded = [p.window.padding for p in drawn if any(side for pair in p.window.padding for side in pair)]
    assert sum(len({side for pair in pads for side in pair}) == 4 for pads in padded) > 0.4 * len(padded)


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        (lambda p: True, "conv x=1x1x1 w=1x1x1 data=integer"),
        (lambda p: p.operator is Operator.max_pool, "max_pool x=1x1x1 kernel=1 data=integer"),
        (lambda p: p.y[-1] % 4 and p.y[-1] > 4 and p.operator is Operator.conv, "conv x=1x1x5 w=1x1x1 data=integer"),
        (lambda p: p.axes == 2 and p.window.stride[0] != p.window.stride[1], "conv x=1x1x1x1 w=1x1x1x1 stride=1,2"),
        (lambda p: p.window.groups > 1, "conv x=1x2x1 w=2x1x1 groups=2 data=integer"),
        (lambda p: p.bias and p.dtype == "float16" and p.kernel[-1] > 1, "conv x=1x1x2 w=1x1x2 bias dtype=float16"),
    ],
)  # fmt: skip
def test_examples_shrink_to_the_smallest_shapes(condition, line):
    found = find(problems(), condition, settings=settings(max_examples=2000, derandomize=True, **QUIET))
    assert found == parse_line(line).with_(data="integer")


def test_paddings_by_name_are_drawn():
    drawn = draw(problems(operators=(Operator.conv,), axes=(1,)), 300)
    plain = [p for p in drawn if p.kernel[0] > 1 and p.window.stride == (1,)]
    spans = [(p.window.reach(p.kernel)[0] - 1, p.window.padding[0]) for p in plain]
    assert any(pads == (span, span) and span > max(TINY.padding) for span, pads in spans)  # wide
    assert any(pads == (span // 2, span - span // 2) and span > 2 * 3 for span, pads in spans)  # equal width
    assert any(p.window.padding == ((0, 0),) for p in plain)  # narrow


def test_kernels_as_large_as_the_input_are_drawn():
    drawn = draw(problems(operators=(Operator.conv, Operator.avg_pool), axes=(2,)), 300)
    full = [p for p in drawn if p.kernel == p.x[2:] and p.kernel != (1, 1) and p.y[2:] == (1, 1)]
    assert len(full) > 10

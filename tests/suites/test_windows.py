"""Windows counted without the harness's formulas; pooling laws on windows that few implementations take."""

import itertools

import numpy as np
import pytest

from harness import BackendUnderTest, Law, Operator, Window, parse_line
from harness.laws.subject import NotExactError
from harness.problems.reference import divisor_map
from suites.geometries import correctness_problems
from suites.laws import maximum, mean, pool_gradients, windows
from tests.asking import ask
from tests.faulty.pooling_more import CeilWindowInPadding
from tests.faulty.right import Right

LAWS = [law for module in (windows, maximum, mean, pool_gradients) for law in vars(module).values()
        if isinstance(law, Law)]  # fmt: skip
ODD = (
    "x=1x2x3 kernel=2 pad=2 stride=2",  # windows over padding alone, at both ends
    "x=1x2x3 kernel=2 pad=0:5 stride=2 ceil",
    "x=2x3x1 kernel=2 pad=1 dilation=2",  # both taps next to the only element
    "x=1x2x7x8 kernel=1x1 stride=2,3",
    "x=2x2x6x8 kernel=2x3 stride=3,4 ceil",  # apart, with an overhang
    "x=2x2x6x8 kernel=2x3 stride=2,3 ceil exclude_pad",
    "x=1x2x9x8 kernel=2x3 dilation=3,2 stride=4,5",  # apart, with holes
    "x=1x2x5x6 kernel=3x3 pad=3:0,0:4 stride=2 ceil exclude_pad",
    "x=1x2x3x4x3 kernel=2x2x2 pad=2 stride=2 exclude_pad",
    "x=0x3x5x4 kernel=2x3 stride=2",
)
PROBLEMS = [item.problem for item in correctness_problems()]
DATA = ("integer", "distinct", "wide", "nonfinite")
OPERATORS = ("max_pool", "max_pool_grad", "avg_pool", "avg_pool_grad")


def _outcomes(backend, problem):
    laws = [law for law in LAWS if law.applies(problem)]
    return {law.name: ask(backend, law, problem.line) for law in laws}


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_law_holds_on_odd_windows(operator, shape):
    tried = 0
    if not Operator(operator).spec.divides:
        shape = shape.replace(" exclude_pad", "")
    for dtype, data in itertools.product(("float64", "float16", "bfloat16"), DATA):
        found = _outcomes(Right(), parse_line(f"{operator} {shape} dtype={dtype} data={data}"))
        wrong = {name: one.reason for name, one in found.items() if one.outcome != "passed"}
        assert all(dtype == "bfloat16" and "not exact in bfloat16" in reason for reason in wrong.values()), wrong
        tried += len(found)
    assert tried >= 12


def test_laws_of_pooling_are_asked_of_pooling_only():
    asked = {problem.operator for law in LAWS for problem in PROBLEMS if law.applies(problem)}
    assert asked == {Operator(name) for name in OPERATORS}
    assert all(any(law.applies(problem) for problem in PROBLEMS) for law in LAWS)


@pytest.mark.parametrize(
    ("n", "m", "stride", "dilation", "padding", "ceil", "count"),
    [
        (5, 2, 2, 1, (0, 0), False, 2),  # 01 23
        (5, 2, 2, 1, (0, 0), True, 3),  # 01 23 4
        (4, 2, 3, 1, (0, 0), True, 2),  # 01 3
        (2, 1, 2, 1, (0, 1), True, 1),  # the second would begin in the padding
        (2, 1, 2, 1, (0, 1), False, 2),  # the floor rule lets it
        (3, 2, 1, 2, (1, 1), False, 3),
        (1, 3, 1, 1, (2, 0), False, 1),
    ],
)
def test_windows_are_counted_by_hand(n, m, stride, dilation, padding, ceil, count):
    assert windows.count_windows(n, m, stride, dilation, padding, ceil) == count


def test_counted_windows_are_those_of_the_formula():
    compared = 0
    sizes = itertools.product(range(1, 8), (1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 3), (0, 1, 4), (False, True))
    for n, m, s, d, begin, end, ceil in sizes:
        if (m - 1) * d + 1 <= n + begin + end:
            window = Window.of(1, stride=s, dilation=d, padding=((begin, end),), ceil_mode=ceil)
            assert windows.count_windows(n, m, s, d, (begin, end), ceil) == window.output_shape((n,), (m,))[0]
            compared += 1
    assert compared > 2000


@pytest.mark.parametrize("shape", ODD)
def test_taps_are_those_of_the_reference(shape):
    problem = parse_line(f"avg_pool {shape}")
    divisor = divisor_map(problem.x[2:], problem.window)
    meets = windows.taps_inside(problem) > 0  # over padding alone the divisor divides 0
    np.testing.assert_array_equal(windows.taps_counted(problem)[meets], divisor[meets])


def test_taps_are_counted_by_hand():
    problem = parse_line("max_pool x=1x1x4 kernel=3 stride=2 pad=1:2 ceil")  # -1 0 1, 1 2 3, 3 4 5
    assert windows.places(problem)[0].tolist() == [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]
    assert windows.taps_inside(problem).tolist() == [2, 3, 1]
    assert windows.taps_padded(problem).tolist() == [3, 3, 3]
    x = np.array([[[5.0, 6.0, 7.0, 8.0]]])
    assert np.array(list(windows.seen(problem, x, 0.0)))[:, 0, 0].T.tolist() == [[0, 5, 6], [6, 7, 8], [8, 0, 0]]


@pytest.mark.parametrize("operator", ["max_pool", "avg_pool"])
def test_a_wrong_size_is_a_failure_that_names_both(operator):
    line = f"{operator} x=1x2x8x7 kernel=2x3 stride=3,2 pad=1 ceil"
    found = ask(CeilWindowInPadding(), windows.windows_are_counted, line)
    assert found.outcome == "failed"
    assert "y: got shape (1, 2, 4, 4), wanted (1, 2, 3, 4) by counting windows" in found.reason


def test_permuted_windows_hold_the_same_numbers_in_other_places():
    problem = parse_line("max_pool x=1x2x7x8 kernel=2x3 stride=3,4 data=distinct")
    x = np.arange(112.0).reshape(problem.x)
    shuffled = windows.shuffle_windows(problem, x)
    for row, column in itertools.product((0, 3), (0, 4)):
        before, after = (a[..., row : row + 2, column : column + 3].reshape(2, 6) for a in (x, shuffled))
        assert (before != after).all()
        np.testing.assert_array_equal(np.sort(after, axis=1), before)
    changed = (x != shuffled).any(axis=(0, 1))
    assert changed.sum() == 24  # what lies between windows stays


def test_whole_numbers_that_a_mean_does_not_tell_apart_are_not_compared():
    problem = parse_line("avg_pool x=1x1x40x40 kernel=40x40 dtype=bfloat16 data=integer")
    with pytest.raises(NotExactError, match=r"only known to .*, wanted below 0\.5"):
        windows.window_sums(BackendUnderTest(Right(), problem), problem, np.ones(problem.x))
    with pytest.raises(NotExactError, match="not numbers of bfloat16"):
        windows.window_sums(BackendUnderTest(Right(), problem), problem, np.full(problem.x, 257.0))

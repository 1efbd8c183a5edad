"""Laws of the two products: commutativity of wide convolution and its correlation form (specification, section 6)."""

from __future__ import annotations

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, law
from harness.problems import rot180
from suites.laws.common import equal, kernel_shape, whole_conv, wide


def is_wide(problem: Problem) -> bool:
    """Return True for a convolution of one channel with stride and dilation 1 and padding m-1 on every side."""
    if problem.operator is not Operator.conv or problem.bias or problem.w is None:
        return False
    pads = tuple((m - 1, m - 1) for m in problem.kernel)
    plain = Window.of(problem.axes, padding=pads)
    return problem.window == plain and (problem.x[0], problem.x[1], *problem.w[:2]) == (1, 1, 1, 1)


def _whole_wide(problem: Problem) -> bool:
    return is_wide(problem) and whole_conv(problem)


def _swapped(problem: Problem) -> Window:
    """The wide window for the problem's input taken as the kernel."""
    return Window.of(problem.axes, padding=tuple((n - 1, n - 1) for n in problem.x[2:]))


@law(tolerance="exact", when=lambda problem: _whole_wide(problem) and problem.flip)
def wide_convolution_commutes(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x ⊛_wide w = w ⊛_wide x

    One channel, stride and dilation 1. For a kernel that is not rotated, the one side is rot180 of the other.
    """
    x, w = wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))
    forwards = subject.conv(x, w, flip=True)
    backwards = subject.conv(w, x, window=_swapped(problem), flip=True)
    return equal(forwards, backwards, "x ⊛ w")


@law(tolerance="exact", when=lambda problem: _whole_wide(problem) and not problem.flip)
def wide_correlation_turns(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x ⋆_wide w = rot180(w ⋆_wide x)

    One channel, stride and dilation 1. An operator that turns the kernel makes both sides commute instead.
    """
    x, w = wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))
    forwards = subject.conv(x, w)
    backwards = subject.conv(w, x, window=_swapped(problem))
    return equal(forwards, rot180(backwards), "x ⋆ w")

"""The six well-known kernels (specification, section 7), each a law of its own."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness import BackendUnderTest, Deviation, Law, Operator, Problem, compare_arrays, law, worst_of
from harness.laws import check_outputs, magnitude, sum_bound
from harness.problems import FORMATS, Array, draw_array, reference

SIGMA = 0.8


def gaussian(radius: int, sigma: float = SIGMA) -> Array:
    """G(x) = exp(-x²/2σ²)/sqrt(2πσ²) at whole numbers, renormalised to sum 1; its 2-D form is G(x) G(y)."""
    x = np.arange(-radius, radius + 1)
    g = np.exp(-(x**2) / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2)
    return np.asarray(g / g.sum())


KERNELS: dict[str, tuple[str, Callable[[], Array]]] = {
    "identity": ("delta ⋆ x = x", lambda: np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])),
    "sharpen": (
        "9 x - (the eight neighbours of x); sum 1 keeps the brightness",
        lambda: np.array([[-1.0, -1, -1], [-1, 9, -1], [-1, -1, -1]]),
    ),
    "emboss": (
        "[-1 -1 0; -1 0 1; 0 1 1] ⋆ x; sum 0 leaves edges only",
        lambda: np.array([[-1.0, -1, 0], [-1, 0, 1], [0, 1, 1]]),
    ),
    "mean-blur": (
        "0.2 (x + its four neighbours); sum 1 keeps the brightness",
        lambda: np.array([[0, 0.2, 0], [0.2, 0.2, 0.2], [0, 0.2, 0]]),
    ),
    "gaussian-1d": ("G ⋆ x along rows; sum 1 keeps the brightness", lambda: gaussian(1)[None, :]),
    "gaussian-2d": (
        "(G Gᵀ) ⋆ x = G ⋆ (Gᵀ ⋆ x); sum 1 keeps the brightness",
        lambda: np.outer(gaussian(1), gaussian(1)),
    ),
}


def _is_picture(problem: Problem) -> bool:
    """One channel in, one out, a 3x3 kernel over an image padded to equal width."""
    square = problem.operator is Operator.conv and problem.w == (1, 1, 3, 3) and not problem.bias
    window = problem.window
    return square and problem.data == "uniform" and window.padding == ((1, 1), (1, 1)) and set(window.stride) == {1}


def _make_law(name: str, formula: str, kernel: Callable[[], Array]) -> Law:
    def check(subject: BackendUnderTest, problem: Problem) -> Deviation:
        """Filter the picture and a constant one: y = w ⋆ x, and brightness follows the sum of the kernel."""
        x = draw_array(problem, "x", problem.x)
        w = np.zeros((1, 1, 3, 3))
        small = kernel()
        w[0, 0, 1 - small.shape[0] // 2 : 2 + small.shape[0] // 2, :] = small
        parts = [_filter(subject, problem, x, w), _filter(subject, problem, np.full_like(x, 0.75), w)]
        if name == "gaussian-2d":
            parts.append(_separates(subject, problem, x, w))
        return worst_of(*parts)

    check.__name__ = f"kernel_{name}"
    check.__doc__ = formula
    return law(tolerance="bound", when=_is_picture)(check)


def _filter(subject: BackendUnderTest, problem: Problem, x: Array, w: Array) -> Deviation:
    """Compare y with shifted sums in float64; inside a constant picture these are the kernel's sum times its value."""
    arrays = {"x": x.astype(x.dtype), "w": w.astype(x.dtype)}
    wanted = reference.compute(problem, arrays)
    return check_outputs(problem, subject.numerics(), arrays, subject.run(problem, arrays), wanted)


def _separates(subject: BackendUnderTest, problem: Problem, x: Array, w: Array) -> Deviation:
    """One pass with G Gᵀ against a row pass and a column pass, within the bounds of all three and of rounding w."""
    row, column = np.zeros_like(w), np.zeros_like(w)
    row[0, 0, 1], column[0, 0, :, 1] = gaussian(1), gaussian(1)
    once = subject.run(problem, {"x": x, "w": w})["y"]
    blurred = subject.run(problem, {"x": x, "w": row})["y"]
    twice = subject.run(problem, {"x": blurred, "w": column})["y"]
    size = magnitude(problem, {"x": x, "w": w})
    passes = ((x, w), (x, row), (blurred, column))
    allowed = 8 * FORMATS[problem.dtype].u * size
    for image, kernel in passes:
        allowed = allowed + sum_bound(problem, subject.numerics(), {"x": image, "w": kernel}, size)
    return compare_arrays(twice, once.astype(np.float64), allowed, what="two passes", kind="bound")


KERNEL_LAWS = tuple(_make_law(name, formula, kernel) for name, (formula, kernel) in KERNELS.items())

"""Positions related by a window along one axis: output i reads with tap u input j = s i + d u - b."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harness.problems.arrays import Array
from harness.problems.problem import Problem


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a problem: sizes on the side that the window moves over (n) and on the other (p)."""

    n: int
    p: int
    kernel: int
    stride: int
    dilation: int
    begin: int

    def input_of(self, i: int, u: int) -> int | None:
        """Return the input that output i reads with tap u; None for padding."""
        j = self.stride * i + self.dilation * u - self.begin
        return j if 0 <= j < self.n else None

    def output_of(self, j: int, u: int) -> int | None:
        """Return the output that reads input j with tap u; None if there is none."""
        i, rest = divmod(j + self.begin - self.dilation * u, self.stride)
        return i if not rest and 0 <= i < self.p else None

    def readers(self, j: int) -> list[tuple[int, int]]:
        """Return all pairs (output, tap) that read input j."""
        pairs = ((self.output_of(j, u), u) for u in range(self.kernel))
        return [(i, u) for i, u in pairs if i is not None]

    def reads(self, i: int) -> list[tuple[int, int]]:
        """Return all pairs (input, tap) that output i reads."""
        pairs = ((self.input_of(i, u), u) for u in range(self.kernel))
        return [(j, u) for j, u in pairs if j is not None]

    def outputs_in(self, start: int, stop: int, u: int) -> tuple[int, int]:
        """Return the range of outputs whose tap u lies in the input.

        start, stop: limits of the range.
        u: index of the tap.
        """
        shift = self.dilation * u - self.begin
        first = max(start, -(shift // self.stride))  # ceil(-shift / stride)
        last = min(stop, (self.n - 1 - shift) // self.stride + 1)
        return first, max(first, last)

    def inputs_at(self, first: int, last: int, u: int) -> slice:
        """Return the inputs that a range of outputs reads with one tap.

        first, last: the outputs, without `last`.
        u: index of the tap.
        """
        shift = self.dilation * u - self.begin
        return slice(first * self.stride + shift, (last - 1) * self.stride + shift + 1, self.stride)


@lru_cache(maxsize=8)
def axes_of(problem: Problem) -> tuple[Axis, ...]:
    """Return the spatial axes of a problem."""
    window, transposed = problem.window, problem.operator.value == "conv_transpose"
    smaller = problem.x[2:] if transposed else problem.y[2:]
    return tuple(
        Axis(n, p, m, s, d, begin)
        for n, p, m, s, d, (begin, _) in zip(
            problem.forward_spatial, smaller, problem.kernel, window.stride, window.dilation, window.padding,
            strict=True,
        )
    )  # fmt: skip


def count_divisors(problem: Problem, number: int, start: int, stop: int) -> Array:
    """Return the divisor of a mean along an axis, for outputs start to stop (`harness.problems.taps.mean_divisors`).

    number: of the spatial axis.
    problem: the mean pooling.
    """
    axis, (begin, end) = axes_of(problem)[number], problem.window.padding[number]
    low, high = (-begin, axis.n + end) if problem.window.count_include_pad else (0, axis.n)
    first = np.arange(start, stop) * axis.stride - axis.begin
    inside = sum((low <= first + u * axis.dilation) & (first + u * axis.dilation < high) for u in range(axis.kernel))
    return np.maximum(1, inside).astype(np.float64)

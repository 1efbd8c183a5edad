"""Random weights of the axes of an output, and their transfer to the other side of a window.

problem: shapes, window and seed. axis: as in each function; for taps, the geometry of one spatial axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.laws.sampling.held import BLOCK
from harness.laws.sampling.windows import Axis, axes_of, count_divisors
from harness.problems.accumulation import longest_sum
from harness.problems.arrays import Array
from harness.problems.numerics import FORMATS
from harness.problems.problem import Problem
from harness.problems.seeds import seeded_generator
from harness.problems.tile import amplitude

Weigh = Callable[[int, int], Array]  # weights of the positions from start to stop of one axis
LONGEST = 16_777_213  # the largest prime below 2^24: weights of a longer axis repeat with this period
MOST_WEIGHT, EXACT_BITS = 16, 53


@dataclass(frozen=True, slots=True)
class Weights:
    """Random whole weights of one axis, none of which is 0."""

    table: NDArray[np.int8]

    def __call__(self, start: int, stop: int) -> Array:
        """Return the weights from start to stop, as float64."""
        size = self.table.size
        if start // size == (stop - 1) // size:
            return self.table[start % size : (stop - 1) % size + 1].astype(np.float64)
        return self.at(np.arange(start, stop))

    def at(self, places: Array) -> Array:
        """Return the weights at any positions."""
        return np.asarray(self.table[places % self.table.size]).astype(np.float64)


def make_weights(problem: Problem, axis: str, number: int, size: int, largest: int) -> Weights:
    """Draw the weights of an axis for a round, from -largest to largest without 0.

    axis: name of the axis, which selects the seed together with `number`.
    number: of the round.
    size: length of the axis.
    """
    rng = seeded_generator(problem.seed, f"weights of {axis} in round {number}")
    values = rng.integers(1, largest, size=min(size, LONGEST), endpoint=True, dtype=np.int8)
    values *= rng.integers(0, 1, size=values.size, endpoint=True, dtype=np.int8) * np.int8(2) - np.int8(1)
    return Weights(values)


def choose_largest(problem: Problem) -> int:
    """Return the largest weight with which the sum over a block stays exact in float64, at most 16."""
    largest = amplitude(problem)[0]
    size = min(longest_sum(problem) * largest**2 + largest, 2.0 ** FORMATS[problem.dtype].bits)
    bits = EXACT_BITS - math.log2(BLOCK) - math.log2(size)
    return max(1, min(MOST_WEIGHT, int(2 ** (bits / (problem.axes + 2)))))


def mean_weights(problem: Problem, number: int, weights: Weights) -> Weigh:
    """Return weights h[j] = sum of g[i] / divisor[i] over outputs i and taps that read input j.

    number: of the spatial axis.
    weights: g.
    """
    axis = axes_of(problem)[number]

    @lru_cache(maxsize=4)  # consecutive blocks mostly share their places along an axis
    def weigh(start: int, stop: int) -> Array:
        total = np.zeros(stop - start)
        for u in range(axis.kernel):
            first, last = _outputs_reading(axis, start, stop, u)
            if first < last:
                at = axis.inputs_at(first, last, u)
                share = weights(first, last) / count_divisors(problem, number, first, last)
                total[at.start - start : at.stop - start : axis.stride] += share
        return total

    return weigh


def spread_weights(problem: Problem, number: int, weights: Weights) -> Weigh:
    """Return weights h[i] = sum of g[j] over the inputs j that output i reads, divided by divisor[i].

    number: of the spatial axis.
    weights: g.
    """
    axis = axes_of(problem)[number]

    @lru_cache(maxsize=4)  # consecutive blocks mostly share their places along an axis
    def weigh(start: int, stop: int) -> Array:
        total = np.zeros(stop - start)
        for u in range(axis.kernel):
            first, last = axis.outputs_in(start, stop, u)
            if first < last:
                total[first - start : last - start] += _strided(weights, axis.inputs_at(first, last, u))
        return np.asarray(total / count_divisors(problem, number, start, stop))

    return weigh


def _strided(weights: Weights, at: slice) -> Array:
    return np.asarray(weights(at.start, at.stop)[:: at.step])


def _outputs_reading(axis: Axis, start: int, stop: int, u: int) -> tuple[int, int]:
    """Return the range of outputs whose tap u reads an input from start to stop."""
    shift = axis.dilation * u - axis.begin
    first = max(0, -((shift - start) // axis.stride))  # ceil((start - shift) / stride)
    last = min(axis.p, (stop - 1 - shift) // axis.stride + 1)
    return first, max(first, last)


def tap_weights(axis: Axis, weights: Weights, at: slice, scatters: bool) -> Array:
    """Return the weight that each position of the first input has for each tap: (positions, kernel).

    at: the positions.
    scatters: False for conv: g[i] where tap u of output i reads this position. True: g[j] where this position adds to
        output j.
    """
    matrix = np.zeros((at.stop - at.start, axis.kernel))
    for u in range(axis.kernel):
        if scatters:
            first, last = axis.outputs_in(at.start, at.stop, u)
            if first < last:
                matrix[first - at.start : last - at.start, u] = _strided(weights, axis.inputs_at(first, last, u))
        else:
            first, last = _outputs_reading(axis, at.start, at.stop, u)
            if first < last:
                to = axis.inputs_at(first, last, u)
                matrix[to.start - at.start : to.stop - at.start : axis.stride, u] = weights(first, last)
    return matrix

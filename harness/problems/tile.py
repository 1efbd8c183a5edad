"""Data of very large problems: one random tile of prime length, repeated along memory.

The element at flat offset i (in memory order, so that the layout counts) is tile[i mod P]. The tile is drawn from the
seed, so the data are deterministic, cheap (a copy), and any element is known without the array. An access that is off
by 2^31 or 2^32 elements or bytes is off by no multiple of the prime P, and finds another value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.problems.accumulation import longest_sum
from harness.problems.arrays import Array, DeviceArray
from harness.problems.numerics import FORMATS, dtype_of
from harness.problems.problem import Layout, Problem
from harness.problems.seeds import seeded_generator
from harness.problems.window import Sizes

PERIOD = 4_194_301  # the largest prime below 2^22
LARGE = 2**28  # elements of an array from which a problem's whole numbers are tiled
LARGEST_FACTOR, LARGEST_MAXIMUM = 3, 8  # whole numbers in sums, and where maxima are only selected


@dataclass(frozen=True, slots=True)
class Tile:
    """The values of one array: `table` holds one period, in the array's dtype."""

    table: Array

    def take(self, offsets: Array) -> Array:
        """Values at flat offsets in memory order."""
        return np.asarray(self.table[offsets % self.table.size])

    def fill(self, flat: DeviceArray, table: DeviceArray) -> None:
        """Fill a one-dimensional array of any library; `table` is this tile as that library's array."""
        for start in range(0, flat.shape[0], self.table.size):
            part = flat[start : start + self.table.size]
            part[...] = table[: part.shape[0]]


def is_large(problem: Problem) -> bool:
    """Return True if the data of a problem are tiled: integers, and an array of more than 2^28 elements."""
    return problem.data == "integer" and max(math.prod(shape) for shape in problem.shapes.values()) > LARGE


def make_tile(problem: Problem, name: str) -> Tile:
    """Draw one period of an array from the problem's seed."""
    rng, (largest, share) = seeded_generator(problem.seed, f"tile of {name}"), amplitude(problem)
    values = rng.integers(-largest, largest, size=PERIOD, endpoint=True, dtype=np.int8)
    if share < 1.0:
        kept = math.sqrt(share) if problem.operator.spec.multiplies else share
        values *= rng.random(PERIOD, dtype=np.float32) < kept
    return Tile(values.astype(dtype_of(problem.dtype)))


def amplitude(problem: Problem) -> tuple[int, float]:
    """Largest whole number a, and the share of non-zeros, so that all sums of the operator are exact in its dtype.

    With K the longest sum and p the significand bits, K a^2 + a <= 2^p. Where even a = 1 is too much, entries are
    thinned out until the sums of absolute products are about 2^p / 8.
    """
    if problem.operator.spec.selects:
        return LARGEST_MAXIMUM, 1.0
    longest, limit = longest_sum(problem), 2.0 ** FORMATS[problem.dtype].bits
    for largest in range(LARGEST_FACTOR, 0, -1):
        if longest * largest**2 + largest <= limit:
            return largest, 1.0
    return 1, limit / (4 * longest)


def memory_order(shape: Sizes, layout: Layout) -> tuple[int, ...]:
    """Axes of an array n c *s from the outermost in memory to the innermost."""
    axes = tuple(range(len(shape)))
    return axes if layout == "channels-first" or len(shape) < 3 else (0, *axes[2:], 1)


def make_tiled(problem: Problem, name: str, shape: Sizes) -> Array:
    """Make one whole array on the host.

    problem: the problem. name: of the array. shape: n c *s.
    """
    tile, order = make_tile(problem, name), memory_order(shape, problem.layout)
    flat = np.empty(math.prod(shape), dtype=tile.table.dtype)
    tile.fill(flat, tile.table)
    return flat.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))

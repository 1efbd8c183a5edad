"""Memory for the arrays of compiled functions, guarded on both sides; outputs are poisoned and aligned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.problems.arrays import Array
from harness.problems.problem import Layout
from harness.problems.window import Sizes

ALIGNMENT = 64  # bytes: a line of the cache, and the widest vectors
GUARD = 256  # bytes before and after an array
GUARD_BYTE = 0xA5
POISON = 0xFF  # every number of each format is NaN, and every index is -1, until it is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """An array between two guards.

    array: what the function sees. memory: the same as bytes. before, after: the guards, as bytes. byte: of the guards.
    """

    array: Array
    memory: Array
    before: Array
    after: Array
    byte: int

    def poison(self) -> None:
        """Make each number NaN, and each index -1."""
        self.memory.fill(POISON)

    def describe_damage(self) -> str | None:
        """Say which guard was written to; None if both are as they were."""
        for place, guard in (("before the start", self.before[::-1]), ("beyond the end", self.after)):
            written = np.flatnonzero(guard != self.byte)
            if written.size:
                return f"wrote {place}, up to {int(written[-1]) + 1} bytes away from it"
        return None


def make_output(shape: Sizes, dtype: np.dtype[Any], layout: Layout) -> Buffer:
    """Allocate an output: aligned, and poisoned.

    shape: n, c, *space, or fewer sizes. dtype: of its elements. layout: memory order of the axes.
    """
    return _make_buffer(shape, dtype, layout, 0, GUARD_BYTE)


def copy_input(a: Array, layout: Layout) -> Buffer:
    """Copy an input to memory that is aligned to its elements alone, between guards in which each number is NaN.

    a: of any memory order. layout: memory order of the copy.
    """
    buffer = _make_buffer(a.shape, a.dtype, layout, a.dtype.itemsize, POISON)
    buffer.array[...] = a
    return buffer


def same_bytes(one: Array, other: Array) -> bool:
    """Return True if two arrays of one shape have the same bits, in whatever order they lie in memory."""
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def _make_buffer(shape: Sizes, dtype: np.dtype[Any], layout: Layout, shift: int, byte: int) -> Buffer:
    """Allocate an array between guards.

    shift: bytes from an aligned address to its own. byte: that fills the guards.
    """
    length = math.prod(shape) * dtype.itemsize
    memory = np.empty(length + 2 * GUARD + 2 * ALIGNMENT, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % ALIGNMENT + shift
    end = start + length
    before, inner, after = memory[start - GUARD : start], memory[start:end], memory[end : end + GUARD]
    inner.fill(POISON)
    before.fill(byte)
    after.fill(byte)
    if layout == "channels-first" or len(shape) < 3:
        array = inner.view(dtype).reshape(shape)
    else:
        last = inner.view(dtype).reshape(shape[0], *shape[2:], shape[1])
        array = last.transpose(0, last.ndim - 1, *range(1, last.ndim - 1))
    return Buffer(array=array, memory=inner, before=before, after=after, byte=byte)

"""Memory for the outputs of compiled functions: poisoned, aligned, and guarded on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.problems.arrays import Array
from harness.problems.problem import Layout
from harness.problems.window import Sizes

ALIGNMENT = 64  # bytes: a line of the cache, and the widest vectors
GUARD = 256  # bytes before and after an output
GUARD_BYTE = 0xA5
POISON = 0xFF  # every number of each format is NaN, and every index is -1, until it is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """An output array between two guards.

    array: the output. before, after: the guards, as bytes.
    """

    array: Array
    before: Array
    after: Array

    def describe_damage(self) -> str | None:
        """Say which guard was written to; None if both are as they were."""
        for place, guard in (("before the start", self.before[::-1]), ("beyond the end", self.after)):
            written = np.flatnonzero(guard != GUARD_BYTE)
            if written.size:
                return f"wrote {place}, up to {int(written[-1]) + 1} bytes away from it"
        return None


def make_buffer(shape: Sizes, dtype: np.dtype[Any], layout: Layout) -> Buffer:
    """Allocate an output.

    shape: n, c, *space, or fewer sizes. dtype: of its elements. layout: memory order of the axes.
    """
    length = math.prod(shape) * dtype.itemsize
    memory = np.empty(length + 2 * GUARD + ALIGNMENT, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % ALIGNMENT
    end = start + length
    before, inner, after = memory[start - GUARD : start], memory[start:end], memory[end : end + GUARD]
    inner.fill(POISON)
    before.fill(GUARD_BYTE)
    after.fill(GUARD_BYTE)
    if layout == "channels-first" or len(shape) < 3:
        array = inner.view(dtype).reshape(shape)
    else:
        last = inner.view(dtype).reshape(shape[0], *shape[2:], shape[1])
        array = last.transpose(0, last.ndim - 1, *range(1, last.ndim - 1))
    return Buffer(array=array, before=before, after=after)

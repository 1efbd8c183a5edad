"""Maximum pooling of a large problem, block by block: every maximum and every index, in one pass over the taps.

On whole numbers a key x T + (T - 1 - t), with t the number of the tap and T their count, encodes a value and its tap:
the largest key of a window is its maximum at the first place, and x T + t yields the last one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

from harness.laws.sampling.held import Box, Held, make_blank, shape_flat, split, widen
from harness.laws.sampling.windows import Axis, axes_of
from harness.problems.arrays import Array
from harness.problems.numerics import Tie
from harness.problems.taps import EVERY
from harness.problems.tile import memory_order


def pool_blocks(held: Held, ties: Tie) -> Iterator[tuple[Box, Array, Array]]:
    """Yield boxes that cover the output, with maxima (float32) and flat indices; -inf and -1 for padding only.

    ties: which of equal maxima has the index, "first" or "last".
    """
    shape = held.problem.y
    growth = max(1.0, math.prod(held.problem.x[2:]) / math.prod(shape[2:]))
    for box in split(shape, memory_order(shape, held.problem.layout), max(1, int(held.block / growth))):
        yield box, *_pool(held, box, ties)


def _pool(held: Held, box: Box, ties: Tie) -> tuple[Array, Array]:
    axes = axes_of(held.problem)
    slab, offsets = _read_slab(held, box, axes)
    taps, best = math.prod(held.problem.kernel), None
    slab *= np.float32(taps)
    for number, tap in enumerate(np.ndindex(*held.problem.kernel)):
        at: tuple[Any, ...] = tuple(
            slice(u * axis.dilation, u * axis.dilation + (p.stop - p.start - 1) * axis.stride + 1, axis.stride)
            for u, axis, p in zip(tap, axes, box[2:], strict=True)
        )
        key = slab[(*EVERY, *at)] + np.float32(number if ties == "last" else taps - 1 - number)
        best = key if best is None else np.maximum(best, key, out=best)
    assert best is not None
    empty = np.isneginf(best)
    y = np.floor(best / np.float32(taps))
    places = np.where(empty, 0, best - y * np.float32(taps)).astype(np.int64)
    chosen = places if ties == "last" else taps - 1 - places
    indices = np.take(_tap_offsets(held, axes), chosen) + offsets
    return y, np.where(empty, -1, indices)


def _read_slab(held: Held, box: Box, axes: tuple[Axis, ...]) -> tuple[Array, Array]:
    """Return the inputs of a box of outputs, padded with -inf, as float32, and the flat position of each first tap."""
    inner, into, extent, firsts = [], [], [], []
    for axis, at in zip(axes, box[2:], strict=True):
        begin = at.start * axis.stride - axis.begin
        size = (at.stop - at.start - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
        low = min(max(0, begin), axis.n)
        high = max(low, min(axis.n, begin + size))
        inner.append(slice(low, high))
        into.append(slice(low - begin, high - begin))
        extent.append(size)
        firsts.append(np.arange(at.start, at.stop, dtype=np.int64) * axis.stride - axis.begin)
    part = widen(held.raw("x", (*box[:2], *inner))).astype(np.float32)
    slab = np.full((*part.shape[:2], *extent), -np.inf, dtype=np.float32)
    slab[(*EVERY, *into)] = part
    return slab, _flatten(held, firsts)


def _tap_offsets(held: Held, axes: tuple[Axis, ...]) -> Array:
    """Return the flat distance of each tap, in row-major order, from the first one."""
    return _flatten(held, [np.arange(axis.kernel, dtype=np.int64) * axis.dilation for axis in axes]).reshape(-1)


def _flatten(held: Held, places: list[Array]) -> Array:
    """Return flat positions in a map, from positions along each axis."""
    spatial = held.problem.x[2:]
    steps = [math.prod(spatial[axis + 1 :]) for axis in range(len(spatial))]
    return np.asarray(reduce(np.add.outer, [place * step for place, step in zip(places, steps, strict=True)]))


def draw_indices(held: Held) -> None:
    """Fill `indices` with those of the maxima of x, the first of equal ones, block by block."""
    backend = held.subject.backend
    like, shape = backend.to_device(np.zeros(1, dtype=np.int64)), held.problem.y
    flat = make_blank(like, math.prod(shape))
    held.arrays["indices"] = shape_flat(flat, shape, held.problem.layout)
    for box, _, indices in pool_blocks(held, "first"):
        held.arrays["indices"][box] = backend.to_device(np.ascontiguousarray(indices))

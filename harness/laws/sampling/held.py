"""Arrays of a problem too large to copy: they stay with the backend and are read on the host block by block."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend.routing import UnsupportedError
from harness.laws.subject import BackendUnderTest, check_form
from harness.problems.arrays import Array, DeviceArray, Outputs
from harness.problems.calling import name_outputs
from harness.problems.numerics import dtype_of
from harness.problems.problem import Layout, Problem
from harness.problems.taps import device_options, find_namespace
from harness.problems.tile import Tile, make_tile, memory_order
from harness.problems.window import Sizes

Box = tuple[slice, ...]
BLOCK = 2**19  # elements held on the host at once
_HALF_MASK, _HALF_SCALE = np.int32(-0x70000001), np.float32(2.0**112)  # sign and bits of float16; exponent offset


@dataclass(slots=True)
class Held:
    """The arrays of a problem by name, of the backend's own type, with the tiles that filled the inputs.

    rounds: whether outputs are rounded to whole numbers, as for norm-wise algorithms.
    block: elements read at once.
    """

    subject: BackendUnderTest
    problem: Problem
    arrays: dict[str, DeviceArray]
    tiles: dict[str, Tile]
    rounds: bool = False
    block: int = BLOCK

    def raw(self, name: str, at: tuple[Any, ...]) -> Array:
        """Return part of an array on the host, in its own dtype."""
        return np.asarray(self.subject.backend.to_host(self.arrays[name][at]))

    def read(self, name: str, at: tuple[Any, ...]) -> Array:
        """Return part of an array on the host in float64, or whole numbers for indices."""
        part = self.raw(name, at)
        if name == "indices":
            return part
        wide = widen(part)
        return np.rint(wide, out=wide) if self.rounds and name in self.problem.operator.outputs else wide

    def locate(self, name: str, offset: int) -> Sizes:
        """Return the index of the element at a flat offset in memory."""
        shape = self.problem.shapes[name]
        order = memory_order(shape, self.problem.layout)
        there = np.unravel_index(offset, tuple(shape[axis] for axis in order))
        return tuple(int(there[order.index(axis)]) for axis in range(len(shape)))


def widen(a: Array) -> Array:
    """Copy to float64; float16 by shifting its bits, about five times as fast as NumPy's own conversion.

    Infinities and NaN of float16 become numbers of 2^16 and more, which are never wanted values.
    """
    if a.dtype != np.float16:
        return a.astype(np.float64)
    bits = a.view(np.int16).astype(np.int32)
    bits <<= 16
    bits >>= 3
    bits &= _HALF_MASK
    values = bits.view(np.float32)
    values *= _HALF_SCALE
    return values.astype(np.float64)


def draw_held(subject: BackendUnderTest, problem: Problem) -> Held:
    """Draw the inputs into arrays of the backend's own type, tile by tile; `indices` are left to the caller.

    Raises UnsupportedError if such arrays cannot be filled in place.
    """
    held = Held(subject, problem, {}, {})
    if subject.copies:
        raise UnsupportedError(
            "its arrays cannot be written in place, and a second copy of a large array is not made for a call"
        )
    for name in problem.operator.inputs:
        if name in problem.shapes and name != "indices":
            held.tiles[name] = make_tile(problem, name)
            table = subject.backend.to_device(held.tiles[name].table)
            flat = make_blank(table, math.prod(problem.shapes[name]))
            try:
                held.tiles[name].fill(flat, table)
            except TypeError:
                raise UnsupportedError(
                    f"{type(flat).__name__} cannot be filled in place, and a second copy of a large array is not made"
                ) from None
            held.arrays[name] = shape_flat(flat, problem.shapes[name], problem.layout)
    return held


def make_blank(like: DeviceArray, size: int) -> DeviceArray:
    """Make an uninitialised one-dimensional array of another array's dtype, on its device."""
    return find_namespace(like).empty(size, dtype=like.dtype, **device_options(like))


def shape_flat(flat: DeviceArray, shape: Sizes, layout: Layout) -> DeviceArray:
    """View a one-dimensional array as n c *s in a memory layout.

    shape: n c *s.
    layout: of the problem.
    flat: the array.
    """
    xp, order = find_namespace(flat), memory_order(shape, layout)
    whole = xp.reshape(flat, tuple(shape[axis] for axis in order))
    return xp.permute_dims(whole, tuple(order.index(axis) for axis in range(len(shape))))


def take_outputs(held: Held, result: Outputs) -> None:
    """Keep a call's outputs. Raises ValueError for a wrong shape or dtype."""
    for name, a in name_outputs(held.problem, result).items():
        wanted = held.problem.shapes[name]
        if tuple(a.shape) != wanted:
            raise ValueError(f"{held.problem.operator} gave {name} of shape {tuple(a.shape)}, wanted {wanted}")
        held.arrays[name] = a
        corner = held.raw(name, tuple(slice(0, 1) for _ in wanted))
        check_form(held.problem, name, np.broadcast_to(corner, wanted))


def split(shape: Sizes, order: tuple[int, ...], most: int) -> Iterator[Box]:
    """Yield boxes that cover an array in memory order: inner axes whole, one in pieces, the outer ones index by index.

    order: axes from the outermost to the innermost.
    most: largest number of elements of a box.
    shape: of the array.
    """
    steps, left = [1] * len(shape), max(1, most)
    for axis in reversed(order):
        steps[axis] = max(1, min(shape[axis], left))
        left = left // shape[axis] if steps[axis] == shape[axis] else 0
    ranges = [[slice(i, min(i + step, n)) for i in range(0, n, step)] for n, step in zip(shape, steps, strict=True)]
    for box in itertools.product(*(ranges[axis] for axis in order)):
        yield tuple(box[order.index(axis)] for axis in range(len(shape)))


def dtype_bytes(problem: Problem, name: str) -> int:
    """Return the bytes of one element of an array."""
    return 8 if name == "indices" else dtype_of(problem.dtype).itemsize
